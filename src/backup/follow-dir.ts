/** The directory that `backup follow` keeps (`followed.ts`), for the one process that writes it. */

import {rename, rm, stat} from 'node:fs/promises'
import {dirname, join, resolve} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {makePrivateDir, namesIn, removeFile, syncDir} from '../base/files.ts'
import {newGuid} from '../base/ids.ts'
import {shellWord} from '../base/shell-word.ts'
import {tryFileLock} from '../store/file-lock.ts'
import {assertOutsideOthers} from './backup-place.ts'
import {writing} from './file-faults.ts'
import {FOLLOW_FILE} from './follow-file.ts'
import {
  beginHistory,
  type Claim,
  type FollowedBase,
  type HistoryDir,
  type HistoryReason,
  halfRemovedBases,
  newBasePath,
  readClaim,
  readHistories,
  writeFollowFile,
} from './followed.ts'
import {hashInArchive, LogArchiveWriter, onDisk} from './log-archive.ts'
import {lostEnd, readLogHead, writeLogHead} from './log-head.ts'
import type {ArchivePlace} from './log-segment.ts'
import {MANIFEST_FILE, type Manifest} from './manifest.ts'

const LOCK_FILE = 'lock.db'
/** Bases that are being fetched, or wait until the log has reached them. */
const COMING = 'coming'
/** How far the log is kept is written down so often at most: each time costs the disk as much as entries do. */
const HEAD_EVERY_MS = 1000

/** A base that is whole, and has not its place yet. */
export interface ComingBase {
  readonly path: string
  readonly manifest: Manifest
}

/** A directory that belongs to this process until it is disposed of. */
export class FollowDir implements AsyncDisposable {
  /** Absolute. */
  readonly path: string
  readonly #lock: Disposable
  #claim: Claim | undefined
  #history: HistoryDir | undefined
  #archive: LogArchiveWriter | undefined
  #damage: RegistryError | undefined
  #notedOffset: number | undefined
  #notedAtMs = Number.NEGATIVE_INFINITY

  private constructor(path: string, lock: Disposable, claim: Claim | undefined) {
    this.path = path
    this.#lock = lock
    this.#claim = claim
  }

