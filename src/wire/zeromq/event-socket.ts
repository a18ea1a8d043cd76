import {Subscriber} from 'zeromq'
import {followConnection, type Reach} from './monitor.ts'
import {isIpv6} from './open-socket.ts'

/**
 * What a subscriber meets, in order. After `connected` and after `lost` the state that was built from events is stale and must be asked
 * for anew: the protocol repeats nothing. The server takes the subscription in a moment after `connected`, and events of this moment are
 * not seen either: whoever lists should list once more a little later.
 */
export type EventItem =
  | {readonly kind: 'event'; readonly topic: string; readonly body: Buffer}
  | {readonly kind: 'connected'}
  | {readonly kind: 'disconnected'}
  /** The reader was too slow: everything that waited was dropped, `count` events. */
  | {readonly kind: 'lost'; readonly count: number}

export interface EventSocketOptions {
  /** `tcp://HOST:PORT` */
  readonly address: string
  /** Beginnings of topics; all topics when absent. */
  readonly topics?: readonly string[]
  /** Items kept for a reader that is busy. */
  readonly buffer?: number
}

const BUFFERED_ITEMS = 10_000
/** The longest event taken, bytes; the server's own limit for a service is far below. */
const EVENT_BYTES = 4 * 1024 * 1024
/** A server that is silent on the wire for so long is gone, ms; it is asked (PING) every `PING_MS`. */
const SILENCE_MS = 15_000
const PING_MS = 5_000
/** While nothing answers, libzmq tries again after the first, then ever later up to the second, ms. */
const RETRY_MS = 100
const MAX_RETRY_MS = 2_000

/**
 * Subscribes to the events of one server and connects again for ever, until it is closed. For one reader. Keeps the process alive until
 * it is closed; the iteration ends then, and whatever still waited is dropped.
 */
export class EventSocket implements AsyncIterable<EventItem>, AsyncDisposable {
  readonly #options: EventSocketOptions
  readonly #limit: number
  #items: EventItem[] = []
  #wake: (() => void) | undefined
  #subscription: Subscription | undefined
  #ending: Promise<unknown> = Promise.resolve()

  /** Starts connecting; says `connected` when it is. Throws when `address` cannot be one. */
  constructor(options: EventSocketOptions) {
    this.#options = options
    this.#limit = options.buffer ?? BUFFERED_ITEMS
    this.#subscription = this.#open()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventItem, void, void> {
    while (this.#subscription) {
      const item = this.#items.shift()
      if (item) yield item
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#subscription) this.#end(this.#subscription)
    this.#subscription = undefined
    this.#items = []
    this.#wake?.()
    await this.#ending
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(): Subscription {
    return new Subscription(this.#options, {
      onItem: (item) => this.#put(item),
      onBroken: () => {
        if (this.#subscription) this.#end(this.#subscription)
        this.#subscription = this.#open()
      },
    })
  }

  #end(subscription: Subscription): void {
    this.#ending = Promise.all([this.#ending, subscription.close()])
  }

  #put(item: EventItem): void {
    if (this.#items.length >= this.#limit) this.#items = summed(this.#items)
    this.#items.push(item)
    this.#wake?.()
  }
}

/** Sums up what is dropped; keeps how the connection is. */
function summed(items: readonly EventItem[]): EventItem[] {
  let count = 0
  let state: EventItem | undefined
  for (const item of items) {
    if (item.kind === 'event') count++
    else if (item.kind === 'lost') count += item.count
    else state = item
  }
  return state ? [state, {kind: 'lost', count}] : [{kind: 'lost', count}]
}

interface SubscriptionListener {
  readonly onItem: (item: EventItem) => void
  readonly onBroken: () => void
}

/** One SUB socket, until it is thrown away. Silent once it is closed. */
class Subscription {
  readonly #socket: Subscriber
  readonly #listener: SubscriptionListener
  readonly #gone: Promise<void>
  #isConnected = false

  constructor(options: EventSocketOptions, listener: SubscriptionListener) {
    this.#listener = listener
    this.#socket = new Subscriber({
      linger: 0,
      receiveHighWaterMark: BUFFERED_ITEMS,
      maxMessageSize: EVENT_BYTES,
      // Without these a link that died silently would look like a quiet registry for ever.
      heartbeatInterval: PING_MS,
      heartbeatTimeout: SILENCE_MS,
      reconnectInterval: RETRY_MS,
      reconnectMaxInterval: MAX_RETRY_MS,
      ipv6: isIpv6(options.address),
    })
    this.#gone = followConnection(this.#socket, {
      onReach: (reach) => this.#reached(reach),
      onBroken: () => this.#break(),
    })
    this.#socket.subscribe(...(options.topics ?? ['']))
    this.#socket.connect(options.address)
    this.#read().catch(() => this.#break())
  }

  close(): Promise<void> {
    this.#socket.close()
    return this.#gone
  }

  async #read(): Promise<void> {
    while (!this.#socket.closed) {
      const [topic, body] = await this.#socket.receive()
      // A message of one frame is not an event; nothing is lost with it.
      if (topic && body && !this.#socket.closed) this.#listener.onItem({kind: 'event', topic: `${topic}`, body})
    }
  }

  #reached(reach: Reach): void {
    const isConnected = reach === 'zmtp'
    if (this.#socket.closed || isConnected === this.#isConnected) return
    this.#isConnected = isConnected
    this.#listener.onItem({kind: isConnected ? 'connected' : 'disconnected'})
  }

  #break(): void {
    if (!this.#socket.closed) this.#listener.onBroken()
  }
}
