import {LONGEST_TIMER_MS} from '../base/clock.ts'
import {type ErrorCode, messageOf, RegistryError} from '../base/errors.ts'
import type {Maintenance} from '../registry/maintenance.ts'
import type {EventPage, RegistryInfo, ServiceEvent} from './answers.ts'
import {cancelled} from './cancelled.ts'
import {EventInbox} from './event-inbox.ts'
import {matches, type ServiceFilter} from './filter.ts'
import {entryOfEvent, type ServiceEntry} from './service-entry.ts'
import type {CallOptions} from './service-info.ts'
import {type RegistryAddress, tcpAddress} from './url.ts'

/** A change of a service, as the change log has it. */
interface LoggedChange {
  readonly kind: 'registered' | 'deregistered' | 'expired' | 'maintenance'
  /** Where it stands in the log; who has it goes on from the next one. */
  readonly offset: number
  readonly timeMs: number
  readonly id: string
  /** As it last registered; undefined when that was before the offset that the watch began with. */
  readonly service: ServiceEntry | undefined
  /** What a change of kind `maintenance` began; null when it ended one. */
  readonly maintenance: Maintenance | null | undefined
}

export type LogWatchEvent =
  | LoggedChange
  /** Everything that the log had a moment ago has been said; `next` is the offset to begin with the next time. */
  | {readonly kind: 'synced'; readonly next: number}
  /** What happens is said when the registry is back: nothing is left out. */
  | {readonly kind: 'disconnected'; readonly reason: string}

export interface LogWatchOptions {
  /** Offset of the first change that is wanted. */
  readonly since: number
  readonly signal?: AbortSignal | undefined
  /** Reads again after so long although no event came; 10 000 when absent. */
  readonly refreshMs?: number | undefined
}

/** What this watch needs of a registry. */
export interface LogWatchable {
  readonly address: RegistryAddress
  events(since: number, options: CallOptions): Promise<EventPage>
  info(options: CallOptions & {readonly services: boolean}): Promise<RegistryInfo>
}

const REFRESH_MS = 10_000
const RETRY_MS = 1000
/** The registry takes a subscription a moment after the connection. */
const SETTLE_MS = 300
/** It cannot answer just now, and nothing is wrong. */
const BUSY: ReadonlySet<ErrorCode> = new Set(['REG_BUSY', 'REG_NOT_CONFIRMED'])
const BUSY_MS = 200
/** No later answer will be another one. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'REG_OFFSET_CULLED',
  'REG_CONFLICT',
  'REG_BAD_REQUEST',
  'REG_BAD_ANSWER',
  'REG_CANCELLED',
])
const KINDS = {
  register: 'registered',
  deregister: 'deregistered',
  expire: 'expired',
  maintenance: 'maintenance',
} as const

/**
 * Follows the services of a registry through its change log: every change from an offset on, in order, none left out and none twice, through
 * anything that happens to the registry or to the link. Events of the event port only say that there is something to read. For one reader.
 * The iteration throws `REG_CANCELLED` when the signal aborts, `REG_OFFSET_CULLED` when what comes next was trimmed away, `REG_CONFLICT` when the log is
 * shorter than the offset, and what the first request fails with; it ends when it is closed.
 */
export class LogWatch implements AsyncIterable<LogWatchEvent>, AsyncDisposable {
  readonly #registry: LogWatchable
  readonly #filter: ServiceFilter
  readonly #signal: AbortSignal | undefined
  readonly #refreshMs: number
  readonly #inbox = new EventInbox()
  /** By id: as it last registered; null for one that is not wanted. */
  readonly #known = new Map<string, ServiceEntry | null>()
  #next: number
  #eventPort: number | null = null
  /** True while the last word was `disconnected`, or nothing has been said yet. */
  #isBehind = true
  #hasBegun = false
  /** The event socket has connected, and may not have its subscription yet. */
  #isFresh = false
  #isClosed = false

