/** Live backups of a running service, ours or a real Synapse one: made there, and fetched to this machine. */
import {basename, dirname, join, resolve} from 'node:path'
import {assertArchiveName, saveArchive} from '../backup/archive-file.ts'
import type {ArchiveLimits} from '../backup/archive-plan.ts'
import {unpackArchive} from '../backup/archive-read.ts'
import {directorySource, writeArchive} from '../backup/archive-write.ts'
import {assertOutsideOthers} from '../backup/backup-place.ts'
import type {WorkOptions} from '../backup/copy-files.ts'
import {freeName} from '../backup/free-name.ts'
import {assertRoom, freeBytesAt} from '../backup/free-space.ts'
import {type Manifest, totalsOf} from '../backup/manifest.ts'
import {manifestDigest} from '../backup/manifest-write.ts'
import {assertFree, removeLeftStagings, type Staging, stageBackup} from '../backup/stage.ts'
import {Veil} from '../backup/veil.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {makePrivateDir} from '../base/files.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'
import {BackupStream, sendsBackups} from './backup-stream.ts'
import {BackupWatch} from './backup-watch.ts'
import {fetchForeign} from './foreign-backup.ts'

export interface LiveBackupOptions extends WorkOptions {
  /** Name of the backup; the time without. */
  readonly name?: string | undefined
  /** Longest wait until it is made, and for each piece of it. */
  readonly timeoutMs: number
  readonly clock: Pick<Clock, 'wallMs'>
}

/** A backup that a service keeps. */
export interface KeptBackup {
  readonly name: string
  /** Bytes that it takes there; null when the service does not say. */
  readonly bytes: number | null
  readonly durationMs: number | null
}

/** A backup that is on this machine now. */
export interface FetchedBackup {
  readonly path: string
  readonly manifest: Manifest
}

/** Files that a service may have; a real one has some hundred. */
const FILES_MAX = 1_000_000

/**
 * Has a service make a backup, which stays there.
 *
 * @throws RegistryError `REG_BACKUP_RUNNING`, `REG_BAD_REQUEST` for the name, `REG_DISK_LOW`, `REG_DENIED`; as a call
 */
export async function makeBackup(
  cell: Callable,
  {name, timeoutMs, progress, signal}: LiveBackupOptions,
): Promise<KeptBackup> {
  await using _watch = await BackupWatch.begin(cell, {progress, signal})
  const made = await cell.call('runBackup', {args: [name ?? null], signal, timeoutMs})
  if (typeof made !== 'string') throw oddAnswer('runBackup', 'it is not a name')
  const {lastsize, lastduration} = fieldsOf(await cell.call('getBackupInfo', {signal}), 'getBackupInfo')
  const numberOf = (value: unknown) => (typeof value === 'number' ? value : null)
  return {name: made, bytes: numberOf(lastsize), durationMs: numberOf(lastduration)}
}

/**
 * Fetches a new backup into a directory `dir/NAME`, unpacked and verified; the service keeps nothing of it. `how` is what the manifest says.
 *
 * @throws RegistryError `REG_CONFLICT` when it is there already, or its place is in what is not for backups; `REG_BACKUP_INVALID`, `REG_BACKUP_DAMAGED` when what came is not right; `REG_DISK_LOW`;
 * as `makeBackup`. Nothing is left then, and what killed commands left there before is removed.
 */
export async function fetchBackup(
  cell: Callable,
  dir: string,
  {how = 'live', ...options}: LiveBackupOptions & {readonly how?: 'live' | 'base'},
): Promise<FetchedBackup> {
  const root = resolve(dir)
  if (how === 'live') await assertOutsideOthers(join(root, options.name ?? '0'), `what comes into ${root}`)
  await removeLeftStagings(root)
  if (!sendsBackups(cell)) {
    const name = options.name ?? (await freeName(root, options.clock.wallMs()))
    await using staging = await stageBackup(join(root, name))
    const manifest = await fetchForeign(cell, {...options, name, to: staging.dir, limits: await limitsAt(root)})
    return {path: await staging.commit({...manifest, how}), manifest}
  }
  await using stream = await openStream(cell, options)
  const {manifest} = stream
  await assertRoom({path: root, bytes: totalsOf(manifest.files).allocated, minFreePercent: 0})
  // The name of a second may be taken here, and free there.
  const name = options.name ?? (await freeName(root, options.clock.wallMs()))
  await using staging = await stageBackup(join(root, name))
  await unpackStream(stream, staging, options)
  const own = {...manifest, name: basename(name), how}
  return {path: await staging.commit(own), manifest: own}
}

