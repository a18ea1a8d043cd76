import type {Rule} from '../auth/model.ts'
import type {AtGate, CellKey, CellRole, CellUser} from '../client/admin-values.ts'
import {ruleText} from './permission-text.ts'
import {type Column, keyValues, localTime, table} from './render.ts'

/** A rule under `--json`: its text, and the parts that it is made of. */
interface RuleReport {
  readonly rule: string
  readonly allow: boolean
  readonly path: readonly string[]
}

interface GateReport {
  readonly iden: string
  readonly admin: boolean
  readonly rules: readonly RuleReport[]
}

/** A role under `--json`. */
export interface RoleReport {
  readonly iden: string
  readonly name: string
  readonly rules: readonly RuleReport[]
  readonly gates: readonly GateReport[]
}

/** A user under `--json`. */
export interface UserReport extends RoleReport {
  readonly email: string | null
  readonly admin: boolean
  readonly locked: boolean
  readonly archived: boolean
  readonly roles: readonly string[]
}

/** An API key under `--json`; `expires` is null for one that never does. */
export interface KeyReport {
  readonly iden: string
  readonly name: string
  readonly user: string
  readonly created: string
  readonly updated: string
  readonly expires: string | null
}

type Pairs = readonly (readonly [name: string, value: string])[]

export function roleReport({iden, name, rules, gates}: CellRole): RoleReport {
  return {iden, name, rules: rules.map(ruleReport), gates: gates.map(gateReport)}
}

export function userReport(user: CellUser): UserReport {
  const {iden, name, rules, gates} = roleReport(user)
  const {email, isAdmin, isLocked, isArchived, roles} = user
  const flags = {admin: isAdmin, locked: isLocked, archived: isArchived}
  return {iden, name, email, ...flags, roles: roles.map((role) => role.name), rules, gates}
}

export function keyReport({iden, name, user, createdMs, updatedMs, expiresMs}: CellKey): KeyReport {
  const expires = expiresMs === undefined ? null : iso(expiresMs)
  return {iden, name, user, created: iso(createdMs), updated: iso(updatedMs), expires}
}

/** How a list of rules is written: on one line, or one to a line with its place, since the first that fits decides. */
type RulesStyle = (rules: readonly Rule[]) => string

/** Gives what can be changed of a user, by name, for people. */
export function userPairs(user: CellUser, style: RulesStyle = inLine): Pairs {
  const {email, isAdmin, isLocked, isArchived, roles} = user
  return [
    ['email', email ?? '-'],
    ['admin', yesNo(isAdmin)],
    ['locked', yesNo(isLocked)],
    ['archived', yesNo(isArchived)],
    ['roles', roles.map((role) => role.name).join(', ') || '-'],
    ...rolePairs(user, style),
  ]
}

/** Gives what can be changed of a role, by name, for people. */
export function rolePairs({rules, gates}: Pick<CellRole, 'rules' | 'gates'>, style: RulesStyle = inLine): Pairs {
  return [['rules', style(rules)], ...gates.flatMap((gate) => gatePairs(gate, style))]
}

/** Tells everything of a user. */
export function userDetails(user: CellUser): string {
  return keyValues([['name', user.name], ['iden', user.iden], ...userPairs(user, numbered)])
}

/** Tells everything of a role, and who has it where that is known. */
export function roleDetails(role: CellRole, users?: readonly string[]): string {
  const having = users && (users.join(', ') || '-')
  return keyValues([['name', role.name], ['iden', role.iden], ...rolePairs(role, numbered), ['users', having]])
}

/** Tells what is different, one line each; an empty text when nothing is. What is missing on one side is a dash there. */
export function differences(before: Pairs, after: Pairs): string {
  const [old, now] = [new Map(before), new Map(after)]
  const keys = [...new Set([...old.keys(), ...now.keys()])]
  const pairs = keys.map((key) => [key, old.get(key) ?? '-', now.get(key) ?? '-'] as const)
  return keyValues(pairs.filter(([, from, to]) => from !== to).map(([key, from, to]) => [key, `${from} -> ${to}`]))
}

const USER_COLUMNS: readonly Column<CellUser>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'admin', value: ({isAdmin}) => yesNo(isAdmin)},
  {header: 'state', value: ({isLocked, isArchived}) => (isArchived ? 'archived' : isLocked ? 'locked' : 'active')},
  {header: 'roles', value: ({roles}) => roles.map((role) => role.name).join(', ') || '-'},
  {header: 'email', value: ({email}) => email ?? '-'},
  {header: 'iden', value: ({iden}) => iden},
]

const ROLE_COLUMNS: readonly Column<CellRole>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'rules', value: ({rules}) => inLine(rules)},
  {header: 'iden', value: ({iden}) => iden},
]

const KEY_COLUMNS: readonly Column<CellKey>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'created', value: ({createdMs}) => localTime(createdMs)},
  {header: 'expires', value: ({expiresMs}) => (expiresMs === undefined ? 'never' : localTime(expiresMs))},
  {header: 'iden', value: ({iden}) => iden},
]

/** Lays users out in a table. */
export function userTable(users: readonly CellUser[]): string {
  return table(users, USER_COLUMNS)
}

/** Lays roles out in a table. */
export function roleTable(roles: readonly CellRole[]): string {
  return table(roles, ROLE_COLUMNS)
}

/** Lays API keys out in a table. */
export function keyTable(keys: readonly CellKey[]): string {
  return table(keys, KEY_COLUMNS)
}

function ruleReport(rule: Rule): RuleReport {
  return {rule: ruleText(rule), allow: rule[0], path: rule[1]}
}

function gateReport({iden, isAdmin, rules}: AtGate): GateReport {
  return {iden, admin: isAdmin, rules: rules.map(ruleReport)}
}

function gatePairs({iden, isAdmin, rules}: AtGate, style: RulesStyle): Pairs {
  return [
    [`gate ${iden} admin`, yesNo(isAdmin)],
    [`gate ${iden} rules`, style(rules)],
  ]
}

function inLine(rules: readonly Rule[]): string {
  return rules.map(ruleText).join(', ') || '-'
}

function numbered(rules: readonly Rule[]): string {
  return rules.map((rule, index) => `${index}  ${ruleText(rule)}`).join('\n') || '-'
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
