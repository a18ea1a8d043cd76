/** The methods of the cell that cut its change log: those of the peer, and `trimLog`, which tells more and can do less. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'
import type {LogState, LogTrimWish} from './log-trim.ts'

const ADMIN: Need = {kind: 'admin'}
const WRITES = {isLogged: true, isWrite: true} as const
const DEFAULT_TIMEOUT_MS = 60_000
const MAX_CONSUMERS = 100
/** A century. */
const MAX_AGE_MS = 36_525 * 86_400_000

/** URLs may hold passwords. */
const CONSUMERS = {name: 'consumers', byDefault: null, isSecret: true} as const

/** Rows of the table of methods: the change log is rotated, culled, trimmed. */
export const LOG_METHODS = {
  rotateNexsLog: method(ADMIN, [], ({parts, actor}) => parts.logKeeper.rotate(actor), WRITES),
  cullNexsLog: method(
    ADMIN,
    [required('offs')],
    (call) =>
      call.parts.logKeeper.cull(call.integer('offs', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), call.actor),
    WRITES,
  ),
  trimNexsLog: method(
    ADMIN,
    [CONSUMERS, optional('timeout', DEFAULT_TIMEOUT_MS / 1000)],
    async (call) => {
      const wish = {...wishOf(call), keep: 0, keepForMs: undefined, isForced: false}
      const {logTrim} = call.parts
      return (await logTrim.trim(wish, call.actor, call.signal)) ?? null
    },
    {...WRITES, isUnawaited: true},
  ),
  trimLog: method(
    ADMIN,
    [
      CONSUMERS,
      optional('keep', 0),
      optional('keepfor'),
      optional('timeout', DEFAULT_TIMEOUT_MS / 1000),
      optional('force', false),
      optional('dryrun', false),
      optional('forget'),
    ],
    trimLog,
    {...WRITES, isUnawaited: true},
  ),
} as const satisfies Record<string, CellMethod>

async function trimLog(call: CellCall): Promise<Value> {
  const {logTrim} = call.parts
  const wish: LogTrimWish = {
    ...wishOf(call),
    keep: call.integer('keep', 0, Number.MAX_SAFE_INTEGER),
    keepForMs: call.optionalInteger('keepfor', 0, MAX_AGE_MS),
    isForced: call.boolean('force'),
  }
  const before = await logTrim.state()
  const followers = logTrim.followers.map(({name, nextOffset}) => ({name, index: nextOffset ?? null}))
  const isDry = call.boolean('dryrun')
  const toGo = await logTrim.lastToGo(wish)
  const forgotten = forget(call, isDry)
  const rest = logTrim.archivers(toGo).filter(({name}) => !forgotten.includes(name))
  const archivers = rest.map(({name, index, attachedMs, seenMs, lacks}) => ({
    ...{name, index, seen: seenMs, attached: attachedMs !== null},
    lacks: lacks || (toGo !== undefined && wish.keep === 0 && wish.keepForMs === undefined),
  }))
  const last = isDry ? toGo : await logTrim.trim(wish, call.actor, call.signal)
  const after = isDry || last === undefined ? null : packState(await logTrim.state())
  return {trimmed: last ?? null, before: packState(before), after, followers, archivers}
}

/** Forgets who archived the log and is gone for good, unless it is only looked; gives the names. */
function forget(call: CellCall, isDry: boolean): readonly string[] {
  const {archivers} = call.parts
  const names = call.optional('forget', () => call.texts('forget')) ?? []
  for (const name of names) {
    const found = archivers.known.filter((one) => one.name === name)
    if (found.length === 0) throw unknownArchiver(name, archivers.known)
    if (!isDry) archivers.forget(name)
  }
  return names
}

function unknownArchiver(name: string, known: readonly {readonly name: string}[]): RegistryError {
  const who = known.length === 0 ? 'nobody does' : known.map((one) => one.name).join(', ')
  const text = `nobody of the name ${name} archives the log, or did: ${who}`
  return new RegistryError('REG_NOT_FOUND', text, {info: {name}, hints: ['registry status']})
}

function wishOf(call: CellCall): Pick<LogTrimWish, 'consumers' | 'timeoutMs'> {
  const consumers = call.value('consumers') === null ? [] : call.texts('consumers')
  if (consumers.length > MAX_CONSUMERS) {
    throw new RegistryError('REG_BAD_REQUEST', `consumers must not be more than ${MAX_CONSUMERS}`)
  }
  return {consumers, timeoutMs: call.timeoutMs('timeout') ?? DEFAULT_TIMEOUT_MS}
}

function packState({index, oldest, bytes, freeBytes}: LogState): Value {
  return {index, oldest, bytes, free: freeBytes}
}
