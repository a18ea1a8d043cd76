import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {userFlag} from '../../cli/flags.ts'
import {type KeyReport, keyReport, keyTable} from '../../cli/holder-text.ts'

export default class ApikeyList extends CellCommand {
  static override readonly summary = "List a user's API keys, without the keys themselves."
  static override readonly description = 'On the UNIX socket of a cell, you are its root.'
  static override readonly exits = {3: 'no such user', 4: 'refused'}
  static override readonly examples = [
    {description: 'List your own.', command: '<%= config.bin %> <%= command.id %>'},
    {description: "List somebody else's.", command: '<%= config.bin %> <%= command.id %> --user backup --json'},
  ]
  static override readonly flags = {...userFlag, ...cellFlags}

  async run(): Promise<{apikeys: readonly KeyReport[]}> {
    const {flags} = await this.parse(ApikeyList)
    await using admin = await this.openAdmin(flags)
    const keys = await admin.keys(flags.user === undefined ? undefined : await admin.userIden(flags.user))
    if (keys.length === 0) this.say('there are no API keys')
    else this.show(keys, keyTable)
    return {apikeys: keys.map(keyReport)}
  }
}
