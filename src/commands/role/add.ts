import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags} from '../../cli/cell-command.ts'
import {replaceRules} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {RoleReport} from '../../cli/holder-text.ts'
import {parseRuleText} from '../../cli/permission-text.ts'

export default class RoleAdd extends HolderCommand {
  static override readonly summary = 'Add a role to a cell.'
  static override readonly description = 'A role is a list of rules that users can be granted: registry user grant.'
  static override readonly exits = {5: 'there is a role of this name'}
  static override readonly args = {role: Args.string({description: 'Name of the new role.', required: true})}
  static override readonly examples = [
    {
      description: 'Add a role for those who may ask for the health.',
      command: '<%= config.bin %> <%= command.id %> watchers --rule health',
    },
    {
      description: 'Add one to an Axon that allows everything but deleting.',
      command: "<%= config.bin %> <%= command.id %> savers --rule '!axon.del' --rule axon --url cell:///srv/axon",
    },
  ]
  static override readonly flags = {
    rule: Flags.string({
      summary: 'Give it this rule; may be given several times, in order; with ! in front one denies.',
      helpValue: '[!]<permission>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<RoleReport>> {
    const {args, flags} = await this.parse(RoleAdd)
    const rules = flags.rule.map(parseRuleText)
    await using admin = await this.openAdmin(flags)
    if ((await admin.findRole(args.role)) !== undefined) throw isThere(args.role)
    const role = await admin.addRole(args.role)
    return await this.addedRole(admin, role, [replaceRules({holder: 'role', gate: undefined}, rules)])
  }
}

function isThere(name: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `there is a role "${name}" already`, {
    telepath: 'DupRoleName',
    info: {name},
    hints: [`registry role show ${name}`],
  })
}
