import {isDeepStrictEqual} from 'node:util'
import type {Rule} from '../auth/model.ts'
import {isSameRule} from '../auth/rule.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {CellAdmin, Holder} from '../client/admin.ts'
import type {AtGate, CellRole, CellUser} from '../client/admin-values.ts'
import {ruleText} from './permission-text.ts'

/** One thing to be changed of a user or a role: what is asked of the cell, and what it should come to. */
export interface Step<T> {
  /** For the error when a later step fails: `admin`. */
  readonly name: string
  readonly run: (admin: CellAdmin, iden: string) => Promise<void>
  readonly apply: (before: T) => T
  /** It changes what nobody can see: a password. */
  readonly isHidden?: true
}

/** How a change ended. */
export interface Changed<T> {
  readonly before: T
  /** As the cell says it is now; with `isDry`, as it would be. */
  readonly after: T
  readonly isChanged: boolean
}

/**
 * Does the steps that make a difference, and asks the cell for what came of it. With `isDry` nothing is done.
 *
 * @throws RegistryError what the cell answered; when steps before it were done, the text names them
 */
export async function change<T extends CellRole>(
  admin: CellAdmin,
  before: T,
  steps: readonly Step<T>[],
  {isDry, again}: {readonly isDry: boolean; readonly again: (admin: CellAdmin) => Promise<T>},
): Promise<Changed<T>> {
  let after = before
  const needed = steps.filter((step) => {
    const next = step.apply(after)
    const isNeeded = step.isHidden === true || !isDeepStrictEqual(next, after)
    after = next
    return isNeeded
  })
  if (isDry || needed.length === 0) return {before, after, isChanged: needed.length > 0}
  const done: string[] = []
  for (const step of needed) {
    await step.run(admin, before.iden).catch((error: unknown) => {
      throw done.length === 0 ? error : partly(error, done)
    })
    done.push(step.name)
  }
  return {before, after: await again(admin), isChanged: true}
}

function partly(error: unknown, done: readonly string[]): RegistryError {
  const {
    code = 'REG_INTERNAL',
    info = {},
    hints = [],
    telepath,
  } = error instanceof RegistryError ? error : ({} as Partial<RegistryError>)
  return new RegistryError(code, `${messageOf(error)} (done before that: ${done.join(', ')})`, {
    info: {...info, done},
    hints,
    ...(telepath === undefined ? {} : {telepath}),
    cause: error,
  })
}

/** The rules of a user or role are changed on him, or on one gate. */
export interface RulePlace {
  readonly holder: Holder
  readonly gate: string | undefined
}

/** Puts a rule at a place of the list; where it stands already, it moves there. */
export function putRule<T extends CellRole>(place: RulePlace, rule: Rule, index: number, before: T): Step<T> {
  const old = rulesAt(before, place.gate)
  const others = old.filter((one) => !isSameRule(one, rule))
  const rules = others.toSpliced(Math.min(index, others.length), 0, rule)
  if (others.length < old.length) return replaceRules(place, rules, ruleText(rule))
  return {
    name: ruleText(rule),
    run: (admin, iden) => admin.addRule(place.holder, iden, rule, Math.min(index, others.length), place.gate),
    apply: (holder) => withRules(holder, place.gate, rules),
  }
}

/** Takes a rule out. Throws `REG_NOT_FOUND` when there is no such one. */
export function dropRule<T extends CellRole>(place: RulePlace, rule: Rule, before: T): Step<T> {
  const old = rulesAt(before, place.gate)
  const rules = old.filter((one) => !isSameRule(one, rule))
  if (rules.length < old.length) return replaceRules(place, rules, `without ${ruleText(rule)}`)
  const where = place.gate === undefined ? '' : ` at the gate ${place.gate}`
  throw new RegistryError('REG_NOT_FOUND', `${before.name} has no rule ${ruleText(rule)}${where}`, {
    hints: [`registry ${place.holder} show ${before.name}`],
  })
}

/** Puts these rules, in this order, in the place of all others. */
export function replaceRules<T extends CellRole>(place: RulePlace, rules: readonly Rule[], name = 'rules'): Step<T> {
  return {
    name,
    run: (admin, iden) => admin.setRules(place.holder, iden, rules, place.gate),
    apply: (holder) => withRules(holder, place.gate, rules),
  }
}

export function adminStep(isAdmin: boolean, gate: string | undefined): Step<CellUser> {
  return {
    name: 'admin',
    run: (admin, iden) => admin.setAdmin(iden, isAdmin, gate),
    apply: (user) => (gate === undefined ? {...user, isAdmin} : withGate(user, gate, (old) => ({...old, isAdmin}))),
  }
}

export function emailStep(email: string | null): Step<CellUser> {
  // Cells keep addresses in lower case.
  const kept = email?.toLowerCase() ?? null
  return {name: 'email', run: (admin, iden) => admin.setEmail(iden, email), apply: (user) => ({...user, email: kept})}
}

export function lockedStep(isLocked: boolean): Step<CellUser> {
  return {
    name: 'locked',
    run: (admin, iden) => admin.setLocked(iden, isLocked),
    apply: (user) => ({...user, isLocked}),
  }
}

/** Archived implies locked; the lock stays when the archive is left. */
export function archivedStep(isArchived: boolean): Step<CellUser> {
  return {
    name: 'archived',
    run: (admin, iden) => admin.setArchived(iden, isArchived),
    apply: (user) => ({...user, isArchived, isLocked: user.isLocked || isArchived}),
  }
}

/** Grants a role at a place of the user's roles; one that he has stays where it is. */
export function grantStep(role: CellRole, index: number | undefined): Step<CellUser> {
  const {iden, name} = role
  return {
    name: `role ${name}`,
    run: (admin, userIden) => admin.grant(userIden, iden, index),
    apply: (user) => {
      if (user.roles.some((one) => one.iden === iden)) return user
      return {...user, roles: user.roles.toSpliced(index ?? user.roles.length, 0, {iden, name})}
    },
  }
}

export function revokeStep(role: CellRole): Step<CellUser> {
  return {
    name: `without role ${role.name}`,
    run: (admin, userIden) => admin.revoke(userIden, role.iden),
    apply: (user) => ({...user, roles: user.roles.filter((one) => one.iden !== role.iden)}),
  }
}

export function passwdStep(passwd: string | null): Step<CellUser> {
  return {
    name: 'password',
    run: (admin, iden) => admin.setPasswd(iden, passwd),
    apply: (user) => user,
    isHidden: true,
  }
}

function rulesAt(holder: CellRole, gate: string | undefined): readonly Rule[] {
  if (gate === undefined) return holder.rules
  return holder.gates.find(({iden}) => iden === gate)?.rules ?? []
}

function withRules<T extends CellRole>(holder: T, gate: string | undefined, rules: readonly Rule[]): T {
  return gate === undefined ? {...holder, rules} : withGate(holder, gate, (old) => ({...old, rules}))
}

/** A gate entry vanishes when it says nothing any more. */
function withGate<T extends CellRole>(holder: T, gate: string, alter: (old: AtGate) => AtGate): T {
  const index = holder.gates.findIndex(({iden}) => iden === gate)
  const altered = alter(holder.gates[index] ?? {iden: gate, isAdmin: false, rules: []})
  const isKept = altered.isAdmin || altered.rules.length > 0
  const at = index === -1 ? holder.gates.length : index
  return {...holder, gates: holder.gates.toSpliced(at, 1, ...(isKept ? [altered] : []))}
}
