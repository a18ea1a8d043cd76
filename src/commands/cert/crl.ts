import {Args} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags} from '../../cli/cert-flags.ts'
import {keyValues} from '../../cli/render.ts'
import {revoke} from '../../pki/revoke.ts'

interface Listed {
  readonly ca: string
  readonly path: string
  readonly revoked: readonly {readonly serial: string; readonly at: string; readonly reason: string}[]
}

export default class CertCrl extends CertCommand {
  static override readonly summary = 'Make the revocation list of an authority, or sign the one that is there anew.'
  static override readonly description =
    'What stands in the list stays in it. A new one is empty; registry cert revoke adds to it.'
  static override readonly exits = {3: 'the authority, or its key, is not here', 4: 'the list is not its own'}
  static override readonly args = {ca: Args.string({description: 'Name of the authority.', required: true})}
  static override readonly examples = [
    {description: 'Make the list of an authority.', command: '<%= config.bin %> <%= command.id %> demo.net'},
    {
      description: 'Sign it anew and see what is in it.',
      command: '<%= config.bin %> <%= command.id %> demo.net --json',
    },
  ]
  static override readonly flags = certDirFlags

  async run(): Promise<Listed> {
    const {args, flags} = await this.parse(CertCrl)
    const {path, entries} = await revoke(this.certDir(flags), {
      ...{ca: args.ca, serials: [], reason: 'unspecified', dryRun: false},
      nowMs: systemClock.wallMs(),
    })
    const revoked = entries.map(({serial, atMs, reason}) => ({serial, at: new Date(atMs).toISOString(), reason}))
    return this.show({ca: args.ca, path, revoked}, () =>
      keyValues([
        ['revocation list saved', path],
        ['revoked certificates', String(revoked.length)],
      ]),
    )
  }
}
