import {parseJson} from '../base/json-parse.ts'
import {isJsonObject} from './aha-entry.ts'

/**
 * What can happen to the change log itself. It stands in it as JSON text, so that every mirror does the same at the same place:
 *
 *     {"v":1,"kind":"log:rotate"}             the entries after this one are kept apart from those up to it
 *     {"v":1,"kind":"log:cull","offset":41}   the entries up to and including 41 are gone
 *
 * Versions: 1, the first.
 */
export type LogChange = {readonly kind: 'log:rotate'} | {readonly kind: 'log:cull'; readonly offset: number}

/** Tells whether a change of this kind is one of the log. */
export function isLogKind(kind: string): boolean {
  return kind.startsWith('log:')
}

/** Gives the text of a change for the log. */
export function encodeLogChange(change: LogChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeLogChange(text: string): LogChange {
  const value = parseJson(text)
  if (!isJsonObject(value) || value['v'] !== 1) throw new TypeError('not a change of version 1')
  const {kind, offset} = value
  if (kind === 'log:rotate') return {kind}
  if (kind !== 'log:cull') throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < 0) throw new TypeError('not an offset')
  return {kind, offset}
}
