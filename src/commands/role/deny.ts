import {Args} from '@oclif/core'
import type {RoleReport} from '../../cli/holder-text.ts'
import {permissionArg, RuleCommand, type RuleReport, ruleFlags} from '../../cli/rule-command.ts'

export default class RoleDeny extends RuleCommand {
  static override readonly summary = 'Deny a role something, or take such a rule away.'
  static override readonly description =
    `The rule goes to the top of the role's own rules, because the first that fits decides; one that is there already moves there. It is to be
confirmed, or needs --yes. An administrator is allowed everything, whatever rules say.`
  static override readonly exits = {3: 'no such role, or no such rule to take away'}
  static override readonly args = {
    role: Args.string({description: 'Name of the role.', required: true}),
    permission: permissionArg,
  }
  static override readonly examples = [
    {
      description: 'Deny a role to delete from an Axon.',
      command: '<%= config.bin %> <%= command.id %> uploaders axon.del --yes --url cell:///srv/axon',
    },
    {
      description: 'See what it would be like without that rule.',
      command: '<%= config.bin %> <%= command.id %> uploaders axon.del --remove --dry-run --url cell:///srv/axon',
    },
  ]
  static override readonly flags = ruleFlags

  async run(): Promise<RuleReport<RoleReport>> {
    const {args, flags} = await this.parse(RoleDeny)
    return await this.changeRoleRule({name: args.role, permission: args.permission, isAllowed: false}, flags)
  }
}
