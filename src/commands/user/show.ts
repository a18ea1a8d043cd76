import {Args} from '@oclif/core'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {type UserReport, userDetails, userReport} from '../../cli/holder-text.ts'

export default class UserShow extends CellCommand {
  static override readonly summary = 'Show a user: rights, roles and rules in the order in which they are asked.'
  static override readonly description =
    `The first rule that fits decides: the user's own from top to bottom, then those of each role.
A rule with ! in front denies.`
  static override readonly exits = {3: 'no such user'}
  static override readonly args = {user: Args.string({description: 'Name of the user.', required: true})}
  static override readonly examples = [
    {description: 'Show what a user may do.', command: '<%= config.bin %> <%= command.id %> visi'},
    {
      description: 'Show one of an Axon, for a script.',
      command: '<%= config.bin %> <%= command.id %> visi --url cell:///srv/axon --json',
    },
  ]
  static override readonly flags = cellFlags

  async run(): Promise<UserReport> {
    const {args, flags} = await this.parse(UserShow)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(args.user)
    this.show(user, userDetails)
    return userReport(user)
  }
}
