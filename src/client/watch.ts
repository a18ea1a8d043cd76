import {LONGEST_TIMER_MS, systemClock} from '../base/clock.ts'
import {messageOf} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {memberText} from '../base/json-text.ts'
import type {EventItem} from '../wire/zeromq/event-socket.ts'
import type {RegistryInfo} from './answers.ts'
import {cancelled} from './cancelled.ts'
import {EventInbox} from './event-inbox.ts'
import {matches, type ServiceFilter} from './filter.ts'
import {entryOfEvent, isSameService, type ServiceEntry} from './service-entry.ts'
import type {CallOptions} from './service-info.ts'
import {type RegistryAddress, tcpAddress} from './url.ts'

/**
 * What a watch meets. First `present` for each service that is there and `synced`; then what changes. What was missed while the registry
 * was away comes as the difference when it is back, ended by another `synced`.
 */
export type WatchEvent =
  | {readonly kind: 'present'; readonly service: ServiceEntry}
  | {readonly kind: 'registered'; readonly service: ServiceEntry}
  /** It says something else of itself, or its health is another. */
  | {readonly kind: 'changed'; readonly service: ServiceEntry; readonly before: ServiceEntry}
  | {readonly kind: 'deregistered'; readonly service: ServiceEntry}
  | {readonly kind: 'expired'; readonly service: ServiceEntry}
  /** It is not there any more and no event said why, or it does not match any more. */
  | {readonly kind: 'gone'; readonly service: ServiceEntry}
  /** Everything that was known to the registry a moment ago has been said. */
  | {readonly kind: 'synced'; readonly services: number}
  /** Until the next `synced`, changes may be missing. */
  | {readonly kind: 'disconnected'; readonly reason: string}

export interface WatchOptions {
  readonly signal?: AbortSignal | undefined
  /** Lists again after so long, for what no event says (health) and for events that were lost; 10 000 when absent. */
  readonly refreshMs?: number | undefined
}

/** What a watch needs of a registry. */
export interface Watchable {
  readonly address: RegistryAddress
  list(filter: ServiceFilter, options: CallOptions): Promise<ServiceEntry[]>
  info(options: CallOptions & {readonly services: boolean}): Promise<RegistryInfo>
}

const REFRESH_MS = 10_000
/** For the first connection of the event socket; without it the watch begins all the same. */
const CONNECT_MS = 1000
/** The registry takes a subscription a moment after the connection; what happens between is found by listing once more. */
const SETTLE_MS = 300
const RETRY_MS = 1000

interface Known {
  readonly entry: ServiceEntry
  /** Made of an event: some of it is not known. */
  readonly isPartial: boolean
}

/**
 * Follows the services of a registry and keeps what it knows of them. For one reader; what is known moves on while it reads. Outlives
 * restarts of the registry; only the beginning fails when there is none. The iteration throws `REG_CANCELLED` when the signal aborts, and
 * ends when it is closed.
 */
export class ServiceWatch implements AsyncIterable<WatchEvent>, AsyncDisposable {
  readonly #registry: Watchable
  readonly #filter: ServiceFilter
  readonly #signal: AbortSignal | undefined
  readonly #refreshMs: number
  readonly #known = new Map<string, Known>()
  readonly #inbox = new EventInbox()
  #eventPort: number | null = null
  /** When to list again, monotonic. */
  #listAtMs = 0
  /** True while the last word was `disconnected`, or nothing has been said yet. */
  #isBehind = true
  #isClosed = false

  /** Use `RegistryClient.watch`. */
  constructor(registry: Watchable, filter: ServiceFilter, options: WatchOptions) {
    this.#registry = registry
    this.#filter = filter
    this.#signal = options.signal
    this.#refreshMs = Math.min(options.refreshMs ?? REFRESH_MS, LONGEST_TIMER_MS)
  }

