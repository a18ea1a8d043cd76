import type {Rule} from '../auth/model.ts'
import {readRules} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'
import {readMaintenance} from '../registry/maintenance.ts'
import type {Value} from '../wire/msgpack/value.ts'

/** What a user or a role has at one gate. */
export interface AtGate {
  readonly iden: string
  readonly isAdmin: boolean
  readonly rules: readonly Rule[]
}

/** A user of a cell, as it says. */
export interface CellUser {
  readonly iden: string
  readonly name: string
  readonly email: string | null
  readonly isAdmin: boolean
  readonly isLocked: boolean
  readonly isArchived: boolean
  readonly rules: readonly Rule[]
  /** In the order in which they are asked. The name is the iden where the cell does not say it. */
  readonly roles: readonly {readonly iden: string; readonly name: string}[]
  readonly gates: readonly AtGate[]
}

/** A role of a cell, as it says. */
export interface CellRole {
  readonly iden: string
  readonly name: string
  readonly rules: readonly Rule[]
  readonly gates: readonly AtGate[]
}

/** An API key without its secret. */
export interface CellKey {
  readonly iden: string
  readonly name: string
  /** Iden of its user. */
  readonly user: string
  readonly createdMs: number
  readonly updatedMs: number
  readonly expiresMs: number | undefined
}

/** Since when, why and by whom a service of our registry is in maintenance. */
export interface MaintenanceState {
  readonly reason: string
  readonly sinceMs: number
  readonly by: string
}

/** What became of the maintenance of a service; null while it is in operation. */
export interface MaintenanceChange {
  readonly id: string
  readonly name: string
  readonly before: MaintenanceState | null
  readonly after: MaintenanceState | null
}

type Fields = Readonly<Record<string, Value>>

/** Reads a user; throws `REG_BAD_ANSWER` when it is none. */
export function readUser(value: Value): CellUser {
  const fields = fieldsOf(value, 'a user')
  return {
    iden: text(fields, 'iden'),
    name: text(fields, 'name'),
    email: typeof fields['email'] === 'string' ? fields['email'] : null,
    isAdmin: fields['admin'] === true,
    isLocked: fields['locked'] === true,
    isArchived: fields['archived'] === true,
    rules: rulesOf(fields['rules']),
    roles: listOf(fields['roles'] ?? [], 'roles').map(readRoleName),
    gates: gatesOf(fields['authgates']),
  }
}

/** Reads a role; throws `REG_BAD_ANSWER` when it is none. */
export function readRole(value: Value): CellRole {
  const fields = fieldsOf(value, 'a role')
  return {
    iden: text(fields, 'iden'),
    name: text(fields, 'name'),
    rules: rulesOf(fields['rules']),
    gates: gatesOf(fields['authgates']),
  }
}

/** Reads an API key; throws `REG_BAD_ANSWER` when it is none. */
export function readKey(value: Value): CellKey {
  const fields = fieldsOf(value, 'an API key')
  const expires = fields['expires']
  return {
    iden: text(fields, 'iden'),
    name: text(fields, 'name'),
    user: text(fields, 'user'),
    createdMs: timeOf(fields['created'] ?? 0, 'created'),
    updatedMs: timeOf(fields['updated'] ?? 0, 'updated'),
    expiresMs: expires === null || expires === undefined ? undefined : timeOf(expires, 'expires'),
  }
}

/** Reads what became of the maintenance of a service; throws `REG_BAD_ANSWER` when it is none. */
export function readMaintenanceChange(value: Value): MaintenanceChange {
  const fields = fieldsOf(value, 'a maintenance')
  const {before = null, after = null} = fields
  return {id: text(fields, 'id'), name: text(fields, 'name'), before: stateOf(before), after: stateOf(after)}
}

/** Gives the elements of a list; throws `REG_BAD_ANSWER` when it is none. */
export function listOf(value: Value, what: string): readonly Value[] {
  if (Array.isArray(value)) return value
  throw oddAnswer(what, 'it is not a list')
}

/** Gives the members of an object; throws `REG_BAD_ANSWER` when it is none. */
export function fieldsOf(value: Value, what: string): Fields {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  if (isPlain) return value instanceof Map ? (Object.fromEntries(value) as Fields) : (value as Fields)
  throw oddAnswer(what, 'it is not an object')
}

/** Gives a time in ms since 1970, one that a calendar has; throws `REG_BAD_ANSWER` when it is none. */
export function timeOf(value: Value, what: string): number {
  const timeMs = typeof value === 'number' ? value : Number.NaN
  if (!Number.isNaN(new Date(timeMs).getTime())) return timeMs
  throw oddAnswer(what, 'it is no time')
}

export function oddAnswer(what: string, why: string): RegistryError {
  return new RegistryError('REG_BAD_ANSWER', `the service's answer makes no sense: ${what}: ${why}`, {
    hints: ['registry status URL'],
  })
}

function stateOf(value: Value): MaintenanceState | null {
  const state = readMaintenance(value)
  return state === undefined
    ? null
    : {reason: state.reason, sinceMs: timeOf(state.sinceS * 1000, 'maintenance'), by: state.by}
}

/** Roles come as objects, as idens or as names, depending on the method. */
function readRoleName(value: Value): {readonly iden: string; readonly name: string} {
  if (typeof value === 'string') return {iden: value, name: value}
  const fields = fieldsOf(value, 'a role')
  return {iden: text(fields, 'iden'), name: text(fields, 'name')}
}

function rulesOf(value: Value): readonly Rule[] {
  try {
    return readRules(value ?? [])
  } catch (error) {
    throw oddAnswer('rules', error instanceof Error ? error.message : String(error))
  }
}

function gatesOf(value: Value): readonly AtGate[] {
  if (value === null || value === undefined) return []
  return Object.entries(fieldsOf(value, 'authgates')).map(([iden, gate]) => {
    const fields = fieldsOf(gate, 'a gate')
    return {iden, isAdmin: fields['admin'] === true, rules: rulesOf(fields['rules'])}
  })
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value === 'string') return value
  throw oddAnswer(name, 'it is not a text')
}
