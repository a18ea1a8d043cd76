/**
 * The decision. The first of these that says anything is the answer; a more exact rule does not beat one before it, and denying does not
 * beat allowing:
 *
 *     1. the user is locked: no            5. rules of the user
 *     2. the user is admin: yes            6. of each role, in order of granting: its rules in the gate
 *     3. the user is admin of the gate     7. of each role: its own rules
 *     4. rules of the user in the gate     8. what the caller wants when nothing is said
 *
 * With `deepDeny`, asked between 3 and 4, every rule of 4 to 7 that denies something strictly below the permission denies it as a whole.
 *
 * @see spec/cell-operations.md, section 13; recorded from Synapse 2.256.0 in test/vectors/auth-allow.jsonl
 */
import type {Directory, Gate, Role, Rule, User} from './model.ts'
import {covers, printRule} from './rule.ts'

/** What is asked of a user or a role. */
export interface Question {
  readonly path: readonly string[]
  /** Iden of the object that is touched; one that does not exist has no rules. */
  readonly gate?: string | undefined
  /** The answer when no rule says anything; false when absent. */
  readonly byDefault?: boolean | undefined
  readonly deepDeny?: boolean | undefined
}

/** Why the answer is what it is. */
type Reason =
  | {readonly kind: 'locked' | 'admin' | 'default'}
  | {readonly kind: 'gate-admin'; readonly gate: string}
  | RuleReason

/** A rule of the user, or of his role when there is one; in the gate when there is one. */
interface RuleReason {
  readonly kind: 'rule'
  readonly rule: Rule
  readonly role?: Role
  readonly gate?: string
}

/** The answer and why. `reason.kind` is `default` when no rule said anything. */
export interface Decision {
  readonly isAllowed: boolean
  readonly reason: Reason
}

/** Says whether a user may, and why. */
export function decide(directory: Directory, user: User, question: Question): Decision {
  if (user.isLocked) return {isAllowed: false, reason: {kind: 'locked'}}
  if (user.isAdmin) return {isAllowed: true, reason: {kind: 'admin'}}
  const gate = question.gate === undefined ? undefined : directory.gate(question.gate)
  if (gate?.users.get(user.iden)?.isAdmin) return {isAllowed: true, reason: {kind: 'gate-admin', gate: gate.iden}}
  return firstRule(rulesOf(directory, user, gate), question)
}

/** Says what a role on its own allows: with a gate, only its rules there count. */
export function decideForRole(directory: Directory, role: Role, question: Question): Decision {
  if (question.gate === undefined) return firstRule(ofRole(role.rules, role), question)
  const gate = directory.gate(question.gate)
  return firstRule(gate === undefined ? [] : ofRoleInGate(role, gate), question)
}

/** Gives the reason in the peer's words, one sentence. */
export function reasonText({reason}: Decision): string {
  switch (reason.kind) {
    case 'locked':
      return 'The user is locked.'
    case 'admin':
      return 'The user is a global admin.'
    case 'gate-admin':
      return `The user is an admin of auth gate ${reason.gate}.`
    case 'default':
      return 'No matching rule found.'
    case 'rule': {
      const whose = reason.role === undefined ? '' : ` for role ${reason.role.name}`
      const where = reason.gate === undefined ? '' : ` on gate ${reason.gate}`
      return `Matched ${reason.role === undefined ? 'user' : 'role'} rule (${printRule(reason.rule)})${whose}${where}.`
    }
  }
}

function firstRule(rules: Iterable<RuleReason>, {path, byDefault, deepDeny}: Question): Decision {
  let first: RuleReason | undefined
  for (const reason of rules) {
    const [allow, rulePath] = reason.rule
    if (deepDeny && !allow && rulePath.length > path.length && covers(path, rulePath)) return {isAllowed: false, reason}
    if (first === undefined && covers(rulePath, path)) {
      first = reason
      if (!deepDeny) break
    }
  }
  if (first === undefined) return {isAllowed: byDefault ?? false, reason: {kind: 'default'}}
  return {isAllowed: first.rule[0], reason: first}
}

/** All rules that count for a user, in the order in which they are asked. */
function* rulesOf(directory: Directory, user: User, gate: Gate | undefined): Iterable<RuleReason> {
  const roles = user.roles.map((iden) => directory.role(iden)).filter((role) => role !== undefined)
  if (gate !== undefined) {
    for (const rule of gate.users.get(user.iden)?.rules ?? []) yield {kind: 'rule', rule, gate: gate.iden}
  }
  for (const rule of user.rules) yield {kind: 'rule', rule}
  if (gate !== undefined) {
    for (const role of roles) yield* ofRoleInGate(role, gate)
  }
  for (const role of roles) yield* ofRole(role.rules, role)
}

function ofRoleInGate(role: Role, gate: Gate): readonly RuleReason[] {
  return ofRole(gate.roles.get(role.iden)?.rules ?? [], role, gate)
}

function ofRole(rules: readonly Rule[], role: Role, gate?: Gate): readonly RuleReason[] {
  return rules.map((rule) => ({kind: 'rule', rule, role, ...(gate === undefined ? {} : {gate: gate.iden})}))
}