  /**
   * Takes a directory, making it when it is not there, and removes what a process that was killed left unfinished.
   *
   * @throws RegistryError `REG_DIR_LOCKED` when another process follows into it; `REG_CONFLICT` when it holds something else; `REG_DIR_UNUSABLE`
   */
  static async open(dir: string): Promise<FollowDir> {
    const path = resolve(dir)
    await assertOwn(path).catch((error) => {
      throw error instanceof RegistryError ? error : unusable(path, error)
    })
    const lock = await takeDir(path)
    try {
      const claim = await assertOwn(path)
      await rm(join(path, COMING), {recursive: true, force: true})
      const follow = new FollowDir(path, lock, claim)
      await follow.reopen()
      return follow
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
  }

  /** Whose log it keeps; undefined in a new one. */
  get cell(): string | undefined {
    return this.#claim?.cell
  }

  /** The iden by which the cell knows this directory; undefined before it is claimed. */
  get archiver(): string | undefined {
    return this.#claim?.archiver
  }

  /** Where its log ends; undefined while it has no base, or its log is damaged. */
  get place(): ArchivePlace | undefined {
    return this.#archive?.place
  }

  /** Why its log cannot be gone on with. */
  get damage(): RegistryError | undefined {
    return this.#damage
  }

  /** The newest base; undefined while there is none. */
  get newestBase(): FollowedBase | undefined {
    return this.#history?.bases.at(-1)
  }

  /** Where bases are fetched to. */
  get comingPath(): string {
    return join(this.path, COMING)
  }

  /** Opens the newest history again, after a failure of the disk. @throws RegistryError `REG_STORE_FAILED` */
  async reopen(): Promise<void> {
    await this.#closeArchive()
    this.#damage = undefined
    this.#notedOffset = undefined
    this.#notedAtMs = Number.NEGATIVE_INFINITY
    const histories = await readHistories(this.path)
    for (const {path} of histories) for (const left of await halfRemovedBases(path)) await rm(left, {recursive: true})
    this.#history = histories.findLast(({bases}) => bases.length > 0)
    const base = this.newestBase
    if (this.#history === undefined || base === undefined) return
    try {
      this.#archive = await this.#openArchive(this.#history.path, base)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'REG_BACKUP_DAMAGED') throw error
      this.#damage = error
    }
  }

  /** Makes it the directory of a cell. @throws RegistryError `REG_CONFLICT` when it is that of another one */
  async claim(cell: string): Promise<void> {
    const own = this.#claim?.cell ?? cell
    if (own !== cell) throw ofAnother(this.path, own, cell)
    if (this.#claim?.archiver !== undefined) return
    const archiver = newGuid()
    await writing(this.path, () => writeFollowFile(this.path, cell, archiver))
    this.#claim = {cell, archiver}
  }

  /** Adds entries to the log: they are on the disk when it resolves. Throws as `LogArchiveWriter.append`. */
  async append(entries: Parameters<LogArchiveWriter['append']>[0]): Promise<void> {
    if (this.#archive === undefined) throw new RegistryError('REG_STORE_FAILED', `the log in ${this.path} is not open`)
    await this.#archive.append(entries)
    await this.#noteHead(this.#archive)
  }

  /** Gives the hash of an archived entry; undefined when it is not kept. @throws RegistryError `REG_BACKUP_DAMAGED` */
  async hashAt(offset: number): Promise<string | undefined> {
    const history = this.#history
    if (history === undefined) return undefined
    return history.bases.find(({index}) => index === offset + 1)?.hash ?? (await hashInArchive(history.path, offset))
  }

  /** Begins a history with a base; gives its place. What is older is left as it is. */
  async begin(why: HistoryReason, base: ComingBase, at: string): Promise<string> {
    await this.#closeArchive()
    const number = ((await readHistories(this.path)).findLast(({bases}) => bases.length > 0)?.number ?? 0) + 1
    // One that never got a base: a killed process began it.
    await rm(join(this.path, `history-${number}`), {recursive: true, force: true})
    const history = await writing(this.path, () => beginHistory(this.path, number, why, at))
    const path = await this.#place(history, base)
    await this.reopen()
    return path
  }

  /** Gives a base its place in the history; gives that. Its log has to have reached it. */
  async add(base: ComingBase): Promise<string> {
    const history = this.#history
    if (history === undefined) throw new TypeError('a base was added before a history was begun')
    const path = await this.#place(history.path, base)
    this.#history = (await readHistories(this.path)).find((one) => one.path === history.path)
    return path
  }

  /**
   * Removes the bases of the history but the newest `keep`, the log before them, and, when there are so many, older histories that this one
   * goes on after a gap. A history that differs is left to people. Gives what was removed.
   */
  async prune(keep: number): Promise<readonly string[]> {
    const history = this.#history
    const kept = history?.bases.slice(-keep) ?? []
    const [oldest] = kept
    if (history === undefined || oldest === undefined) return []
    const removed = history.bases.slice(0, -keep).map(({path}) => path)
    for (const path of removed) await removeBase(path)
    await this.#archive?.removeBefore(oldest.index)
    this.#history = {...history, bases: kept}
    if (kept.length < keep) return removed
    return [...removed, ...(await this.#pruneHistories(history.number))]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeArchive()
    this.#lock[Symbol.dispose]()
  }

  async #pruneHistories(current: number): Promise<readonly string[]> {
    const removed: string[] = []
    let {why} = this.#history ?? {why: 'first'}
    for (const history of (await readHistories(this.path)).filter(({number}) => number < current).toReversed()) {
      if (why !== 'trimmed') break
      for (const base of history.bases) await removeBase(base.path)
      await rm(history.path, {recursive: true})
      removed.push(history.path)
      why = history.why
    }
    return removed
  }

  async #place(history: string, {path, manifest}: ComingBase): Promise<string> {
    const place = await newBasePath(history, manifest.log.index ?? 0)
    await rename(path, place)
    await syncDir(history)
    await syncDir(dirname(path))
    return place
  }

  async #openArchive(history: string, {index, hash, manifest}: FollowedBase): Promise<LogArchiveWriter> {
    const start = {nextOffset: index, lastHash: hash, epoch: manifest.log.epoch ?? 1}
    const head = await readLogHead(history)
    const archive = await LogArchiveWriter.open(history, {cell: this.#claim?.cell ?? manifest.cell.iden, start})
    const lost = lostEnd(history, head, archive.place)
    if (lost === undefined) return archive
    await archive[Symbol.asyncDispose]()
    throw lost
  }

  async #closeArchive(): Promise<void> {
    const archive = this.#archive
    this.#archive = undefined
    if (archive === undefined) return
    // On a disk that is full the one before stays: it says less, and nothing that is not so.
    await this.#noteHead(archive, true).catch(() => undefined)
    await archive[Symbol.asyncDispose]()
  }

  /** Writes how far the log is kept when that is due: with each append, also with one of nothing. */
  async #noteHead({place: {nextOffset}, segment}: LogArchiveWriter, isLast = false): Promise<void> {
    const atMs = performance.now()
    const history = this.#history?.path
    if (history === undefined || segment === undefined || this.#notedOffset === nextOffset) return
    if (!isLast && atMs - this.#notedAtMs < HEAD_EVERY_MS) return
    await onDisk(history, () => writeLogHead(history, {nextOffset, segment}))
    this.#notedOffset = nextOffset
    this.#notedAtMs = atMs
  }
}

/** What has no manifest any more is no base: it goes first. */
async function removeBase(path: string): Promise<void> {
  await removeFile(join(path, MANIFEST_FILE))
  await rm(path, {recursive: true})
}

/** Gives what it is of, undefined for a new one; throws for a directory of something else, in which nothing is made then. */
async function assertOwn(path: string): Promise<Claim | undefined> {
  const claim = await readClaim(path)
  if (claim !== undefined) return claim
  await assertOutsideOthers(path)
  // What a process leaves that is killed while it claims it.
  const isBegun = (name: string) => name === LOCK_FILE || name.startsWith(`.${FOLLOW_FILE}.`)
  const others = (await namesIn(path)).filter((name) => !isBegun(name))
  if (others.length > 0) throw holdsOther(path, others)
  return undefined
}

async function takeDir(path: string): Promise<Disposable> {
  try {
    await makePrivateDir(path)
    await stat(path)
    const lock = tryFileLock(join(path, LOCK_FILE))
    if (lock !== undefined) return lock
  } catch (error) {
    throw unusable(path, error)
  }
  throw new RegistryError('REG_DIR_LOCKED', `another process follows into ${path}`, {
    info: {path},
    hints: ['stop that one, or give another directory', `registry backup show ${shellWord(path)}`],
  })
}

function ofAnother(path: string, cell: string, other: string): RegistryError {
  const text = `${path} keeps what is of the cell ${cell}, and this is the cell ${other}`
  return new RegistryError('REG_CONFLICT', text, {
    info: {path, cell, other},
    hints: ['registry backup follow ANOTHER-DIR', `registry backup show ${shellWord(path)}`],
  })
}

function holdsOther(path: string, names: readonly string[]): RegistryError {
  const text = `${path} holds something else: ${names.slice(0, 3).join(', ')}`
  return new RegistryError('REG_CONFLICT', text, {info: {path}, hints: ['give a new directory']})
}

function unusable(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot use ${path}: ${reason}`, {info: {path, reason}, cause})
}
