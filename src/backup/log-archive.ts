/**
 * An archived change log: `DIR/log/<first offset, 12 digits>.log`, one after the other (`log-segment.ts`). Entries are only ever added at its end.
 */
import {type FileHandle, open, readdir} from 'node:fs/promises'
import {basename, join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {makePrivateDir, PRIVATE_FILE_MODE, removeFile, syncDir, writeAll} from '../base/files.ts'
import {verifyChain} from '../store/chain.ts'
import type {Entry} from '../store/store.ts'
import {
  type ArchivePlace,
  damaged,
  encodeEntry,
  encodeHeader,
  readSegment,
  readSegmentHeader,
  type SegmentEnd,
  type SegmentPieces,
} from './log-segment.ts'

const FOLDER = 'log'
const NAME = /^(\d{12,16})\.log$/
/** What goes with the bases that need it is removed by whole segments. */
const SEGMENT_BYTES = 16 * 1024 * 1024

export interface LogArchiveAbout {
  /** 32 hex digits. */
  readonly cell: string
  /** Where it begins when nothing is there yet. */
  readonly start: ArchivePlace
  /** A segment is ended when it has so much. */
  readonly segmentBytes?: number | undefined
}

/** A segment and its first entry. */
export interface SegmentFile {
  readonly path: string
  readonly first: number
}

/** Adds entries to an archive. One at a time: who holds the lock of the directory. */
export class LogArchiveWriter implements AsyncDisposable {
  readonly #folder: string
  readonly #about: LogArchiveAbout
  #file: FileHandle | undefined
  #path: string | undefined
  #bytes: number
  #place: ArchivePlace
  #lastTimeMs: number | undefined

  private constructor(folder: string, about: LogArchiveAbout, last: OpenSegment | undefined) {
    this.#folder = folder
    this.#about = about
    this.#file = last?.file
    this.#path = last?.path
    this.#bytes = last?.end.bytes ?? 0
    this.#place = last?.end.place ?? about.start
    this.#lastTimeMs = last?.end.lastTimeMs
  }

  /**
   * Opens the archive in `dir`, or begins one; cuts off what a crash left torn at its end. All that it has is on the disk then.
   *
   * @throws RegistryError `REG_BACKUP_DAMAGED` when its last segment is damaged, or is of another cell; `REG_STORE_FAILED` for the disk
   */
  static async open(dir: string, about: LogArchiveAbout): Promise<LogArchiveWriter> {
    const folder = join(dir, FOLDER)
    return await onDisk(folder, async () => {
      await makePrivateDir(folder)
      return new LogArchiveWriter(folder, about, await openLast(dir, about.cell))
    })
  }

  /** Where it ends: the entry at `nextOffset` is the next that it takes. */
  get place(): ArchivePlace {
    return this.#place
  }

  get nextOffset(): number {
    return this.#place.nextOffset
  }

  /** Name of the file with the newest entry; undefined while there is none. */
  get segment(): string | undefined {
    return this.#path === undefined ? undefined : basename(this.#path)
  }

  /** When the newest entry was made; undefined when there is none in the last segment. */
  get lastTimeMs(): number | undefined {
    return this.#lastTimeMs
  }

  /**
   * Adds entries: they survive a crash when it resolves. After a failure it is to be opened anew.
   *
   * @throws RegistryError `REG_HISTORY_DIFFERS` when they do not go on where it ends: nothing was written; `REG_STORE_FAILED` for the disk
   */
  async append(entries: readonly Entry[]): Promise<void> {
    const last = entries.at(-1)
    if (last === undefined) return
    this.#assertContinues(entries)
    const text = entries.map((entry) => encodeEntry(entry)).join('')
    await onDisk(this.#path ?? this.#folder, async () => {
      const file = this.#file ?? (await this.#begin())
      const bytes = Buffer.from(text)
      await writeAll(file, bytes, this.#bytes)
      await file.datasync()
      this.#bytes += bytes.length
    })
    this.#place = {nextOffset: last.offset + 1, lastHash: last.hash, epoch: last.epoch}
    this.#lastTimeMs = last.timeMs
    if (this.#bytes >= (this.#about.segmentBytes ?? SEGMENT_BYTES)) await this.#endSegment()
  }

  /** Removes the segments that have no entry from `offset` on. */
  async removeBefore(offset: number): Promise<void> {
    const segments = await segmentsIn(this.#folder)
    for (const [at, {path}] of segments.entries()) {
      const next = segments[at + 1]
      if (next === undefined || next.first > offset) return
      await onDisk(path, () => removeFile(path))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endSegment()
  }

  #assertContinues(entries: readonly Entry[]): void {
    const verdict = verifyChain(entries, this.#place)
    if (verdict.kind === 'damaged') throw differs(verdict.offset, verdict.reason)
    let {epoch} = this.#place
    for (const entry of entries) {
      if (entry.epoch < epoch)
        throw differs(entry.offset, `entry ${entry.offset} is of epoch ${entry.epoch}, after ${epoch}`)
      epoch = entry.epoch
    }
  }

  async #begin(): Promise<FileHandle> {
    const path = join(this.#folder, `${String(this.#place.nextOffset).padStart(12, '0')}.log`)
    const header = Buffer.from(encodeHeader({cell: this.#about.cell, place: this.#place}))
    const file = await open(path, 'wx', PRIVATE_FILE_MODE)
    this.#file = file
    this.#path = path
    await writeAll(file, header, 0)
    this.#bytes = header.length
    // Before any entry: a file whose beginning is lost is taken for a damaged one.
    await file.datasync()
    await syncDir(this.#folder)
    return file
  }

  async #endSegment(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

/**
 * Yields the archived entries from a place on, proved: those of the archive in `dir` that follow the entry with this hash. What is torn at the end
 * ends it. An archive that ends before has none.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED`, which names the file, the byte and the entry; also when `from` is of another history
 */
export async function* readArchive(
  dir: string,
  from: {readonly offset: number; readonly hash: string},
): AsyncGenerator<readonly Entry[], void> {
  const segments = await archiveSegments(dir)
  const [oldest] = segments
  if (oldest === undefined) return
  if (from.offset < oldest.first) {
    throw damaged(oldest.path, 0, from.offset, `the segment with entry ${from.offset} is missing`)
  }
  const needed = segments.filter((_, at) => (segments[at + 1]?.first ?? Number.POSITIVE_INFINITY) > from.offset)
  let before: ArchivePlace | undefined
  for (const [at, {path}] of needed.entries()) {
    const pieces = readSegment(path, {before, isLast: at === needed.length - 1})
    if (at === 0) await assertPlace(path, from)
    const end = yield* fromPlace(pieces, from, path)
    if (end === undefined) return
    before = end.place
  }
}

async function* fromPlace(
  pieces: SegmentPieces,
  from: {readonly offset: number; readonly hash: string},
  path: string,
): SegmentPieces {
  try {
    let step = await pieces.next()
    for (; step.done !== true; step = await pieces.next()) {
      const before = step.value.find(({offset}) => offset === from.offset - 1)
      if (before !== undefined && before.hash !== from.hash) throw otherHistory(path, from.offset)
      const entries = step.value.filter(({offset}) => offset >= from.offset)
      if (entries.length > 0) yield entries
    }
    return step.value
  } finally {
    await pieces.return(undefined)
  }
}

/** Gives the hash of an entry, or of the one before the archive begins; undefined when it is not kept. @throws RegistryError `REG_BACKUP_DAMAGED` */
export async function hashInArchive(dir: string, offset: number): Promise<string | undefined> {
  const segments = await archiveSegments(dir)
  const at = segments.findLastIndex(({first}) => first <= offset + 1)
  const path = segments[at]?.path
  if (path === undefined) return undefined
  const place = (await readSegmentHeader(path))?.place
  if (place?.nextOffset === offset + 1) return place.lastHash
  for await (const entries of readSegment(path, {isLast: at === segments.length - 1})) {
    const found = entries.find((entry) => entry.offset === offset)
    if (found !== undefined) return found.hash
  }
  return undefined
}

/** Where an archive ends, from its last segments alone; undefined when it has none. @throws RegistryError `REG_BACKUP_DAMAGED` */
export async function archiveEnd(dir: string): Promise<SegmentEnd | undefined> {
  const segments = await archiveSegments(dir)
  let begun: SegmentEnd | undefined
  for (const {path} of segments.toReversed()) {
    const end = await endOf(path)
    // One that was just begun has no entry, or not even a beginning: the one before has the newest.
    if (end?.lastTimeMs !== undefined) return begun === undefined ? end : {...begun, lastTimeMs: end.lastTimeMs}
    begun ??= end
  }
  return begun
}

/** The segments of an archive, in order. */
export async function archiveSegments(dir: string): Promise<readonly SegmentFile[]> {
  return await segmentsIn(join(dir, FOLDER))
}

interface OpenSegment {
  readonly path: string
  readonly file: FileHandle
  readonly end: SegmentEnd
}

async function openLast(dir: string, cell: string): Promise<OpenSegment | undefined> {
  const [last] = (await archiveSegments(dir)).toReversed()
  if (last === undefined) return undefined
  const {path} = last
  const header = await readSegmentHeader(path)
  const end = await endOf(path)
  if (header === undefined || end === undefined) {
    await removeFile(path)
    return await openLast(dir, cell)
  }
  if (header.cell !== cell) throw damaged(path, 0, end.place.nextOffset, `it is of the cell ${header.cell}`)
  const file = await open(path, 'r+')
  try {
    if (end.isTorn) await file.truncate(end.bytes)
    // A process that was killed may have left what is not on the disk yet.
    await file.sync()
    return {path, file, end}
  } catch (error) {
    await file.close()
    throw error
  }
}

async function endOf(path: string): Promise<SegmentEnd | undefined> {
  const pieces = readSegment(path, {isLast: true})
  let step = await pieces.next()
  while (step.done !== true) step = await pieces.next()
  return step.value
}

async function segmentsIn(folder: string): Promise<readonly SegmentFile[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  })
  return names
    .flatMap((name) => {
      const digits = NAME.exec(name)?.[1]
      return digits === undefined ? [] : [{path: join(folder, name), first: Number(digits)}]
    })
    .toSorted((one, other) => one.first - other.first)
}

/** Where a segment begins with the very entry that is asked for, its first line says what is before. */
async function assertPlace(path: string, from: {readonly offset: number; readonly hash: string}): Promise<void> {
  const place = (await readSegmentHeader(path))?.place
  if (place?.nextOffset === from.offset && place.lastHash !== from.hash) throw otherHistory(path, from.offset)
}

function otherHistory(path: string, offset: number): RegistryError {
  return damaged(path, 0, offset, 'it is of another history than the base')
}

function differs(offset: number, reason: string): RegistryError {
  return new RegistryError('REG_HISTORY_DIFFERS', `what comes does not continue the archived log: ${reason}`, {
    info: {offset},
  })
}

/** Does work on the disk, and makes `REG_STORE_FAILED` of what the system says of `path`. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw writeError(path, error)
  }
}

function writeError(path: string, cause: unknown): unknown {
  const system = systemCode(cause)
  if (cause instanceof RegistryError || system === undefined) return cause
  return new RegistryError('REG_STORE_FAILED', `cannot write ${path}: ${messageOf(cause)}`, {
    info: {path, system},
    hints: ['free space on the file system of the archive'],
    cause,
  })
}
