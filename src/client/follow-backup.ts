/**
 * Keeps a base of a registry on this machine, and its change log beside it as it grows. What the registry commits is on the disk here within a second.
 *
 *     open the cell ─► which cell? ─► no base yet, or none that its log goes on from: take one, in a history of its own
 *          ▲                                   │
 *          │ pause                             ▼
 *          └───── link lost ◄─── entries ─► archive ─► tell the registry how far;  a new base when the newest is old
 */
import {setTimeout as delay} from 'node:timers/promises'
import {type ComingBase, FollowDir} from '../backup/follow-dir.ts'
import type {HistoryReason} from '../backup/followed.ts'
import type {ArchivePlace} from '../backup/log-segment.ts'
import type {Clock} from '../base/clock.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {Callable, TelepathProxy} from '../wire/telepath/caller.ts'
import {type LogPiece, type LogStart, logStart, openLog} from './archive-feed.ts'
import {type BaseEvent, BaseKeeper, type BaseKeeperPorts} from './base-keeper.ts'
import {FollowNote} from './follow-note.ts'

/** What happens, for who watches. */
export type FollowEvent =
  | BaseEvent
  | {readonly event: 'following'; readonly index: number; readonly behind: number}
  | {readonly event: 'archived'; readonly index: number; readonly behind: number; readonly lagMs: number}
  | {readonly event: 'history'; readonly why: HistoryReason; readonly reason: string}
  | {readonly event: 'disconnected'; readonly reason: string}

export interface FollowOptions {
  readonly dir: string
  /** Where that is, for who looks at the status of the registry: host and path. */
  readonly name: string
  /** Opens the cell. */
  readonly open: (signal: AbortSignal) => Promise<TelepathProxy>
  /** Fetches a base of the cell into a directory of its own below a path. */
  readonly takeBase: (cell: Callable, ...to: Parameters<BaseKeeperPorts['take']>) => Promise<ComingBase>
  /** Age at which the newest base is followed by another one, ms. */
  readonly baseEveryMs: number
  /** How many bases are kept. */
  readonly keepBases: number
  /** How often at most it is told how far it is; 10 s unless given. */
  readonly toldEveryMs?: number
  /** Ends when it has what there was at its begin. */
  readonly isOnce: boolean
  /** Ends it in good order. */
  readonly signal: AbortSignal
  readonly onEvent: (event: FollowEvent) => void
  readonly clock: Clock
}

/** What is kept at the end. */
export interface FollowReport {
  readonly index: number | null
  readonly entries: number
}

const RETRY_MS = 100
const MAX_RETRY_MS = 5000
const ARCHIVED_EVERY_MS = 10_000
/** What does not mend itself: it is told at once. The others are tried again. */
const LASTING = new Set(['REG_CONFLICT', 'REG_USAGE', 'REG_CONFIG_INVALID', 'REG_DIR_UNUSABLE'])
/** What may mend itself once it has worked: a password or a certificate is being replaced, AHA starts. */
const LASTING_AT_FIRST = new Set(['REG_DENIED', 'REG_NOT_FOUND', 'REG_CERT_MISSING', 'REG_CERT_INVALID'])

/**
 * Follows until `signal` aborts, or with `isOnce` until everything is there.
 *
 * @throws RegistryError `REG_DIR_LOCKED`, `REG_CONFLICT` when the directory is of something else; `REG_NOT_FOUND` for a service that cannot be followed;
 * with `isOnce` whatever goes wrong
 */
export async function followBackup(options: FollowOptions): Promise<FollowReport> {
  await using dir = await FollowDir.open(options.dir)
  const follower = new Follower(dir, options)
  try {
    await follower.run()
  } catch (error) {
    if (!options.signal.aborted) throw error
  }
  return {index: dir.place?.nextOffset ?? null, entries: follower.entries}
}

class Follower {
  readonly #dir: FollowDir
  readonly #options: FollowOptions
  /** Entries that were archived. */
  entries = 0
  #wasLinked = false
  #isToReopen = false
  #problem: string | undefined
  /** Of entries that nobody was told of yet. */
  #lagMs: number | undefined
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(dir: FollowDir, options: FollowOptions) {
    this.#dir = dir
    this.#options = options
  }

  async run(): Promise<void> {
    const {signal, isOnce} = this.#options
    let pauseMs = RETRY_MS
    while (!signal.aborted) {
      const before = this.entries
      try {
        await this.#session()
        if (isOnce) return
      } catch (error) {
        if (signal.aborted) return
        await this.#afterFailure(error)
      }
      pauseMs = this.entries > before ? RETRY_MS : Math.min(pauseMs * 2, MAX_RETRY_MS)
      await delay(pauseMs, undefined, {signal}).catch(() => undefined)
    }
  }

