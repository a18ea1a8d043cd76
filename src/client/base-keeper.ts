import type {ComingBase, FollowDir} from '../backup/follow-dir.ts'
import type {HistoryReason} from '../backup/followed.ts'
import type {Clock} from '../base/clock.ts'
import {messageOf, RegistryError} from '../base/errors.ts'

/** What became of a base. */
export type BaseEvent =
  | {readonly event: 'base'; readonly path: string; readonly index: number; readonly removed: readonly string[]}
  | {readonly event: 'base-failed'; readonly reason: string}

export interface BaseKeeperPorts {
  readonly dir: FollowDir
  /** Fetches a base into a directory of its own below `path`. */
  readonly take: (path: string, signal: AbortSignal) => Promise<ComingBase>
  /** Age at which the newest base is followed by another one, ms. */
  readonly everyMs: number
  /** How many are kept. */
  readonly keep: number
  /** A base that cannot be taken is thrown, instead of tried again. */
  readonly isStrict: boolean
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
}

/** A base that could not be taken is tried again after so long, or when the next one is due. */
const RETRY_MS = 60_000

/** Takes bases while the log is archived, each when the newest is old; removes those that are not kept any more. The log waits for nothing here. */
export class BaseKeeper implements AsyncDisposable {
  readonly #ports: BaseKeeperPorts
  #work: {readonly done: Promise<void>; readonly stop: AbortController} | undefined
  #result: {readonly event: BaseEvent} | {readonly error: unknown} | undefined
  #reached = 0
  #wake: (() => void) | undefined
  #notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(ports: BaseKeeperPorts) {
    this.#ports = ports
  }

  /** Nothing is under way, and nothing is due. */
  get isIdle(): boolean {
    return this.#work === undefined && this.#result === undefined && !this.#isDue
  }

  /** Takes the first base of a history. Throws as `take`; one that is under way is dropped. */
  async begin(why: HistoryReason, signal: AbortSignal): Promise<BaseEvent> {
    const {dir, take, keep, clock} = this.#ports
    await this.#stop()
    const base = await take(dir.comingPath, signal)
    const path = await dir.begin(why, base, new Date(clock.wallMs()).toISOString())
    this.#taken()
    return {event: 'base', path, index: indexOf(base), removed: await dir.prune(keep)}
  }

  /**
   * Hears that every entry below `nextOffset` is archived. Begins to take a base when one is due; gives what became of one.
   *
   * @throws RegistryError `REG_HISTORY_DIFFERS` when a base came whose log is not the one that is archived
   */
  look(nextOffset: number): BaseEvent | undefined {
    this.#reached = nextOffset
    this.#wake?.()
    if (this.#work === undefined && this.#result === undefined && this.#isDue) this.#begin()
    const result = this.#result
    this.#result = undefined
    if (result === undefined || 'event' in result) return result?.event
    const {error} = result
    const differs = error instanceof RegistryError && error.code === 'REG_HISTORY_DIFFERS'
    if (differs || this.#ports.isStrict) throw error
    return {event: 'base-failed', reason: messageOf(error)}
  }

  /** Ends what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
  }

  get #isDue(): boolean {
    const {dir, everyMs, clock} = this.#ports
    if (clock.monotonicMs() < this.#notBeforeMs) return false
    const newest = dir.newestBase
    return newest !== undefined && clock.wallMs() - Date.parse(newest.manifest.madeAt) >= everyMs
  }

  #begin(): void {
    const {everyMs, clock} = this.#ports
    this.#notBeforeMs = clock.monotonicMs() + Math.min(RETRY_MS, everyMs)
    const stop = new AbortController()
    const done = this.#takeOne(stop.signal).then(
      (event) => this.#end({event}),
      (error: unknown) => this.#end({error}),
    )
    this.#work = {done, stop}
  }

  #end(result: {readonly event: BaseEvent} | {readonly error: unknown}): void {
    this.#result = result
    this.#work = undefined
  }

  async #takeOne(signal: AbortSignal): Promise<BaseEvent> {
    const {dir, take, keep} = this.#ports
    const base = await take(dir.comingPath, signal)
    const index = indexOf(base)
    await this.#untilReached(index, signal)
    const known = await dir.hashAt(index - 1)
    if (known !== base.manifest.log.hash) {
      const text = `entry ${index - 1} of the base that was taken is not the one that is archived`
      throw new RegistryError('REG_HISTORY_DIFFERS', text, {info: {offset: index - 1}})
    }
    signal.throwIfAborted()
    const path = await dir.add(base)
    this.#taken()
    return {event: 'base', path, index, removed: await dir.prune(keep)}
  }

  async #untilReached(index: number, signal: AbortSignal): Promise<void> {
    while (this.#reached < index) {
      signal.throwIfAborted()
      const {promise, resolve} = Promise.withResolvers<void>()
      this.#wake = resolve
      signal.addEventListener('abort', () => resolve(), {once: true})
      await promise
    }
  }

  /** Whatever the clock of the registry says, the next one is not due before its time here. */
  #taken(): void {
    const {everyMs, clock} = this.#ports
    this.#notBeforeMs = clock.monotonicMs() + everyMs
  }

  async #stop(): Promise<void> {
    const work = this.#work
    work?.stop.abort(new RegistryError('REG_CANCELLED', 'the base is not needed any more'))
    await work?.done
    this.#result = undefined
  }
}

function indexOf({manifest}: ComingBase): number {
  const {index, hash} = manifest.log
  if (index !== null && hash !== null) return index
  throw new RegistryError('REG_BAD_ANSWER', 'the base that was taken does not say where its log stands')
}
