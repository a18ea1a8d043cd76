import type {LogRange} from '../registry/trim.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, listOf, oddAnswer} from './admin-values.ts'
import {explainTrim} from './trim.ts'

/** What is asked of a server of ours. */
export interface OwnTrimWish {
  readonly consumers: readonly string[]
  readonly keep: number
  readonly keepForMs: number | undefined
  readonly isForced: boolean
  /** Names of those that archived the log and are gone for good. */
  readonly forgotten: readonly string[]
  readonly isDry: boolean
  /** Longest wait for each who follows. */
  readonly timeoutMs: number
}

/** What a server of ours answers. */
export interface OwnTrim {
  /** The last entry that is gone, or would be; null when all stay. */
  readonly trimmedTo: number | null
  readonly before: OwnLog
  /** Null when nothing was done. */
  readonly after: OwnLog | null
  /** The other members of the cell; an index of null: it is away. */
  readonly followers: readonly {readonly name: string; readonly index: number | null}[]
  /** Who archives the log. */
  readonly archivers: readonly OwnArchiver[]
}

/** One that archives the log: it has the entries below `index`. */
export interface OwnArchiver {
  readonly name: string
  readonly index: number
  readonly isAttached: boolean
  /** When it was last heard of; epoch milliseconds. */
  readonly seenMs: number
  /** It lacks some of what goes, or would go. */
  readonly lacks: boolean
}

/** The log, and the length of the file that it is in with all the rest. */
export interface OwnLog extends LogRange {
  readonly bytes: number
}

/** It waits for who follows, and then until the file has shrunk. */
const GRACE_MS = 60_000

/** Tells whether a cell is a server of ours that can trim its log. */
export function canTrimItself({info}: Callable): boolean {
  return info.methods.has('trimLog')
}

/**
 * Has a server of ours trim its log, or say what would go.
 *
 * @throws RegistryError `REG_UNREACHABLE` when a member is away, nothing is changed then; `REG_TIMED_OUT` when one did not follow; `REG_DENIED`
 */
export async function trimOwn(cell: Callable, name: string, wish: OwnTrimWish, signal: AbortSignal): Promise<OwnTrim> {
  const {consumers, keep, keepForMs, isForced, forgotten, isDry, timeoutMs} = wish
  const kwargs = {
    ...{consumers, keep, timeout: timeoutMs / 1000, force: isForced, dryrun: isDry},
    ...(forgotten.length === 0 ? {} : {forget: forgotten}),
    ...(keepForMs === undefined ? {} : {keepfor: Math.round(keepForMs)}),
  }
  try {
    return readTrim(await cell.call('trimLog', {kwargs, signal, timeoutMs: timeoutMs + GRACE_MS}))
  } catch (error) {
    throw explainTrim(error, name)
  }
}

function readTrim(value: Value): OwnTrim {
  const {trimmed, before, after, followers, archivers = []} = fieldsOf(value, 'trimLog')
  return {
    trimmedTo: offsetOrNull(trimmed),
    before: readLog(before),
    after: after === null ? null : readLog(after),
    followers: listOf(followers, 'followers').map((one) => {
      const {name, index} = fieldsOf(one, 'a member')
      return {name: String(name), index: offsetOrNull(index)}
    }),
    // Older servers do not know of any.
    archivers: listOf(archivers, 'archivers').map((one) => {
      const {name, index, attached, seen, lacks} = fieldsOf(one, 'an archive')
      return {
        name: String(name),
        index: offsetOrNull(index) ?? 0,
        isAttached: attached === true,
        seenMs: offsetOrNull(seen) ?? 0,
        lacks: lacks === true,
      }
    }),
  }
}

function readLog(value: Value): OwnLog {
  const {index, oldest, bytes} = fieldsOf(value, 'the log')
  return {index: offsetOrNull(index) ?? 0, oldest: offsetOrNull(oldest), bytes: offsetOrNull(bytes) ?? 0}
}

function offsetOrNull(value: Value): number | null {
  if (value === null) return null
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw oddAnswer('trimLog', 'it is not a number')
}
