import {Args} from '@oclif/core'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import {type UserReport, userReport} from '../../cli/holder-text.ts'

export default class UserRemove extends HolderCommand {
  static override readonly summary =
    'Remove a user, with everything that belongs to him: rules, API keys, open sessions.'
  static override readonly description =
    `His name is to be typed, or --yes given. To keep what he was, archive him: user set NAME --archived.`
  static override readonly exits = {3: 'no such user'}
  static override readonly args = {user: Args.string({description: 'Name of the user.', required: true})}
  static override readonly examples = [
    {description: 'See who would be removed.', command: '<%= config.bin %> <%= command.id %> visi --dry-run'},
    {description: 'Remove a user in a script.', command: '<%= config.bin %> <%= command.id %> visi --yes --json'},
  ]
  static override readonly flags = {...confirmFlags, ...cellFlags}

  async run(): Promise<ChangeReport<UserReport>> {
    const {args, flags} = await this.parse(UserRemove)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(args.user)
    await this.confirm({what: `remove the user ${user.name}`, name: user.name}, flags)
    if (!flags['dry-run']) await admin.remove('user', user.iden)
    return this.showRemoval('user', user, userReport, flags['dry-run'])
  }
}
