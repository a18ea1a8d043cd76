import {Args} from '@oclif/core'
import type {RoleReport} from '../../cli/holder-text.ts'
import {permissionArg, RuleCommand, type RuleReport, ruleFlags} from '../../cli/rule-command.ts'

export default class RoleAllow extends RuleCommand {
  static override readonly summary = 'Allow a role something, or take such a rule away.'
  static override readonly description =
    `The rule goes to the top of the role's own rules, because the first that fits decides; one that is there already moves there. Afterwards it is
said whether the permission is granted.`
  static override readonly exits = {3: 'no such role, or no such rule to take away'}
  static override readonly args = {
    role: Args.string({description: 'Name of the role.', required: true}),
    permission: permissionArg,
  }
  static override readonly examples = [
    {
      description: 'Let a role upload to an Axon.',
      command: '<%= config.bin %> <%= command.id %> uploaders axon.upload --url cell:///srv/axon',
    },
    {
      description: 'Take that away again.',
      command: '<%= config.bin %> <%= command.id %> uploaders axon.upload --remove --yes --url cell:///srv/axon',
    },
  ]
  static override readonly flags = ruleFlags

  async run(): Promise<RuleReport<RoleReport>> {
    const {args, flags} = await this.parse(RoleAllow)
    return await this.changeRoleRule({name: args.role, permission: args.permission, isAllowed: true}, flags)
  }
}
