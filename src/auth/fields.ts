/** Reads the values of this room from JSON of our own: records and log entries. What does not fit is a `TypeError`: it is damaged, or newer. */
import type {ApiKey, Credentials, Gate, GateEntry, OnePass, Role, Rule, Shadow, StoredKey, User} from './model.ts'
import {readRules} from './rule.ts'

/** Members of a JSON object. */
export type Members = Readonly<Record<string, unknown>>

/** Takes a value for an object. */
export function membersOf(value: unknown): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object')
  return value as Members
}

/** Reads a text. */
export function textIn(members: Members, name: string): string {
  const value = members[name]
  return typeof value === 'string' ? value : fail(name)
}

/** Reads true or false. */
export function flagIn(members: Members, name: string): boolean {
  const value = members[name]
  return typeof value === 'boolean' ? value : fail(name)
}

/** Reads a finite number. */
export function numberIn(members: Members, name: string): number {
  const value = members[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : fail(name)
}

/** Reads a list, whatever its items are. */
export function listIn(members: Members, name: string): readonly unknown[] {
  const value = members[name]
  return Array.isArray(value) ? value : fail(name)
}

/** Reads a list of texts. */
export function textsIn(members: Members, name: string): readonly string[] {
  return listIn(members, name).map((one) => (typeof one === 'string' ? one : fail(name)))
}

/** Reads rules, under the limits that they had when they came in. */
export function rulesIn(members: Members, name: string): readonly Rule[] {
  return readRules(members[name])
}

/** Reads a member that may be null. */
export function nullOr<T>(read: (members: Members, name: string) => T, members: Members, name: string): T | null {
  return members[name] === null ? null : read(members, name)
}

/** Reads what is kept of a password. */
export function shadowIn(members: Members, name: string): Shadow {
  return readShadow(membersOf(members[name]))
}

/** Reads what is kept of a password that works once. */
export function onepassIn(members: Members, name: string): OnePass {
  const value = membersOf(members[name])
  return {sha256: textIn(value, 'sha256'), expiresMs: numberIn(value, 'expiresMs')}
}

function readShadow(value: Members): Shadow {
  const params = membersOf(value['func_params'])
  if (value['type'] !== 'pbkdf2' || params['hash_name'] !== 'sha256') throw new TypeError('not a known kind of hash')
  return {
    type: 'pbkdf2',
    hashed: textIn(value, 'hashed'),
    func_params: {salt: textIn(params, 'salt'), iterations: numberIn(params, 'iterations'), hash_name: 'sha256'},
  }
}

/** Reads the value of a record in `user`. */
export function readUser(value: Members): User {
  return {
    iden: textIn(value, 'iden'),
    name: textIn(value, 'name'),
    email: nullOr(textIn, value, 'email'),
    rules: rulesIn(value, 'rules'),
    roles: textsIn(value, 'roles'),
    isAdmin: flagIn(value, 'isAdmin'),
    isLocked: flagIn(value, 'isLocked'),
    isArchived: flagIn(value, 'isArchived'),
  }
}

/** Reads the value of a record in `login`. */
export function readCredentials(value: Members): Credentials {
  return {
    shadow: nullOr(shadowIn, value, 'shadow'),
    previous: listIn(value, 'previous').map((one) => readShadow(membersOf(one))),
    onepass: nullOr(onepassIn, value, 'onepass'),
  }
}

/** Reads the value of a record in `role`. */
export function readRole(value: Members): Role {
  return {iden: textIn(value, 'iden'), name: textIn(value, 'name'), rules: rulesIn(value, 'rules')}
}

/** Reads the value of a record in `gate`: in JSON the maps of a gate are lists of entries that name their `iden`. */
export function readGate(value: Members): Gate {
  return {
    iden: textIn(value, 'iden'),
    type: textIn(value, 'type'),
    users: entriesIn(value, 'users'),
    roles: entriesIn(value, 'roles'),
  }
}

/** Reads an API key without its shadow. */
export function readApiKey(value: Members): ApiKey {
  return {
    iden: textIn(value, 'iden'),
    name: textIn(value, 'name'),
    user: textIn(value, 'user'),
    createdMs: numberIn(value, 'createdMs'),
    updatedMs: numberIn(value, 'updatedMs'),
    expiresMs: value['expiresMs'] === undefined ? undefined : numberIn(value, 'expiresMs'),
  }
}

/** Reads the value of a record in `apikey`. */
export function readStoredKey(value: Members): StoredKey {
  return {key: readApiKey(membersOf(value['key'])), shadow: shadowIn(value, 'shadow')}
}

function entriesIn(value: Members, name: string): ReadonlyMap<string, GateEntry> {
  const entries = listIn(value, name).map((one) => {
    const entry = membersOf(one)
    return [textIn(entry, 'iden'), {rules: rulesIn(entry, 'rules'), isAdmin: flagIn(entry, 'isAdmin')}] as const
  })
  return new Map(entries)
}

function fail(name: string): never {
  throw new TypeError(`${name} is not what it should be`)
}
