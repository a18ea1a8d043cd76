import type {AuthChange} from './change.ts'
import type {Credentials, Gate, GateEntry, Role, User} from './model.ts'
import {type AuthRecord, type AuthState, NO_CREDENTIALS} from './state.ts'

const NO_ENTRY: GateEntry = {rules: [], isAdmin: false}

/**
 * Gives the records that a change alters in a state, which itself stays as it is. Whether the change is allowed was decided before: one
 * that does not fit the state throws a `TypeError`.
 */
export function recordsOf(state: AuthState, change: AuthChange): readonly AuthRecord[] {
  switch (change.kind) {
    case 'several':
      return recordsOfSeveral(state, change.changes)
    case 'user:add':
      return [userRecord(change.user), ...(change.shadow === null ? [] : [loginRecord(change.user.iden, change)])]
    case 'user:del':
      return deleteUser(state, change.iden)
    case 'user:admin':
      if (change.gate !== null) return gateUser(state, change.gate, change.iden, {isAdmin: change.isAdmin})
      return [userRecord({...existing(state.user(change.iden)), isAdmin: change.isAdmin})]
    case 'user:rules':
      if (change.gate !== null) return gateUser(state, change.gate, change.iden, {rules: change.rules})
      return [userRecord({...existing(state.user(change.iden)), rules: change.rules})]
    case 'user:name':
    case 'user:email':
    case 'user:locked':
    case 'user:archived':
    case 'user:roles':
      return [userRecord(alteredUser(existing(state.user(change.iden)), change))]
    case 'user:passwd':
    case 'user:onepass':
      return [loginRecord(change.iden, alteredCredentials(state.credentials(change.iden), change))]
    case 'gate:add':
      return [gateRecord({iden: change.iden, type: change.type, users: new Map(), roles: new Map()})]
    case 'role:add':
    case 'role:name':
    case 'role:rules':
    case 'role:del':
      return recordsOfRole(state, change)
    case 'key:add':
    case 'key:name':
    case 'key:del':
      return recordsOfKey(state, change)
  }
}

type UserChange = Extract<
  AuthChange,
  {readonly kind: 'user:name' | 'user:email' | 'user:locked' | 'user:archived' | 'user:roles'}
>
type LoginChange = Extract<AuthChange, {readonly kind: 'user:passwd' | 'user:onepass'}>
type RoleChange = Extract<AuthChange, {readonly kind: 'role:add' | 'role:name' | 'role:rules' | 'role:del'}>
type KeyChange = Extract<AuthChange, {readonly kind: 'key:add' | 'key:name' | 'key:del'}>

function recordsOfSeveral(state: AuthState, changes: readonly AuthChange[]): readonly AuthRecord[] {
  const later = state.copy()
  return changes.flatMap((change) => {
    const records = recordsOf(later, change)
    later.put(records)
    return records
  })
}

function alteredUser(user: User, change: UserChange): User {
  switch (change.kind) {
    case 'user:name':
      return {...user, name: change.name}
    case 'user:email':
      return {...user, email: change.email}
    case 'user:locked':
      return {...user, isLocked: change.isLocked}
    case 'user:archived':
      return {...user, isArchived: change.isArchived, isLocked: user.isLocked || change.isArchived}
    case 'user:roles':
      return {...user, roles: change.roles}
  }
}

function alteredCredentials(old: Credentials, change: LoginChange): Credentials {
  if (change.kind === 'user:onepass') return {...old, onepass: change.onepass}
  const {shadow, keep} = change
  if (shadow === null || keep === null) return {...old, shadow}
  const others = old.previous.filter((one) => one.hashed !== shadow.hashed)
  return {...old, shadow, previous: [shadow, ...others].slice(0, keep)}
}

function deleteUser(state: AuthState, iden: string): readonly AuthRecord[] {
  return [
    {table: 'user', key: iden, value: undefined},
    {table: 'login', key: iden, value: undefined},
    ...state.apiKeysOf(iden).map((key) => ({table: 'apikey', key: key.iden, value: undefined}) as const),
    ...state.gates().flatMap((gate) => (gate.users.has(iden) ? gateUser(state, gate.iden, iden, NO_ENTRY) : [])),
  ]
}

function recordsOfRole(state: AuthState, change: RoleChange): readonly AuthRecord[] {
  switch (change.kind) {
    case 'role:add':
      return [roleRecord(change.role)]
    case 'role:name':
      return [roleRecord({...existing(state.role(change.iden)), name: change.name})]
    case 'role:rules':
      if (change.gate !== null) return gateRole(state, change.gate, change.iden, {rules: change.rules})
      return [roleRecord({...existing(state.role(change.iden)), rules: change.rules})]
    case 'role:del':
      return deleteRole(state, change.iden)
  }
}

function deleteRole(state: AuthState, iden: string): readonly AuthRecord[] {
  const holders = state.users().filter((user) => user.roles.includes(iden))
  return [
    {table: 'role', key: iden, value: undefined},
    ...holders.map((user) => userRecord({...user, roles: user.roles.filter((role) => role !== iden)})),
    ...state.gates().flatMap((gate) => (gate.roles.has(iden) ? gateRole(state, gate.iden, iden, NO_ENTRY) : [])),
  ]
}

function recordsOfKey(state: AuthState, change: KeyChange): readonly AuthRecord[] {
  switch (change.kind) {
    case 'key:add':
      return [{table: 'apikey', key: change.key.iden, value: {key: change.key, shadow: change.shadow}}]
    case 'key:name': {
      const {key, shadow} = existing(state.apiKey(change.iden))
      const value = {key: {...key, name: change.name, updatedMs: change.updatedMs}, shadow}
      return [{table: 'apikey', key: change.iden, value}]
    }
    case 'key:del':
      return [{table: 'apikey', key: change.iden, value: undefined}]
  }
}

function gateUser(state: AuthState, iden: string, user: string, part: Partial<GateEntry>): readonly AuthRecord[] {
  const gate = existing(state.gate(iden))
  return [gateRecord({...gate, users: alteredEntries(gate.users, user, part)})]
}

function gateRole(state: AuthState, iden: string, role: string, part: Partial<GateEntry>): readonly AuthRecord[] {
  const gate = existing(state.gate(iden))
  return [gateRecord({...gate, roles: alteredEntries(gate.roles, role, part)})]
}

/** An entry without rules and without admin vanishes. */
function alteredEntries(entries: Gate['users'], iden: string, part: Partial<GateEntry>): Gate['users'] {
  const entry = {...(entries.get(iden) ?? NO_ENTRY), ...part}
  const altered = new Map(entries)
  if (entry.isAdmin || entry.rules.length > 0) altered.set(iden, entry)
  else altered.delete(iden)
  return altered
}

function userRecord(value: User): AuthRecord {
  return {table: 'user', key: value.iden, value}
}

function roleRecord(value: Role): AuthRecord {
  return {table: 'role', key: value.iden, value}
}

function gateRecord(value: Gate): AuthRecord {
  return {table: 'gate', key: value.iden, value}
}

/** Credentials that say nothing are no record. */
function loginRecord(key: string, {shadow, previous, onepass}: Partial<Credentials>): AuthRecord {
  const value = {...NO_CREDENTIALS, shadow: shadow ?? null, previous: previous ?? [], onepass: onepass ?? null}
  const isEmpty = value.shadow === null && value.onepass === null && value.previous.length === 0
  return {table: 'login', key, value: isEmpty ? undefined : value}
}

function existing<T>(found: T | undefined): T {
  if (found === undefined) throw new TypeError('the change is about something that does not exist')
  return found
}
