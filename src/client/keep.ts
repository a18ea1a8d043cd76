import {LONGEST_TIMER_MS} from '../base/clock.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import {newServiceId} from '../base/ids.ts'
import {type CallOptions, DEFAULT_TTL_S, type RegisterOptions, type ServiceInfo} from './service-info.ts'

/** How a kept registration stands. */
export type KeepState =
  /** Not registered yet. */
  | {readonly kind: 'registering'}
  | {readonly kind: 'registered'}
  /** The registry did not have the entry any more; it is registered again at once. */
  | {readonly kind: 'lost'}
  /** The registry cannot be reached, or cannot do it now; it is tried again. */
  | {readonly kind: 'away'; readonly error: RegistryError}
  /** The registry says no for now, for instance because the type is taken; it is asked again. */
  | {readonly kind: 'refused'; readonly error: RegistryError}
  /** Given up: the registry will never take this. */
  | {readonly kind: 'failed'; readonly error: RegistryError}
  | {readonly kind: 'stopped'}

export interface KeepOptions {
  /** Seconds without a renewal after which the lease ends; 30 when absent. Renewed three times as often, but at most once a second. */
  readonly ttlS?: number | undefined
  /** Asked before each registration; its answer replaces `host`. For a machine whose address changes. */
  readonly host?: (() => Promise<string>) | undefined
  /** Called with each new state, in order. */
  readonly onState?: ((state: KeepState) => void) | undefined
}

/** What keeping a registration needs of a registry. */
export interface Registering {
  register(info: ServiceInfo, options: RegisterOptions): Promise<string>
  renew(id: string, options: CallOptions): Promise<void>
  deregister(id: string, options: CallOptions): Promise<void>
}

const RETRY_MS = 1000
/** A request that takes longer is given up: the next one may find a registry that answers. */
const REQUEST_MS = 5000
/** What stopping may take: to finish what is under way, to deregister, and to try that with a registry that is away. */
const FINISH_MS = 500
const DEREGISTER_MS = 2000
const DEREGISTER_AWAY_MS = 500

/** One registration that is kept alive. Keeps the process running until it is stopped. */
export class Kept implements AsyncDisposable {
  /** Known from the start, and the same for good. */
  readonly id: string
  readonly #registry: Registering
  readonly #info: ServiceInfo
  readonly #options: KeepOptions
  readonly #ttlS: number
  readonly #stopping = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  readonly #ended: Promise<void>
  #state: KeepState = {kind: 'registering'}
  /** Whether a registration may have reached the registry: then there may be something to take back. */
  #isSent = false
  #isRegistered = false
  #stopped: Promise<RegistryError | undefined> | undefined
  #wake: (() => void) | undefined

  /** Use `RegistryClient.keep`. */
  constructor(registry: Registering, info: ServiceInfo, options: KeepOptions) {
    this.id = info.id ?? newServiceId(info.name)
    this.#registry = registry
    this.#info = {...info, id: this.id}
    this.#options = options
    this.#ttlS = options.ttlS ?? DEFAULT_TTL_S
    this.#first.promise.catch(() => undefined) // whoever asks `ready` gets to know
    this.#ended = this.#run()
  }

  get state(): KeepState {
    return this.#state
  }

