/** The records of this room as the store keeps them: the table under a prefix of its own, the value as JSON text. */
import {parseJson} from '../base/json-parse.ts'
import {type Members, membersOf, readCredentials, readGate, readRole, readStoredKey, readUser} from './fields.ts'
import type {Gate} from './model.ts'
import type {AuthRecord} from './state.ts'

/** A record of the store; null deletes. */
export interface TextRecord {
  readonly table: string
  readonly key: string
  readonly value: string | null
}

/** What the names of the tables in the store begin with. */
export const AUTH_PREFIX = 'auth:'

/** Gives a record as the store keeps it. */
export function encodeRecord(record: AuthRecord): TextRecord {
  const {table, key} = record
  return {table: `${AUTH_PREFIX}${table}`, key, value: valueText(record)}
}

/** Gives the record; undefined when its table belongs to another part of the server. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeRecord({table, key, value}: TextRecord): AuthRecord | undefined {
  if (!table.startsWith(AUTH_PREFIX)) return undefined
  if (value === null) throw new TypeError(`${table} ${key} has no value`)
  return readRecord(table.slice(AUTH_PREFIX.length), key, membersOf(parseJson(value)))
}

function readRecord(table: string, key: string, members: Members): AuthRecord {
  switch (table) {
    case 'user':
      return {table, key, value: readUser(members)}
    case 'login':
      return {table, key, value: readCredentials(members)}
    case 'role':
      return {table, key, value: readRole(members)}
    case 'gate':
      return {table, key, value: readGate(members)}
    case 'apikey':
      return {table, key, value: readStoredKey(members)}
    default:
      throw new TypeError(`no table auth:${table}`)
  }
}

function valueText(record: AuthRecord): string | null {
  if (record.value === undefined) return null
  return JSON.stringify(record.table === 'gate' ? flatGate(record.value) : record.value)
}

function flatGate({iden, type, users, roles}: Gate): Members {
  const list = (entries: Gate['users']): readonly Members[] =>
    [...entries].map(([entry, {rules, isAdmin}]) => ({iden: entry, rules, isAdmin}))
  return {iden, type, users: list(users), roles: list(roles)}
}
