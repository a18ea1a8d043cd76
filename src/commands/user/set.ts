import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {adminStep, archivedStep, emailStep, lockedStep, replaceRules, type Step} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {UserReport} from '../../cli/holder-text.ts'
import {parseRuleText} from '../../cli/permission-text.ts'
import type {CellUser} from '../../client/admin-values.ts'

export default class UserSet extends HolderCommand {
  static override readonly summary =
    'Change a user: address, administrator or not, locked, archived, all rules at once.'
  static override readonly description =
    `What takes something away (a lock, an archive, rights, rules) is to be confirmed, or needs --yes.
A locked user cannot log in, and what he has open is closed. Archived users are locked ones that are not listed.`
  static override readonly exits = {3: 'no such user'}
  static override readonly args = {user: Args.string({description: 'Name of the user.', required: true})}
  static override readonly examples = [
    {
      description: 'Lock a user out, at once.',
      command: '<%= config.bin %> <%= command.id %> visi --locked --yes',
    },
    {
      description: 'See what other rules would change.',
      command: "<%= config.bin %> <%= command.id %> visi --rule axon --rule '!axon.del' --dry-run",
    },
  ]
  static override readonly flags = {
    email: Flags.string({summary: 'Address of the user; an empty one takes it away.', helpValue: '<address>'}),
    admin: Flags.boolean({summary: 'Make the user an administrator, or take that away.', allowNo: true}),
    locked: Flags.boolean({summary: 'Lock the user, or unlock.', allowNo: true}),
    archived: Flags.boolean({summary: 'Archive the user, which locks too, or bring back.', allowNo: true}),
    rule: Flags.string({
      summary: 'Put these rules in the place of all others, in this order; with ! in front one denies.',
      helpValue: '[!]<permission>',
      multiple: true,
      multipleNonGreedy: true,
      exclusive: ['no-rules'],
    }),
    'no-rules': Flags.boolean({summary: 'Take all rules away.'}),
    gate: Flags.string({summary: 'Set --admin and rules at this gate, not everywhere.', helpValue: '<iden>'}),
    ...confirmFlags,
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<UserReport>> {
    const {args, flags} = await this.parse(UserSet)
    const {email, admin: isAdmin, locked, archived, gate} = flags
    const rules = flags['no-rules'] ? [] : flags.rule?.map(parseRuleText)
    const steps: Step<CellUser>[] = [
      ...(email === undefined ? [] : [emailStep(email === '' ? null : email)]),
      ...(isAdmin === undefined ? [] : [adminStep(isAdmin, gate)]),
      ...(archived === undefined ? [] : [archivedStep(archived)]),
      ...(locked === undefined ? [] : [lockedStep(locked)]),
      ...(rules === undefined ? [] : [replaceRules<CellUser>({holder: 'user', gate}, rules)]),
    ]
    if (steps.length === 0) throw nothingSaid(args.user)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(args.user)
    const takes = [
      isAdmin === false && 'take the rights of an administrator from',
      locked && 'lock',
      archived && 'archive',
      rules !== undefined && 'replace the rules of',
    ].filter((taken) => typeof taken === 'string')
    if (takes.length > 0) await this.confirm({what: `${takes.join(' and ')} the user ${user.name}`}, flags)
    return await this.changeUser(admin, user, steps, flags['dry-run'])
  }
}

function nothingSaid(name: string): RegistryError {
  return new RegistryError('REG_USAGE', `nothing is said that is to be changed of ${name}`, {
    hints: ['registry help user set', `registry user show ${name}`],
  })
}
