import type {Clock} from '../../base/clock.ts'
import type {Fields, Log} from '../../base/log.ts'

const INTERVAL_MS = 60_000
const MAX_KEYS = 256

/** Writes what peers can cause at will: each key at most once a minute, with the number of times that were not written before. */
export class RareLog {
  readonly #log: Log
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #written = new Map<string, {readonly atMs: number; omitted: number}>()

  constructor(log: Log, clock: Pick<Clock, 'monotonicMs'>) {
    this.#log = log
    this.#clock = clock
  }

  warning(key: string, event: string, fields: Fields): void {
    const nowMs = this.#clock.monotonicMs()
    const last = this.#written.get(key)
    if (last !== undefined && nowMs - last.atMs < INTERVAL_MS) {
      last.omitted++
      return
    }
    this.#written.delete(key)
    const [oldest] = this.#written.keys()
    if (this.#written.size >= MAX_KEYS && oldest !== undefined) this.#written.delete(oldest)
    this.#written.set(key, {atMs: nowMs, omitted: 0})
    this.#log.warning(event, last === undefined || last.omitted === 0 ? fields : {...fields, omitted: last.omitted})
  }
}
