import {systemClock} from '../../base/clock.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags, kindFlag} from '../../cli/cert-flags.ts'
import {type InspectedJson, inspectedJson, inspectedTable, problemsOf} from '../../cli/cert-text.ts'
import {type Inspection, inspectDir} from '../../pki/inspect.ts'

interface Listed {
  readonly directory: string
  readonly certificates: readonly InspectedJson[]
  readonly unreadable: Inspection['unreadable']
}

export default class CertList extends CertCommand {
  static override readonly summary = 'List the certificates of the directory, and whether they are valid.'
  static override readonly examples = [
    {description: 'List all certificates.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List the hosts of a cell, for a script.',
      command: '<%= config.bin %> <%= command.id %> --kind host --dir ./axon --json',
    },
  ]
  static override readonly flags = {kind: kindFlag({summary: 'Only this kind.'}), ...certDirFlags}

  async run(): Promise<Listed> {
    const {flags} = await this.parse(CertList)
    const certDir = this.certDir(flags)
    const nowMs = systemClock.wallMs()
    const {certificates, unreadable} = await inspectDir(certDir, {kind: flags.kind}, nowMs)
    const rows = certificates.map((one) => inspectedJson(one, problemsOf(one, nowMs, 0)))
    for (const {path, reason} of unreadable) this.say(`${path}: ${reason}`)
    if (rows.length === 0) this.say(`no certificate in ${certDir.paths[0]}`)
    else this.show(rows, () => inspectedTable(rows, nowMs))
    return {directory: certDir.paths[0], certificates: rows, unreadable}
  }
}
