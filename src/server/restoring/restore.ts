/**
 * Restores a backup: looks whether it may be done, makes the directory anew beside its place, brings it to the wanted moment, and gives it the name when
 * all of it is right and on the disk. Until then the directory that is there is not touched; afterwards it is kept beside. A directory that has to stay, as
 * the mount point of a volume, has both in itself.
 */
import {existsSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {join, relative, resolve, sep} from 'node:path'
import {isAside} from '../../backup/aside-names.ts'
import {readCellConf} from '../../backup/cell-conf.ts'
import type {Progress} from '../../backup/progress.ts'
import {RegistryError} from '../../base/errors.ts'
import {pathWithin, writeFileAtomic} from '../../base/files.ts'
import {readDirKind} from '../../cell/dir-kind.ts'
import {holdGuid} from '../../cell/guid-lock.ts'
import {type Given, mendRestore, RestoreSite} from '../../cell/restore-swap.ts'
import {decodeLead, LEAD_TABLE, LEADER_KEY} from '../../registry/lead.ts'
import {tryFileLock} from '../../store/file-lock.ts'
import {lookIntoStore} from '../../store/look.ts'
import type {ReplayEnd} from '../replay.ts'
import {assertMoment, bringToMoment, CLOCKS_MS, type RestoredHistory} from './restore-history.ts'
import type {RestoreSource} from './restore-source.ts'
import {checkTarget, hasToStay, isWithin, type RestoredCell, type RestoreTarget} from './restore-target.ts'
import {assertKnownFormat, newerWarnings} from './written-by.ts'

export interface RestoreWish {
  readonly source: RestoreSource
  /** Directory to restore to. */
  readonly dir: string
  /** Only up to a moment; of registries only. */
  readonly last?: ReplayEnd | undefined
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly wallMs: () => number
  /** Reads the configuration of a directory of ours. */
  readonly readConf: (dir: string) => Promise<RestoreConf>
}

/** What a restore has to know of a configuration. */
export interface RestoreConf {
  /** `limit:disk:free` */
  readonly minFreePercent: number
  /** `mirror` is set. */
  readonly isMirror: boolean
  /** `backup:dir` */
  readonly backupDir: string | null
}

/** What is known before anything is done. */
export interface RestorePlan {
  readonly dir: string
  readonly cell: RestoredCell
  readonly target: RestoreTarget
  /** What is in the directory is replaced, and not the directory. */
  readonly isWithin: boolean
  /** Iden of another cell that is there and would be replaced; null when there is none. */
  readonly otherCell: string | null
  /** What to know, one line each. */
  readonly warnings: readonly string[]
}

/** What a restored directory is. */
export interface Restored {
  /** Undefined for a Synapse service. */
  readonly history: RestoredHistory | undefined
  readonly files: number
  /** Where it lies until it has its name. */
  readonly data: string
}

export interface Swapped {
  /** Where the directory is that was there before; null when there was none. */
  readonly kept: string | null
  /** Where the backup is now; it lay in the directory that was replaced. */
  readonly movedBackup: string | null
  /** Whom root gave it to; null when that was not needed, or somebody else restores. */
  readonly owner: Given | null
}

const SHELF = 'backups'
/** Names the URL that a directory was restored from at a start (`restore-url.ts`). */
export const DONE_FILE = 'restore.done'
const MARK_MAX = 1024

/** A restore that has looked, and has touched nothing yet. Disposed before `swap`, nothing of it is left. */
export class Restoring implements AsyncDisposable {
  readonly plan: RestorePlan
  readonly #wish: RestoreWish
  readonly #settings: TargetSettings
  #site: RestoreSite | undefined

  private constructor(wish: RestoreWish, plan: RestorePlan, settings: TargetSettings) {
    this.#wish = wish
    this.plan = plan
    this.#settings = settings
  }

  /**
   * Looks whether it may be done, when a restore that was killed there has come to its end. Throws as `mendRestore`, `checkTarget` and `hasToStay`.
   *
   * @throws RegistryError `REG_CONFLICT` when a moment is wanted of a Synapse service; `REG_NOT_FOUND` for one that the backup does not have;
   * `REG_STORE_NEWER` for a registry that newer software wrote
   */
  static async open(wish: RestoreWish): Promise<Restoring> {
    const {source, last} = wish
    const {cell, end} = source
    await mendRestore(wish.dir)
    const target = await checkTarget(wish.dir, source.path, cell)
    if (last !== undefined && cell.kind !== 'registry') throw noMoments()
    assertMoment(last, end, source.more === undefined ? CLOCKS_MS : 0)
    if (source.storePath !== undefined) await assertKnownFormat(source.storePath, source)
    const otherCell = target.iden === null || target.iden === cell.iden ? null : target.iden
    const settings = await settingsOf(target, wish)
    const isStaying = await hasToStay(target.dir, settings.shelf)
    const plan = {dir: target.dir, cell, target, isWithin: isStaying, otherCell, warnings: warningsOf(source)}
    return new Restoring(wish, plan, settings)
  }

  /**
   * Makes the new directory beside its place, whole and on the disk. The one that is there is as it was.
   *
   * @throws RegistryError as `layOut` and `bringToMoment`; `REG_STORE_NEWER`; `REG_CONFLICT` when somebody else restores there
   */
  async prepare(): Promise<Restored> {
    const {source, last, progress, signal} = this.#wish
    const site = await RestoreSite.open(this.plan.dir, this.plan)
    this.#site = site
    const {minFreePercent} = this.#settings
    const files = await source.layOut(site.data, last, {progress, signal, room: {minFreePercent}})
    await this.#keepMark(site.data)
    const {kind} = this.plan.cell
    return {files, data: site.data, history: kind === 'registry' ? await this.#bringToMoment(site.data) : undefined}
  }

  /**
   * Gives the new directory its name, and keeps the old one. Throws as `RestoreSite.swap`.
   *
   * @throws RegistryError `REG_CELL_RUNS` when a server was started there meanwhile
   */
  async swap(): Promise<Swapped> {
    const {dir, target} = this.plan
    const {shelf} = this.#settings
    const site = this.#site
    if (site === undefined) throw new Error('a restore is prepared before it is done')
    if (target.was !== 'cell' && !(await isStillEmpty(dir))) throw madeMeanwhile(dir)
    using _ = holdBoth(this.plan, site.data)
    const owner = (await site.give()) ?? null
    const kept = await site.swap(shelf, this.#wish.wallMs())
    const {path} = this.#wish.source
    const movedBackup = kept === null || !isMoved(dir, shelf, path) ? null : join(kept, relative(dir, path))
    return {kept, movedBackup, owner}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#site?.[Symbol.asyncDispose]()
  }

  /** Which URL was restored from is known of the place, not of the backup: else the next start would restore from it again. */
  async #keepMark(data: string): Promise<void> {
    const {dir, target} = this.plan
    if (target.was !== 'cell') return
    const mark = await readFile(join(dir, DONE_FILE), 'utf8').catch(() => undefined)
    if (mark !== undefined && mark.length <= MARK_MAX) await writeFileAtomic(join(data, DONE_FILE), mark)
  }

  async #bringToMoment(data: string): Promise<RestoredHistory> {
    const {source, last, signal, progress, readConf} = this.#wish
    progress.phase('applying the change log', undefined)
    await assertKnownFormat(join(data, 'registry.db'), source)
    return await bringToMoment(data, {
      last,
      untilMs: source.end.untilMs,
      more: source.more,
      isMirror: async () => (await readConf(data)).isMirror,
      above: await epochOf(this.plan.target),
      signal,
      onApplied: (count) => progress.add(count),
    })
  }
}

/** What the configuration of the directory says that is there. */
interface TargetSettings {
  readonly minFreePercent: number
  /** Directory of its backups, relative: they stay where they are. */
  readonly shelf: string
}

async function settingsOf({dir}: RestoreTarget, {source, readConf}: RestoreWish): Promise<TargetSettings> {
  const {backupDir} = await readCellConf(dir)
  const asWritten = {minFreePercent: 0, shelf: backupDir ?? SHELF}
  if (source.cell.kind !== 'registry') return asWritten
  try {
    const {minFreePercent, backupDir: inForce} = await readConf(dir)
    const within = await pathWithin(dir, resolve(dir, inForce ?? SHELF))
    return {minFreePercent, shelf: within || SHELF}
  } catch {
    return asWritten // that it is damaged may be why it is restored
  }
}

/** Tells whether what lies at a path goes away with the directory. */
function isMoved(dir: string, shelf: string, path: string): boolean {
  if (!isWithin(path, dir) || isWithin(path, join(dir, shelf))) return false
  const [top = ''] = relative(dir, path).split(sep, 1)
  return !isAside(top)
}

/**
 * Gives the epoch in which the directory that is there led last, so that what is restored in its place leads after that one; 0 when it did not lead: then it
 * is not known to be given up.
 */
async function epochOf({dir, was}: RestoreTarget): Promise<number> {
  const path = join(dir, 'registry.db')
  if (was !== 'cell' || !existsSync(path) || existsSync(join(dir, 'fence.json'))) return 0
  try {
    const {head, value} = await lookIntoStore(path, {table: LEAD_TABLE, key: LEADER_KEY})
    const isLed = value !== undefined && decodeLead(value).member !== head.iden
    return isLed ? 0 : head.epoch
  } catch {
    return 0 // that it is damaged may be why it is restored
  }
}

async function isStillEmpty(dir: string): Promise<boolean> {
  const {kind} = await readDirKind(dir)
  return kind === 'empty' || kind === 'absent'
}

/** Nobody starts in the one that goes, nor in the one that comes, before it is done. */
function holdBoth({dir, target, cell: {kind}, isWithin: isStaying}: RestorePlan, data: string): Disposable {
  using stack = new DisposableStack()
  const isOurs = kind === 'registry' && (isStaying || existsSync(join(dir, 'lock.db')))
  if (target.was === 'cell' || isOurs) stack.use(holdCell(dir, kind) ?? refuseRunning(dir))
  if (!isStaying) stack.use(holdCell(data, kind))
  return stack.move()
}

function holdCell(dir: string, kind: 'registry' | 'synapse'): Disposable | undefined {
  const guid = join(dir, 'cell.guid')
  if (kind === 'registry') return tryFileLock(join(dir, 'lock.db'))
  return existsSync(guid) ? holdGuid(guid) : {[Symbol.dispose]: () => undefined}
}

function refuseRunning(dir: string): never {
  throw new RegistryError('REG_CELL_RUNS', `the cell of ${dir} was started meanwhile: nothing was replaced`, {
    info: {dir},
    hints: ['stop it first, then restore'],
  })
}

function madeMeanwhile(dir: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `something was put into ${dir} meanwhile: nothing was replaced`, {
    info: {dir},
    hints: ['look what it is', 'stop what runs there, and run it again'],
  })
}

function noMoments(): RegistryError {
  return new RegistryError('REG_CONFLICT', 'a Synapse service is restored as it was backed up: to no other moment', {
    hints: ['leave out --to-offset and --to-time'],
  })
}

function warningsOf(source: RestoreSource): readonly string[] {
  const {cell, warnings} = source
  if (cell.kind === 'registry') return [...warnings, ...newerWarnings(source)]
  return [...warnings, 'mirrors of this service do not notice that it was restored: make them anew']
}
