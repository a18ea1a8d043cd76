import type {Clock} from '../base/clock.ts'
import type {Callable} from '../wire/telepath/caller.ts'

const METHOD = 'noteBackupFollowed'
/** How often a registry hears how far its log is archived: when something is new, and when nothing is. */
const NEW_EVERY_MS = 1000
const SAME_EVERY_MS = 10_000

/** Tells a registry how far its log is archived, for its status and its health; now and then, and nothing waits for it. */
export class FollowNote {
  readonly #cell: Callable
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #signal: AbortSignal
  #index: number | undefined
  #toldIndex: number | undefined
  #toldAtMs = Number.NEGATIVE_INFINITY
  #telling: Promise<void> | undefined

  constructor(cell: Callable, clock: Pick<Clock, 'monotonicMs'>, signal: AbortSignal) {
    this.#cell = cell
    this.#clock = clock
    this.#signal = signal
  }

  /** Every entry below `index` is on the disk, and there are no others. */
  reached(index: number): void {
    this.#index = index
    const everyMs = index === this.#toldIndex ? SAME_EVERY_MS : NEW_EVERY_MS
    if (this.#clock.monotonicMs() - this.#toldAtMs >= everyMs) this.#tell(index)
  }

  /** Tells what it was not told yet. */
  async finish(): Promise<void> {
    await this.#telling
    if (this.#index !== undefined && this.#index !== this.#toldIndex) this.#tell(this.#index)
    await this.#telling
  }

  #tell(index: number): void {
    if (this.#telling !== undefined || !this.#cell.info.methods.has(METHOD)) return
    this.#toldIndex = index
    this.#toldAtMs = this.#clock.monotonicMs()
    this.#telling = this.#cell
      .call(METHOD, {args: [index], signal: this.#signal})
      .then(
        () => undefined,
        () => undefined, // when the link is lost the log says so; the rest is told again
      )
      .finally(() => {
        this.#telling = undefined
      })
  }
}
