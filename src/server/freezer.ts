import {setTimeout as sleep} from 'node:timers/promises'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import type {Store} from '../store/store.ts'

export interface FreezerPorts {
  readonly store: Pick<Store, 'freeze' | 'thaw'>
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly log: Log
}

export interface FreezeLimits {
  /** Longest wait until what is under way is on the disk. */
  readonly withinMs: number
  /** The freeze ends by itself after this time. */
  readonly maxMs: number
}

/** A freeze as others see it. */
export interface Frozen {
  readonly sinceMs: number
  /** Time until it ends by itself. */
  readonly restMs: number
}

interface State {
  readonly kind: 'closing' | 'frozen'
  readonly sinceMs: number
  /** Of the monotonic clock. */
  readonly endsAtMs: number
  readonly timer?: NodeJS.Timeout
}

/** Pause between two attempts, while another process reads what is to be moved. */
const AGAIN_MS = 50

/**
 * Stops the changes for a moment, so that a snapshot of the volume can be taken: the file of the store is whole and on the disk, and stays as it is.
 * Changes wait, reads and heartbeats go on. Unlike at the peer a freeze ends by itself: one that was forgotten stops nobody for ever.
 *
 * @see spec/cell-operations.md, section 11
 */
export class Freezer {
  readonly #ports: FreezerPorts
  #state: State | undefined

  constructor(ports: FreezerPorts) {
    this.#ports = ports
  }

  /** Undefined when changes do not wait. */
  get frozen(): Frozen | undefined {
    if (this.#state === undefined) return undefined
    const {sinceMs, endsAtMs} = this.#state
    return {sinceMs, restMs: Math.max(0, endsAtMs - this.#ports.clock.monotonicMs())}
  }

  /** Changes wait. */
  get isOn(): boolean {
    return this.#state !== undefined
  }

  /**
   * Has all changes wait from now on; when this resolves, the file is whole.
   *
   * @throws RegistryError `REG_CONFLICT` when it is frozen already; `REG_TIMED_OUT` when the disk was not ready in time, and then nothing waits;
   * `REG_STORE_FAILED`
   */
  async freeze({withinMs, maxMs}: FreezeLimits, actor: string): Promise<void> {
    const {clock, log} = this.#ports
    if (this.#state !== undefined) throw badState('The service is already frozen.', 'registry resume')
    const sinceMs = clock.wallMs()
    const closing: State = {kind: 'closing', sinceMs, endsAtMs: clock.monotonicMs() + withinMs + maxMs}
    this.#state = closing
    try {
      await this.#close(closing, withinMs)
    } catch (error) {
      if (this.#state === closing) await this.#thaw()
      throw error
    }
    const timer = setTimeout(() => void this.#endByItself(maxMs), maxMs)
    timer.unref()
    this.#state = {kind: 'frozen', sinceMs, endsAtMs: clock.monotonicMs() + maxMs, timer}
    log.warning('store.frozen', {actor, maxMs})
  }

  /**
   * Lets changes go on.
   *
   * @throws RegistryError `REG_CONFLICT` when it is not frozen: it was resumed before, or the freeze has ended by itself
   */
  async resume(actor: string): Promise<void> {
    if (this.#state?.kind !== 'frozen') throw badState('The service is not frozen.', 'registry status')
    await this.#thaw()
    this.#ports.log.info('store.resumed', {actor})
  }

  /** Ends a freeze, for the stop of the server. */
  async end(): Promise<void> {
    if (this.#state !== undefined) await this.#thaw()
  }

  async #close(closing: State, withinMs: number): Promise<void> {
    const late = AbortSignal.timeout(withinMs)
    const lateness = new Promise<never>((_, reject) => {
      late.addEventListener('abort', () => reject(tooLate(withinMs)))
    })
    await Promise.race([this.#closeStore(closing, late), lateness])
    if (this.#state !== closing) throw badState('The service is stopping.', 'registry status')
  }

  async #closeStore(closing: State, late: AbortSignal): Promise<void> {
    while (this.#state === closing && !late.aborted) {
      try {
        await this.#ports.store.freeze()
        return
      } catch (error) {
        if (!(error instanceof RegistryError) || error.code !== 'REG_BUSY') throw error
      }
      await sleep(AGAIN_MS)
    }
  }

  async #endByItself(maxMs: number): Promise<void> {
    await this.#thaw()
    this.#ports.log.warning('store.resumed-by-itself', {maxMs})
  }

  async #thaw(): Promise<void> {
    clearTimeout(this.#state?.timer)
    this.#state = undefined
    await this.#ports.store.thaw()
  }
}

/** Says of a freeze how long it lasts. */
export function frozenText({restMs}: Frozen): string {
  return `frozen for ${Math.ceil(restMs / 1000)} s more: changes wait`
}

function badState(text: string, hint: string): RegistryError {
  return new RegistryError('REG_CONFLICT', text, {telepath: 'BadState', hints: [hint]})
}

function tooLate(withinMs: number): RegistryError {
  const text = `what is under way was not on the disk within ${withinMs / 1000} s: changes go on`
  return new RegistryError('REG_TIMED_OUT', text, {telepath: 'TimeOut', hints: ['registry status', 'ask again']})
}
