import {Args} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {CellCommand, cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {userFlag} from '../../cli/flags.ts'
import {type KeyReport, keyReport} from '../../cli/holder-text.ts'
import {printable} from '../../cli/printable.ts'
import type {CellKey} from '../../client/admin-values.ts'

interface KeyRemoved {
  readonly removed: KeyReport
  readonly dryRun: boolean
}

export default class ApikeyRemove extends CellCommand {
  static override readonly summary = 'Remove an API key: it stops working at once.'
  static override readonly description = 'It is to be confirmed, or needs --yes.'
  static override readonly exits = {3: 'no such key', 5: 'several have this name'}
  static override readonly args = {
    apikey: Args.string({description: 'Its iden, or its name if only one of the user has it.', required: true}),
  }
  static override readonly examples = [
    {description: 'Remove one of your own.', command: '<%= config.bin %> <%= command.id %> laptop --yes'},
    {
      description: "Remove somebody else's, in a script.",
      command: '<%= config.bin %> <%= command.id %> nightly --user backup --yes --json',
    },
  ]
  static override readonly flags = {...userFlag, ...confirmFlags, ...cellFlags}

  async run(): Promise<KeyRemoved> {
    const {args, flags} = await this.parse(ApikeyRemove)
    await using admin = await this.openAdmin(flags)
    const keys = await admin.keys(flags.user === undefined ? undefined : await admin.userIden(flags.user))
    const key = theOne(keys, args.apikey, flags.user)
    await this.confirm({what: `remove the API key ${key.name} (${key.iden})`}, flags)
    const isDry = flags['dry-run']
    if (isDry) this.say('dry run: nothing was done')
    else await admin.removeKey(key.iden)
    return this.show({removed: keyReport(key), dryRun: isDry}, () =>
      printable(`${isDry ? 'would remove' : 'removed'} the API key ${key.name} (${key.iden})`),
    )
  }
}

function theOne(keys: readonly CellKey[], idenOrName: string, user: string | undefined): CellKey {
  const [only, ...others] = keys.filter(({iden, name}) => iden === idenOrName || name === idenOrName)
  const ofUser = user === undefined ? '' : ` --user ${user}`
  const hints = [`registry apikey list${ofUser}`]
  if (only === undefined) {
    const text = `${user ?? 'you'} ${user === undefined ? 'have' : 'has'} no API key with the iden or the name "${idenOrName}"`
    throw new RegistryError('REG_NOT_FOUND', text, {hints})
  }
  if (others.length === 0) return only
  const idens = [only, ...others].map(({iden}) => iden)
  throw new RegistryError('REG_CONFLICT', `${idens.length} API keys have the name "${idenOrName}": give an iden`, {
    hints,
    info: {idens},
  })
}
