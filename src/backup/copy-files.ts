/**
 * Reading, hashing and writing in one pass: while a piece is hashed on this thread, the next one is read and the last one written by threads
 * of the system. Two files are under way at a time, so that the one waits for its disk while the other works. The event loop is never held up for
 * longer than one piece takes to hash.
 */
import {createHash, type Hash} from 'node:crypto'
import {constants} from 'node:fs'
import {type FileHandle, open} from 'node:fs/promises'
import {join} from 'node:path'
import {makePrivateDir, PRIVATE_FILE_MODE, syncDir, writeAll} from '../base/files.ts'
import {EarlySync} from './early-sync.ts'
import {changedSource, reading, writing} from './file-faults.ts'
import type {ManifestFile} from './manifest.ts'
import type {Progress} from './progress.ts'
import {foldersOf, type TreeFile} from './tree.ts'

const PIECE_BYTES = 1024 * 1024
/** What is zero from one such block to the next becomes a hole. */
const HOLE_BYTES = 16 * 1024
const ZEROS = new Uint8Array(PIECE_BYTES)
const FILES_AT_ONCE = 2
const BLOCK_BYTES = 512
/** A link, or a pipe that nobody writes to, is not what was there when the tree was read. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What goes with long work on files. */
export interface WorkOptions {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Beyond `usedBytes` nothing is read. */
export interface UsedPart extends WorkOptions {
  readonly usedBytes?: number | undefined
}

export interface CopyOptions extends WorkOptions {
  readonly from: string
  readonly to: string
  readonly files: readonly TreeFile[]
  readonly directories: readonly string[]
  /** Files of which only so many bytes from the beginning are read: there the copy ends. */
  readonly usedBytes?: ReadonlyMap<string, number>
}

/**
 * Copies files and directories into `to`, which is made; holes stay holes. Gives what was copied, in the order of `files`. When the promise
 * resolves, all of it survives a crash. When it fails, what was written so far is left to the caller.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` naming a file that cannot be read, or that changed meanwhile; `REG_DISK_LOW`, `REG_DIR_UNUSABLE` when
 * `to` cannot be written
 */
export async function copyTree(options: CopyOptions): Promise<readonly ManifestFile[]> {
  const {from, to, files, directories, usedBytes, ...work} = options
  const folders = [to, ...foldersOf(files, directories).map((path) => join(to, path))]
  for (const folder of folders) await writing(folder, () => makePrivateDir(folder))
  const copied = await eachFile(files, work.signal, async ({path}, buffers) => {
    const facts = await copyWith(buffers, join(from, path), join(to, path), {...work, usedBytes: usedBytes?.get(path)})
    return {path, ...facts}
  })
  for (const folder of folders) await writing(folder, () => syncDir(folder))
  return copied
}

/**
 * Copies one file that is not there yet; its directory has to be synced by the caller. Beyond `usedBytes` nothing is read: there the copy ends.
 *
 * @throws RegistryError as `copyTree`
 */
export async function copyFileHashed(from: string, to: string, options: UsedPart): Promise<Omit<ManifestFile, 'path'>> {
  return await copyWith(newBuffers(), from, to, options)
}

/**
 * Hashes a file as it is, or that many bytes of it.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when it cannot be read
 */
export async function hashFile(path: string, work: UsedPart): Promise<{size: number; sha256: string}> {
  return await hashWith(newBuffers(), path, work)
}

/** Does something with each file, two at a time, and gives the results in their order. The first failure ends it, when all have stopped. */
export async function eachFile<T, F>(
  files: readonly F[],
  signal: AbortSignal,
  use: (file: F, buffers: Buffers) => Promise<T>,
): Promise<T[]> {
  const results: T[] = new Array(files.length)
  const queue = files.entries()
  let hasFailed = false
  const worker = async () => {
    const buffers = newBuffers()
    try {
      for (const [at, file] of queue) {
        signal.throwIfAborted()
        if (hasFailed) return
        results[at] = await use(file, buffers)
      }
    } catch (error) {
      hasFailed = true
      throw error
    }
  }
  const workers = await Promise.allSettled(Array.from({length: FILES_AT_ONCE}, worker))
  for (const one of workers) if (one.status === 'rejected') throw one.reason
  return results
}

/** One is read into while the other is hashed and written. */
export type Buffers = readonly [Uint8Array, Uint8Array]

function newBuffers(): Buffers {
  return [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)]
}

