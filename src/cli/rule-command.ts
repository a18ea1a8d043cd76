import {Args, Flags} from '@oclif/core'
import type {Holder} from '../client/admin.ts'
import type {CellRole, CellUser} from '../client/admin-values.ts'
import {type CellWish, cellFlags, confirmFlags} from './cell-command.ts'
import {dropRule, putRule, type Step} from './holder-change.ts'
import {type ChangeReport, HolderCommand} from './holder-command.ts'
import type {RoleReport, UserReport} from './holder-text.ts'
import {parsePermission, permissionText} from './permission-text.ts'

/** The permission that a rule is about. */
export const permissionArg = Args.string({
  description: 'Permission, like axon.upload; a rule for axon covers everything below it.',
  required: true,
})

/** Flags of a command that puts a rule into a list, or takes it out. */
export const ruleFlags = {
  index: Flags.integer({summary: 'Place of the rule; the first that fits decides, so 0 unless given.', min: 0}),
  gate: Flags.string({summary: 'Make it a rule at this gate, not everywhere.', helpValue: '<iden>'}),
  remove: Flags.boolean({summary: 'Take this rule away.', default: false, exclusive: ['index']}),
  ...confirmFlags,
  ...cellFlags,
}

interface RuleWish extends CellWish {
  readonly index?: number | undefined
  readonly gate?: string | undefined
  readonly remove: boolean
  readonly yes: boolean
  readonly 'dry-run': boolean
}

interface RuleChange {
  readonly name: string
  readonly permission: string
  readonly isAllowed: boolean
}

/** What a command that changes a rule answers under `--json`. */
export interface RuleReport<R> extends ChangeReport<R> {
  /** Whether the permission is granted now, by whatever rule or right; with `--dry-run`, as it was before. */
  readonly allowed: boolean
}

/** A command that allows or denies something. */
export abstract class RuleCommand extends HolderCommand {
  protected async changeUserRule(wanted: RuleChange, flags: RuleWish): Promise<RuleReport<UserReport>> {
    const path = parsePermission(wanted.permission)
    await using admin = await this.openAdmin(flags)
    const user = await admin.user(wanted.name)
    const step = await this.#step<CellUser>('user', user, [wanted.isAllowed, path], flags)
    const report = await this.changeUser(admin, user, [step], flags['dry-run'])
    return this.#tell(report, path, await admin.isAllowed('user', user.iden, path, flags.gate))
  }

  protected async changeRoleRule(wanted: RuleChange, flags: RuleWish): Promise<RuleReport<RoleReport>> {
    const path = parsePermission(wanted.permission)
    await using admin = await this.openAdmin(flags)
    const role = await admin.role(wanted.name)
    const step = await this.#step<CellRole>('role', role, [wanted.isAllowed, path], flags)
    const report = await this.changeRole(admin, role, [step], flags['dry-run'])
    return this.#tell(report, path, await admin.isAllowed('role', role.iden, path, flags.gate))
  }

  /** Taking a right away is to be confirmed: a rule that denies, or one less that allows. */
  async #step<T extends CellRole>(
    holder: Holder,
    before: T,
    rule: readonly [boolean, readonly string[]],
    flags: RuleWish,
  ): Promise<Step<T>> {
    const place = {holder, gate: flags.gate}
    const step = flags.remove ? dropRule(place, rule, before) : putRule(place, rule, flags.index ?? 0, before)
    const isTaking = rule[0] === flags.remove
    const what = `${flags.remove ? 'take away what allows' : 'deny'} the ${holder} ${before.name} ${permissionText(rule[1])}`
    if (isTaking) await this.confirm({what}, flags)
    return step
  }

  #tell<R>(report: ChangeReport<R>, path: readonly string[], isAllowed: boolean): RuleReport<R> {
    const now = report.dryRun ? 'at present' : 'now'
    this.say(`${permissionText(path)} is ${isAllowed ? 'allowed' : 'not allowed'} ${now}`)
    return {...report, allowed: isAllowed}
  }
}
