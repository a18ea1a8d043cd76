import {Args} from '@oclif/core'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {revokeStep} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {UserReport} from '../../cli/holder-text.ts'

export default class UserRevoke extends HolderCommand {
  static override readonly summary = 'Take a role away from a user.'
  static override readonly description =
    'It is to be confirmed, or needs --yes. The role all belongs to everybody and stays.'
  static override readonly exits = {3: 'no such user, or no such role'}
  static override readonly args = {
    user: Args.string({description: 'Name of the user.', required: true}),
    role: Args.string({description: 'Name of the role.', required: true}),
  }
  static override readonly examples = [
    {description: 'See what would change.', command: '<%= config.bin %> <%= command.id %> visi uploaders --dry-run'},
    {description: 'Take a role away.', command: '<%= config.bin %> <%= command.id %> visi uploaders --yes'},
  ]
  static override readonly flags = {...confirmFlags, ...cellFlags}

  async run(): Promise<ChangeReport<UserReport>> {
    const {args, flags} = await this.parse(UserRevoke)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(args.user)
    const role = await admin.role(args.role)
    await this.confirm({what: `take the role ${role.name} away from the user ${user.name}`}, flags)
    return await this.changeUser(admin, user, [revokeStep(role)], flags['dry-run'])
  }
}