/** As `hashFile`, with buffers that are there. */
export async function hashWith(
  buffers: Buffers,
  path: string,
  {usedBytes, ...work}: UsedPart,
): Promise<{size: number; sha256: string}> {
  return await reading(path, async () => {
    await using file = await open(path, READ_FLAGS)
    const hash = createHash('sha256')
    const size = await pump(file, usedBytes ?? Number.POSITIVE_INFINITY, buffers, {...work, hash})
    return {size, sha256: hash.digest('hex')}
  })
}

async function copyWith(
  buffers: Buffers,
  from: string,
  to: string,
  {usedBytes, ...work}: UsedPart,
): Promise<Omit<ManifestFile, 'path'>> {
  return await reading(from, async () => {
    await using source = await open(from, READ_FLAGS)
    const before = await source.stat({bigint: true})
    if (!before.isFile()) throw changedSource(from, 'it is no regular file any more')
    const size = Number(before.size)
    const hash = createHash('sha256')
    await using sink = await writing(to, () => open(to, 'wx', PRIVATE_FILE_MODE))
    const used = Math.min(usedBytes ?? size, size)
    const sync = new EarlySync(sink)
    const write = (piece: Uint8Array, at: number) =>
      writing(to, async () => {
        await writeFilled(sink, piece, at)
        await sync.wrote(piece.length)
      })
    const copied = await pump(source, used, buffers, {...work, hash, write})
    const after = await source.stat({bigint: true})
    if (copied !== used || after.size !== before.size || after.mtimeNs !== before.mtimeNs)
      throw changedSource(from, 'something wrote to it')
    const blocks = await writing(to, async () => {
      await sink.truncate(used)
      await sync.end()
      return (await sink.stat()).blocks
    })
    return {size: used, allocated: blocks * BLOCK_BYTES, sha256: hash.digest('hex')}
  })
}

interface PumpOptions extends WorkOptions {
  readonly hash: Hash
  readonly write?: (piece: Uint8Array, at: number) => Promise<void>
}

/** Reads up to `bytes` of a file, or to its end. Gives how many there were. */
async function pump(
  source: FileHandle,
  bytes: number,
  [first, second]: Buffers,
  {hash, write, progress, signal}: PumpOptions,
): Promise<number> {
  const read = (into: Uint8Array, at: number) => source.read(into, 0, Math.min(PIECE_BYTES, bytes - at), at)
  let at = 0
  let [current, other] = [first, second]
  let {bytesRead} = bytes === 0 ? {bytesRead: 0} : await read(current, at)
  while (bytesRead > 0) {
    signal.throwIfAborted()
    const piece = current.subarray(0, bytesRead)
    const next = at + bytesRead
    const under = [next < bytes ? read(other, next) : {bytesRead: 0}, write?.(piece, at)] as const
    hash.update(piece)
    const [got] = await Promise.all(under)
    progress.add(bytesRead)
    at = next
    ;[current, other] = [other, current]
    bytesRead = got.bytesRead
  }
  return at
}

/** Writes what of a piece is not zero to the place `at` of a new file: holes are left out. */
export async function writeFilled(sink: FileHandle, piece: Uint8Array, at: number): Promise<void> {
  for (let start = 0; start < piece.length; ) {
    const from = skipBlocks(piece, start, true)
    const to = skipBlocks(piece, from, false)
    await writeAll(sink, piece.subarray(from, to), at + from)
    start = to
  }
}

/** Gives where the blocks from `start` on end that are zeros, or that are none. */
function skipBlocks(piece: Uint8Array, start: number, isZero: boolean): number {
  let at = start
  while (at < piece.length && isZeroBlock(piece, at) === isZero) at += HOLE_BYTES
  return Math.min(at, piece.length)
}

function isZeroBlock(piece: Uint8Array, at: number): boolean {
  const end = Math.min(at + HOLE_BYTES, piece.length)
  return Buffer.compare(piece.subarray(at, end), ZEROS.subarray(0, end - at)) === 0
}
