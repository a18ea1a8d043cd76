import {LONGEST_TIMER_MS} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'

/** What is given up when the patience ends. */
interface Waited {
  fail(error: unknown): void
}

export interface PatienceOptions {
  /** 0 is no limit. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** What is waited for, for the text: `getCellInfo of tcp://h:1 was not answered`. */
  readonly about: string
}

/**
 * How long a caller waits: for each step `timeoutMs`, and never after his signal aborted. Its end fails what is waited for: with `REG_TIMED_OUT`, or
 * the signal's reason.
 */
export class Patience implements Disposable {
  readonly #options: PatienceOptions
  #waited: Waited | undefined
  #timer: NodeJS.Timeout | undefined
  #onAbort: (() => void) | undefined

  /** Throws the reason of a signal that has aborted. */
  constructor(options: PatienceOptions) {
    options.signal?.throwIfAborted()
    this.#options = options
  }

  /** Begins a step, in which this is waited for. */
  begin(waited: Waited): void {
    const {signal, timeoutMs} = this.#options
    this.#waited = waited
    if (this.#timer !== undefined) this.#timer.refresh()
    else if (timeoutMs > 0) this.#timer = setTimeout(() => this.#onTimeout(), Math.min(timeoutMs, LONGEST_TIMER_MS))
    if (signal === undefined || this.#onAbort !== undefined) return
    this.#onAbort = () => this.#fail(signal.reason)
    signal.addEventListener('abort', this.#onAbort, {once: true})
  }

  /** Ends the step; until the next one the time does not count, the signal does. */
  pause(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  [Symbol.dispose](): void {
    this.pause()
    this.#waited = undefined
    if (this.#onAbort !== undefined) this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }

  #onTimeout(): void {
    const {about, timeoutMs} = this.#options
    this.#fail(new RegistryError('REG_TIMED_OUT', `${about} within ${timeoutMs / 1000} s`, {info: {timeoutMs}}))
  }

  #fail(error: unknown): void {
    this.#waited?.fail(error)
  }
}
