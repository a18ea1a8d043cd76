import {readdir, stat} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {type ErrorCode, RegistryError} from '../base/errors.ts'
import {type Absentee, isRefusal, type LogRange} from '../registry/trim.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {parseUrl, placeOf, sanitizeUrl} from '../wire/telepath/url.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'
import type {TeleEnv} from './telepath/tele-env.ts'

/** The change log of a service, and what it takes on the disk. */
export interface LogFacts extends LogRange {
  readonly bytes: number | null
  /** What the bytes are of: the log alone, the database that it is in, or all of the service where it does not tell more; null when nothing is known. */
  readonly bytesOf: 'log' | 'database' | 'cell' | null
}

export interface TrimLimits {
  readonly signal: AbortSignal
  /** Longest wait for each who follows the log. */
  readonly timeoutMs: number
}

/** The service itself gives up first, and says why. */
const GRACE_MS = 10_000
/** Where a cell on this machine keeps its change log. */
const LOG_DIRECTORY = join('slabs', 'nexuslog')

/** Asks a service for its change log; `url` is where it was found. Throws what it answers. */
export async function readLogFacts(cell: Callable, url: string, signal: AbortSignal): Promise<LogFacts> {
  const index = await integerOf(cell, 'getNexsIndx', signal)
  const oldest = await oldestOf(cell, signal)
  const inFiles = await bytesOnDisk(url)
  if (inFiles !== undefined) return {index, oldest, bytes: inFiles, bytesOf: 'log'}
  if (!cell.info.methods.has('getSystemInfo')) return {index, oldest, bytes: null, bytesOf: null}
  const {cellrealdisk} = fieldsOf(await cell.call('getSystemInfo', {signal}), 'getSystemInfo')
  if (typeof cellrealdisk !== 'number') return {index, oldest, bytes: null, bytesOf: null}
  return {index, oldest, bytes: cellrealdisk, bytesOf: 'cell'}
}

/** Reading from the beginning, a service begins with the oldest entry that it has. */
async function oldestOf(cell: Callable, signal: AbortSignal): Promise<number | null> {
  for await (const item of cell.stream('getNexusChanges', {args: [0], kwargs: {wait: false}, signal})) {
    const offset = Array.isArray(item) ? item[0] : undefined
    if (typeof offset === 'number') return offset
    throw oddAnswer('getNexusChanges', 'it is not an entry')
  }
  return null
}

/** Adds up the files of the log of a cell on this machine; undefined for others, and when they cannot be read. */
async function bytesOnDisk(url: string): Promise<number | undefined> {
  if (!/^(cell|unix):/i.test(url)) return undefined
  const place = placeOf(parseUrl(url))
  if (place.kind !== 'unix') return undefined
  const directory = join(dirname(place.path), LOG_DIRECTORY)
  try {
    const files = await readdir(directory, {recursive: true, withFileTypes: true})
    const sizes = files.map(async (file) => (file.isFile() ? (await stat(join(file.parentPath, file.name))).blocks : 0))
    return (await Promise.all(sizes)).reduce((sum, blocks) => sum + blocks * 512, 0)
  } catch {
    return undefined
  }
}

/**
 * Waits until all that follow the log have it up to an offset, and gives those who have not, or are not there. One that does not let the caller in is
 * passed over with `isLenient`: its leader can ask it.
 */
export async function lateAt(
  offset: number,
  followers: readonly {readonly name: string; readonly url: string}[],
  env: Pick<TeleEnv, 'open'>,
  options: TrimLimits & {readonly isLenient: boolean},
): Promise<readonly Absentee[]> {
  const found = followers.map(async ({name, url}) => {
    try {
      return await lateness(offset, name, url, env, options)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === 'REG_CANCELLED') throw error
      if (!isRefusal(error))
        return {name, why: `${name} does not answer: ${error.message}`, code: 'REG_UNREACHABLE'} as const
      if (options.isLenient) return undefined
      throw error
    }
  })
  return (await Promise.all(found)).filter((one) => one !== undefined)
}

async function lateness(
  offset: number,
  name: string,
  url: string,
  env: Pick<TeleEnv, 'open'>,
  {signal, timeoutMs}: TrimLimits,
): Promise<Absentee | undefined> {
  const limits = {connectMs: timeoutMs, timeoutMs: timeoutMs + GRACE_MS, signal, spareLinks: 0}
  await using follower = await env.open(url, limits)
  if ((await follower.call('waitNexsOffs', {args: [offset, timeoutMs / 1000], signal})) === true) return undefined
  const index = await integerOf(follower, 'getNexsIndx', signal)
  return {
    name,
    why: `${name} is behind: it is at index ${index}, and the leader at ${offset + 1}`,
    code: 'REG_TIMED_OUT',
  }
}