  /** Use `RegistryClient.watchLog`. */
  constructor(registry: LogWatchable, filter: ServiceFilter, {since, signal, refreshMs}: LogWatchOptions) {
    this.#registry = registry
    this.#filter = filter
    this.#next = since
    this.#signal = signal
    this.#refreshMs = Math.min(refreshMs ?? REFRESH_MS, LONGEST_TIMER_MS)
  }

  /** The offset to begin with the next time. */
  get next(): number {
    return this.#next
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogWatchEvent, void, void> {
    const onAbort = () => this.#inbox.wake()
    this.#signal?.addEventListener('abort', onAbort)
    try {
      while (!this.#isClosed) {
        const pauseMs = yield* this.#read()
        await this.#wait(pauseMs)
        if (this.#signal?.aborted) throw cancelled(this.#signal)
      }
    } finally {
      this.#signal?.removeEventListener('abort', onAbort)
      await this.close()
    }
  }

  /** Ends the iteration. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#inbox.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Says all that the log has by now, and gives how long to wait for more. */
  async *#read(): AsyncGenerator<LogWatchEvent, number, void> {
    try {
      await this.#subscribe()
      while (!this.#isClosed) {
        const page = await this.#registry.events(this.#next, {signal: this.#signal})
        for (const event of page.events) yield* this.#meet(event)
        this.#next = page.next
        if (page.next >= page.end) break
      }
      this.#hasBegun = true
      if (this.#isBehind && !this.#isClosed) yield {kind: 'synced', next: this.#next}
      this.#isBehind = false
      return this.#pauseMs()
    } catch (error) {
      return yield* this.#failed(error)
    }
  }

  *#failed(error: unknown): Generator<LogWatchEvent, number, void> {
    if (this.#isClosed) return 0
    if (this.#signal?.aborted) throw cancelled(this.#signal)
    if (!(error instanceof RegistryError) || FINAL.has(error.code)) throw error
    if (BUSY.has(error.code)) return BUSY_MS
    if (!this.#hasBegun) throw error
    if (!this.#isBehind) yield {kind: 'disconnected', reason: messageOf(error)}
    this.#isBehind = true
    return RETRY_MS
  }

  *#meet(event: ServiceEvent): Generator<LogWatchEvent, void, void> {
    const {offset, type, id, maintenance} = event
    const before = this.#known.get(id)
    const service = type === 'register' ? entryOfEvent(event.info, id, event.timestampS) : (before ?? undefined)
    const isWanted = service === undefined ? before === undefined : matches(service, this.#filter)
    if (type === 'register') this.#known.set(id, isWanted && service !== undefined ? service : null)
    if (type === 'deregister' || type === 'expire') this.#known.delete(id)
    this.#next = offset + 1
    // One that was wanted, and is not any more, is said once more.
    if (isWanted || (type === 'register' && before))
      yield {kind: KINDS[type], offset, timeMs: event.timestampS * 1000, id, service, maintenance}
  }

  /** Opens the event socket on the port that the registry names, if it is not open on that one already. */
  async #subscribe(): Promise<void> {
    if (this.#inbox.isConnected) return
    const {ports} = await this.#registry.info({services: false, signal: this.#signal})
    if (ports.pub === this.#eventPort || this.#isClosed) return
    this.#eventPort = ports.pub
    await this.#inbox.open(ports.pub === null ? undefined : tcpAddress(this.#registry.address.host, ports.pub))
  }

  /** Waits for an event, at most so long; all that are there count as one. */
  async #wait(pauseMs: number): Promise<void> {
    if (this.#isClosed || this.#signal?.aborted) return
    let item = await this.#inbox.take(pauseMs)
    while (item !== undefined) {
      this.#isFresh ||= item.kind === 'connected'
      item = await this.#inbox.take(0)
    }
  }

  #pauseMs(): number {
    if (!this.#inbox.isConnected) return RETRY_MS
    const isFresh = this.#isFresh
    this.#isFresh = false
    return isFresh ? SETTLE_MS : this.#refreshMs
  }
}
