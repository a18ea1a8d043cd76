/**
 * A file of an archived change log: lines of JSON. The first one says where the file begins, each of the others is an entry as it is in the log.
 *
 *     {"format":1,"cell":IDEN,"first":OFFSET,"previous":HASH,"epoch":EPOCH}
 *     [offset,epoch,"hash",timeMs,"actor","change"]
 *
 * The hashes prove each entry by the one before it, and the first one by `previous`. What a crash left at the end is torn: a line without its end, or
 * with the zeros of a block that was never written, and no entry behind it. It was never said to be kept, and is cut off. Anything else that is wrong is
 * damage.
 */
import {type FileHandle, open} from 'node:fs/promises'
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {verifyChain} from '../store/chain.ts'
import type {Entry} from '../store/store.ts'
import {reading} from './file-faults.ts'

const FORMAT = 1
const CHUNK_BYTES = 256 * 1024
const LINE_END = 0x0a
/** An entry is at most what a message of Telepath holds. */
const LINE_BYTES_MAX = 64 * 1024 * 1024
const HASH = /^[0-9a-f]{64}$/
const IDEN = /^[0-9a-f]{32}$/
/** An append ends with the last of its entries: what is whole behind zeros was kept, as what is under them was. */
const BEHIND_ZEROS = 'zeros stand in it, and entries behind them'

/** A place between two entries of an archive. */
export interface ArchivePlace {
  /** Offset that comes next. */
  readonly nextOffset: number
  /** Hash and epoch of the entry before. */
  readonly lastHash: string
  readonly epoch: number
}

/** What the first line says. */
export interface SegmentHeader {
  /** 32 hex digits. */
  readonly cell: string
  readonly place: ArchivePlace
}

/** How far a segment is whole. */
export interface SegmentEnd {
  readonly place: ArchivePlace
  /** Length of what is whole. */
  readonly bytes: number
  /** There is more, which is torn. */
  readonly isTorn: boolean
  /** Of the newest entry; undefined when there is none. */
  readonly lastTimeMs: number | undefined
}

/** A segment that is read: pieces of it, then where it ends. Without a header it is one that was just begun when a crash came. */
export type SegmentPieces = AsyncGenerator<readonly Entry[], SegmentEnd | undefined>

/** The text of the first line. */
export function encodeHeader({cell, place: {nextOffset, lastHash, epoch}}: SegmentHeader): string {
  return `${JSON.stringify({format: FORMAT, cell, first: nextOffset, previous: lastHash, epoch})}\n`
}

/** The line of an entry. @throws RegistryError `REG_BAD_ANSWER` when it is too long to be read again */
export function encodeEntry({offset, epoch, hash, timeMs, actor, change}: Entry): string {
  const line = `${JSON.stringify([offset, epoch, hash, timeMs, actor, change])}\n`
  if (line.length * 3 <= LINE_BYTES_MAX || Buffer.byteLength(line) <= LINE_BYTES_MAX) return line
  throw new RegistryError('REG_BAD_ANSWER', `entry ${offset} is too long for an archive`, {info: {offset}})
}

/** Reads the first line of a segment; undefined when it is torn. @throws RegistryError `REG_BACKUP_DAMAGED`, `REG_BACKUP_SOURCE` when it cannot be read */
export async function readSegmentHeader(path: string): Promise<SegmentHeader | undefined> {
  const file = await reading(path, () => open(path, 'r'))
  try {
    for await (const [line] of linesOf(file, path)) return line === undefined ? undefined : headerIn(line, path, true)
    return undefined
  } finally {
    await file.close()
  }
}

/**
 * Reads a segment from its beginning and proves each entry. `before` is where the one before ended; `isLast` lets it have a torn end.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED`, with `path`, `at` (the byte) and `offset` (the entry); `REG_BACKUP_SOURCE` when it cannot be read
 */
