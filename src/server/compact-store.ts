/** `onboot:optimize`: the database is written anew, without what is empty in it, before it is opened. */
import {rm, stat, statfs} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import type {Clock} from '../base/clock.ts'
import {RegistryError, systemCode} from '../base/errors.ts'
import {makePrivateDir, moveFile, syncDir} from '../base/files.ts'
import type {Log} from '../base/log.ts'
import {verifyStoreFile} from '../store/adopt.ts'
import {SqliteStore} from '../store/sqlite.ts'
import {copyFile, removeLeftCopies} from '../store/sqlite-task.ts'
import type {StoreSize} from '../store/store.ts'
import {type Moment, writeCompacted} from './compact-record.ts'

export interface CompactPorts {
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Percent of the volume that have to stay free. */
  readonly minFreePercent: number
  readonly clock: Pick<Clock, 'wallMs'>
  readonly signal?: AbortSignal | undefined
}

/** What is won is worth the time from here on: 1 MiB, and a tenth of the file. */
const WORTH_BYTES = 1 << 20
const WORTH_PART = 0.1
const BLOCK_BYTES = 512

/**
 * Writes the database file at `path` anew, beside it, and puts it in its place when it was verified; says in the log what was won, or why nothing was
 * done. What fails is no reason not to start: the old file is as it was, after a kill too.
 *
 * @throws the reason of the signal
 */
export async function compactStore(path: string, {log, minFreePercent, clock, signal}: CompactPorts): Promise<void> {
  const compact = join(dirname(path), 'tmp', basename(path))
  try {
    // It would take the room that is asked for below.
    await removeLeftCopies(dirname(compact))
    const began = await sizeOf(path, clock)
    if (began === undefined) return log.info('store.not-compacted', {place: path, reason: 'there is none yet'})
    const reason = await reasonAgainst(path, began, minFreePercent)
    if (reason !== undefined) return log.info('store.not-compacted', {place: path, ...reason})
    await makePrivateDir(dirname(compact))
    await removeFiles(compact)
    const head = await copyFile(path, compact, signal)
    await verifyStoreFile(compact, head)
    await assertNoLog(path)
    await moveFile(compact, path)
    const fini = await momentOf(path, clock)
    const [, bytes] = fini.size
    await writeCompacted(dirname(path), {init: began.init, fini}).catch((error: unknown) => {
      log.warning('store.compaction-not-noted', {place: path, error})
    })
    log.info('store.compacted', {place: path, bytesBefore: began.bytes, bytes})
  } catch (error) {
    signal?.throwIfAborted()
    log.warning('store.not-compacted', {place: path, error})
  } finally {
    await removeFiles(compact)
  }
}

async function momentOf(path: string, {wallMs}: Pick<Clock, 'wallMs'>): Promise<Moment> {
  const {size, blocks} = await stat(path)
  return {time: wallMs(), size: [blocks * BLOCK_BYTES, size]}
}

async function sizeOf(path: string, clock: Pick<Clock, 'wallMs'>): Promise<(StoreSize & {init: Moment}) | undefined> {
  try {
    const init = await momentOf(path, clock)
    await using store = new SqliteStore(path, {frees: false})
    await store.open()
    return {init, ...(await store.size())}
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function reasonAgainst(
  path: string,
  {bytes, freeBytes}: StoreSize,
  minFreePercent: number,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (freeBytes < Math.max(WORTH_BYTES, bytes * WORTH_PART))
    return {reason: 'little would be won', bytes, emptyBytes: freeBytes}
  const {bavail, blocks, bsize} = await statfs(dirname(path))
  const neededBytes = bytes - freeBytes + Math.ceil((blocks * bsize * minFreePercent) / 100)
  const roomBytes = bavail * bsize
  return roomBytes < neededBytes ? {reason: 'there is too little room beside it', neededBytes, roomBytes} : undefined
}

/** A write-ahead log that is left would be taken for that of the new file, and without it the old one is not whole. */
async function assertNoLog(path: string): Promise<void> {
  const facts = await stat(`${path}-wal`).catch(() => undefined)
  if (facts !== undefined && facts.size > 0)
    throw new RegistryError('REG_STORE_FAILED', `${path}-wal could not be emptied`, {info: {place: path}})
  for (const ending of ['-wal', '-shm']) await rm(path + ending, {force: true})
  // SQLite removes it too, and leaves it to chance when that is on the disk: after a power cut it would come back beside the new file.
  await syncDir(dirname(path))
}

async function removeFiles(path: string): Promise<void> {
  for (const ending of ['', '-wal', '-shm', '-journal']) await rm(path + ending, {force: true})
}
