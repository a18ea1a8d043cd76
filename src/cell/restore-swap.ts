/**
 * How a restored directory takes the place of the one that was there. Two directories cannot change places in one step, so there is a note that
 * says how to go on, and whoever comes next does so: a server that starts on the directory, or the next restore.
 *
 *     PARENT/NAME                         the directory
 *     PARENT/.NAME.restore/data/          the restored one, until it has the name
 *     PARENT/.NAME.restore/swap.json      that it is whole, and what to do; not there before
 *     PARENT/.NAME.restore.lock           held by the one who restores; the kernel lets go of it at any death
 *     PARENT/NAME.before-restore-<time>   what was there before; nobody but its owner removes it
 *
 * | killed while there is | the directory is | who comes next |
 * |---|---|---|
 * | no swap.json | as it was | the next restore removes the rest |
 * | swap.json, and the directory | as it was | the next restore removes the rest |
 * | swap.json and data/, and no directory | away: both are whole beside it | goes on: the backups of the old one, then data/ gets the name |
 * | swap.json, and no data/ | the restored one | the next restore removes the rest |
 */
import {lstat, readdir, readFile, rename, rm} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {setTimeout} from 'node:timers/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {createFileAtomic, makePrivateDir, PRIVATE_FILE_MODE, realPlace, syncDir} from '../base/files.ts'
import {tryFileLock} from '../store/file-lock.ts'

const VERSION = 1
/** A server that starts in the moment without a directory makes one, sees what goes on, and takes it away again. */
const TRIES = 40
const PAUSE_MS = 50

/** What is to be done when the restored directory is whole. */
interface Swap {
  /** Name that the old directory gets; null when there was none. */
  readonly kept: string | null
  /** The directory in it where backups lie, relative: it moves over. */
  readonly shelf: string
}

/** Where a directory is restored: beside it, on the same volume. Disposed without `swap`, nothing of it is left. */
export class RestoreSite implements AsyncDisposable {
  /** Where the new directory is to be made, and is not yet. */
  readonly data: string
  readonly #place: Place
  readonly #lock: Disposable
  /** Somebody else has to look at what is there. */
  #isLeft = false

  private constructor(place: Place, lock: Disposable) {
    this.#place = place
    this.data = place.data
    this.#lock = lock
  }

  /**
   * Begins beside `dir`, an absolute path. What a killed one left is finished or removed first.
   *
   * @throws RegistryError `REG_CONFLICT` when another process restores there; `REG_DIR_UNUSABLE`
   */
  static async open(dir: string): Promise<RestoreSite> {
    const place = placeOf(dir)
    return await usable(place.container, async () => {
      await makePrivateDir(place.parent)
      const lock = tryFileLock(place.lock)
      if (lock === undefined) throw underWay('REG_CONFLICT', dir)
      try {
        await mend(place)
        await rm(place.container, {recursive: true, force: true})
        await makePrivateDir(place.container)
      } catch (error) {
        lock[Symbol.dispose]()
        throw error
      }
      return new RestoreSite(place, lock)
    })
  }