  async #session(): Promise<void> {
    if (this.#isToReopen) await this.#dir.reopen()
    this.#isToReopen = false
    const over = new AbortController()
    const signal = AbortSignal.any([this.#options.signal, over.signal])
    await using cell = await this.#options.open(signal)
    const {cell: iden} = await logStart(cell, signal)
    await this.#dir.claim(iden)
    const {takeBase, baseEveryMs, keepBases, isOnce, clock} = this.#options
    await using bases = new BaseKeeper({
      ...{dir: this.#dir, everyMs: baseEveryMs, keep: keepBases, isStrict: isOnce, clock},
      take: (...to) => takeBase(cell, ...to),
    })
    try {
      while (!(await this.#follow(cell, bases, signal))) signal.throwIfAborted()
    } finally {
      over.abort()
    }
  }

  /** Gives false when another history has to be begun, which is then done. */
  async #follow(cell: TelepathProxy, bases: BaseKeeper, signal: AbortSignal): Promise<boolean> {
    const {place, damage} = this.#dir
    if (place === undefined) {
      await this.#begin(bases, damage === undefined ? 'first' : 'damaged', damage?.message ?? '', signal)
      return false
    }
    const {name, isOnce} = this.#options
    const {archiver} = this.#dir
    const about = archiver === undefined ? undefined : {archiver, name, isOnce}
    await using log = await openLog(cell, place.nextOffset, signal, about)
    const misfit = await misfitOf(this.#dir, log.start, place)
    if (misfit !== undefined) {
      await this.#begin(bases, misfit.why, misfit.reason, signal)
      return false
    }
    this.#wasLinked = true
    this.#problem = undefined
    const {nextOffset} = log.start
    this.#tell({event: 'following', index: place.nextOffset, behind: nextOffset - place.nextOffset})
    try {
      await this.#archive(log.pieces, nextOffset, bases, new FollowNote(cell, archiver, this.#options.clock, signal))
      return true
    } catch (error) {
      const why = whyBegin(error)
      if (why === undefined) throw error
      await this.#begin(bases, why, messageOf(error), signal)
      return false
    }
  }

  async #archive(pieces: AsyncIterable<LogPiece>, goal: number, bases: BaseKeeper, note: FollowNote): Promise<void> {
    for await (const piece of pieces) {
      await this.#dir.append(piece.entries)
      this.entries += piece.entries.length
      const index = this.#dir.place?.nextOffset ?? 0
      const behind = Math.max(0, piece.nextOffset - index)
      this.#tellArchived(piece, index, behind)
      note.reached(index, behind === 0)
      const event = bases.look(index)
      if (event !== undefined) this.#tell(event)
      if (this.#options.isOnce && index >= goal && bases.isIdle) return await note.finish()
    }
    throw new RegistryError('REG_LINK_CLOSED', 'the registry ended the log')
  }

  async #begin(bases: BaseKeeper, why: HistoryReason, reason: string, signal: AbortSignal): Promise<void> {
    if (why !== 'first') this.#tell({event: 'history', why, reason})
    this.#tell(await bases.begin(why, signal))
  }

  #tell(event: FollowEvent): void {
    this.#options.onEvent(event)
  }

  /** What came shortly after the last word is told later: pieces without entries come every second. */
  #tellArchived({entries, nowMs}: LogPiece, index: number, behind: number): void {
    const last = entries.at(-1)
    if (last !== undefined) this.#lagMs = Math.max(0, nowMs - last.timeMs)
    const {clock, toldEveryMs = ARCHIVED_EVERY_MS} = this.#options
    const atMs = clock.monotonicMs()
    if (this.#lagMs === undefined || atMs - this.#toldAtMs < toldEveryMs) return
    this.#tell({event: 'archived', index, behind, lagMs: this.#lagMs})
    this.#toldAtMs = atMs
    this.#lagMs = undefined
  }

  /** Tells what is new about a failure, and makes ready for another try. Throws what does not mend itself. */
  async #afterFailure(error: unknown): Promise<void> {
    if (this.#options.isOnce || !(error instanceof RegistryError) || this.#isLasting(error)) throw error
    const reason = messageOf(error)
    if (this.#problem !== reason) this.#tell({event: 'disconnected', reason})
    this.#problem = reason
    this.#isToReopen ||= error.code === 'REG_STORE_FAILED' // what was being written may be on the disk in part
  }

  #isLasting({code, telepath}: RegistryError): boolean {
    if (LASTING.has(code) || telepath === 'FeatureNotSupported') return true
    return !this.#wasLinked && LASTING_AT_FIRST.has(code)
  }
}

/** Why the log of the other side does not go on from a place; undefined when it does. @throws RegistryError `REG_NOT_LEADER` when it is behind */
async function misfitOf(
  dir: FollowDir,
  start: LogStart,
  {nextOffset, lastHash, epoch}: ArchivePlace,
): Promise<{readonly why: HistoryReason; readonly reason: string} | undefined> {
  const differs = (at: number) => ({why: 'differs' as const, reason: `entry ${at} is another one there than here`})
  if (start.nextOffset < nextOffset) {
    const newest = start.nextOffset - 1
    // Epochs never go down in a log: its newest entry is of a higher one than any here.
    if (start.epoch > epoch) return differs(newest)
    const known = await dir.hashAt(newest)
    if (known !== undefined && start.lastHash !== null && known !== start.lastHash) return differs(newest)
    const text = `the registry has entries up to ${newest} only, and ${nextOffset - 1} is archived: it waits until that one has them`
    throw new RegistryError('REG_NOT_LEADER', text, {info: {index: start.nextOffset}, hints: ['registry status']})
  }
  if (start.beforeHash !== null && start.beforeHash !== lastHash) return differs(nextOffset - 1)
  if (start.firstOffset <= nextOffset) return undefined
  const reason = `the registry keeps entries from ${start.firstOffset} on, and those up to ${nextOffset - 1} are archived`
  return {why: 'trimmed', reason}
}

/** Whether an error says that another history has to be begun, and why. */
function whyBegin(error: unknown): HistoryReason | undefined {
  if (!(error instanceof RegistryError)) return undefined
  const code = error.info['code'] ?? error.code
  if (code === 'REG_HISTORY_DIFFERS') return 'differs'
  return code === 'REG_OFFSET_CULLED' ? 'trimmed' : undefined
}
