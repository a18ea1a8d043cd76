import {parseJson} from '../base/json-parse.ts'
import {
  flagIn,
  listIn,
  type Members,
  membersOf,
  nullOr,
  numberIn,
  onepassIn,
  readApiKey,
  readRole,
  readUser,
  rulesIn,
  shadowIn,
  textIn,
  textsIn,
} from './fields.ts'
import type {ApiKey, OnePass, Role, Rule, Shadow, User} from './model.ts'

/**
 * What can happen to users, roles, gates and keys. A change says what is to be afterwards, not what to do: applied twice, it is the same. It
 * stands in the log as JSON text, its members under their names here:
 *
 *     {"v":1,"kind":"user:locked","iden":"0f…","isLocked":true}
 *
 * Of passwords and keys there is only what checks them (`Shadow`, `OnePass`). Who asked and when stands in the entry of the log.
 *
 * Versions: 1, the first.
 */
export type AuthChange =
  | {readonly kind: 'user:add'; readonly user: User; readonly shadow: Shadow | null}
  | {readonly kind: 'user:name'; readonly iden: string; readonly name: string}
  | {readonly kind: 'user:email'; readonly iden: string; readonly email: string | null}
  | {readonly kind: 'user:admin'; readonly iden: string; readonly isAdmin: boolean; readonly gate: string | null}
  | {readonly kind: 'user:locked'; readonly iden: string; readonly isLocked: boolean}
  /** Archiving also locks; taking it back leaves the lock. */
  | {readonly kind: 'user:archived'; readonly iden: string; readonly isArchived: boolean}
  | {readonly kind: 'user:rules'; readonly iden: string; readonly rules: readonly Rule[]; readonly gate: string | null}
  | {readonly kind: 'user:roles'; readonly iden: string; readonly roles: readonly string[]}
  /** `keep`: how many passwords are remembered, this one among them; null leaves what is remembered as it is. */
  | {readonly kind: 'user:passwd'; readonly iden: string; readonly shadow: Shadow | null; readonly keep: number | null}
  /** Null: used. */
  | {readonly kind: 'user:onepass'; readonly iden: string; readonly onepass: OnePass | null}
  | {readonly kind: 'role:add'; readonly role: Role}
  | {readonly kind: 'role:name'; readonly iden: string; readonly name: string}
  | {readonly kind: 'role:rules'; readonly iden: string; readonly rules: readonly Rule[]; readonly gate: string | null}
  | {readonly kind: 'gate:add'; readonly iden: string; readonly type: string}
  | {readonly kind: 'key:add'; readonly key: ApiKey; readonly shadow: Shadow}
  | {readonly kind: 'key:name'; readonly iden: string; readonly name: string; readonly updatedMs: number}
  /** With his keys and what he has in gates. */
  | {readonly kind: 'user:del'; readonly iden: string}
  /** With what it has in gates; it is taken from all users. */
  | {readonly kind: 'role:del'; readonly iden: string}
  | {readonly kind: 'key:del'; readonly iden: string}
  /** All of them or none, in order. Not nested. */
  | {readonly kind: 'several'; readonly changes: readonly AuthChange[]}

/** Tells whether a change of this kind is one of users, roles, gates and keys. */
export function isAuthKind(kind: string): boolean {
  return AUTH_KIND.test(kind)
}

const AUTH_KIND = /^(?:(?:user|role|gate|key):|several$)/

/** Gives the text of a change for the log. */
export function encodeAuthChange(change: AuthChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeAuthChange(text: string): AuthChange {
  const members = membersOf(parseJson(text))
  if (members['v'] !== 1) throw new TypeError('not a change of version 1')
  if (members['kind'] !== 'several') return readChange(members)
  return {kind: 'several', changes: listIn(members, 'changes').map((one) => readChange(membersOf(one)))}
}

function readChange(members: Members): AuthChange {
  const kind = textIn(members, 'kind')
  if (kind.startsWith('user:')) return readUserChange(kind, members)
  switch (kind) {
    case 'role:add':
      return {kind, role: readRole(membersOf(members['role']))}
    case 'role:name':
      return {kind, iden: textIn(members, 'iden'), name: textIn(members, 'name')}
    case 'role:rules':
      return {kind, iden: textIn(members, 'iden'), ...rulesAndGate(members)}
    case 'gate:add':
      return {kind, iden: textIn(members, 'iden'), type: textIn(members, 'type')}
    case 'key:add':
      return {kind, key: readApiKey(membersOf(members['key'])), shadow: shadowIn(members, 'shadow')}
    case 'key:name': {
      const updatedMs = numberIn(members, 'updatedMs')
      return {kind, iden: textIn(members, 'iden'), name: textIn(members, 'name'), updatedMs}
    }
    case 'role:del':
    case 'key:del':
      return {kind, iden: textIn(members, 'iden')}
    default:
      throw new TypeError(`not a change of a known kind: ${kind}`)
  }
}

function readUserChange(kind: string, members: Members): AuthChange {
  if (kind === 'user:add') {
    return {kind, user: readUser(membersOf(members['user'])), shadow: nullOr(shadowIn, members, 'shadow')}
  }
  const iden = textIn(members, 'iden')
  switch (kind) {
    case 'user:name':
      return {kind, iden, name: textIn(members, 'name')}
    case 'user:email':
      return {kind, iden, email: nullOr(textIn, members, 'email')}
    case 'user:admin':
      return {kind, iden, isAdmin: flagIn(members, 'isAdmin'), gate: nullOr(textIn, members, 'gate')}
    case 'user:locked':
      return {kind, iden, isLocked: flagIn(members, 'isLocked')}
    case 'user:archived':
      return {kind, iden, isArchived: flagIn(members, 'isArchived')}
    case 'user:rules':
      return {kind, iden, ...rulesAndGate(members)}
    case 'user:roles':
      return {kind, iden, roles: textsIn(members, 'roles')}
    case 'user:passwd': {
      const keep = nullOr(numberIn, members, 'keep')
      return {kind, iden, shadow: nullOr(shadowIn, members, 'shadow'), keep}
    }
    case 'user:onepass':
      return {kind, iden, onepass: nullOr(onepassIn, members, 'onepass')}
    case 'user:del':
      return {kind, iden}
    default:
      throw new TypeError(`not a change of a known kind: ${kind}`)
  }
}

function rulesAndGate(members: Members): {readonly rules: readonly Rule[]; readonly gate: string | null} {
  return {rules: rulesIn(members, 'rules'), gate: nullOr(textIn, members, 'gate')}
}
