import {setTimeout as delay} from 'node:timers/promises'
import {LONGEST_TIMER_MS, systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'

/** Where a client goes: URLs of the same service. */
export type Urls = string | readonly string[]

/** Called after each connect, before the proxy is given to anybody. What it throws goes to `onError`. */
export type OnLink = (proxy: TelepathProxy) => void | Promise<void>

export interface TelepathClientOptions {
  /** Opens one of the URLs. */
  readonly open: (url: string, signal: AbortSignal) => Promise<TelepathProxy>
  /** Pause after an attempt that failed; 200 when absent. */
  readonly retryMs?: number | undefined
  readonly onLink?: OnLink | undefined
  /** Hears why an attempt failed, or a session ended by itself; often the same, many times over. */
  readonly onError?: ((error: unknown) => void) | undefined
}

export interface ProxyWait {
  /** Longest time until there is a connection; 10 000 when absent, 0 is no limit. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_RETRY_MS = 200
const DEFAULT_WAIT_MS = 10_000

interface Waiter {
  resolve(proxy: TelepathProxy): void
  reject(error: unknown): void
}

/**
 * Keeps a session with a service: it connects at once, and again whenever the session is over, to the next of its URLs, for ever. Calls under way
 * fail with their session.
 */
export class TelepathClient implements AsyncDisposable {
  readonly #options: TelepathClientOptions
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #urls: readonly string[]
  /** Of the URL that is next. */
  #turn = 0
  /** Open, perhaps with `onLink` still under way. */
  #session: TelepathProxy | undefined
  #isReady = false
  readonly #waiting = new Set<Waiter>()
  #lastError: unknown

  constructor(urls: Urls, options: TelepathClientOptions) {
    this.#urls = listOf(urls)
    this.#options = options
    this.#running = this.#run()
  }

  /** The session, while there is one. */
  get current(): TelepathProxy | undefined {
    return this.#isReady ? this.#session : undefined
  }

  /**
   * Gives the session; waits for it while there is none.
   *
   * @throws RegistryError `REG_TIMED_OUT`, whose cause is why the last attempt failed; `REG_CANCELLED` when the client is closed; the signal's reason
   */
  async proxy({timeoutMs = DEFAULT_WAIT_MS, signal}: ProxyWait = {}): Promise<TelepathProxy> {
    signal?.throwIfAborted()
    this.#stop.signal.throwIfAborted()
    if (this.current !== undefined) return this.current
    const waiter = Promise.withResolvers<TelepathProxy>()
    this.#waiting.add(waiter)
    const onAbort = () => waiter.reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, {once: true})
    const limitMs = Math.min(timeoutMs, LONGEST_TIMER_MS)
    const timer = timeoutMs > 0 ? setTimeout(() => waiter.reject(this.#timedOut(timeoutMs)), limitMs) : undefined
    try {
      return await waiter.promise
    } finally {
      this.#waiting.delete(waiter)
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Replaces the URLs; the session that there is stays. */
  setUrls(urls: Urls): void {
    this.#urls = listOf(urls)
    this.#turn = 0
  }

  /** Ends the session, and who waits for one gets `REG_CANCELLED`. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort(closedError())
    for (const waiter of this.#waiting) waiter.reject(this.#stop.signal.reason)
    await this.#session?.close()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const {signal} = this.#stop
    const retryMs = this.#options.retryMs ?? DEFAULT_RETRY_MS
    while (!signal.aborted) {
      const startedMs = systemClock.monotonicMs()
      const hasFailed = !(await this.#connectOnce(signal))
      // A session that the service ends at once counts as a failure.
      const pauseMs = hasFailed ? retryMs : retryMs - (systemClock.monotonicMs() - startedMs)
      if (pauseMs > 0) await delay(pauseMs, undefined, {signal}).catch(() => undefined)
    }
  }

  /** Opens a session and stays until it is over; false when there was none. */
  async #connectOnce(signal: AbortSignal): Promise<boolean> {
    const url = this.#urls[this.#turn++ % this.#urls.length] ?? ''
    try {
      await using proxy = await this.#options.open(url, signal)
      signal.throwIfAborted()
      this.#session = proxy
      const isOver = proxy.closed.then(() => true)
      const wasOver = await Promise.race([isOver, this.#runOnLink(proxy).then(() => Promise.race([isOver, false]))])
      this.#isReady = !wasOver
      if (this.#isReady) for (const waiter of this.#waiting) waiter.resolve(proxy)
      this.#lastError = await proxy.closed
      this.#isReady = false // before anybody else learns that it is over
      if (this.#lastError !== undefined) this.#options.onError?.(this.#lastError)
      return true
    } catch (error) {
      this.#lastError = error
      if (!signal.aborted) this.#options.onError?.(error)
      return false
    } finally {
      this.#isReady = false
      this.#session = undefined
    }
  }

  async #runOnLink(proxy: TelepathProxy): Promise<void> {
    try {
      await this.#options.onLink?.(proxy)
    } catch (error) {
      this.#options.onError?.(error)
    }
  }

  #timedOut(timeoutMs: number): RegistryError {
    const cause = this.#lastError
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    return new RegistryError('REG_TIMED_OUT', `there was no connection within ${timeoutMs / 1000} s${why}`, {
      info: {timeoutMs},
      cause,
    })
  }
}

function listOf(urls: Urls): readonly string[] {
  const list = typeof urls === 'string' ? [urls] : urls
  if (list.length === 0) throw new RegistryError('REG_USAGE', 'there is no URL to connect to', {telepath: 'BadUrl'})
  return list
}

function closedError(): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the connection was closed')
}
