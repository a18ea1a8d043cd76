/** Backups that Synapse's own tools made: the files of a service as a directory or a tar, without a manifest. Whether one is whole cannot be told. */
import type {Stats} from 'node:fs'
import {lstat, readFile, statfs} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {readArchiveFile} from './archive-file.ts'
import {type OpenOptions, unpackArchive} from './archive-read.ts'
import {copyTree, type WorkOptions} from './copy-files.ts'
import {openLmdb} from './lmdb.ts'
import {MANIFEST_FILE, type ManifestFile} from './manifest.ts'
import {CELL_SLAB, readSynapseFacts, type SynapseFacts} from './synapse-facts.ts'
import {isNeverPart, readTree, type Tree, type TreeFile} from './tree.ts'

const GUID = 'cell.guid'
const SLAB_FILE = 'data.mdb'
/** Files that a service may have; a real one has some hundred. */
const FILES_MAX = 1_000_000
const NOTHING: SynapseFacts = {type: null, version: null, index: null}

/** A backup without a manifest. */
export interface ForeignBackup {
  readonly kind: 'foreign'
  /** Absolute. */
  readonly path: string
  readonly form: 'directory' | 'archive'
  /** What its files say, as far as they do; all null for an archive, which has to be unpacked for that. */
  readonly cell: SynapseFacts & {readonly iden: string | null}
}

/** Says why it is not verified. */
export const UNVERIFIED = 'it has no manifest, as what Synapse’s own tools make: whether it is whole cannot be told'

/**
 * Tells whether a directory is that of a Synapse service without a manifest; undefined for everything else.
 *
 * @throws what the system says of a directory that cannot be read
 */
export async function findForeignDir(path: string): Promise<ForeignBackup | undefined> {
  // A manifest that is there and cannot be read is no reason to believe the rest.
  if ((await isThere(join(path, MANIFEST_FILE))) || !(await isFile(join(path, CELL_SLAB)))) return undefined
  if (!(await isFile(join(path, GUID)))) return undefined
  const iden = (await readFile(join(path, GUID), 'utf8')).trim()
  if (!/^[0-9a-f]{32}$/.test(iden)) return undefined
  return {kind: 'foreign', path, form: 'directory', cell: {iden, ...factsOf(path)}}
}

/** One that is a tar, as services send it. What is in it shows when it is unpacked. */
export function foreignArchive(path: string): ForeignBackup {
  return {kind: 'foreign', path, form: 'archive', cell: {iden: null, ...NOTHING}}
}

/** Gives what the directory of a service says of it; nulls where it is damaged, or of a version whose files are others. */
function factsOf(dir: string): SynapseFacts {
  try {
    return readSynapseFacts(dir)
  } catch {
    return NOTHING
  }
}

/** The files of one that is a directory: what is never part of a backup is left out. Throws as `readTree`. */
export async function foreignTree(path: string, signal: AbortSignal): Promise<Tree> {
  const leave = (name: string, isDirectory: boolean) =>
    isNeverPart('synapse', name, isDirectory) ? 'always' : undefined
  return await readTree(path, {leave, signal})
}

/**
 * Copies or unpacks one into the empty directory `to`, and gives its files.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` for an archive that holds what it should not, and for links; `REG_BACKUP_SOURCE`, `REG_DISK_LOW`
 */
export async function putForeignDown(
  {path, form}: ForeignBackup,
  to: string,
  work: WorkOptions & OpenOptions,
): Promise<readonly ManifestFile[]> {
  const {progress, signal} = work
  if (form === 'archive') {
    progress.phase('unpacking', undefined)
    const {bavail, bsize} = await statfs(dirname(to))
    const limits = {bytes: bavail * bsize, files: FILES_MAX}
    return (await unpackArchive(readArchiveFile(path), to, {...work, limits, isForeign: true})).files
  }
  const tree = await foreignTree(path, signal)
  assertNoLinks(path, tree)
  const usedBytes = usedOf(path, tree)
  const used = ({path: name, size}: TreeFile) => usedBytes.get(name) ?? size
  progress.phase(
    'copying',
    tree.files.reduce((sum, file) => sum + used(file), 0),
  )
  return await copyTree({from: path, to, files: tree.files, directories: tree.directories, usedBytes, progress, signal})
}

/** Slabs are gigabytes of room to grow: only what is used of them is read. One that is damaged is copied as it is. */
function usedOf(path: string, {files}: Tree): ReadonlyMap<string, number> {
  const used = new Map<string, number>()
  for (const {path: name} of files.filter((file) => basename(file.path) === SLAB_FILE)) {
    try {
      using slab = openLmdb(join(path, name))
      used.set(name, slab.usedBytes)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
    }
  }
  return used
}

function assertNoLinks(path: string, {left}: Tree): void {
  const link = left.find(({reason}) => reason === 'link' || reason === 'device')
  if (link === undefined) return
  const text = `${path} is not restored: ${link.path} in it is a ${link.reason}`
  throw new RegistryError('REG_BACKUP_INVALID', text, {info: {path, file: link.path}})
}

async function isThere(path: string): Promise<boolean> {
  return (await factsAt(path)) !== undefined
}

async function isFile(path: string): Promise<boolean> {
  return (await factsAt(path))?.isFile() ?? false
}

async function factsAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
