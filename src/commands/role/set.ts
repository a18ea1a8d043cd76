import {Args, Flags} from '@oclif/core'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {replaceRules} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {RoleReport} from '../../cli/holder-text.ts'
import {parseRuleText} from '../../cli/permission-text.ts'

export default class RoleSet extends HolderCommand {
  static override readonly summary = 'Replace all rules of a role at once.'
  static override readonly description =
    'It is to be confirmed, or needs --yes. For one rule more or less: role allow, role deny.'
  static override readonly exits = {3: 'no such role'}
  static override readonly args = {role: Args.string({description: 'Name of the role.', required: true})}
  static override readonly examples = [
    {
      description: 'See what would change.',
      command: "<%= config.bin %> <%= command.id %> keepers --rule '!axon.del' --rule axon --dry-run",
    },
    {description: 'Take all rules away.', command: '<%= config.bin %> <%= command.id %> keepers --no-rules --yes'},
  ]
  static override readonly flags = {
    rule: Flags.string({
      summary: 'Put these rules in the place of all others, in this order; with ! in front one denies.',
      helpValue: '[!]<permission>',
      multiple: true,
      multipleNonGreedy: true,
      exactlyOne: ['rule', 'no-rules'],
    }),
    'no-rules': Flags.boolean({summary: 'Take all rules away.'}),
    gate: Flags.string({summary: 'Set the rules at this gate, not everywhere.', helpValue: '<iden>'}),
    ...confirmFlags,
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<RoleReport>> {
    const {args, flags} = await this.parse(RoleSet)
    const rules = (flags.rule ?? []).map(parseRuleText)
    await using admin = await this.openAdmin(flags)
    const role = await admin.role(args.role)
    await this.confirm({what: `replace the rules of the role ${role.name}`}, flags)
    const step = replaceRules({holder: 'role', gate: flags.gate}, rules)
    return await this.changeRole(admin, role, [step], flags['dry-run'])
  }
}