  /** The services as far as they are known, in no particular order. */
  get services(): readonly ServiceEntry[] {
    return Array.from(this.#known.values(), ({entry}) => entry)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void, void> {
    const onAbort = () => this.#inbox.wake()
    this.#signal?.addEventListener('abort', onAbort)
    try {
      await this.#subscribe()
      if (this.#eventPort !== null) await this.#inbox.take(CONNECT_MS)
      yield* this.#list('present')
      this.#listAgainIn(SETTLE_MS)
      while (!this.#isClosed) {
        const dueInMs = this.#listAtMs - systemClock.monotonicMs()
        const item = dueInMs > 0 ? await this.#inbox.take(dueInMs) : undefined
        if (this.#signal?.aborted) throw cancelled(this.#signal)
        if (item !== undefined) yield* this.#meet(item)
        else if (this.#listAtMs <= systemClock.monotonicMs() && !this.#isClosed) yield* this.#listIfPossible()
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

  /** Opens the event socket on the port that the registry names, if it is not open on that one already. */
  async #subscribe(): Promise<void> {
    const {ports} = await this.#registry.info({services: false, signal: this.#signal})
    if (ports.pub === this.#eventPort || this.#isClosed) return
    this.#eventPort = ports.pub
    await this.#inbox.open(ports.pub === null ? undefined : tcpAddress(this.#registry.address.host, ports.pub))
  }

  async *#meet(item: EventItem): AsyncGenerator<WatchEvent, void, void> {
    switch (item.kind) {
      case 'event':
        yield* this.#apply(item.body)
        break
      case 'connected':
        yield* this.#listIfPossible()
        this.#listAgainIn(SETTLE_MS)
        break
      case 'lost':
        yield* this.#listIfPossible()
        break
      case 'disconnected':
        yield* this.#behind('the connection to the event port was lost')
        this.#listAgainIn(RETRY_MS)
        break
    }
  }

  async *#listIfPossible(): AsyncGenerator<WatchEvent, void, void> {
    try {
      if (!this.#inbox.isConnected) await this.#subscribe()
      yield* this.#list('registered')
      this.#listAgainIn(this.#eventPort === null || !this.#inbox.isConnected ? RETRY_MS : this.#refreshMs)
    } catch (error) {
      if (this.#isClosed) return
      if (this.#signal?.aborted) throw cancelled(this.#signal)
      yield* this.#behind(messageOf(error))
      this.#listAgainIn(RETRY_MS)
    }
  }

  /**
   * Asks for everything and says what is different. Events that come meanwhile wait in the inbox and are applied afterwards, in order: an
   * entry is then as its last event left it, or as it is in the list when that is newer.
   */
  async *#list(newKind: 'present' | 'registered'): AsyncGenerator<WatchEvent, void, void> {
    const entries = await this.#registry.list(this.#filter, {signal: this.#signal})
    const ids = new Set(entries.map((entry) => entry.id))
    for (const {entry} of [...this.#known.values()].filter(({entry}) => !ids.has(entry.id))) {
      yield* this.#forget(entry.id, 'gone')
    }
    for (const entry of entries) yield* this.#learn(entry, false, newKind)
    if (!this.#isBehind) return
    this.#isBehind = false
    yield {kind: 'synced', services: entries.length}
  }

  *#apply(body: Buffer): Generator<WatchEvent, void, void> {
    const event = decodeEvent(body)
    if (event === undefined) this.#listAgainIn(0)
    else if (event.type === 'deregister') yield* this.#forget(event.id, 'deregistered')
    else if (event.type === 'expire') yield* this.#forget(event.id, 'expired')
    else if (event.type === 'register') {
      const entry = entryOfEvent(event.info, event.id, event.timestampS, this.#known.get(event.id)?.entry)
      if (entry === undefined) this.#listAgainIn(0)
      else if (matches(entry, this.#filter)) yield* this.#learn(entry, true, 'registered')
      else yield* this.#forget(entry.id, 'gone')
    }
  }

  *#learn(
    entry: ServiceEntry,
    isPartial: boolean,
    newKind: 'present' | 'registered',
  ): Generator<WatchEvent, void, void> {
    const before = this.#known.get(entry.id)
    if (before === undefined) {
      this.#known.set(entry.id, {entry, isPartial})
      yield {kind: newKind, service: entry}
      return
    }
    const isSame = isSameService(before.entry, entry, isPartial || before.isPartial)
    // An event that brings nothing new knows less than what is known.
    const kept = isSame && isPartial ? {...before.entry, lastHeartbeatMs: entry.lastHeartbeatMs} : entry
    this.#known.set(entry.id, {entry: kept, isPartial: isPartial && (!isSame || before.isPartial)})
    if (!isSame) yield {kind: 'changed', service: entry, before: before.entry}
  }

  *#forget(id: string, kind: 'deregistered' | 'expired' | 'gone'): Generator<WatchEvent, void, void> {
    const known = this.#known.get(id)
    if (known === undefined) return
    this.#known.delete(id)
    yield {kind, service: known.entry}
  }

  *#behind(reason: string): Generator<WatchEvent, void, void> {
    if (this.#isBehind) return
    this.#isBehind = true
    yield {kind: 'disconnected', reason}
  }

  #listAgainIn(ms: number): void {
    this.#listAtMs = systemClock.monotonicMs() + ms
  }
}

interface RegistryEvent {
  readonly type: string
  readonly timestampS: number
  readonly id: string
  /** JSON text of `service_info`. */
  readonly info: string
}

/** Reads the body of an event; undefined when it is none. */
function decodeEvent(body: Buffer): RegistryEvent | undefined {
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    return undefined // the caller lists instead
  }
  const {type, timestamp, data} = {...(value as object)} as Readonly<Record<string, unknown>>
  const id = {...(data as object)} as Readonly<Record<string, unknown>>
  const serviceId = id['service_id']
  if (typeof type !== 'string' || (typeof serviceId !== 'string' && typeof serviceId !== 'number')) return undefined
  const info = memberText(memberText(text, 'data') ?? '{}', 'service_info') ?? '{}'
  return {type, timestampS: typeof timestamp === 'number' ? timestamp : 0, id: String(serviceId), info}
}
