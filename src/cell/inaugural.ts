import type {AuthChange} from '../auth/change.ts'
import type {Rule} from '../auth/model.ts'
import {readRules} from '../auth/rule.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import {ALL_NAME, builtInRole, builtInUser, ROOT_NAME} from './built-in.ts'
import {guidOf} from './idens.ts'
import {checkName, normEmail} from './user-checks.ts'

/** The users and roles that a new cell begins with, besides root and the role all. */
export interface Inaugural {
  readonly roles: readonly {readonly name: string; readonly rules: readonly Rule[]}[]
  readonly users: readonly InauguralUser[]
}

interface InauguralUser {
  readonly name: string
  readonly email: string | null
  readonly isAdmin: boolean
  /** Names. */
  readonly roles: readonly string[]
  readonly rules: readonly Rule[]
}

/** Both lists together; they come from one file of bounded size. */
const MAX_MEMBERS = 1000

/**
 * Reads the option `inaugural`. Unknown members, names that occur twice, and roles that it does not have are refused.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`
 */
export function readInaugural(value: unknown): Inaugural {
  try {
    const members = membersOf(value, ['roles', 'users'])
    const roles = listOf(members['roles']).map(readRole)
    const users = listOf(members['users']).map(readUser)
    if (roles.length + users.length > MAX_MEMBERS) throw new TypeError(`more than ${MAX_MEMBERS} users and roles`)
    assertUnique('role', [ALL_NAME, ...roles.map((role) => role.name)])
    assertUnique('user', [ROOT_NAME, ...users.map((user) => user.name)])
    assertUnique(
      'email',
      users.flatMap((user) => user.email ?? []),
    )
    const known = new Set([ALL_NAME, ...roles.map((role) => role.name)])
    const missing = users.flatMap((user) => user.roles).find((name) => !known.has(name))
    if (missing !== undefined) throw new TypeError(`no role named ${JSON.stringify(missing)}`)
    return {roles, users}
  } catch (error) {
    throw invalid(error)
  }
}

/** Gives what a cell without users begins with, as one change: root, the role all, and what the configuration wants. */
export function firstChange(cellIden: string, {roles, users}: Inaugural): AuthChange {
  const all = builtInRole(cellIden)
  const idenOfRole = new Map([[all.name, all.iden]])
  for (const {name} of roles) idenOfRole.set(name, guidOf(cellIden, 'auth', 'role', name))
  const changes: AuthChange[] = [
    {kind: 'role:add', role: all},
    {kind: 'user:add', user: builtInUser(cellIden), shadow: null},
  ]
  for (const {name, rules} of roles) {
    changes.push({kind: 'role:add', role: {iden: guidOf(cellIden, 'auth', 'role', name), name, rules}})
  }
  for (const user of users) {
    const granted = user.roles.flatMap((name) => idenOfRole.get(name) ?? [])
    const made = {
      ...user,
      iden: guidOf(cellIden, 'auth', 'user', user.name),
      roles: [...new Set([all.iden, ...granted])],
      isLocked: false,
      isArchived: false,
    }
    changes.push({kind: 'user:add', user: made, shadow: null})
  }
  return {kind: 'several', changes}
}

function readRole(value: unknown): Inaugural['roles'][number] {
  const members = membersOf(value, ['name', 'rules'])
  return {name: nameIn(members, 'the name of a role'), rules: readRules(members['rules'] ?? [])}
}

function readUser(value: unknown): InauguralUser {
  const members = membersOf(value, ['name', 'admin', 'email', 'roles', 'rules'])
  const admin = members['admin'] ?? false
  const email = members['email'] ?? null
  if (typeof admin !== 'boolean') throw new TypeError('admin must be true or false')
  if (email !== null && typeof email !== 'string') throw new TypeError('email must be a text')
  return {
    name: nameIn(members, 'the name of a user'),
    email: normEmail(email),
    isAdmin: admin,
    roles: listOf(members['roles']).map((name) => {
      if (typeof name !== 'string') throw new TypeError('roles must be names')
      return name
    }),
    rules: readRules(members['rules'] ?? []),
  }
}

function nameIn(members: Readonly<Record<string, unknown>>, what: string): string {
  const {name} = members
  if (typeof name !== 'string') throw new TypeError(`${what} must be a text`)
  checkName(name, what)
  return name
}

function assertUnique(what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new TypeError(`${what} ${JSON.stringify(twice)} occurs twice or is built in`)
}

/** Null stands for absent, as it does for the peer. */
function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new TypeError('roles, users and rules must be lists')
  return value
}

function membersOf(value: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('must be an object')
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new TypeError(`no member ${JSON.stringify(unknown)}; known are ${known.join(', ')}`)
  return value as Readonly<Record<string, unknown>>
}

function invalid(cause: unknown): RegistryError {
  const text = `inaugural: ${messageOf(cause)}`
  return new RegistryError('REG_CONFIG_INVALID', text, {info: {option: 'inaugural'}, cause})
}
