/** Putting a backup down as the directory of a cell: verified while it is copied, so that what lies there in the end is what was backed up. */
import {mkdir, rm, stat} from 'node:fs/promises'
import {RegistryError, systemCode} from '../base/errors.ts'
import {readArchiveFile} from './archive-file.ts'
import {type OpenOptions, unpackArchive} from './archive-read.ts'
import {copyTree, type WorkOptions} from './copy-files.ts'
import {writeFault} from './file-faults.ts'
import {type ForeignBackup, foreignTree, putForeignDown} from './foreign.ts'
import {assertRoom} from './free-space.ts'
import {MANIFEST_FILE, type Manifest, type ManifestFile, totalsOf} from './manifest.ts'
import type {Backup} from './open-backup.ts'
import {foldersOf, isSlabLock, isUnfinished, PROOFS_FILE, readTree} from './tree.ts'
import {assertWhole, type Finding} from './verify.ts'

export interface LayOutOptions extends WorkOptions, OpenOptions {
  /** That have to stay free on the volume; without it the room is not looked at before. */
  readonly room?: {readonly minFreePercent: number} | undefined
}

/** What lies there now. */
export interface LaidOut {
  readonly files: readonly ManifestFile[]
  /** Undefined for a backup that has none. */
  readonly manifest: Manifest | undefined
}

/**
 * Copies or unpacks a backup into the new directory `to`, without its manifest and proofs: the directory of a stopped cell. When the promise
 * resolves all of it survives a crash, and is as its manifest says. When it fails nothing is left at `to`.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED`, `REG_BACKUP_INVALID`, `REG_BACKUP_SOURCE` when it is not whole or cannot be read, `REG_BACKUP_SEALED` when no identity opens it; `REG_CONFLICT` when
 * something is at `to`; `REG_DISK_LOW`, `REG_DIR_UNUSABLE` when it cannot be written
 */
export async function layOut(backup: Backup | ForeignBackup, to: string, options: LayOutOptions): Promise<LaidOut> {
  const {room, signal} = options
  if (room !== undefined) await assertRoom({path: to, bytes: await neededBy(backup, signal), ...room})
  await makeNew(to)
  try {
    return await putDown(backup, to, options)
  } catch (error) {
    await rm(to, {recursive: true, force: true})
    throw error
  }
}

async function putDown(backup: Backup | ForeignBackup, to: string, work: LayOutOptions): Promise<LaidOut> {
  if (backup.kind === 'foreign') return {files: await putForeignDown(backup, to, work), manifest: undefined}
  if (backup.kind === 'archive') return await fromArchive(backup, to, work)
  // Of what is followed its newest base; the log is brought in afterwards.
  const from = backup.kind === 'followed' ? backup.followed.bases.at(-1)?.path : undefined
  return await fromDirectory(from ?? backup.path, backup.manifest, to, work)
}

/** Of an archive without a manifest at least its own length: what is beyond the room ends it then. */
async function neededBy(backup: Backup | ForeignBackup, signal: AbortSignal): Promise<number> {
  if (backup.kind !== 'foreign') return totalsOf(backup.manifest.files).allocated
  if (backup.form === 'archive') return (await stat(backup.path)).size
  const {files} = await foreignTree(backup.path, signal)
  return files.reduce((sum, {allocated}) => sum + allocated, 0)
}

/** No more than what the manifest says that was looked at before. */
async function fromArchive({path, manifest}: Backup, to: string, work: LayOutOptions): Promise<LaidOut> {
  const {files, bytes} = totalsOf(manifest.files)
  const limits = {bytes, files: files + manifest.directories.length}
  return await unpackArchive(readArchiveFile(path), to, {...work, limits, known: manifest})
}

async function fromDirectory(from: string, manifest: Manifest, to: string, work: LayOutOptions): Promise<LaidOut> {
  const {files: expected, directories} = manifest
  await assertSameNames(from, manifest, work.signal)
  work.progress.phase('copying', totalsOf(expected).bytes)
  const files = await copyTree({from, to, files: expected, directories, progress: work.progress, signal: work.signal})
  const altered = files.filter(({sha256}, at) => sha256 !== expected[at]?.sha256)
  assertWhole(
    from,
    altered.map(({path}) => ({path, problem: 'altered'})),
  )
  return {files, manifest}
}

/** Before the long work: what is missing, has another length, or is too much. */
async function assertSameNames(from: string, {cell, files, directories}: Manifest, signal: AbortSignal): Promise<void> {
  const names = new Set(files.map(({path}) => path))
  const isOfNobody = (path: string) => isSlabLock(path, cell) && !names.has(path)
  const leave = (path: string) => (isNote(path) || isOfNobody(path) ? 'always' : undefined)
  const tree = await readTree(from, {leave, signal})
  const there = new Map<string, number | undefined>(tree.directories.map((path) => [path, undefined]))
  for (const {path, size} of tree.files) there.set(path, size)
  for (const {path, reason} of tree.left) if (reason !== 'always') there.set(path, Number.NaN)
  const expected = new Map<string, number | undefined>(foldersOf(files, directories).map((path) => [path, undefined]))
  for (const {path, size} of files) expected.set(path, size)
  const findings: Finding[] = []
  for (const [path, size] of expected) {
    if (!there.has(path)) findings.push({path, problem: 'missing'})
    else if (there.get(path) !== size) findings.push({path, problem: 'altered'})
  }
  for (const path of there.keys()) if (!expected.has(path)) findings.push({path, problem: 'unexpected'})
  assertWhole(from, findings)
}

/** The manifest and the proofs are no part of the cell, nor is what a killed process left of writing them. */
function isNote(path: string): boolean {
  return path === MANIFEST_FILE || path === PROOFS_FILE || isUnfinished(path)
}

async function makeNew(to: string): Promise<void> {
  try {
    await mkdir(to, {mode: 0o700})
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? taken(to, error) : writeFault(error, to)
  }
}

function taken(path: string, cause: unknown): RegistryError {
  return new RegistryError('REG_CONFLICT', `${path} is there already`, {info: {path}, cause})
}
