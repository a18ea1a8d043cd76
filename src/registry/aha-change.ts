import {parseJson} from '../base/json-parse.ts'
import {type AhaEntry, type AhaInfo, asOffline, asReady, isJsonObject, type JsonObject, onlineOf} from './aha-entry.ts'

/**
 * What can happen to the services of AHA. Kinds are named as the peer's events are. It stands in the log as JSON text:
 *
 *     {"v":1,"kind":"aha:svc:add","full":"00.axon.loop.link","name":"00.axon","network":"loop.link","info":{…}}
 *     {"v":1,"kind":"aha:svc:mod","full":"00.axon.loop.link","ready":true}
 *     {"v":1,"kind":"aha:svc:down","full":"axon.loop.link","online":"7557…"}
 *     {"v":1,"kind":"aha:svc:del","full":"axon.loop.link"}
 *
 * `down` takes a service offline only while its token is still this one: at a hand-over the new leader has the alias before the session of the
 * old one ends.
 *
 * Versions: 1, the first.
 */
export type AhaChange =
  | {readonly kind: 'aha:svc:add'; readonly entry: AhaEntry}
  | {readonly kind: 'aha:svc:mod'; readonly full: string; readonly isReady: boolean}
  | {readonly kind: 'aha:svc:down'; readonly full: string; readonly online: string}
  | {readonly kind: 'aha:svc:del'; readonly full: string}

/** A service under its full name; undefined when it is gone. */
export interface AhaRecord {
  readonly key: string
  readonly value: AhaEntry | undefined
}

/** A record of the store; null deletes. */
interface TextRecord {
  readonly table: string
  readonly key: string
  readonly value: string | null
}

/** Where the store keeps the services of AHA. */
export const AHA_TABLE = 'aha:svc'

/** Gives what a change leaves of an entry, which itself stays as it is; nothing where it alters none. */
export function recordsOfAha(change: AhaChange, old: AhaEntry | undefined): readonly AhaRecord[] {
  switch (change.kind) {
    case 'aha:svc:add':
      return [{key: change.entry.full, value: change.entry}]
    case 'aha:svc:del':
      return [{key: change.full, value: undefined}]
    case 'aha:svc:mod':
      return old === undefined ? [] : [{key: change.full, value: asReady(old, change.isReady)}]
    case 'aha:svc:down':
      if (old === undefined || onlineOf(old) !== change.online) return []
      return [{key: change.full, value: asOffline(old)}]
  }
}

/** Gives the full name of the service that a change is about. */
export function subjectOf(change: AhaChange): string {
  return change.kind === 'aha:svc:add' ? change.entry.full : change.full
}

/** Tells whether a change of this kind is one of the services of AHA. */
export function isAhaKind(kind: string): boolean {
  return kind.startsWith('aha:svc:')
}

/** Gives the text of a change for the log. */
export function encodeAhaChange(change: AhaChange): string {
  const {kind} = change
  switch (kind) {
    case 'aha:svc:add':
      return JSON.stringify({v: 1, kind, ...flatEntry(change.entry)})
    case 'aha:svc:mod':
      return JSON.stringify({v: 1, kind, full: change.full, ready: change.isReady})
    case 'aha:svc:down':
      return JSON.stringify({v: 1, kind, full: change.full, online: change.online})
    case 'aha:svc:del':
      return JSON.stringify({v: 1, kind, full: change.full})
  }
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeAhaChange(text: string): AhaChange {
  const members = membersOf(text)
  const {v, kind, online, ready} = members
  if (v !== 1) throw new TypeError('not a change of version 1')
  if (kind === 'aha:svc:add') return {kind, entry: readEntry(members)}
  const full = textIn(members, 'full')
  if (kind === 'aha:svc:mod' && typeof ready === 'boolean') return {kind, full, isReady: ready}
  if (kind === 'aha:svc:down' && typeof online === 'string') return {kind, full, online}
  if (kind === 'aha:svc:del') return {kind, full}
  throw new TypeError(`not a change of a known kind: ${String(kind)}`)
}

/** Gives a record as the store keeps it. */
export function encodeAhaRecord({key, value}: AhaRecord): TextRecord {
  return {table: AHA_TABLE, key, value: value === undefined ? null : JSON.stringify(flatEntry(value))}
}

/** Gives the record; undefined when its table belongs to another part of the server. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeAhaRecord({table, key, value}: TextRecord): AhaRecord | undefined {
  if (table !== AHA_TABLE) return undefined
  if (value === null) throw new TypeError(`${table} ${key} has no value`)
  return {key, value: readEntry(membersOf(value))}
}

function flatEntry({full, name, network, info}: AhaEntry): JsonObject {
  return {full, name, network, info}
}

function readEntry(members: JsonObject): AhaEntry {
  const {info} = members
  if (!isJsonObject(info) || !isJsonObject(info['urlinfo'])) throw new TypeError('info is not that of a service')
  return {
    full: textIn(members, 'full'),
    name: textIn(members, 'name'),
    network: textIn(members, 'network'),
    info: info as AhaInfo, // its urlinfo was looked at above
  }
}

function membersOf(text: string): JsonObject {
  const value = parseJson(text)
  if (!isJsonObject(value)) throw new TypeError('not an object')
  return value
}

function textIn(members: JsonObject, name: string): string {
  const value = members[name]
  if (typeof value !== 'string') throw new TypeError(`${name} is not a text`)
  return value
}
