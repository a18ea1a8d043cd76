/**
 * Fetches a copy of the store of another member:
 *
 *     registry.db.part        what has come of it so far
 *     registry.db.part.json   which copy that is, and what it must be in the end; an interrupted one goes on with it, after a kill too
 *
 * All of it is checked, made the store of another member and on disk before it takes its place by one rename: until then the directory is as before.
 */
import {type FileHandle, open, rm, stat, statfs} from 'node:fs/promises'
import {dirname} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {
  moveFile,
  PRIVATE_FILE_MODE,
  removeFile,
  syncDir,
  type WritableFile,
  writeAll,
  writeFileAtomic,
} from '../../base/files.ts'
import type {Log} from '../../base/log.ts'
import type {StoreHead} from '../../store/store.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {type CopyItem, type CopyStart, isStart, readCopyItem} from './copy-messages.ts'
import {type CopyNote, encodeCopyNote, readCopyNote} from './copy-note.ts'
import {hashFile} from './snapshots.ts'

export interface CopyPorts {
  /** Opens a session with who has the store, one after the other of those that may be tried. */
  readonly open: (signal: AbortSignal) => Promise<TelepathProxy>
  /** Where the store belongs. */
  readonly path: string
  /** Refuses the cell of who answers, by throwing. */
  readonly acceptCell: (cellIden: string) => Promise<void>
  /** Checks that a file is a whole store that ends there, and makes it one of its own, with another iden. */
  readonly own: (path: string, head: Pick<StoreHead, 'nextOffset' | 'lastHash'>) => Promise<void>
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Tests give files and volumes of their own. */
  readonly files?: Partial<CopyFiles>
  /** Between two attempts, ms. */
  readonly pauseMs?: number
}

interface CopyFile extends WritableFile, Pick<FileHandle, 'sync' | 'close'> {}

interface CopyFiles {
  readonly open: (path: string, flags: string, mode: number) => Promise<CopyFile>
  readonly statfs: (path: string) => Promise<{readonly bavail: number; readonly bsize: number}>
}

/** A copy that waits to take its place. */
export interface FetchedCopy {
  readonly nextOffset: number
  readonly sizeBytes: number
}

/** Attempts in a row that bring nothing. */
const MOST_TRIES = 6
const PAUSE_MS = 1000
const IDLE_MS = 30_000
/** The leader makes its copy before it says anything. */
const MAKING_MS = 600_000
const TELL_PERCENT = 10
/** What another attempt may mend. */
const PASSING: readonly string[] = ['REG_LINK_CLOSED', 'REG_UNREACHABLE', 'REG_TIMED_OUT', 'REG_BUSY']
const FULL: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

/**
 * Fetches a copy, and goes on where an earlier attempt ended. It waits in its part until `placeCopy`.
 *
 * @throws RegistryError `REG_DISK_LOW` for a volume that is full, `REG_DIR_UNUSABLE`, `REG_BAD_ANSWER` and `REG_STORE_DAMAGED` for what is not a
 * copy: nothing of it is left then; those of the calls, when several attempts in a row failed: what has come stays for the next one
 */
export async function fetchCopy(ports: CopyPorts, signal: AbortSignal): Promise<FetchedCopy> {
  const copy = new Copy(ports)
  const begun = await copy.begun()
  if (begun?.isReady) return {nextOffset: begun.head.nextOffset, sizeBytes: begun.sizeBytes}
  try {
    return await fetchOnce(copy, ports, signal)
  } catch (error) {
    // What was on disk already may not be what was written, after a power cut.
    if (begun === undefined || !(error instanceof RegistryError) || error.code !== 'REG_BAD_ANSWER') throw error
    ports.log.warning('copy.begun-anew', {error})
    return await fetchOnce(copy, ports, signal)
  }
}

async function fetchOnce(copy: Copy, ports: CopyPorts, signal: AbortSignal): Promise<FetchedCopy> {
  try {
    return await copy.finish(await fetchAll(copy, ports, signal))
  } catch (error) {
    if (!isPassing(error) && !signal.aborted) await copy.forget()
    throw error
  }
}

