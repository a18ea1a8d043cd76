import {Args} from '@oclif/core'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {durationFlag, userFlag} from '../../cli/flags.ts'
import {type KeyReport, keyReport} from '../../cli/holder-text.ts'
import {localTime} from '../../cli/render.ts'

interface KeyAdded {
  /** The key itself. It cannot be found out again. */
  readonly key: string
  readonly apikey: KeyReport
}

export default class ApikeyAdd extends CellCommand {
  static override readonly summary = 'Add an API key for the HTTPS port of a cell, and print it once.'
  static override readonly description =
    `The key is the only thing on stdout. It is not kept anywhere and cannot be shown again. Who has it may do over HTTPS
whatever its user may.`
  static override readonly exits = {3: 'no such user', 4: 'refused'}
  static override readonly args = {name: Args.string({description: 'Name of the key, to know it by.', required: true})}
  static override readonly examples = [
    {
      description: 'Keep a key for a backup job in a file (after umask 077).',
      command: '<%= config.bin %> <%= command.id %> nightly --user backup --expires-in 90d > backup.key',
    },
    {description: 'Make one of your own that lasts.', command: '<%= config.bin %> <%= command.id %> laptop --json'},
  ]
  static override readonly flags = {
    ...userFlag,
    'expires-in': durationFlag({summary: 'Life of the key; without it, it lasts until it is removed.'}),
    ...cellFlags,
  }

  async run(): Promise<KeyAdded> {
    const {args, flags} = await this.parse(ApikeyAdd)
    await using admin = await this.openAdmin(flags)
    const userIden = flags.user === undefined ? undefined : await admin.userIden(flags.user)
    const {text, key} = await admin.addKey(args.name, {durationMs: flags['expires-in'], userIden})
    const end = key.expiresMs === undefined ? 'does not expire' : `expires ${localTime(key.expiresMs)}`
    this.say(`added the API key ${key.name} (${key.iden}), which ${end}; it is shown this once:`)
    return this.show({key: text, apikey: keyReport(key)}, () => text)
  }
}
