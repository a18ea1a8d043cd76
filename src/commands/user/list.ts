import {Flags} from '@oclif/core'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {type UserReport, userReport, userTable} from '../../cli/holder-text.ts'

export default class UserList extends CellCommand {
  static override readonly summary = 'List the users of a cell.'
  static override readonly description =
    `Works on this software's server and on every Synapse service; it takes an administrator there.`
  static override readonly examples = [
    {description: 'List the users of the server on this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List those of an Axon, archived ones too, for a script.',
      command: '<%= config.bin %> <%= command.id %> --url cell:///srv/axon --archived --json',
    },
  ]
  static override readonly flags = {
    archived: Flags.boolean({summary: 'List archived users too.', default: false}),
    ...cellFlags,
  }

  async run(): Promise<{users: readonly UserReport[]}> {
    const {flags} = await this.parse(UserList)
    await using admin = await this.openAdmin(flags)
    const users = (await admin.users()).filter(({isArchived}) => flags.archived || !isArchived)
    this.show(users, userTable)
    return {users: users.map(userReport)}
  }
}
