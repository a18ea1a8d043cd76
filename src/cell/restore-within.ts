/**
 * How what was restored takes the place of what is in a directory that has to stay, as the mount point of a volume has: all that is in it moves into a
 * directory of it, and the restored files move up, one after the other.
 *
 *     DIR/.restore/data/            the restored files, until they have moved up
 *     DIR/.restore/swap.json        that they are whole, and what to move; as long as it is there nobody uses DIR before the end
 *     DIR/.restore.lock             held by the one who restores
 *     DIR/.before-restore-<time>/   what was there before
 *
 * | step | was done when |
 * |---|---|
 * | the directory for what was there is made | it is there |
 * | cell.guid gets a second name in it | that is there |
 * | a link that leads nowhere takes the place of cell.guid: no server of any kind starts on the directory | it is one |
 * | all else that was there moves, but locks and backups | it is there |
 * | all else that was restored moves up | it is not in data/ any more |
 * | backups that lie deeper move back | they are not there any more |
 * | the restored cell.guid takes the place of the link: from here on it is the restored directory | it is not in data/ any more |
 *
 * Names are on the disk before those that take their places are given.
 *
 * lock.db and lock.pid stay where they are, for who restores holds them. cell.guid is never opened, for the lock of a Synapse service is on it:
 * closing it would let go of that.
 */
import {link, lstat, readdir, readlink, rename, rm, rmdir, symlink} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {BEFORE_RESTORE, isAside, RESTORE_DIR} from '../backup/aside-names.ts'
import {systemCode} from '../base/errors.ts'
import {isTaken, syncDir} from '../base/files.ts'
import {makeOwnedDir} from './restore-owner.ts'
import {freeName, isName, move, type Step, type Swap, type Way} from './restore-way.ts'

const GUID = 'cell.guid'
const NOTE = 'swap.json'
/** Leads through a file: it can neither be read nor made. */
const NOWHERE = `${RESTORE_DIR}/${NOTE}/a restore was killed here, and registry restore ends it`

/** What stands in the note. */
interface Moves {
  /** Name of the directory for what was there; null when there was nothing. */
  readonly kept: string | null
  /** What moves there, without cell.guid. */
  readonly out: readonly string[]
  readonly hadGuid: boolean
  /** What moves up, without cell.guid. */
  readonly into: readonly string[]
  /** Where backups lie deeper than at the top, relative. */
  readonly shelf: string | null
}

/** Restores within a directory. */
export class WithinWay implements Way {
  readonly dir: string
  readonly container: string
  readonly data: string
  readonly note: string
  readonly lock: string

  constructor(dir: string) {
    this.dir = dir
    this.container = join(dir, RESTORE_DIR)
    this.data = join(this.container, 'data')
    this.note = join(this.container, NOTE)
    this.lock = `${this.container}.lock`
  }

  async isLeft(): Promise<boolean> {
    return await isTaken(this.note)
  }

