import {setTimeout as delay} from 'node:timers/promises'
import {RegistryError} from '../../base/errors.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import type {TelepathUrl} from '../../wire/telepath/url.ts'
import type {AhaService} from './aha.ts'
import type {ProxyWait, TelepathClient, TelepathClientOptions, Urls} from './telepath-client.ts'

/** What a pool needs of the environment. */
export interface PoolEnv {
  parse(text: string): TelepathUrl
  find(url: TelepathUrl, signal?: AbortSignal): Promise<AhaService>
  client(urls: Urls, options: PoolOptions): TelepathClient
}

export type PoolOptions = Pick<TelepathClientOptions, 'retryMs' | 'onLink' | 'onError'>

/** Pause before AHA is asked again for the members of a pool. */
const RELOAD_MS = 1000
const DEFAULT_RETRY_MS = 200
const DEFAULT_WAIT_MS = 10_000

/**
 * Keeps a session with each member of a pool, as AHA says who they are, and hands them out in turn. While the link to AHA is gone there are no
 * members. What is not a pool has one member: itself.
 *
 * @see spec/telepath.md, section 15.2
 */
export class TelepathPool implements AsyncDisposable {
  readonly #env: PoolEnv
  readonly #url: string
  readonly #options: PoolOptions
  readonly #members = new Map<string, TelepathClient>()
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  /** Sessions in the order of their turn. */
  readonly #proxies = new Set<TelepathProxy>()
  readonly #waiting = new Set<PromiseWithResolvers<void>>()

  constructor(env: PoolEnv, url: string, options: PoolOptions) {
    this.#env = env
    this.#url = url
    this.#options = options
    this.#running = this.#run()
  }

  /** How many members there is a session with. */
  get size(): number {
    return this.#proxies.size
  }

  /**
   * Gives the session whose turn it is; waits while there is none.
   *
   * @throws RegistryError `REG_TIMED_OUT`; `REG_CANCELLED` when the pool is closed; the signal's reason
   */
  async proxy({timeoutMs = DEFAULT_WAIT_MS, signal}: ProxyWait = {}): Promise<TelepathProxy> {
    const timer = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined
    const ends = [this.#stop.signal, signal, timer].filter((one) => one !== undefined)
    const end = AbortSignal.any(ends)
    for (;;) {
      if (timer?.aborted) throw timedOut(timeoutMs)
      end.throwIfAborted()
      const [next] = this.#proxies
      if (next !== undefined) return this.#takeTurn(next)
      await this.#changed(end)
    }
  }

  /** Ends the sessions with all members. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort(new RegistryError('REG_CANCELLED', 'the pool was closed'))
    await this.#running
    await this.#drop([...this.#members.keys()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #takeTurn(proxy: TelepathProxy): TelepathProxy {
    this.#proxies.delete(proxy)
    this.#proxies.add(proxy)
    return proxy
  }

  /** Resolves at the next session, or when the signal aborts. */
  async #changed(signal: AbortSignal): Promise<void> {
    const change = Promise.withResolvers<void>()
    this.#waiting.add(change)
    const onAbort = () => change.resolve()
    signal.addEventListener('abort', onAbort, {once: true})
    await change.promise
    this.#waiting.delete(change)
    signal.removeEventListener('abort', onAbort)
  }

  async #run(): Promise<void> {
    const {signal} = this.#stop
    const {retryMs = DEFAULT_RETRY_MS, onError} = this.#options
    while (!signal.aborted) {
      let pauseMs = retryMs
      try {
        const service = await this.#find(signal)
        if (service?.isPool !== true) {
          this.#add('', this.#url)
          return
        }
        pauseMs = RELOAD_MS
        await this.#follow(service, signal)
      } catch (error) {
        if (!signal.aborted) onError?.(error)
      }
      await this.#drop([...this.#members.keys()])
      await delay(pauseMs, undefined, {signal}).catch(() => undefined)
    }
  }

  async #find(signal: AbortSignal): Promise<AhaService | undefined> {
    const url = this.#env.parse(this.#url)
    return url.scheme === 'aha' ? await this.#env.find(url, signal) : undefined
  }

  /** Follows what AHA says of a pool, until its link is gone. */
  async #follow({aha, name}: AhaService, signal: AbortSignal): Promise<void> {
    for await (const message of aha.stream('iterPoolTopo', {args: [name], timeoutMs: 0, signal})) {
      const [kind, facts]: readonly Value[] = Array.isArray(message) ? message : []
      const member = nameOf(facts)
      if (member === undefined) continue
      if (kind === 'svc:add' || kind === 'svc:del') await this.#drop([member])
      if (kind === 'svc:add') this.#add(member, `aha://${member}`)
    }
  }

  #add(member: string, url: string): void {
    const client = this.#env.client(url, {...this.#options, onLink: (proxy) => this.#onLink(proxy)})
    this.#members.set(member, client)
  }

  async #onLink(proxy: TelepathProxy): Promise<void> {
    try {
      await this.#options.onLink?.(proxy)
    } finally {
      this.#proxies.add(proxy)
      void proxy.closed.then(() => this.#proxies.delete(proxy))
      for (const change of this.#waiting) change.resolve()
    }
  }

  async #drop(members: readonly string[]): Promise<void> {
    for (const member of members) {
      const client = this.#members.get(member)
      this.#members.delete(member)
      await client?.close()
    }
  }
}

function nameOf(facts: Value): string | undefined {
  const name = typeof facts === 'object' && facts !== null && 'name' in facts ? facts['name'] : undefined
  return typeof name === 'string' ? name : undefined
}

function timedOut(timeoutMs: number): RegistryError {
  return new RegistryError('REG_TIMED_OUT', `no member of the pool was there within ${timeoutMs / 1000} s`, {
    info: {timeoutMs},
  })
}
