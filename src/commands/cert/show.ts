import {Args} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {inspectOneTarget} from '../../cli/cert-find.ts'
import {certDirFlags, kindFlag} from '../../cli/cert-flags.ts'
import {type InspectedJson, inspectedJson, inspectedText, problemsOf} from '../../cli/cert-text.ts'

export default class CertShow extends CertCommand {
  static override readonly summary = 'Show a certificate: whose it is, who signed it, until when, and its certhash.'
  static override readonly exits = {3: 'there is no such certificate', 4: 'it is none'}
  static override readonly args = {
    name: Args.string({description: 'Its name in the directory, or a file.', required: true}),
  }
  static override readonly examples = [
    {description: 'Show the certificate of a host.', command: '<%= config.bin %> <%= command.id %> aha.demo.net'},
    {
      description: 'Show one from elsewhere, judged by what the directory trusts.',
      command: '<%= config.bin %> <%= command.id %> ./answer.pem --json',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'Kind of certificate, where several have the name.'}),
    ...certDirFlags,
  }

  async run(): Promise<InspectedJson> {
    const {args, flags} = await this.parse(CertShow)
    const nowMs = systemClock.wallMs()
    const one = await inspectOneTarget(this.certDir(flags), {target: args.name, kind: flags.kind}, nowMs)
    return this.show(inspectedJson(one, problemsOf(one, nowMs, 0)), inspectedText)
  }
}