  async plan(shelf: string, nowMs: number): Promise<Swap> {
    const {dir, data} = this
    await lstat(join(data, GUID))
    const restored = await readdir(data)
    const stays = (name: string) => isAside(name) || isLock(name) || (name === shelf && !restored.includes(name))
    const moving = (await readdir(dir)).filter((name) => !stays(name))
    const isDeep = shelf.includes('/') && (await isTaken(join(dir, shelf)))
    return this.#swap({
      kept: moving.length === 0 ? null : await freeName(dir, BEFORE_RESTORE, nowMs),
      out: moving.filter((name) => name !== GUID),
      hadGuid: moving.includes(GUID),
      into: restored.filter((name) => name !== GUID && !isLock(name)),
      shelf: isDeep ? shelf : null,
    })
  }

  read({kept, out, hadGuid, into, shelf}: Readonly<Record<string, unknown>>): Swap {
    const areNames = (list: unknown): list is string[] => Array.isArray(list) && list.every(isName)
    const isRight = (kept === null || isName(kept)) && areNames(out) && areNames(into) && typeof hadGuid === 'boolean'
    if (!isRight || !(shelf === null || typeof shelf === 'string')) throw new TypeError('it is no note of a restore')
    return this.#swap({kept, out, hadGuid, into, shelf})
  }

  byHand({kept}: Swap): readonly string[] {
    const old = kept === null ? '' : `, and what was there to ${this.dir} from ${kept}`
    return [`registry restore BACKUP ${this.dir}`, `or move what is restored to ${this.data}${old}`]
  }

  #swap(moves: Moves): Swap {
    const kept = moves.kept === null ? null : join(this.dir, moves.kept)
    return {
      kept,
      note: {...moves},
      steps: this.#forth(kept ?? this.container, moves),
      backSteps: this.#back(kept ?? this.container, moves),
    }
  }

  #forth(kept: string, {out, hadGuid, into, shelf}: Moves): readonly Step[] {
    const {dir, data} = this
    const sync: Step = async () => {
      for (const folder of [dir, kept, data]) if (await isTaken(folder)) await syncDir(folder)
    }
    /** When the restored cell.guid has moved up all is done, whatever became of what was there before. */
    const isDone = () => isMissing(join(data, GUID))
    const steps = [
      async () => void (await makeOwnedDir(kept)),
      () => unless(!hadGuid || isTaken(join(kept, GUID)), () => link(join(dir, GUID), join(kept, GUID))),
      sync,
      () => this.#bar(),
      sync,
      ...out.map((name) => () => unless(isTaken(join(kept, name)), () => rename(join(dir, name), join(kept, name)))),
      sync,
      ...into.map((name) => () => unless(isMissing(join(data, name)), () => rename(join(data, name), join(dir, name)))),
      ...(shelf === null ? [] : [() => moveUnlessThere(join(kept, shelf), join(dir, shelf))]),
      sync,
      () => rename(join(data, GUID), join(dir, GUID)),
    ]
    return [...steps.map((step) => () => unless(isDone(), step)), sync]
  }

  #back(kept: string, {out, hadGuid, into, shelf}: Moves): readonly Step[] {
    const {dir, data} = this
    const sync: Step = async () => {
      for (const folder of [dir, kept, data]) if (await isTaken(folder)) await syncDir(folder)
    }
    /** Nothing was done, or all was undone. */
    const isOld = () => (hadGuid ? isMissing(join(kept, GUID)) : isMissing(join(dir, GUID)))
    return [
      () => unless(isTaken(join(data, GUID)), () => link(join(dir, GUID), join(data, GUID))),
      sync,
      () => unless(isOld(), () => this.#bar()),
      sync,
      ...(shelf === null
        ? []
        : [() => unless(isMissing(join(kept, topOf(shelf))), () => this.#shelfBack(kept, shelf))]),
      ...into.map((name) => () => unless(isTaken(join(data, name)), () => rename(join(dir, name), join(data, name)))),
      sync,
      ...out.map((name) => () => unless(isMissing(join(kept, name)), () => rename(join(kept, name), join(dir, name)))),
      sync,
      () => unless(isOld(), () => (hadGuid ? rename(join(kept, GUID), join(dir, GUID)) : rm(join(dir, GUID)))),
      () => (kept === this.container ? Promise.resolve() : removeEmpty(kept)),
      sync,
    ]
  }

  /** What was made for it to lie in goes too. */
  async #shelfBack(kept: string, shelf: string): Promise<void> {
    await moveUnlessThere(join(this.dir, shelf), join(kept, shelf))
    for (let above = dirname(shelf); above !== '.'; above = dirname(above)) {
      await rmdir(join(this.dir, above)).catch(() => undefined) // something else is in it
    }
  }

  /** Puts the link that leads nowhere in the place of cell.guid. */
  async #bar(): Promise<void> {
    const guid = join(this.dir, GUID)
    if ((await readlink(guid).catch(() => undefined)) === NOWHERE) return
    const made = join(this.container, GUID)
    await rm(made, {force: true})
    await symlink(NOWHERE, made)
    await rename(made, guid)
  }
}

/** The lock files of a directory, and what SQLite has beside them. */
function isLock(name: string): boolean {
  return name.startsWith('lock.db') || name === 'lock.pid'
}

function topOf(path: string): string {
  return path.slice(0, path.indexOf('/'))
}

async function unless(isDone: boolean | Promise<boolean>, step: Step): Promise<void> {
  if (!(await isDone)) await step()
}

async function isMissing(path: string): Promise<boolean> {
  return !(await isTaken(path))
}

/** What is not there was moved; where something is already, it stays. */
async function moveUnlessThere(from: string, to: string): Promise<void> {
  if ((await isMissing(from)) || (await isTaken(to))) return
  await makeOwnedDir(dirname(to))
  await move(from, to)
}

async function removeEmpty(dir: string): Promise<void> {
  try {
    await rmdir(dir)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