export async function* readSegment(
  path: string,
  {before, isLast}: {readonly before?: ArchivePlace | undefined; readonly isLast: boolean},
): SegmentPieces {
  const file = await reading(path, () => open(path, 'r'))
  try {
    const lines = linesOf(file, path)
    const first = await lines.next()
    const [headLine, ...rest] = first.done === true ? [] : first.value
    const header = headLine && headerIn(headLine, path, isLast)
    if (headLine === undefined || header === undefined) {
      if (!isLast) throw damaged(path, 0, before?.nextOffset ?? 0, 'it has no beginning')
      for await (const entry of entriesIn(rest, lines)) throw damaged(path, 0, entry.offset, BEHIND_ZEROS)
      return undefined
    }
    assertFollows(header.place, before, path)
    const reader = new SegmentReader(path, header.place, headLine.end)
    let isTorn = yield* proved(reader, rest, isLast)
    while (!isTorn) {
      const step = await lines.next()
      if (step.done === true) break
      isTorn = yield* proved(reader, step.value, isLast)
    }
    const end = reader.end(isTorn)
    for await (const _ of entriesIn(reader.left, lines))
      throw damaged(path, end.bytes, end.place.nextOffset, BEHIND_ZEROS)
    return end
  } finally {
    await file.close()
  }
}

/** Yields the entries of lines, up to one that is torn (true then), or damaged: those before it are good. */
function* proved(
  reader: SegmentReader,
  lines: readonly Line[],
  mayBeTorn: boolean,
): Generator<readonly Entry[], boolean> {
  try {
    return reader.take(lines, mayBeTorn)
  } finally {
    yield reader.taken
  }
}

/** Yields what may be entries in the lines that are left, and in all that come. */
async function* entriesIn(left: readonly Line[], lines: AsyncIterable<readonly Line[]>): AsyncGenerator<Entry, void> {
  const found = (some: readonly Line[]) => some.flatMap((line) => (line.isWhole ? (entryIn(line) ?? []) : []))
  yield* found(left)
  for await (const some of lines) yield* found(some)
}

/** Says what is wrong with an archive, and where. */
export function damaged(path: string, at: number, offset: number, reason: string): RegistryError {
  const text = `${path} is damaged at byte ${at}, entry ${offset}: ${reason}`
  return new RegistryError('REG_BACKUP_DAMAGED', text, {info: {path, at, offset, reason}})
}

/** Proves lines, one after the other. */
class SegmentReader {
  readonly #path: string
  #place: ArchivePlace
  #bytes: number
  #lastTimeMs: number | undefined
  /** What the last call took. */
  taken: readonly Entry[] = []
  /** What it did not look at any more, behind a line that is torn. */
  left: readonly Line[] = []

  constructor(path: string, place: ArchivePlace, bytes: number) {
    this.#path = path
    this.#place = place
    this.#bytes = bytes
  }