/** Puts a copy that was fetched in the place of the store, which must not be open. Throws what the system says. */
export async function placeCopy(path: string): Promise<void> {
  const {part, note} = namesOf(path)
  // A journal of the old store would be taken for one of the new.
  for (const ending of ['-wal', '-shm', '-journal']) await rm(`${path}${ending}`, {force: true})
  // Each is on the disk before the next is done: a power cut may leave the later one without the earlier.
  await syncDir(dirname(path))
  await moveFile(part, path)
  await removeFile(note)
}

/** Removes what has come of a copy, if anything has. Throws what the system says. */
export async function forgetCopy(path: string): Promise<void> {
  const {part, note} = namesOf(path)
  for (const file of [note, part, `${part}-wal`, `${part}-shm`]) await rm(file, {force: true})
}

async function fetchAll(copy: Copy, ports: CopyPorts, signal: AbortSignal): Promise<CopyNote> {
  const {open: openSource, log, pauseMs = PAUSE_MS} = ports
  let failures = 0
  for (;;) {
    const before = await copy.size()
    try {
      await using source = await openSource(signal)
      return await copy.fetch(source, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      failures = (await copy.size()) > before ? 1 : failures + 1
      if (!isPassing(error) || failures >= MOST_TRIES) throw error
      log.warning('copy.interrupted', {bytes: await copy.size(), error})
      await delay(pauseMs * failures, undefined, {signal}).catch(() => signal.throwIfAborted())
    }
  }
}

class Copy {
  readonly #ports: CopyPorts
  readonly #part: string
  readonly #note: string
  readonly #files: CopyFiles

  constructor(ports: CopyPorts) {
    const {part, note} = namesOf(ports.path)
    this.#ports = ports
    this.#part = part
    this.#note = note
    this.#files = {open, statfs, ...ports.files}
  }

  /** What an earlier attempt began; undefined when there is nothing to go on with. */
  async begun(): Promise<CopyNote | undefined> {
    const begun = await this.#usable(() => readCopyNote(this.#note))
    return begun !== undefined && (await this.#hasPart()) ? begun : undefined
  }

  async size(): Promise<number> {
    return (await this.#hasPart()) ? (await stat(this.#part)).size : 0
  }

  /** Removes what there is of it. */
  async forget(): Promise<void> {
    await forgetCopy(this.#ports.path)
  }

  /** Fetches what is missing; when it returns, all bytes are there. */
  async fetch(source: TelepathProxy, signal: AbortSignal): Promise<CopyNote> {
    const known = await this.begun()
    const had = known === undefined ? 0 : Math.min(await this.size(), known.sizeBytes)
    const kwargs = known === undefined ? {} : {id: known.id, offset: had}
    const items = source.stream('iterSnapshot', {kwargs, timeoutMs: MAKING_MS, signal})
    const {cellIden, ...start} = await firstOf(items)
    await this.#ports.acceptCell(cellIden)
    const isSame = known?.id === start.id && known.sha256 === start.sha256
    const begun = {...start, isReady: false}
    if (!isSame) await this.#begin(begun)
    const offset = isSame ? had : 0
    this.#ports.log.info(isSame ? 'copy.resumed' : 'copy.begun', {
      bytes: begun.sizeBytes,
      entries: begun.head.nextOffset,
      from: offset,
    })
    await this.#write(begun, offset, items)
    await source.call('dropSnapshot', {args: [begun.id], timeoutMs: IDLE_MS}).catch(() => undefined) // it goes by itself
    return begun
  }

  /** Checks all of it and makes it a store of its own. */
  async finish(begun: CopyNote): Promise<FetchedCopy> {
    const {sizeBytes, sha256, head} = begun
    const part = this.#part
    if ((await hashFile(part)) !== sha256) throw odd('what came has another SHA-256')
    await this.#ports.own(part, {nextOffset: head.nextOffset, lastHash: head.lastHash})
    await syncFile(part)
    await this.#save({...begun, isReady: true})
    this.#ports.log.info('copy.checked', {bytes: sizeBytes, entries: head.nextOffset})
    return {nextOffset: head.nextOffset, sizeBytes}
  }

  async #begin(begun: CopyNote): Promise<void> {
    await this.forget()
    await this.#checkSpace(begun.sizeBytes)
    await this.#save(begun)
    await this.#usable(async () => (await this.#files.open(this.#part, 'w', PRIVATE_FILE_MODE)).close())
  }

  async #checkSpace(sizeBytes: number): Promise<void> {
    const {bavail, bsize} = await this.#usable(() => this.#files.statfs(dirname(this.#part)))
    if (bavail * bsize < sizeBytes) throw noRoom(this.#part, {bytes: sizeBytes, free: bavail * bsize})
  }

  async #write({sizeBytes}: CopyNote, offset: number, items: AsyncGenerator<Value, void>): Promise<void> {
    const file = await this.#usable(() => this.#files.open(this.#part, 'r+', PRIVATE_FILE_MODE))
    let at = offset
    let told = percentOf(at, sizeBytes)
    try {
      while (at < sizeBytes) {
        const item = await nextItem(items)
        if (item === undefined || isStart(item) || item.at !== at) throw odd('a piece of it is missing')
        if (at + item.bytes.length > sizeBytes) throw odd('it is longer than it said')
        await this.#usable(() => writeAll(file, item.bytes, at))
        at += item.bytes.length
        const percent = percentOf(at, sizeBytes)
        if (percent < told + TELL_PERCENT) continue
        told = percent
        this.#ports.log.info('copy.progress', {percent, bytes: at})
      }
      await this.#usable(() => file.sync())
    } finally {
      await items.return()
      await file.close()
    }
  }

  async #save(begun: CopyNote): Promise<void> {
    await this.#usable(() => writeFileAtomic(this.#note, encodeCopyNote(begun)))
  }

  async #hasPart(): Promise<boolean> {
    try {
      return (await stat(this.#part)).isFile()
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw unusable(this.#part, error)
    }
  }

  async #usable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw FULL.includes(systemCode(error)) ? noRoom(this.#part, {}, error) : unusable(this.#part, error)
    }
  }
}

