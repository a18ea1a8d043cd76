/**
 * How a restored directory takes the place of the one that was there: it gets its name. Two directories cannot change places in one step, so there is a
 * note that says how to go on.
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
import {lstat, readdir} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {setTimeout} from 'node:timers/promises'
import {BEFORE_RESTORE} from '../backup/aside-names.ts'
import {systemCode} from '../base/errors.ts'
import {isTaken} from '../base/files.ts'
import {makeOwnedDir} from './restore-owner.ts'
import {freeName, isName, move, type Swap, type Way} from './restore-way.ts'

/** A server that starts in the moment without a directory makes one, sees what goes on, and takes it away again. */
const TRIES = 40
const PAUSE_MS = 50

/** Restores beside a directory, on the same volume. */
export class BesideWay implements Way {
  readonly dir: string
  readonly container: string
  readonly data: string
  readonly note: string
  readonly lock: string
  readonly #parent: string

  /** `dir` is absolute, and no link. */
  constructor(dir: string) {
    this.dir = dir
    this.#parent = dirname(dir)
    this.container = join(this.#parent, `.${basename(dir)}.restore`)
    this.data = join(this.container, 'data')
    this.note = join(this.container, 'swap.json')
    this.lock = `${this.container}.lock`
  }

  /** Whether it is about to get its name, or it was given up before. */
  async isUnderWay(): Promise<boolean> {
    return (await isTaken(this.note)) && (await isTaken(this.data))
  }

  async isLeft(): Promise<boolean> {
    return (await this.isUnderWay()) && (await isVacant(this.dir))
  }

  async plan(shelf: string, nowMs: number): Promise<Swap> {
    const name = `${basename(this.dir)}${BEFORE_RESTORE}`
    return this.#swap((await isVacant(this.dir)) ? null : await freeName(this.#parent, name, nowMs), shelf)
  }

  read({kept, shelf}: Readonly<Record<string, unknown>>): Swap {
    if (!(kept === null || isName(kept)) || typeof shelf !== 'string') throw new TypeError('it is no note of a restore')
    return this.#swap(kept, shelf)
  }

  byHand({kept}: Swap): readonly string[] {
    const back = kept === null ? [] : [`mv ${kept} ${this.dir}`]
    return [...back, `or, for the restored one: mv ${this.data} ${this.dir}`]
  }

  #swap(name: string | null, shelf: string): Swap {
    const kept = name === null ? null : join(this.#parent, name)
    return {
      kept,
      note: {kept: name, shelf},
      steps: [() => this.#finish(kept, shelf)],
      backSteps: [() => this.#undo(kept, shelf)],
    }
  }

  async #finish(kept: string | null, shelf: string): Promise<void> {
    const {dir, data} = this
    await lstat(data)
    if (kept !== null) {
      if (!(await isVacant(dir))) await move(dir, kept)
      if ((await isTaken(join(kept, shelf))) && !(await isTaken(join(data, shelf)))) {
        await makeOwnedDir(dirname(join(data, shelf)))
        await move(join(kept, shelf), join(data, shelf))
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

  async #undo(kept: string | null, shelf: string): Promise<void> {
    if (kept === null || !(await isTaken(kept))) return
    const {dir, data} = this
    if ((await isTaken(join(data, shelf))) && !(await isTaken(join(kept, shelf))))
      await move(join(data, shelf), join(kept, shelf))
    await move(kept, dir)
  }
}

/** Nothing is there, or an empty directory, which another one can take the place of. */
async function isVacant(dir: string): Promise<boolean> {
  try {
    return (await readdir(dir)).length === 0
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return true
    throw error
  }
}
