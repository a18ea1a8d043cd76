import type {CellAdmin} from '../client/admin.ts'
import type {CellRole, CellUser} from '../client/admin-values.ts'
import {CellCommand} from './cell-command.ts'
import {type Changed, change, type Step} from './holder-change.ts'
import {
  differences,
  type RoleReport,
  roleDetails,
  rolePairs,
  roleReport,
  type UserReport,
  userDetails,
  userPairs,
  userReport,
} from './holder-text.ts'
import {printable} from './printable.ts'

/** What a command that changes a user or a role answers under `--json`: null before for a new one, null after for one that is gone. */
export interface ChangeReport<R> {
  readonly changed: boolean
  /** With `--dry-run`, nothing was done and `after` is what would be. */
  readonly dryRun: boolean
  readonly before: R | null
  readonly after: R | null
}

/** A command that changes users or roles: it shows what was before and after. */
export abstract class HolderCommand extends CellCommand {
  protected async changeUser(
    admin: CellAdmin,
    before: CellUser,
    steps: readonly Step<CellUser>[],
    isDry: boolean,
  ): Promise<ChangeReport<UserReport>> {
    const changed = await change(admin, before, steps, {isDry, again: () => admin.user(before.name)})
    const text = differences(userPairs(changed.before), userPairs(changed.after))
    return this.showChange('user', changed, text, userReport, isDry)
  }

  protected async changeRole(
    admin: CellAdmin,
    before: CellRole,
    steps: readonly Step<CellRole>[],
    isDry: boolean,
  ): Promise<ChangeReport<RoleReport>> {
    const changed = await change(admin, before, steps, {isDry, again: () => admin.role(before.name)})
    const text = differences(rolePairs(changed.before), rolePairs(changed.after))
    return this.showChange('role', changed, text, roleReport, isDry)
  }

  /** Does the steps of a user who was just added; when one of them fails, he is removed again. */
  protected async addedUser(
    admin: CellAdmin,
    user: CellUser,
    steps: readonly Step<CellUser>[],
  ): Promise<ChangeReport<UserReport>> {
    const again = () => admin.user(user.name)
    const {after} = await change(admin, user, steps, {isDry: false, again}).catch(async (error: unknown) => {
      await admin.remove('user', user.iden)
      throw error
    })
    const data = {changed: true, dryRun: false, before: null, after: userReport(after)}
    return this.show(data, () => `${printable(`added the user ${user.name}`)}\n${userDetails(after)}`)
  }

  /** As `addedUser`, for a role. */
  protected async addedRole(
    admin: CellAdmin,
    role: CellRole,
    steps: readonly Step<CellRole>[],
  ): Promise<ChangeReport<RoleReport>> {
    const again = () => admin.role(role.name)
    const {after} = await change(admin, role, steps, {isDry: false, again}).catch(async (error: unknown) => {
      await admin.remove('role', role.iden)
      throw error
    })
    const data = {changed: true, dryRun: false, before: null, after: roleReport(after)}
    return this.show(data, () => `${printable(`added the role ${role.name}`)}\n${roleDetails(after)}`)
  }

  /** Shows a removal; the deed is the caller's. */
  protected showRemoval<T extends CellRole, R>(
    kind: 'user' | 'role',
    holder: T,
    report: (holder: T) => R,
    isDry: boolean,
  ): ChangeReport<R> {
    if (isDry) this.say('dry run: nothing was done')
    const data = {changed: true, dryRun: isDry, before: report(holder), after: null}
    return this.show(data, () => printable(`${isDry ? 'would remove' : 'removed'} the ${kind} ${holder.name}`))
  }

  private showChange<T extends CellRole, R>(
    kind: 'user' | 'role',
    {before, after, isChanged}: Changed<T>,
    text: string,
    report: (holder: T) => R,
    isDry: boolean,
  ): ChangeReport<R> {
    if (isDry) this.say('dry run: nothing was done')
    const data = {changed: isChanged, dryRun: isDry, before: report(before), after: report(after)}
    const nothing = isChanged ? '' : ' (nothing to change)'
    return this.show(data, () => `${printable(`${kind} ${before.name}`)}${nothing}\n${text}`)
  }
}