  /**
   * Resolves when it has been registered for the first time.
   *
   * @throws RegistryError why it was given up; `REG_CANCELLED` when `signal` aborts or it was stopped before.
   */
  async ready(options: {readonly signal?: AbortSignal | undefined} = {}): Promise<void> {
    const {signal} = options
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(cancelled(signal?.reason))
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort)
    try {
      await Promise.race([this.#first.promise, aborted.promise])
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /**
   * Stops renewing and takes the entry out. Gives the error when the registry could not be told: the entry then ends with its lease.
   * Takes a few seconds at the most. Idempotent.
   */
  stop(): Promise<RegistryError | undefined> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #stop(): Promise<RegistryError | undefined> {
    const isAway = this.#state.kind === 'away'
    this.#stopping.abort()
    this.#wake?.()
    await this.#ended
    this.#first.reject(cancelled())
    const error = this.#isSent ? await this.#deregister(isAway) : undefined
    this.#enter({kind: 'stopped'})
    return error
  }

  async #deregister(isAway: boolean): Promise<RegistryError | undefined> {
    try {
      await this.#registry.deregister(this.id, {timeoutMs: isAway ? DEREGISTER_AWAY_MS : DEREGISTER_MS})
      return undefined
    } catch (thrown) {
      const error = asRegistryError(thrown)
      return error.code === 'REG_NOT_FOUND' ? undefined : error
    }
  }

  async #run(): Promise<void> {
    // One signal for all requests: what is under way when it is stopped gets a moment to finish, so that nothing is left half done.
    const giveUp = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const onStop = () => (timer = setTimeout(() => giveUp.abort(), FINISH_MS))
    this.#stopping.signal.addEventListener('abort', onStop)
    while (!this.#stopping.signal.aborted) {
      const pauseMs = await this.#step(giveUp.signal)
      if (pauseMs === undefined) break
      await this.#sleep(pauseMs)
    }
    clearTimeout(timer)
    this.#stopping.signal.removeEventListener('abort', onStop)
  }

  /** Registers or renews; gives the time until the next step, undefined when there is none. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const periodMs = renewalPeriodMs(this.#ttlS)
    try {
      const options = {timeoutMs: Math.min(REQUEST_MS, Math.max(periodMs, RETRY_MS)), signal}
      if (this.#isRegistered) await this.#registry.renew(this.id, options)
      else await this.#register(options)
      this.#isRegistered = true
      if (this.#state.kind !== 'registered') this.#enter({kind: 'registered'})
      this.#first.resolve()
      return periodMs
    } catch (thrown) {
      return this.#failed(asRegistryError(thrown), periodMs)
    }
  }

  async #register(options: CallOptions): Promise<void> {
    const host = (await this.#options.host?.()) ?? this.#info.host
    try {
      await this.#registry.register({...this.#info, host}, {...options, ttlS: this.#ttlS})
      this.#isSent = true
    } catch (error) {
      // Whatever else went wrong, the registry may have got it.
      this.#isSent ||= asRegistryError(error).code !== 'REG_UNREACHABLE'
      throw error
    }
  }

  #failed(error: RegistryError, periodMs: number): number | undefined {
    if (this.#stopping.signal.aborted) return undefined
    switch (error.code) {
      case 'REG_NOT_FOUND':
        this.#isRegistered = false
        this.#enter({kind: 'lost'})
        return 0
      case 'REG_CONFLICT':
      case 'REG_DENIED':
        this.#enter({kind: 'refused', error})
        return periodMs
      case 'REG_BAD_REQUEST':
      case 'REG_CANCELLED':
        this.#enter({kind: 'failed', error})
        this.#first.reject(error)
        return undefined
      default:
        this.#enter({kind: 'away', error})
        return Math.min(RETRY_MS, periodMs)
    }
  }

  #enter(state: KeepState): void {
    this.#state = state
    this.#options.onState?.(state)
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0 || this.#stopping.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** Three times within a lease, as the Python clients do, not more often than each second; twice for leases too short for that. */
function renewalPeriodMs(ttlS: number): number {
  return Math.min(1000 * Math.min(Math.max(1, ttlS / 3), Math.max(0.1, ttlS / 2)), LONGEST_TIMER_MS)
}

function cancelled(cause?: unknown): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the registration was stopped before it stood', {cause})
}

function asRegistryError(thrown: unknown): RegistryError {
  if (thrown instanceof RegistryError) return thrown
  // What `host` throws: a name that cannot be resolved now may be later.
  return new RegistryError('REG_UNREACHABLE', messageOf(thrown), {cause: thrown})
}
