/**
 * How a backup comes to its name: it is written into a directory `.NAME.partial-<8 hex>` beside its place, the manifest last, and gets its name when
 * all of it is on the disk. So what has the name is whole, whenever the power fails.
 *
 * A file `.NAME.partial-<8 hex>.lock` is held by the one who writes it. It is there before the directory and goes after it: what is not
 * held is left over from a process that is gone.
 */

import {type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat, writeFile} from 'node:fs/promises'
import {basename, dirname, join, resolve} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {fillFileAtomic, giveName, makePrivateDir, PRIVATE_FILE_MODE, syncDir} from '../base/files.ts'
import {newGuid} from '../base/ids.ts'
import {shellWord} from '../base/shell-word.ts'
import {tryFileLock} from '../store/file-lock.ts'
import {writeFault} from './file-faults.ts'
import {MANIFEST_FILE, type Manifest} from './manifest.ts'
import {manifestPieces} from './manifest-write.ts'
import {foldersOf} from './tree.ts'

const PARTIAL = /^\..+\.partial-[0-9a-f]{8}$/
const LOCK_SUFFIX = '.lock'
const TRIES = 10

/** A backup that is being written. Disposed without `commit`, nothing of it is left. */
export interface Staging extends AsyncDisposable {
  /** Where its files are to be written. */
  readonly dir: string
  /**
   * Adds the manifest and gives the backup its name. When the promise resolves to its path, all of it survives a crash.
   *
   * @throws RegistryError `REG_CONFLICT` when something has that name meanwhile; what the system says of a file of the manifest that is not there
   */
  commit(manifest: Manifest): Promise<string>
}

/**
 * Begins a backup that will be at `path`. The directories above it are made.
 *
 * @throws RegistryError `REG_CONFLICT` when something is there already
 */
export async function stageBackup(path: string): Promise<Staging> {
  const place = resolve(path)
  const parent = dirname(place)
  await assertFree(place)
  try {
    await makePrivateDir(parent)
    return new StagedBackup(place, await makePartial(parent, basename(place), (dir) => mkdir(dir, {mode: 0o700})))
  } catch (error) {
    throw writeFault(error, place)
  }
}

/**
 * Makes a backup that is one file: `fill` writes it under a temporary name, which is taken from it when all is on the disk. When `fill` throws,
 * nothing is left.
 *
 * @throws RegistryError `REG_CONFLICT` when something is there already; what `fill` throws
 */
export async function stageFile(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const place = resolve(path)
  const parent = dirname(place)
  await assertFree(place)
  try {
    await makePrivateDir(parent)
    const partial = await makePartial(parent, basename(place), (file) => writeFile(file, '', NEW_FILE))
    try {
      await using file = await open(partial.dir, 'r+')
      await fill(file)
      await file.sync()
      await giveName(partial.dir, place)
    } finally {
      await rm(partial.dir, {force: true})
      await letGo(partial)
    }
    await syncDir(parent)
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? taken(place) : writeFault(error, place)
  }
}

const NEW_FILE = {flag: 'wx', mode: PRIVATE_FILE_MODE}
const NEW_MANIFEST = {mode: PRIVATE_FILE_MODE, isReplacing: false}

/** Removes what processes that are gone left in a directory of backups; gives the names. What is being written stays. */
export async function removeLeftStagings(parent: string): Promise<readonly string[]> {
  const names = await namesIn(parent)
  const partials = new Set(names.map((name) => name.replace(/\.lock$/, '')).filter((name) => PARTIAL.test(name)))
  const removed = []
  for (const name of partials) if (await removeLeftStaging(join(parent, name))) removed.push(name)
  return removed
}

/** Removes one of them, and says whether it did: what is being written stays. */
export async function removeLeftStaging(dir: string): Promise<boolean> {
  if (!(await exists(dir + LOCK_SUFFIX))) {
    await rm(dir, {recursive: true, force: true})
    return true
  }
  using lock = tryFileLock(dir + LOCK_SUFFIX)
  if (lock === undefined) return false
  await rm(dir, {recursive: true, force: true})
  await rm(dir + LOCK_SUFFIX, {force: true})
  return true
}

/** Says whether nobody writes it any more. */
export async function isLeftStaging(dir: string): Promise<boolean> {
  if (!(await exists(dir + LOCK_SUFFIX))) return true
  using lock = tryFileLock(dir + LOCK_SUFFIX)
  return lock !== undefined
}

/** Says whether a name is that of a backup that was not finished. */
export function isPartialName(name: string): boolean {
  return PARTIAL.test(name)
}

class StagedBackup implements Staging {
  readonly dir: string
  readonly #place: string
  readonly #partial: Partial
  #isDone = false

  constructor(place: string, partial: Partial) {
    this.#place = place
    this.dir = partial.dir
    this.#partial = partial
  }

  async commit(manifest: Manifest): Promise<string> {
    try {
      await syncFiles(this.dir, manifest)
      await fillFileAtomic(join(this.dir, MANIFEST_FILE), NEW_MANIFEST, async (write) => {
        for (const piece of manifestPieces(manifest)) await write(Buffer.from(piece))
      })
      await assertFree(this.#place)
      await rename(this.dir, this.#place)
      await syncDir(dirname(this.#place))
    } catch (error) {
      throw systemCode(error) === 'ENOTEMPTY' ? taken(this.#place) : writeFault(error, this.#place)
    }
    this.#isDone = true
    await letGo(this.#partial)
    return this.#place
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDone) return
    this.#isDone = true
    await rm(this.dir, {recursive: true, force: true})
    await letGo(this.#partial)
  }
}

/** A place with a temporary name, which nobody takes for left over while `lock` is held. */
interface Partial {
  readonly dir: string
  readonly lock: Disposable
}

/** Makes the place under a lock. Who removes what is left holds the lock too: a lock whose file is gone was lost to him. */
async function makePartial(parent: string, name: string, make: (path: string) => Promise<unknown>): Promise<Partial> {
  for (let tries = 1; ; tries++) {
    const dir = join(parent, `.${name}.partial-${newGuid().slice(0, 8)}`)
    const lock = tryFileLock(dir + LOCK_SUFFIX)
    if (lock !== undefined && (await exists(dir + LOCK_SUFFIX))) {
      try {
        await make(dir)
        return {dir, lock}
      } catch (error) {
        await letGo({dir, lock})
        throw error
      }
    }
    lock?.[Symbol.dispose]()
    if (tries === TRIES) throw taken(join(parent, name))
  }
}

async function letGo({dir, lock}: Partial): Promise<void> {
  await rm(dir + LOCK_SUFFIX, {force: true})
  lock[Symbol.dispose]()
}

/** Those that were hashed while they were written are on the disk already, and cost nothing; databases and the directories are not. */
async function syncFiles(dir: string, {files, directories}: Manifest): Promise<void> {
  for (const {path} of files) {
    await using file = await open(join(dir, path), 'r')
    await file.datasync()
  }
  for (const folder of foldersOf(files, directories)) await syncDir(join(dir, folder))
}

/**
 * Makes sure that nothing is at a place, not even a link.
 *
 * @throws RegistryError `REG_CONFLICT`
 */
export async function assertFree(place: string): Promise<void> {
  if (await exists(place)) throw taken(place)
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw writeFault(error, path)
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    await stat(folder)
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw writeFault(error, folder)
  }
}

function taken(place: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `${place} is there already`, {
    info: {path: place},
    hints: ['give another name', `look what it is: registry backup verify ${shellWord(place)}`],
  })
}
