import type {Clock} from '../base/clock.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {knowsArchivers, tellArchived} from './archive-feed.ts'

/** What a registry has that does not know who archives its log. */
const OLD_METHOD = 'noteBackupFollowed'
/** How often a registry hears how far its log is archived: when something is new, and when nothing is. */
const NEW_EVERY_MS = 1000
const SAME_EVERY_MS = 10_000

interface Reached {
  readonly index: number
  readonly isAll: boolean
}

/** Tells a registry how far its log is archived, for its trims, its status and its health; now and then, and nothing waits for it. */
export class FollowNote {
  readonly #cell: Callable
  readonly #archiver: string | undefined
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #signal: AbortSignal
  #reached: Reached | undefined
  #told: Reached | undefined
  #toldAtMs = Number.NEGATIVE_INFINITY
  #telling: Promise<void> | undefined

  /** `archiver` is the iden of the archive. */
  constructor(cell: Callable, archiver: string | undefined, clock: Pick<Clock, 'monotonicMs'>, signal: AbortSignal) {
    this.#cell = cell
    this.#archiver = archiver
    this.#clock = clock
    this.#signal = signal
  }

  /** Every entry below `index` is on the disk, and with `isAll` there was no other one. */
  reached(index: number, isAll: boolean): void {
    this.#reached = {index, isAll}
    const everyMs = this.#isTold ? SAME_EVERY_MS : NEW_EVERY_MS
    if (this.#clock.monotonicMs() - this.#toldAtMs >= everyMs) this.#tell(this.#reached)
  }

  /** Tells what it was not told yet. */
  async finish(): Promise<void> {
    await this.#telling
    if (this.#reached !== undefined && !this.#isTold) this.#tell(this.#reached)
    await this.#telling
  }

  get #isTold(): boolean {
    return this.#reached?.index === this.#told?.index && this.#reached?.isAll === this.#told?.isAll
  }

  #tell(reached: Reached): void {
    if (this.#telling !== undefined) return
    this.#told = reached
    this.#toldAtMs = this.#clock.monotonicMs()
    this.#telling = this.#call(reached)
      .catch(() => undefined) // when the link is lost the log says so; the rest is told again
      .finally(() => {
        this.#telling = undefined
      })
  }

  async #call({index, isAll}: Reached): Promise<void> {
    const cell = this.#cell
    const signal = this.#signal
    const archiver = this.#archiver
    if (archiver !== undefined && knowsArchivers(cell))
      return await tellArchived(cell, {archiver, index, isAll}, signal)
    if (isAll && cell.info.methods.has(OLD_METHOD)) await cell.call(OLD_METHOD, {args: [index], signal})
  }
}