  /** Takes lines, up to one that is torn: true then. */
  take(lines: readonly Line[], mayBeTorn: boolean): boolean {
    const entries: Entry[] = []
    this.taken = entries
    for (const [at, line] of lines.entries()) {
      const entry = line.isWhole ? entryIn(line) : undefined
      const reason = entry === undefined ? 'it is not an entry' : this.#wrong(entry)
      if (entry === undefined || reason !== undefined) {
        this.left = lines.slice(at + 1)
        if (mayBeTorn && this.#isTorn(line)) return true
        throw damaged(this.#path, line.start, this.#place.nextOffset, reason ?? 'it is not an entry')
      }
      entries.push(entry)
      this.#place = {nextOffset: entry.offset + 1, lastHash: entry.hash, epoch: entry.epoch}
      this.#lastTimeMs = entry.timeMs
      this.#bytes = line.end
    }
    return false
  }

  end(isTorn: boolean): SegmentEnd {
    return {place: this.#place, bytes: this.#bytes, isTorn, lastTimeMs: this.#lastTimeMs}
  }

  #wrong(entry: Entry): string | undefined {
    const verdict = verifyChain([entry], this.#place)
    if (verdict.kind === 'damaged') return verdict.reason
    if (entry.epoch < this.#place.epoch) return `its epoch is ${entry.epoch}, after ${this.#place.epoch}`
    return undefined
  }

  /** A line without its end is torn, unless that end is all that it lacks: it was altered then. */
  #isTorn(line: Line): boolean {
    if (line.isWhole) return line.bytes.includes(0)
    const entry = entryIn({...line, bytes: line.bytes.subarray(0, -1)})
    return entry === undefined || this.#wrong(entry) !== undefined
  }
}

interface Line {
  /** Without its end. */
  readonly bytes: Buffer
  /** Where it begins, and where the next one does. */
  readonly start: number
  readonly end: number
  /** It has an end. */
  readonly isWhole: boolean
}

/** Yields the lines of a file, those of a piece together. */
async function* linesOf(file: FileHandle, path: string): AsyncGenerator<readonly Line[], void> {
  let rest: Buffer = Buffer.alloc(0)
  let start = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const at = start + rest.length
    const {bytesRead} = await reading(path, () => file.read(chunk, 0, CHUNK_BYTES, at))
    if (bytesRead === 0) break
    const piece = chunk.subarray(0, bytesRead)
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    const lines: Line[] = []
    let from = 0
    // What is left of the last piece has no end in it.
    let to = bytes.indexOf(LINE_END, rest.length)
    while (to !== -1) {
      lines.push({bytes: bytes.subarray(from, to), start: start + from, end: start + to + 1, isWhole: true})
      from = to + 1
      to = bytes.indexOf(LINE_END, from)
    }
    start += from
    rest = bytes.subarray(from)
    if (rest.length > LINE_BYTES_MAX) throw damaged(path, start, 0, 'a line is too long')
    if (lines.length > 0) yield lines
  }
  if (rest.length > 0) yield [{bytes: rest, start, end: start + rest.length, isWhole: false}]
}

function entryIn({bytes}: Pick<Line, 'bytes'>): Entry | undefined {
  const value = jsonIn(bytes)
  if (!Array.isArray(value) || value.length !== 6) return undefined
  const [offset, epoch, hash, timeMs, actor, change] = value as readonly unknown[]
  if (!isWhole(offset) || !isWhole(epoch) || !isWhole(timeMs)) return undefined
  if (typeof hash !== 'string' || typeof actor !== 'string' || typeof change !== 'string') return undefined
  return {offset, epoch, hash, timeMs, actor, change}
}

/** Gives undefined when it is torn. */
function headerIn(line: Line, path: string, mayBeTorn: boolean): SegmentHeader | undefined {
  if (mayBeTorn && (!line.isWhole || line.bytes.includes(0))) return undefined
  const value = jsonIn(line.bytes)
  const wrong = (reason: string) => damaged(path, 0, 0, reason)
  if (typeof value !== 'object' || value === null) throw wrong('its first line does not say what it is')
  const {format, cell, first, previous, epoch} = {...value} as Record<string, unknown>
  if (format !== FORMAT) throw wrong(`its format is ${String(format)}, known is ${FORMAT}`)
  if (typeof cell !== 'string' || !IDEN.test(cell)) throw wrong('its first line names no cell')
  if (!isWhole(first) || !isWhole(epoch) || typeof previous !== 'string' || !HASH.test(previous)) {
    throw wrong('its first line does not say where it begins')
  }
  return {cell, place: {nextOffset: first, lastHash: previous, epoch}}
}

function assertFollows(place: ArchivePlace, before: ArchivePlace | undefined, path: string): void {
  if (before === undefined) return
  const {nextOffset, lastHash} = before
  if (place.nextOffset === nextOffset && place.lastHash === lastHash && place.epoch === before.epoch) return
  throw damaged(
    path,
    0,
    nextOffset,
    `it begins with entry ${place.nextOffset}, and does not go on where the one before ends`,
  )
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return parseJson(bytes.toString('utf8'))
  } catch {
    return undefined // the caller names the place
  }
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}
