import {Args, Flags} from '@oclif/core'
import {cellFlags} from '../../cli/cell-command.ts'
import {grantStep} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {UserReport} from '../../cli/holder-text.ts'

export default class UserGrant extends HolderCommand {
  static override readonly summary = 'Grant a user a role: what its rules allow, he may.'
  static override readonly description = "Roles are asked after the user's own rules, in the order in which they stand."
  static override readonly exits = {3: 'no such user, or no such role'}
  static override readonly args = {
    user: Args.string({description: 'Name of the user.', required: true}),
    role: Args.string({description: 'Name of the role.', required: true}),
  }
  static override readonly examples = [
    {description: 'Grant a role.', command: '<%= config.bin %> <%= command.id %> visi uploaders'},
    {
      description: 'Grant one that is asked before all others.',
      command: '<%= config.bin %> <%= command.id %> visi uploaders --index 0 --url cell:///srv/axon',
    },
  ]
  static override readonly flags = {
    index: Flags.integer({summary: "Place among the user's roles; the end unless given.", min: 0}),
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<UserReport>> {
    const {args, flags} = await this.parse(UserGrant)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(args.user)
    const role = await admin.role(args.role)
    return await this.changeUser(admin, user, [grantStep(role, flags.index)], false)
  }
}
