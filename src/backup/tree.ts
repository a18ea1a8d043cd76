import type {Dirent} from 'node:fs'
import {lstat, readdir} from 'node:fs/promises'
import {join, matchesGlob, posix} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {isAside} from './aside-names.ts'
import {readFault} from './file-faults.ts'
import {isSafePath, MANIFEST_FILE} from './manifest.ts'

/** Directories within directories; a cell has some five. */
const DEPTH_MAX = 64
/** As many as a manifest can name. */
const ITEMS_MAX = 1_000_000
const BLOCK_BYTES = 512

/** A regular file of a tree. */
export interface TreeFile {
  /** Relative, with `/`. */
  readonly path: string
  /** Length, bytes. */
  readonly size: number
  /** Bytes that it takes on the disk. */
  readonly allocated: number
}

/** What a tree has that was not taken, and why. */
export interface LeftItem {
  readonly path: string
  /** `asked`: somebody wanted that; `always`: it is never part of a backup; the others cannot be. */
  readonly reason: 'asked' | 'always' | 'socket' | 'link' | 'device'
}

/** The files and directories below a directory, each list in the order of the paths. */
export interface Tree {
  readonly files: readonly TreeFile[]
  readonly directories: readonly string[]
  readonly left: readonly LeftItem[]
}

export interface TreeOptions {
  /** Says of a path whether it is left out; a directory with all that is in it. */
  readonly leave: (path: string, isDirectory: boolean) => 'asked' | 'always' | undefined
  readonly signal: AbortSignal
}

/**
 * Reads what is below a directory. Links are never followed: neither they nor sockets and devices can be part of a backup, and are named.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when it cannot be read, is too deep or too large, or has a name that a backup cannot hold
 */
export async function readTree(root: string, {leave, signal}: TreeOptions): Promise<Tree> {
  const files: TreeFile[] = []
  const directories: string[] = []
  const left: LeftItem[] = []
  const waiting = ['']
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    signal.throwIfAborted()
    for (const {item, path} of await itemsOf(root, folder)) {
      const reason = leave(path, item.isDirectory()) ?? otherKind(item)
      if (reason !== undefined) left.push({path, reason})
      else if (item.isDirectory()) waiting.push(path)
      else files.push(await fileAt(root, path))
    }
    if (folder !== '') directories.push(named(root, folder))
    if (files.length + directories.length > ITEMS_MAX) throw unfit(root, `it has more than ${ITEMS_MAX} files`)
  }
  return {files: files.sort(byPath), directories: directories.sort(), left: left.sort(byPath)}
}

/** Gives all directories that files and directories are in or are, each after the one that it is in. */
export function foldersOf(
  files: readonly {readonly path: string}[],
  directories: readonly string[],
): readonly string[] {
  const folders = new Set<string>()
  const add = (folder: string) => {
    if (folder === '.' || folders.has(folder)) return
    add(posix.dirname(folder))
    folders.add(folder)
  }
  for (const path of directories) add(path)
  for (const {path} of files) add(posix.dirname(path))
  return [...folders]
}

/**
 * Makes the test for `--skip`: patterns are matched against the relative path, `./` in front of them means nothing. What is below a directory
 * that matches is never looked at.
 */
export function skipGlobs(globs: readonly string[]): (path: string) => boolean {
  const patterns = globs.map((glob) => glob.replace(/^(\.\/)+/, '').replace(/\/+$/, ''))
  return (path) => patterns.some((pattern) => matchesGlob(path, pattern))
}

/** What a registry keeps for the moment only, at the top of its data directory. */
const MOMENTARY = [
  ...['lock.mdb', 'lock.pid', 'run.json', 'backup.state.json', 'archivers.state.json', 'compact.state.json'],
  ...['registry.db-wal', 'registry.db-shm'],
]

/** Locks, and the copy of the store of another member that is coming (`server/mirroring/copy.ts`). */
const MOMENTARY_BEGIN = /^(lock\.db|registry\.db\.part)/
/** A backup that is being written, and its lock (`stage.ts`). Other names with `.part` in them are those of somebody: `00.partner.example.net.key`. */
const PARTIAL = /^\..+\.partial-[0-9a-f]{8}(\.lock)?$/

/** Says whether something in the data directory of a cell is never part of a backup, whoever asks. The `backup:dir` is for the caller to know. */
export function isNeverPart(kind: 'registry' | 'synapse', path: string, isDirectory: boolean): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const isScratch = isDirectory && (name === 'tmp' || name === 'backups')
  if (path === MANIFEST_FILE || path === PROOFS_FILE || (path === name && isAside(name))) return true
  if (kind === 'synapse') return isScratch || isSlabLock(path, {kind})
  if (path === name && (isScratch || MOMENTARY.includes(name) || MOMENTARY_BEGIN.test(name))) return true
  return PARTIAL.test(name) || isUnfinished(name)
}

/** Says whether a name is that of the locks of a slab: whoever looks into a backup of a Synapse service makes one, and it says nothing. */
export function isSlabLock(path: string, {kind}: {readonly kind: 'registry' | 'synapse'}): boolean {
  return kind === 'synapse' && (path === 'lock.mdb' || path.endsWith('/lock.mdb'))
}

/** Name of the proofs in a backup: when a drill restored it. */
export const PROOFS_FILE = 'backup.proofs.json'

/** Says whether a name is one that base/files.ts gives to a file that is not complete yet. */
export function isUnfinished(name: string): boolean {
  return /^\..+\.[0-9a-f]{32}\.tmp$/.test(name)
}

async function itemsOf(root: string, folder: string): Promise<readonly {item: Dirent; path: string}[]> {
  try {
    const items = await readdir(join(root, folder), {withFileTypes: true})
    return items.map((item) => ({item, path: folder === '' ? item.name : `${folder}/${item.name}`}))
  } catch (error) {
    throw readFault(error, join(root, folder))
  }
}

async function fileAt(root: string, path: string): Promise<TreeFile> {
  try {
    const {size, blocks} = await lstat(join(root, named(root, path)))
    return {path, size, allocated: blocks * BLOCK_BYTES}
  } catch (error) {
    throw readFault(error, join(root, path))
  }
}

function otherKind(item: Dirent): LeftItem['reason'] | undefined {
  if (item.isFile() || item.isDirectory()) return undefined
  if (item.isSymbolicLink()) return 'link'
  return item.isSocket() ? 'socket' : 'device'
}

/** A name that is no UTF-8 is read with U+FFFD in it, and nothing can be found by it. */
function named(root: string, path: string): string {
  const isNamed = isSafePath(path) && !path.includes('\ufffd')
  if (!isNamed) throw unfit(join(root, path), 'a backup cannot hold a file of this name')
  if (path.split('/').length > DEPTH_MAX) throw unfit(join(root, path), `it is deeper than ${DEPTH_MAX} directories`)
  return path
}

function unfit(path: string, reason: string): RegistryError {
  return new RegistryError('REG_BACKUP_SOURCE', `cannot back up ${path}: ${reason}`, {
    info: {path, reason},
    hints: ['leave it out: registry backup SRC DST --skip GLOB', 'give the data directory itself'],
  })
}

function byPath(a: {path: string}, b: {path: string}): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}