  /**
   * Gives the new directory, which has to be on the disk, the name of the old one. Gives the path that the old one has now; null when there was none. When
   * it fails, the old one is where it was, unless the error says otherwise.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE`
   */
  async swap(shelf: string, nowMs: number): Promise<string | null> {
    const {dir, parent, note} = this.#place
    const kept = (await isVacant(dir)) ? null : await freeName(dir, nowMs)
    const swap: Swap = {kept, shelf}
    await usable(note, () => createFileAtomic(note, `${JSON.stringify({v: VERSION, ...swap})}\n`, PRIVATE_FILE_MODE))
    try {
      await finish(this.#place, swap)
    } catch (error) {
      await this.#goBack(swap, error)
      throw notMoved(dir, error)
    }
    return kept === null ? null : join(parent, kept)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const {container, lock} = this.#place
    if (!this.#isLeft) await rm(container, {recursive: true, force: true})
    if (!this.#isLeft) await rm(lock, {force: true})
    this.#lock[Symbol.dispose]()
  }

  async #goBack(swap: Swap, why: unknown): Promise<void> {
    try {
      await undo(this.#place, swap)
      await rm(this.#place.note, {force: true})
    } catch (cause) {
      this.#isLeft = true
      throw notPutBack(this.#place, swap, why, cause)
    }
  }
}

/**
 * Goes on where a restore was killed while a directory had no name. To be called before a directory is used. Gives true when something was done.
 *
 * @throws RegistryError `REG_DIR_LOCKED` while somebody restores there; `REG_DIR_UNUSABLE`
 */
export async function mendRestore(path: string): Promise<boolean> {
  const dir = await usable(path, () => realPlace(path))
  const place = placeOf(dir)
  return await usable(place.container, async () => {
    if (!(await isUnderWay(place)) || !(await isVacant(dir))) return false
    using lock = tryFileLock(place.lock)
    if (lock === undefined) throw underWay('REG_DIR_LOCKED', dir)
    if (!(await mend(place))) return false
    await rm(place.container, {recursive: true, force: true})
    await rm(place.lock, {force: true})
    return true
  })
}

/** Tells whether a directory is about to get its name from a restore: one that was made there meanwhile is in the way. */
export async function isBeingRestored(dir: string): Promise<boolean> {
  return await isUnderWay(placeOf(dir))
}

interface Place {
  readonly dir: string
  readonly parent: string
  readonly container: string
  readonly data: string
  readonly note: string
  readonly lock: string
}

function placeOf(dir: string): Place {
  const parent = dirname(dir)
  const container = join(parent, `.${basename(dir)}.restore`)
  return {
    ...{dir, parent, container},
    data: join(container, 'data'),
    note: join(container, 'swap.json'),
    lock: `${container}.lock`,
  }
}

async function isUnderWay({note, data}: Place): Promise<boolean> {
  return (await exists(note)) && (await exists(data))
}

/** To be called under the lock. */
async function mend(place: Place): Promise<boolean> {
  if (!(await isUnderWay(place)) || !(await isVacant(place.dir))) return false
  await finish(place, await readSwap(place.note))
  return true
}

/** Each step is left out when it was done already. */
async function finish({dir, parent, data}: Place, {kept, shelf}: Swap): Promise<void> {
  await lstat(data)
  if (kept !== null) {
    const old = join(parent, kept)
    if (!(await isVacant(dir))) await move(dir, old)
    if ((await exists(join(old, shelf))) && !(await exists(join(data, shelf)))) {
      await makePrivateDir(dirname(join(data, shelf)))
      await move(join(old, shelf), join(data, shelf))
    }
  }
  for (let tries = 1; ; tries++) {
    try {
      return await move(data, dir)
    } catch (error) {
      if (systemCode(error) !== 'ENOTEMPTY' || tries === TRIES) throw error
      await setTimeout(PAUSE_MS)
    }
  }
}

async function undo({dir, parent, data}: Place, {kept, shelf}: Swap): Promise<void> {
  if (kept === null) return
  const old = join(parent, kept)
  if (!(await exists(old))) return
  if ((await exists(join(data, shelf))) && !(await exists(join(old, shelf))))
    await move(join(data, shelf), join(old, shelf))
  await move(old, dir)
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncDir(dirname(from))
  if (dirname(to) !== dirname(from)) await syncDir(dirname(to))
}

async function readSwap(note: string): Promise<Swap> {
  const value: unknown = JSON.parse(await readFile(note, 'utf8'))
  if (typeof value !== 'object' || value === null || !('v' in value) || value.v !== VERSION)
    throw new TypeError(`${note} is not one that this version can read`)
  const {kept, shelf} = value as Record<string, unknown>
  const isName = (text: unknown): text is string => typeof text === 'string' && basename(text) === text && text !== ''
  if (!(kept === null || isName(kept)) || typeof shelf !== 'string')
    throw new TypeError(`${note} is not a note of a restore`)
  return {kept, shelf}
}

async function freeName(dir: string, nowMs: number): Promise<string> {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')
  const name = `${basename(dir)}.before-restore-${stamp}`
  for (let turn = 1; ; turn++) {
    const wanted = turn === 1 ? name : `${name}-${turn}`
    if (!(await exists(join(dirname(dir), wanted)))) return wanted
  }
}

/** Nothing is there, or an empty directory, which another one can take the place of. */
export async function isVacant(dir: string): Promise<boolean> {
  try {
    return (await readdir(dir)).length === 0
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return true
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw error
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

function notPutBack({dir, parent, data}: Place, {kept}: Swap, why: unknown, cause: unknown): RegistryError {
  const old = join(parent, kept ?? basename(dir))
  const text = `${dir} could not be replaced (${messageOf(why)}), and what was there could not be put back: it is at ${old}, the restored one at ${data}`
  const hints = [`mv ${old} ${dir}`, `or, for the restored one: mv ${data} ${dir}`]
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