/**
 * Fetches a new backup into one file, encrypted when recipients are given. Throws as `fetchBackup`.
 */
export async function fetchArchive(
  cell: Callable,
  file: string,
  {recipients, ...options}: LiveBackupOptions & {readonly recipients: readonly string[]},
): Promise<FetchedBackup & {readonly bytes: number}> {
  const path = resolve(file)
  assertArchiveName(path, recipients.length > 0)
  await assertFree(path)
  await assertOutsideOthers(path)
  await removeLeftStagings(dirname(path))
  const save = (chunks: AsyncIterable<Uint8Array>) => saveArchive(chunks, path, {recipients, signal: options.signal})
  if (!sendsBackups(cell)) {
    const veil = recipients.length === 0 ? undefined : new Veil()
    return await repack(cell, {path, save, veil}, options)
  }
  await using stream = await openStream(cell, options)
  const {manifest} = stream
  options.progress.phase('fetching', undefined)
  const {bytes} = await save(watched(stream, options))
  return {path, manifest, bytes}
}

interface RepackTarget {
  readonly path: string
  readonly save: (chunks: AsyncIterable<Uint8Array>) => Promise<{readonly bytes: number}>
  readonly veil: Veil | undefined
}

/**
 * What a real service sends has no manifest, which has to be the first thing in an archive: it is unpacked beside the file, and packed again. Behind the
 * veil nothing of it is in clear there.
 */
async function repack(
  cell: Callable,
  {path, save, veil}: RepackTarget,
  options: LiveBackupOptions,
): Promise<FetchedBackup & {readonly bytes: number}> {
  const name = options.name ?? (await freeName(dirname(path), options.clock.wallMs()))
  await makePrivateDir(dirname(path))
  await using staging = await stageBackup(`${path}.unpacked`)
  const limits = await limitsAt(dirname(path))
  const manifest = await fetchForeign(cell, {...options, name, to: staging.dir, limits, veil})
  const source = directorySource(staging.dir, manifest, veil)
  const {bytes} = await save(writeArchive(source, {...options, compression: 'zstd', isAlone: true}))
  return {path, manifest, bytes}
}

async function openStream(
  cell: Callable,
  {name, timeoutMs, progress, signal}: LiveBackupOptions,
): Promise<BackupStream> {
  progress.phase('the registry makes a backup', undefined)
  return await BackupStream.open(cell, name, {timeoutMs, signal})
}

/** Its end is looked at before the last piece is taken for the last. */
async function* watched(stream: BackupStream, {progress}: WorkOptions): AsyncGenerator<Uint8Array, void> {
  for await (const piece of stream.chunks()) {
    progress.add(piece.length)
    yield piece
  }
  await stream.finish()
}

async function unpackStream(stream: BackupStream, {dir}: Staging, work: WorkOptions): Promise<void> {
  const {files, directories} = stream.manifest
  const limits = {bytes: totalsOf(files).bytes, files: files.length + directories.length}
  const unpacked = await unpackArchive(stream.chunks(), dir, {...work, limits, known: stream.manifest})
  await stream.finish()
  const isSame =
    unpacked.manifest !== undefined && manifestDigest(unpacked.manifest) === manifestDigest(stream.manifest)
  if (!isSame)
    throw new RegistryError('REG_BAD_ANSWER', 'the archive is of another backup than the one that was announced')
}

/** What comes must not fill the volume. */
async function limitsAt(dir: string): Promise<ArchiveLimits> {
  await makePrivateDir(dir)
  return {bytes: await freeBytesAt(dir), files: FILES_MAX, roomAt: dir}
}
