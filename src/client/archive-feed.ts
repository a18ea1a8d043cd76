/** The change log of a registry as it comes for an archive: where it is, then its entries (`server/archive-feed.ts` says what travels). */
import {RegistryError} from '../base/errors.ts'
import type {Entry} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, listOf, oddAnswer} from './admin-values.ts'

const METHOD = 'archiveLog'
const ACK_METHOD = 'archiveAck'
/** The other side speaks once a second. */
const SILENT_MS = 10_000
const IDEN = /^[0-9a-f]{32}$/
const HASH = /^[0-9a-f]{64}$/

/** Where the log of a member of the cell is. */
export interface LogStart {
  /** Iden of the cell, 32 hex digits. */
  readonly cell: string
  readonly epoch: number
  readonly nextOffset: number
  /** Oldest entry that is kept. */
  readonly firstOffset: number
  /** Hash of the newest entry, and of the one before the place that was asked for; null where it is not kept. */
  readonly lastHash: string | null
  readonly beforeHash: string | null
}

/** What comes then. */
export interface LogPiece {
  readonly entries: readonly Entry[]
  /** Where the log of the other side is. */
  readonly nextOffset: number
  /** The clock of the other side. */
  readonly nowMs: number
}

/** A log that is read. To be disposed of. */
export interface OpenLog extends AsyncDisposable {
  readonly start: LogStart
  readonly pieces: AsyncGenerator<LogPiece, void>
}

/** Who archives a log, as the cell is to know it. */
export interface ArchiverAbout {
  /** Iden of the archive, 32 hex digits. */
  readonly archiver: string
  /** Where it is, for people. */
  readonly name: string
  /** It ends when it has all that there is. */
  readonly isOnce: boolean
}

/** Tells whether a cell knows who archives its log: then it waits with a trim. Older ones do not. */
export function knowsArchivers({info}: Callable): boolean {
  return info.methods.has(ACK_METHOD)
}

/** Tells a cell that every entry below `index` is on the disk, and whether there was no other one. */
export async function tellArchived(
  cell: Callable,
  told: {readonly archiver: string; readonly index: number; readonly isAll: boolean},
  signal: AbortSignal,
): Promise<void> {
  await cell.call(ACK_METHOD, {args: [{...told}], signal})
}

/** Says where the log of a cell is. @throws RegistryError `REG_NOT_FOUND` for a cell whose log cannot be followed; as a call */
export async function logStart(cell: Callable, signal: AbortSignal): Promise<LogStart> {
  await using log = await openLog(cell, undefined, signal)
  return log.start
}

/**
 * Opens the log of a cell at a place. The cell hears who archives it, if it wants to.
 *
 * @throws RegistryError `REG_NOT_FOUND` for a cell whose log cannot be followed; as a call. The pieces throw what the other side says, its code in
 * `info.code`.
 */
export async function openLog(
  cell: Callable,
  from: number | undefined,
  signal: AbortSignal,
  about?: ArchiverAbout,
): Promise<OpenLog> {
  if (!cell.info.methods.has(METHOD)) throw cannotFollow()
  const args = from === undefined ? [] : about !== undefined && knowsArchivers(cell) ? [from, {...about}] : [from]
  const items = cell.stream(METHOD, {args, signal, timeoutMs: SILENT_MS})
  const end = async (): Promise<void> => {
    await items.return()
  }
  try {
    const first = await items.next()
    if (first.done === true) throw oddAnswer(METHOD, 'it is empty')
    return {start: readStart(first.value), pieces: piecesOf(items), [Symbol.asyncDispose]: end}
  } catch (error) {
    await end()
    throw error
  }
}

async function* piecesOf(items: AsyncGenerator<Value, void>): AsyncGenerator<LogPiece, void> {
  for await (const value of items) {
    const fields = fieldsOf(value, METHOD)
    const entries = listOf(fields['entries'], 'entries').map((entry) => readEntry(entry))
    yield {entries, nextOffset: whole(fields['next'], 'next'), nowMs: whole(fields['now'], 'now')}
  }
}

function readStart(value: Value): LogStart {
  const fields = fieldsOf(value, METHOD)
  const {last = null, before = null} = fields
  return {
    cell: match(fields['cell'], IDEN, 'cell'),
    epoch: whole(fields['epoch'], 'epoch'),
    nextOffset: whole(fields['next'], 'next'),
    firstOffset: whole(fields['first'], 'first'),
    lastHash: last === null ? null : match(last, HASH, 'last'),
    beforeHash: before === null ? null : match(before, HASH, 'before'),
  }
}

function readEntry(value: Value): Entry {
  const [offset, epoch, hash, timeMs, actor, change, ...more] = listOf(value, 'an entry')
  if (typeof actor !== 'string' || typeof change !== 'string' || more.length > 0) {
    throw oddAnswer('an entry', 'it has another form')
  }
  return {
    offset: whole(offset, 'offset'),
    epoch: whole(epoch, 'epoch'),
    hash: match(hash, HASH, 'hash'),
    timeMs: integer(timeMs, 'timeMs'),
    actor,
    change,
  }
}

function whole(value: Value, what: string): number {
  const number = integer(value, what)
  if (number >= 0) return number
  throw oddAnswer(what, 'it is negative')
}

function integer(value: Value, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw oddAnswer(what, 'it is not a whole number')
}

function match(value: Value, form: RegExp, what: string): string {
  if (typeof value === 'string' && form.test(value)) return value
  throw oddAnswer(what, 'it has another form')
}

function cannotFollow(): RegistryError {
  const text =
    'that cell does not give its change log away: only a registry can be followed, of this version or a newer one, not a Synapse service'
  return new RegistryError('REG_NOT_FOUND', text, {
    telepath: 'FeatureNotSupported',
    hints: ['back it up now and then instead: registry livebackup URL --stream DIR', 'registry status URL'],
  })
}