/**
 * Has a service trim its log up to the present: it opens those who follow it itself, rotates, waits until they have done so too, and drops the files
 * before. Gives the last entry that is gone.
 *
 * @throws RegistryError `REG_UNREACHABLE` when it does not reach one of them, nothing is changed then; `REG_TIMED_OUT` when one did not follow, the log
 * is rotated then, and nothing dropped; `REG_CONFLICT` without a log, or while somebody reads a part that is to go; what the service answers
 */
export async function trimAll(
  cell: Callable,
  name: string,
  consumers: readonly string[],
  {signal, timeoutMs}: TrimLimits,
): Promise<number> {
  const args = [consumers.length === 0 ? null : consumers, timeoutMs / 1000]
  try {
    const value = await cell.call('trimNexsLog', {args, signal, timeoutMs: 2 * timeoutMs + GRACE_MS})
    return reqInteger(value, 'trimNexsLog')
  } catch (error) {
    throw explainTrim(error, name)
  }
}

/**
 * Has a service drop entries up to an offset. It rotates first: whole files are dropped only, so that what goes into the present one can go later.
 * Throws as `trimAll`.
 */
export async function trimTo(cell: Callable, name: string, offset: number, signal: AbortSignal): Promise<number> {
  try {
    await cell.call('rotateNexsLog', {signal})
    if ((await cell.call('cullNexsLog', {args: [offset], signal})) === true) return offset
  } catch (error) {
    throw explainTrim(error, name)
  }
  throw new RegistryError('REG_CONFLICT', `${name} did not drop the entries up to ${offset}: its log says why`, {
    telepath: 'BadState',
    info: {name, offset},
  })
}

interface Meaning {
  readonly code: ErrorCode
  readonly text: string
  readonly hints: readonly string[]
}

/** Says what an error of a service that was to trim means; others stay as they are. */
export function explainTrim(error: unknown, name: string): unknown {
  if (!(error instanceof RegistryError)) return error
  const meaning = meaningOf(error, name)
  if (meaning === undefined) return error
  const {info, telepath} = error
  return new RegistryError(meaning.code, meaning.text, {
    hints: meaning.hints,
    info: {...info, name},
    telepath,
    cause: error,
  })
}

function meaningOf({telepath, code, message, info}: RegistryError, name: string): Meaning | undefined {
  const status = `registry status aha://${name}`
  if (code === 'REG_LINK_CLOSED' || (code === 'REG_TIMED_OUT' && telepath === 'TimeOut')) {
    return {code, text: `${message}; whether the log was trimmed is not known`, hints: [status]}
  }
  if (info['errx'] === 'ConnectionRefusedError' || telepath === 'LinkErr' || telepath === 'NoSuchName') {
    const text = `${name} does not reach one of those who follow its log: ${message}; nothing was changed`
    return {code: 'REG_UNREACHABLE', text, hints: [status]}
  }
  // A server of ours names those who are away.
  if (Array.isArray(info['away'])) {
    return {code: 'REG_UNREACHABLE', text: message, hints: ['registry status', 'when it is gone for good: --force']}
  }
  switch (telepath) {
    case 'SlabInUse':
      return {
        code: 'REG_CONFLICT',
        text: `${name} cannot trim its log now: ${message}`,
        hints: ['ask again a little later'],
      }
    case 'BadConfValu':
      return {code: 'REG_CONFLICT', text: `${name} keeps no change log: ${message}`, hints: [status]}
    default:
      return isLate(info) ? lateConsumer(info, name) : undefined
  }
}

/** The peer names who did not follow only in the facts of its error. */
function isLate(info: RegistryError['info']): boolean {
  return typeof info['url'] === 'string' && typeof info['offs'] === 'number' && 'timeout' in info
}

function lateConsumer({url, offs}: RegistryError['info'], name: string): Meaning {
  const text = `${sanitizeUrl(String(url))} has not got entry ${String(offs)} in time: the log of ${name} was rotated, and nothing was dropped`
  return {code: 'REG_TIMED_OUT', text, hints: [`registry status aha://${name}`, 'ask again with a longer --timeout']}
}

async function integerOf(cell: Callable, method: string, signal: AbortSignal): Promise<number> {
  return reqInteger(await cell.call(method, {signal}), method)
}

function reqInteger(value: Value, method: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw oddAnswer(method, 'it is not an offset')
}
