/**
 * A restored directory takes the place of what was there: beside it when the directory may be replaced, within it when it has to stay. Either is more
 * than one step, so there is a note that says how to go on, and whoever comes next does so: a server that starts on the directory, or the next restore.
 */
import {link, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {
  createFileAtomic,
  isWithoutLinks,
  makePrivateDir,
  PRIVATE_FILE_MODE,
  realPlace,
  removeFile,
  writeFileAtomic,
} from '../base/files.ts'
import {tryFileLock} from '../store/file-lock.ts'
import {BesideWay} from './restore-beside.ts'
import {giveTo, makeOwnedDir, type Owner, ownerFor, removeEmptyDirs} from './restore-owner.ts'
import type {Step, Swap, Way} from './restore-way.ts'
import {WithinWay} from './restore-within.ts'

const VERSION = 1

/** Whom a restored directory is given to by root. */
export interface Given extends Owner {
  /** The system may not let even root do that. */
  readonly isGiven: boolean
}

/** Where a directory is restored, on the same volume. Disposed without `swap`, nothing of it is left. */
export class RestoreSite implements AsyncDisposable {
  /** Where the new directory is to be made, and is not yet. */
  readonly data: string
  readonly #way: Way
  readonly #lock: Disposable
  /** Directories that were made for it. */
  readonly #above: readonly string[]
  /** Somebody else has to look at what is there. */
  #isLeft = false

  private constructor(way: Way, lock: Disposable, above: readonly string[]) {
    this.#above = above
    this.#way = way
    this.data = way.data
    this.#lock = lock
  }

  /**
   * Begins for `dir`, an absolute path without links. What a killed one left is finished or removed first.
   *
   * @throws RegistryError `REG_CONFLICT` when another process restores there; `REG_DIR_UNUSABLE`
   */
  static async open(dir: string, {isWithin = false}: {readonly isWithin?: boolean} = {}): Promise<RestoreSite> {
    const way = isWithin ? new WithinWay(dir) : new BesideWay(dir)
    return await usable(way.container, async () => {
      const above = await makeOwnedDir(join(way.container, '..'))
      const lock = tryFileLock(way.lock)
      if (lock === undefined) throw underWay('REG_CONFLICT', dir)
      try {
        await mend(way)
        await rm(way.container, {recursive: true, force: true})
        await makePrivateDir(way.container)
        if (isWithin) await assertLinks(way)
      } catch (error) {
        lock[Symbol.dispose]()
        throw error
      }
      return new RestoreSite(way, lock, above)
    })
  }

  /**
   * Gives the new directory to whom it should belong: undefined when nothing is to be done. To be called when nothing is made in it any more.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE`
   */
  async give(): Promise<Given | undefined> {
    return await usable(this.data, async () => {
      const owner = await ownerFor(this.#way.dir)
      return owner && {...owner, isGiven: await giveTo(this.#way, owner)}
    })
  }

  /**
   * Puts the new directory, which has to be on the disk, in the place of the old one. Gives the path that the old one has now; null when there was none. When
   * it fails, the old one is where it was, unless the error says otherwise.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE`
   */
  async swap(shelf: string, nowMs: number): Promise<string | null> {
    const {dir, note} = this.#way
    const swap = await notMoving(dir, () => this.#way.plan(shelf, nowMs))
    await usable(note, () => createFileAtomic(note, textOf(swap, false), PRIVATE_FILE_MODE))
    this.#isLeft = true
    await carryOut(this.#way, swap, () => {
      this.#isLeft = false
    })
    return swap.kept
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const {container, lock} = this.#way
    if (!this.#isLeft) await rm(container, {recursive: true, force: true})
    if (!this.#isLeft) await rm(lock, {force: true})
    this.#lock[Symbol.dispose]()
    if (!this.#isLeft) await removeEmptyDirs(this.#above)
  }
}

/**
 * Goes on where a restore was killed while the directory was neither the old one nor the new one. To be called before a directory is used. Gives
 * true when something was done.
 *
 * @throws RegistryError `REG_DIR_LOCKED` while somebody restores there; `REG_DIR_UNUSABLE`
 */
export async function mendRestore(dir: string): Promise<boolean> {
  const place = await usable(dir, () => realPlace(dir))
  for (const way of [new WithinWay(place), new BesideWay(place)]) {
    if (await usable(way.container, () => mendAlone(way))) return true
  }
  return false
}

/** Tells whether a directory is about to get its name from a restore: one that was made there meanwhile is in the way. */
export async function isBeingRestored(dir: string): Promise<boolean> {
  return await new BesideWay(await realPlace(dir)).isUnderWay()
}

/** Tells whether what is in a directory is about to be replaced: nobody uses it before `mendRestore`. */
export async function isHalfRestored(dir: string): Promise<boolean> {
  return await new WithinWay(dir).isLeft()
}

async function mendAlone(way: Way): Promise<boolean> {
  if (!(await way.isLeft())) return false
  using lock = tryFileLock(way.lock)
  if (lock === undefined) throw underWay('REG_DIR_LOCKED', way.dir)
  if (!(await mend(way))) return false
  await rm(way.container, {recursive: true, force: true})
  await rm(way.lock, {force: true})
  return true
}

/** What is in a directory takes turns by links: what would end in the middle is not begun. */
async function assertLinks({dir, container, lock}: Way): Promise<void> {
  const file = join(container, 'file')
  await writeFile(file, '')
  try {
    await link(file, join(container, 'second'))
    await symlink('nowhere', join(container, 'leading'))
  } catch (error) {
    for (const path of [container, lock]) await rm(path, {recursive: true, force: true})
    throw isWithoutLinks(error) ? withoutLinks(dir, error) : error
  }
  for (const name of await readdir(container)) await rm(join(container, name))
}

/** To be called under the lock. */
async function mend(way: Way): Promise<boolean> {
  if (!(await way.isLeft())) return false
  const {swap, isBack} = await readNote(way)
  if (isBack) await goBack(way, swap, new Error('it was given up before'))
  else await carryOut(way, swap)
  return true
}

/** Does all, or nothing; `onClean` is called when one of both is so. */
async function carryOut(way: Way, swap: Swap, onClean: () => void = () => undefined): Promise<void> {
  try {
    await takeSteps(swap.steps)
  } catch (error) {
    // Whoever comes next goes back as well. On a full disk that cannot be noted: then he goes on.
    await writeFileAtomic(way.note, textOf(swap, true)).catch(() => undefined)
    await goBack(way, swap, error)
    onClean()
    throw notMoved(way.dir, error)
  }
  onClean()
  await removeFile(way.note).catch(() => undefined) // all that it says was done, and it goes with the rest
}

async function goBack(way: Way, swap: Swap, why: unknown): Promise<void> {
  try {
    await takeSteps(swap.backSteps)
    await removeFile(way.note)
  } catch (cause) {
    throw notPutBack(way, swap, why, cause)
  }
}

async function takeSteps(steps: readonly Step[]): Promise<void> {
  for (const step of steps) await step()
}

function textOf({note}: Swap, isBack: boolean): string {
  return `${JSON.stringify({v: VERSION, ...note, isBack})}\n`
}

async function readNote(way: Way): Promise<{swap: Swap; isBack: boolean}> {
  const value: unknown = JSON.parse(await readFile(way.note, 'utf8'))
  if (typeof value !== 'object' || value === null || !('v' in value) || value.v !== VERSION)
    throw new TypeError(`${way.note} is not one that this version can read`)
  return {swap: way.read({...value}), isBack: 'isBack' in value && value.isBack === true}
}

async function notMoving<T>(dir: string, plan: () => Promise<T>): Promise<T> {
  try {
    return await plan()
  } catch (error) {
    throw notMoved(dir, error)
  }
}

async function usable<T>(path: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    throw error instanceof RegistryError ? error : unusable(path, error)
  }
}

function unusable(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot use ${path}: ${reason}`, {info: {path, reason}, cause})
}

function withoutLinks(dir: string, cause: unknown): RegistryError {
  const text = `what is in ${dir} cannot be replaced: its file system has no links (${systemCode(cause)})`
  return new RegistryError('REG_DIR_UNUSABLE', text, {
    info: {path: dir},
    hints: [`restore below it, and serve that: registry restore BACKUP ${join(dir, 'NAME')}`],
    cause,
  })
}

function notPutBack(way: Way, swap: Swap, why: unknown, cause: unknown): RegistryError {
  const {dir, data} = way
  const old = swap.kept ?? dir
  const text = `${dir} could not be replaced (${messageOf(why)}), and what was there could not be put back (${messageOf(cause)}): it is at ${old}, the restored one at ${data}`
  const hints = way.byHand(swap)
  return new RegistryError('REG_DIR_UNUSABLE', text, {info: {path: dir, old, restored: data}, hints, cause})
}

function notMoved(dir: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  const text = `${dir} could not be replaced, and is as it was: ${reason}`
  return new RegistryError('REG_DIR_UNUSABLE', text, {info: {path: dir, reason}, cause})
}

function underWay(code: 'REG_CONFLICT' | 'REG_DIR_LOCKED', dir: string): RegistryError {
  return new RegistryError(code, `${dir} is being restored by another process`, {
    info: {path: dir},
    hints: ['wait until that restore has ended'],
  })
}
