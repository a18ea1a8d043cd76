import {setTimeout as delay} from 'node:timers/promises'
import type {Value} from '../../wire/msgpack/value.ts'
import type {Callable, CallOptions, TelepathProxy} from '../../wire/telepath/caller.ts'

/** Longest time that calls under way keep a session open that is to be closed, ms. */
const LINGER_MS = 800

/**
 * A session whose calls end before it is closed, if they do so soon. When the lead moves, the one that led still says what it did and what it
 * did not: otherwise nobody would know.
 */
export class LastingProxy implements TelepathProxy {
  readonly #proxy: TelepathProxy
  readonly #calls = new Set<Promise<unknown>>()

  constructor(proxy: TelepathProxy) {
    this.#proxy = proxy
  }

  get info(): TelepathProxy['info'] {
    return this.#proxy.info
  }

  get features(): TelepathProxy['features'] {
    return this.#proxy.features
  }

  get ahaName(): TelepathProxy['ahaName'] {
    return this.#proxy.ahaName
  }

  get peerVersion(): TelepathProxy['peerVersion'] {
    return this.#proxy.peerVersion
  }

  get closed(): TelepathProxy['closed'] {
    return this.#proxy.closed
  }

  async call(method: string, options?: CallOptions): Promise<Value> {
    const call = this.#proxy.call(method, options)
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
    }
  }

  stream(method: string, options?: CallOptions): AsyncGenerator<Value, void> {
    return this.#proxy.stream(method, options)
  }

  share(method: string, options?: CallOptions): Promise<Callable & AsyncDisposable> {
    return this.#proxy.share(method, options)
  }

  async close(): Promise<void> {
    if (this.#calls.size > 0) {
      const linger = new AbortController()
      const late = delay(LINGER_MS, undefined, {signal: linger.signal}).catch(() => undefined)
      await Promise.race([Promise.allSettled(this.#calls), late])
      linger.abort()
    }
    await this.#proxy.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