function namesOf(path: string): {readonly part: string; readonly note: string} {
  return {part: `${path}.part`, note: `${path}.part.json`}
}

async function firstOf(items: AsyncGenerator<Value, void>): Promise<CopyStart> {
  const first = await nextItem(items)
  if (first !== undefined && isStart(first)) return first
  throw odd('it does not say what it is')
}

async function nextItem(items: AsyncGenerator<Value, void>): Promise<CopyItem | undefined> {
  const {value, done} = await items.next()
  return done === true ? undefined : readCopyItem(value)
}

function isPassing(error: unknown): boolean {
  return error instanceof RegistryError && PASSING.includes(error.code)
}

function percentOf(bytes: number, sizeBytes: number): number {
  return Math.floor((bytes / Math.max(1, sizeBytes)) * 100)
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

function odd(why: string): RegistryError {
  const text = `what came is not the copy that was announced: ${why}`
  return new RegistryError('REG_BAD_ANSWER', text, {hints: ['start it again: it fetches the copy anew']})
}

/** Refuses to copy another cell than this one. @throws RegistryError `REG_CONFLICT` */
export function assertCell(cellIden: string, own: string): void {
  if (cellIden === own) return
  const text = `the leader is of another cell: ${cellIden}, not ${own}`
  const hints = ['registry config explain mirror', 'take a new directory with a new URL: registry clone NAME']
  throw new RegistryError('REG_CONFLICT', text, {info: {iden: cellIden}, hints})
}

function noRoom(path: string, info: Readonly<Record<string, number>>, cause?: unknown): RegistryError {
  const text = `there is no room for a copy of the registry${'bytes' in info ? `, which takes ${info['bytes']} bytes` : ''}: ${path}`
  return new RegistryError('REG_DISK_LOW', text, {info: {path, ...info}, cause})
}

function unusable(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot use ${path}: ${reason}`, {info: {path, reason}, cause})
}
