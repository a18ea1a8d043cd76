import {Args} from '@oclif/core'
import type {UserReport} from '../../cli/holder-text.ts'
import {permissionArg, RuleCommand, type RuleReport, ruleFlags} from '../../cli/rule-command.ts'

export default class UserAllow extends RuleCommand {
  static override readonly summary = 'Allow a user something, or take such a rule away.'
  static override readonly description =
    `The rule goes to the top of the user's own rules, because the first that fits decides; one that is there already moves there. Afterwards it is
said whether the permission is granted.`
  static override readonly exits = {3: 'no such user, or no such rule to take away'}
  static override readonly args = {
    user: Args.string({description: 'Name of the user.', required: true}),
    permission: permissionArg,
  }
  static override readonly examples = [
    {
      description: 'Let a user upload to an Axon.',
      command: '<%= config.bin %> <%= command.id %> visi axon.upload --url cell:///srv/axon',
    },
    {
      description: 'Take that away again.',
      command: '<%= config.bin %> <%= command.id %> visi axon.upload --remove --yes --url cell:///srv/axon',
    },
  ]
  static override readonly flags = ruleFlags

  async run(): Promise<RuleReport<UserReport>> {
    const {args, flags} = await this.parse(UserAllow)
    return await this.changeUserRule({name: args.user, permission: args.permission, isAllowed: true}, flags)
  }
}
