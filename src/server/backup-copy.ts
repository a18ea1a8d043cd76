/** Copies what belongs to a running registry, as of one moment of its change log. No change waits for it. */
import {readdir, rm, stat} from 'node:fs/promises'
import {basename, join} from 'node:path'
import {copyTree, hashFile, type WorkOptions} from '../backup/copy-files.ts'
import type {Manifest, ManifestCell, ManifestFile} from '../backup/manifest.ts'
import {isNeverPart, readTree, type Tree} from '../backup/tree.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {pathWithin} from '../base/files.ts'
import type {Log} from '../base/log.ts'
import {packageVersion} from '../base/package-root.ts'
import {storeCensus} from '../store/census.ts'
import type {Store} from '../store/store.ts'

export interface RunningCell {
  /** Data directory, absolute. */
  readonly dir: string
  /** Where its backups go, absolute. */
  readonly backupDir: string
  readonly store: Pick<Store, 'snapshot' | 'read'>
  readonly about: () => ManifestCell
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'warning'>
}

/** The store in a backup. */
const STORE_FILE = 'registry.db'
/** Files beside the store that a registry writes, always by giving a complete one its name. */
const OWN = /^(certs\/.*|cell\.guid|cell\.yaml|cell\.mods\.yaml|sslcert\.pem|sslkey\.pem|fence\.json)$/
/** A file that is written to while it is copied makes one more try. */
const TRIES = 10
const BLOCK_BYTES = 512

/**
 * Copies into `to`, an empty directory; gives the manifest. What a moment is: entries that were acknowledged before the call are all in it, and
 * none is without those before it.
 *
 * @throws RegistryError `REG_STORE_FAILED`, `REG_CONFLICT` for a store in memory, `REG_DISK_LOW`, `REG_BACKUP_SOURCE`; the reason of the signal
 */
export async function copyRunning(
  cell: RunningCell,
  {to, name, ...work}: WorkOptions & {readonly to: string; readonly name: string},
): Promise<Manifest> {
  const beganMs = cell.clock.wallMs()
  const path = join(to, STORE_FILE)
  const {epoch, nextOffset, lastHash} = await cell.store.snapshot(path, work.signal)
  const madeAt = new Date(await momentOf(cell, nextOffset, beganMs)).toISOString()
  const [facts, census] = await Promise.all([hashFile(path, work), storeCensus(path, work.signal)])
  const stored = {path: STORE_FILE, ...facts, allocated: (await stat(path)).blocks * BLOCK_BYTES}
  const {files, directories, left} = await copyPlain(cell, to, work)
  return {
    name: basename(name),
    madeAt,
    madeBy: packageVersion(),
    how: 'live',
    cell: cell.about(),
    log: {epoch, index: nextOffset, hash: lastHash},
    skipped: left,
    directories,
    files: [...files, stored].sort((a, b) => (a.path < b.path ? -1 : 1)),
    census,
  }
}

/**
 * Gives when the moment was that a copy of the store is of: every change up to then is in it. Those that came while it was begun are later than its
 * beginning; a clock that was wrong when one of them came does not count.
 */
async function momentOf({store, clock}: RunningCell, nextOffset: number, beganMs: number): Promise<number> {
  const lastMs = nextOffset === 0 ? undefined : await timeOf(store, nextOffset - 1)
  return Math.max(beganMs, Math.min(lastMs ?? beganMs, clock.wallMs()))
}

/** Undefined for an entry that was trimmed away. */
async function timeOf(store: Pick<Store, 'read'>, offset: number): Promise<number | undefined> {
  try {
    return (await store.read(offset, 1))[0]?.timeMs
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_OFFSET_CULLED') return undefined
    throw error
  }
}

/** Gives what a backup of it would take on the disk, but for the store. */
export async function plainBytes(cell: RunningCell, signal: AbortSignal): Promise<number> {
  const {files} = await treeOf(cell, new Set(), signal)
  return files.reduce((sum, {allocated}) => sum + allocated, 0)
}

interface Plain {
  readonly files: readonly ManifestFile[]
  readonly directories: readonly string[]
  /** What was left out. */
  readonly left: readonly string[]
}

/**
 * Copies all but the store. A file of somebody else that is being written to, for instance a log, is left out after all: it is no part of the cell, and a
 * half of it would be of no use.
 */
async function copyPlain(cell: RunningCell, to: string, work: WorkOptions): Promise<Plain> {
  const left = new Set<string>()
  for (let tries = 1; ; tries++) {
    try {
      const tree = await treeOf(cell, left, work.signal)
      const {files, directories} = tree
      const copied = await copyTree({from: cell.dir, to, files, directories, ...work})
      return {files: copied, directories, left: [...left, ...linksIn(cell, tree)]}
    } catch (error) {
      const path = changedPath(error, cell.dir)
      if (path === undefined || tries === TRIES) throw error
      if (!OWN.test(path)) left.add(path)
      cell.log.warning('backup.file-changed', {path, isLeft: left.has(path), error})
      await clear(to)
    }
  }
}

/** A link is no part of a backup, and may be the way to what the cell needs: who reads the log, or the manifest, is told. */
function linksIn({log}: RunningCell, {left}: Tree): readonly string[] {
  const paths = left.flatMap(({path, reason}) => (reason === 'link' || reason === 'device' ? [path] : []))
  for (const path of paths) log.warning('backup.link-left', {path})
  return paths
}

/** Removes all but the store. */
async function clear(to: string): Promise<void> {
  for (const name of await readdir(to)) {
    if (name !== STORE_FILE) await rm(join(to, name), {recursive: true, force: true})
  }
}

async function treeOf({dir, backupDir}: RunningCell, left: ReadonlySet<string>, signal: AbortSignal): Promise<Tree> {
  const shelf = await pathWithin(dir, backupDir)
  const leave = (path: string, isDirectory: boolean) => {
    const isLeft = left.has(path) || path === STORE_FILE || path === shelf
    return isLeft || isNeverPart('registry', path, isDirectory) ? 'always' : undefined
  }
  return await readTree(dir, {leave, signal})
}

/** Gives the file that was not left alone, relative to the directory; undefined for all other errors. */
function changedPath(error: unknown, dir: string): string | undefined {
  if (!(error instanceof RegistryError) || error.code !== 'REG_BACKUP_SOURCE') return undefined
  const {path} = error.info
  return typeof path === 'string' && path.startsWith(`${dir}/`) ? path.slice(dir.length + 1) : undefined
}
