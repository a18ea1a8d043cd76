import {LineChild} from './child.ts'
import {Histogram} from './histogram.ts'

export interface Subscription {
  readonly port: number
  readonly subscribers: number
  /** Processes that share the subscribers; 1 when absent. */
  readonly processes?: number
  /** What the time of an event counts from: the sending of its request (`"sent": <epoch ms>` in it), or the end of its lease. */
  readonly times: 'sent' | 'due'
  /** Events of one subscriber after which a new histogram is begun. */
  readonly perSpan: number
  /** Topics that each subscribes to besides all, and that no event has. */
  readonly idleTopics?: number
  /** Makes the server publish something with `probe-` in it. */
  readonly probe: () => Promise<unknown>
}

/** What one process is told. */
export interface SubscriberShare extends Required<Omit<Subscription, 'processes' | 'probe'>> {}

/** What one process has got. */
export interface Seen {
  readonly events: number
  /** Events of the subscriber that got the fewest. */
  readonly fewest: number
  readonly disordered: number
  readonly spans: readonly (readonly [number, number][])[]
}

export interface EventResult extends Omit<Seen, 'spans'> {
  readonly spans: readonly Histogram[]
}

const PROBE_EVERY_MS = 100

/** Subscribers in processes of their own, on the events of one server. */
export class Subscribers implements AsyncDisposable {
  readonly #children: readonly LineChild[]

  private constructor(children: readonly LineChild[]) {
    this.#children = children
  }

  /** Connects and waits until events reach each. */
  static async connect(subscription: Subscription): Promise<Subscribers> {
    const {processes = 1, idleTopics = 0, probe, port, times, perSpan} = subscription
    const children = Array.from({length: processes}, () => new LineChild('./subscriber-worker.ts'))
    const probing = setInterval(() => void probe().catch(() => {}), PROBE_EVERY_MS)
    await Promise.all(
      children.map((child, i) => {
        const subscribers = Math.floor((subscription.subscribers + i) / processes)
        return child.ask({port, times, perSpan, idleTopics, subscribers} satisfies SubscriberShare)
      }),
    )
    clearInterval(probing)
    return new Subscribers(children)
  }

  /** Waits until each has got so many events, or until no more come. */
  async until(events: number): Promise<EventResult> {
    const results = await Promise.all(this.#children.map((child) => child.ask<Seen>({until: events})))
    const spans: Histogram[] = []
    for (const [index, json] of results.flatMap((result) => [...result.spans.entries()])) {
      spans[index] ??= new Histogram()
      spans[index].merge(json ?? [])
    }
    return {
      events: results.reduce((sum, result) => sum + result.events, 0),
      fewest: Math.min(...results.map((result) => result.fewest)),
      disordered: results.reduce((sum, result) => sum + result.disordered, 0),
      spans,
    }
  }

  /** Ends all connections at once. */
  async leave(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.ask({leave: true})))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()))
  }
}
