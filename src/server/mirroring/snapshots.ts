import {createHash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {open, rm, stat, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {makePrivateDir, namesIn} from '../../base/files.ts'
import {newGuid} from '../../base/ids.ts'
import type {Log} from '../../base/log.ts'
import {removeLeftCopies} from '../../store/sqlite-task.ts'
import type {Store, StoreHead} from '../../store/store.ts'

/** What of a store is in a copy. */
type SnapshotHead = Pick<StoreHead, 'nextOffset' | 'epoch' | 'lastHash' | 'firstOffset'>

/** A copy of one moment, ready to be fetched. */
export interface SnapshotStart {
  /** With it an interrupted copy goes on. */
  readonly id: string
  readonly sizeBytes: number
  /** Of the whole file, 64 hex digits. */
  readonly sha256: string
  readonly head: SnapshotHead
}

/** A part of it, and where it belongs. */
export interface SnapshotPiece {
  readonly at: number
  readonly bytes: Uint8Array
}

export interface SnapshotPorts {
  readonly store: Pick<Store, 'size'> & {snapshot(path: string, signal?: AbortSignal): Promise<StoreHead>}
  /** Directory for them, on the volume of the data directory. */
  readonly dir: string
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Percent of the volume that has to stay free. */
  readonly minFreePercent: () => number
  /** Tests give a volume of their own. */
  readonly statfs?: (
    path: string,
  ) => Promise<{readonly blocks: number; readonly bavail: number; readonly bsize: number}>
}

/** Copies that are kept at a time: each takes the space of the store once more. */
const MOST_KEPT = 2
/** One that nobody reads goes after this time, ms. */
const IDLE_MS = 600_000
const PIECE_BYTES = 256 * 1024
const PREFIX = 'snapshot-'

interface Kept {
  readonly start: SnapshotStart
  readonly path: string
  readers: number
  idle: NodeJS.Timeout | undefined
}

/**
 * Copies of the store for new members. The store makes one without holding up anybody; it stays as a file until who fetched it says that it is
 * there, or nobody reads it for ten minutes.
 */
export class Snapshots {
  readonly #ports: SnapshotPorts
  /** The one that was read longest ago first. */
  readonly #kept = new Map<string, Kept>()
  #making = 0
  #isClosed = false

  private constructor(ports: SnapshotPorts) {
    this.#ports = ports
  }

  /** Removes what a killed server left over. Throws what the system says. */
  static async open(ports: SnapshotPorts): Promise<Snapshots> {
    const left = (await namesIn(ports.dir)).filter((name) => name.startsWith(PREFIX))
    for (const name of left) await rm(join(ports.dir, name), {force: true})
    await removeLeftCopies(ports.dir)
    return new Snapshots(ports)
  }

  /**
   * Gives a copy from `offset` on: first what it is, then its pieces in order. When there is none of that id any more, a new one from its beginning.
   *
   * @throws RegistryError `REG_BUSY` while others are being fetched; `REG_DISK_LOW` when there is no room for one; `REG_CONFLICT` for a store in
   * memory; `REG_STORE_FAILED`
   */
  async *read(
    wish: {readonly id: string | undefined; readonly offset: number},
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotStart | SnapshotPiece, void> {
    const known = wish.id === undefined ? undefined : this.#kept.get(wish.id)
    if (known !== undefined) this.#take(known)
    const kept = known ?? (await this.#make(signal))
    try {
      yield kept.start
      yield* piecesOf(kept.path, known === undefined ? 0 : wish.offset, kept.start.sizeBytes)
    } finally {
      this.#release(kept)
    }
  }

  /** Removes one that was fetched. One that is not there is fine. */
  async drop(id: string): Promise<void> {
    const kept = this.#kept.get(id)
    if (kept !== undefined) await this.#remove(kept)
  }

  /** Removes all. What is being read ends with an error. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#kept.values()].map((kept) => this.#remove(kept)))
  }

  async #make(signal: AbortSignal): Promise<Kept> {
    if (this.#isClosed) throw new RegistryError('REG_CANCELLED', 'the server stops')
    const unread = this.#roomFor()
    this.#making += 1
    const id = newGuid()
    const path = join(this.#ports.dir, `${PREFIX}${id}.db`)
    try {
      if (unread !== undefined) await this.#remove(unread)
      await makePrivateDir(this.#ports.dir)
      await this.#checkSpace()
      const {nextOffset, epoch, lastHash, firstOffset} = await this.#ports.store.snapshot(path, signal)
      const start = {
        id,
        sizeBytes: (await stat(path)).size,
        sha256: await hashFile(path),
        head: {nextOffset, epoch, lastHash, firstOffset},
      }
      const kept: Kept = {start, path, readers: 1, idle: undefined}
      this.#kept.set(id, kept)
      this.#ports.log.info('snapshot.made', {bytes: start.sizeBytes, nextOffset})
      return kept
    } catch (error) {
      await rm(path, {force: true})
      throw error
    } finally {
      this.#making -= 1
    }
  }

  /** Gives the one that has to go for another one: one that nobody reads now; undefined while there is room. Nobody else gets that room. */
  #roomFor(): Kept | undefined {
    if (this.#kept.size + this.#making < MOST_KEPT) return undefined
    const unread = [...this.#kept.values()].find(({readers}) => readers === 0)
    if (unread === undefined) {
      const text = `${MOST_KEPT} copies of this registry are being made already`
      throw new RegistryError('REG_BUSY', text, {hints: ['start the new member again when one of them is done']})
    }
    this.#kept.delete(unread.start.id)
    return unread
  }

  /** A copy that fills the volume would stop the leader. */
  async #checkSpace(): Promise<void> {
    const {store, dir, minFreePercent} = this.#ports
    const {bytes, freeBytes} = await store.size()
    const {blocks, bavail, bsize} = await (this.#ports.statfs ?? statfs)(dir)
    const left = bavail * bsize - (bytes - freeBytes)
    if (left >= (blocks * bsize * minFreePercent()) / 100) return
    const text = `a copy takes ${bytes - freeBytes} bytes, and the volume of the leader has no room for it`
    const hints = ['free space on the file system of the leader', 'registry config explain limit:disk:free']
    throw new RegistryError('REG_DISK_LOW', text, {info: {bytes: bytes - freeBytes, free: bavail * bsize}, hints})
  }

  #take(kept: Kept): void {
    clearTimeout(kept.idle)
    kept.readers += 1
    this.#kept.delete(kept.start.id)
    this.#kept.set(kept.start.id, kept)
  }

  #release(kept: Kept): void {
    kept.readers -= 1
    if (kept.readers > 0 || this.#kept.get(kept.start.id) !== kept) return
    kept.idle = setTimeout(() => void this.#remove(kept), IDLE_MS).unref()
  }

  async #remove(kept: Kept): Promise<void> {
    clearTimeout(kept.idle)
    this.#kept.delete(kept.start.id)
    try {
      await rm(kept.path, {force: true})
    } catch (error) {
      this.#ports.log.warning('snapshot.not-removed', {path: kept.path, error})
    }
  }
}

async function* piecesOf(path: string, offset: number, sizeBytes: number): AsyncGenerator<SnapshotPiece, void> {
  const file = await open(path, 'r')
  try {
    for (let at = offset; at < sizeBytes; ) {
      const bytes = Buffer.allocUnsafe(Math.min(PIECE_BYTES, sizeBytes - at))
      const {bytesRead} = await file.read(bytes, 0, bytes.length, at)
      if (bytesRead === 0) throw new RegistryError('REG_STORE_FAILED', 'a copy of the store became shorter')
      yield {at, bytes: bytes.subarray(0, bytesRead)}
      at += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** Gives the SHA-256 of a file, 64 hex digits. Throws what the system says. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, {highWaterMark: PIECE_BYTES})) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
