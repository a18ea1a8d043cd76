/** Where the time comes from. */
export interface Clock {
  /** Milliseconds since the epoch, UTC; may be set back or forward by the system. */
  wallMs(): number
  /** Milliseconds of a clock that only runs forward; its zero means nothing. */
  monotonicMs(): number
}

/** The longest time that a timer of Node can be set to; a longer one would ring at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/**
 * The clock that leases run on. It starts at the wall time of its making and from then on follows the monotonic clock, so setting the
 * system's clock does nothing to a lease. Between two ticks it moves by at most `maxGapMs`: when the process stood still (SIGSTOP, a
 * stalled disk, a suspended machine) the time lost is not counted, and nothing alive runs out because the registry slept.
 */
export class LeaseClock {
  readonly #clock: Clock
  readonly #maxGapMs: number
  #leaseMs: number
  #tickMs: number

  constructor(clock: Clock, maxGapMs: number) {
    this.#clock = clock
    this.#maxGapMs = maxGapMs
    this.#leaseMs = clock.wallMs()
    this.#tickMs = clock.monotonicMs()
  }

  /** Lease time in milliseconds. */
  nowMs(): number {
    return this.#leaseMs + Math.min(this.#clock.monotonicMs() - this.#tickMs, this.#maxGapMs)
  }

  /** Lets time pass without moving the clock on; to be called in place of `tick` while it stands. */
  stand(): void {
    this.#tickMs = this.#clock.monotonicMs()
  }

  /** Moves the clock on; to be called well within `maxGapMs`. Returns the milliseconds that were lost, 0 in normal life. */
  tick(): number {
    const monotonicMs = this.#clock.monotonicMs()
    const gapMs = monotonicMs - this.#tickMs
    this.#leaseMs += Math.min(gapMs, this.#maxGapMs)
    this.#tickMs = monotonicMs
    return Math.max(0, gapMs - this.#maxGapMs)
  }
}
