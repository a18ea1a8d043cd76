import {LONGEST_TIMER_MS} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {
  type Answer,
  type EventPage,
  type RegistryHealth,
  type RegistryInfo,
  readAnswer,
  readEvents,
  readHealth,
  readInfo,
  readService,
  readServiceId,
  readServices,
} from './answers.ts'
import {Channel, type Patience} from './channel.ts'
import {matches, type ServiceFilter} from './filter.ts'
import {type KeepOptions, Kept} from './keep.ts'
import {LogWatch, type LogWatchOptions} from './log-watch.ts'
import type {ServiceEntry} from './service-entry.ts'
import {
  type CallOptions,
  DEFAULT_TTL_S,
  eitherSignal,
  encodeServiceInfo,
  type RegisterOptions,
  type ServiceInfo,
} from './service-info.ts'
import {parseRegistryUrl, type RegistryAddress, tcpAddress} from './url.ts'
import {ServiceWatch, type WatchOptions} from './watch.ts'

export interface ClientOptions extends CallOptions {
  /** Gives up a call when there is no connection for so long, 2000 when absent; at most `timeoutMs`. */
  readonly connectMs?: number | undefined
  /** Begins the name that the registry's log knows this client by. */
  readonly name?: string | undefined
}

const DEFAULT_TIMEOUT_MS = 5000
const DEFAULT_CONNECT_MS = 2000

/**
 * Speaks to one registry over ZeroMQ: this software's, or the Python server of any CGSE release from 0.7 on. Requests are made in the
 * order of the calls, one at a time. Connects again by itself; a call fails when its time is over, whatever happened.
 *
 * Every call may throw a `RegistryError`: `REG_UNREACHABLE` when nothing is there, `REG_TIMED_OUT` when no answer comes, `REG_BAD_ANSWER`
 * when what comes is none, `REG_CANCELLED` when its signal aborts or the client is closed, `REG_BAD_REQUEST` and others when the registry
 * says no.
 */
export class RegistryClient implements AsyncDisposable {
  readonly address: RegistryAddress
  readonly #options: ClientOptions
  readonly #channel: Channel

  /** Connects with the first call. Throws `REG_USAGE` when `url` is not `zmq://HOST[:PORT]`. */
  constructor(url: string, options: ClientOptions = {}) {
    this.address = parseRegistryUrl(url)
    this.#options = options
    this.#channel = new Channel({
      address: tcpAddress(this.address.host, this.address.port),
      ...(options.name === undefined ? {} : {name: options.name}),
    })
  }

  /** Makes a client and finds out whether a registry is there. */
  static async connect(url: string, options: ClientOptions = {}): Promise<RegistryClient> {
    const client = new RegistryClient(url, options)
    try {
      await client.health(options)
      return client
    } catch (error) {
      await client.close()
      throw error
    }
  }

  get url(): string {
    return this.address.url
  }

  /**
   * Registers and gives the id. Does not renew: `keep` does.
   *
   * @throws RegistryError `REG_CONFLICT` when the type must be unique and another has it, `info.existing_service_id` being the other's id;
   * `REG_NOT_CONFIRMED` and `REG_TIMED_OUT` leave open whether it happened.
   */
  async register(info: ServiceInfo, options: RegisterOptions = {}): Promise<string> {
    const ttl = options.ttlS ?? DEFAULT_TTL_S
    const request = {action: 'register', service_info: encodeServiceInfo(info), ttl}
    return readServiceId(await this.#ask(request, options, `service ${info.id ?? info.name}`))
  }

  /** Renews the lease; `REG_NOT_FOUND` when the registry does not have the entry (any more). */
  async renew(id: string, options: CallOptions = {}): Promise<void> {
    await this.#ask({action: 'renew', service_id: id}, options, `service ${id}`)
  }

  /** Takes the entry out; `REG_NOT_FOUND` when there is none. */
  async deregister(id: string, options: CallOptions = {}): Promise<void> {
    await this.#ask({action: 'deregister', service_id: id}, options, `service ${id}`)
  }

  /** Gives the entry, whatever its health; `REG_NOT_FOUND` when there is none. */
  async get(id: string, options: CallOptions = {}): Promise<ServiceEntry> {
    return readService(await this.#ask({action: 'get', service_id: id}, options, `service ${id}`))
  }

  /** Lists the entries that match, critical ones included, in order of first registration. */
  async list(filter: ServiceFilter = {}, options: CallOptions = {}): Promise<ServiceEntry[]> {
    const {type, name, tag} = filter
    // What an old server does not look at is looked at here.
    const services = readServices(await this.#ask({action: 'list', service_type: type ?? null, name, tag}, options))
    return services.filter((entry) => matches(entry, filter))
  }

  /**
   * Gives one healthy instance that has the type (or a tag of that name), and `tag` too if given; the registry chooses which.
   *
   * @throws RegistryError `REG_NOT_FOUND` when there is none.
   */
  async discover(type: string, options: CallOptions & {readonly tag?: string | undefined} = {}): Promise<ServiceEntry> {
    const {tag} = options
    const entry = readService(await this.#ask({action: 'discover', service_type: type, tag}, options))
    if (tag === undefined || entry.tags.includes(tag)) return entry
    // A server that does not know tags chose one without it: choose here.
    const fitting = await this.list({type, tag, health: 'passing'}, options)
    const chosen = fitting[Math.floor(Math.random() * fitting.length)]
    if (chosen !== undefined) return chosen
    throw new RegistryError('REG_NOT_FOUND', `No healthy service of type ${type} with tag ${tag} found`, {
      info: {type, tag},
    })
  }

  async health(options: CallOptions = {}): Promise<RegistryHealth> {
    return readHealth(await this.#ask({action: 'health'}, options))
  }

  /** Gives what the registry says of itself; with `services: false` without the list of services, where the server can leave it out. */
  async info(options: CallOptions & {readonly services?: boolean} = {}): Promise<RegistryInfo> {
    const request = options.services === false ? {action: 'info', services: false} : {action: 'info'}
    return readInfo(await this.#ask(request, options))
  }

  /**
   * Gives what happened to services from an offset of the change log on: some of it, `next` being where to go on.
   *
   * @throws RegistryError `REG_OFFSET_CULLED` when it was trimmed away, `info.first` is the oldest that is kept; `REG_CONFLICT` when the log is shorter;
   * `REG_BAD_REQUEST` from a server that has no such log
   */
  async events(since: number, options: CallOptions = {}): Promise<EventPage> {
    return readEvents(await this.#ask({action: 'events', since}, options))
  }

  /**
   * Registers and renews until it is stopped, through anything that happens to the registry: an entry that it lost is registered again
   * under the same id. Returns at once; `ready()` waits for the first registration.
   */
  keep(info: ServiceInfo, options: KeepOptions = {}): Kept {
    return new Kept(this, info, options)
  }

  /** Follows the services that match: first those that are there, then what changes. Uses a connection of its own for the events. */
  watch(filter: ServiceFilter = {}, options: WatchOptions = {}): ServiceWatch {
    return new ServiceWatch(this, filter, options)
  }

  /** Follows the services through the change log from an offset on, with no gap and nothing twice. */
  watchLog(filter: ServiceFilter, options: LogWatchOptions): LogWatch {
    return new LogWatch(this, filter, options)
  }

  /** Closes; calls under way fail with `REG_CANCELLED`. What `keep` and `watch` gave must be ended before. Idempotent. */
  close(): Promise<void> {
    return this.#channel.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask(
    request: {readonly action: string; readonly [field: string]: unknown},
    options: CallOptions,
    about?: string,
  ): Promise<Answer> {
    const wantedMs = options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const timeoutMs = Math.min(wantedMs, LONGEST_TIMER_MS)
    const connectMs = Math.min(this.#options.connectMs ?? DEFAULT_CONNECT_MS, timeoutMs)
    const signal = eitherSignal(options.signal, this.#options.signal)
    const bytes = await this.#request(JSON.stringify(request), {timeoutMs, connectMs, signal})
    return readAnswer(bytes, {action: request.action, about, url: this.url})
  }

  async #request(payload: string, patience: Patience): Promise<Buffer> {
    try {
      return await this.#channel.request(payload, patience)
    } catch (error) {
      // Who cancels with an error of this software is given that one back.
      const {reason} = patience.signal ?? {}
      if (error instanceof RegistryError && error.code === 'REG_CANCELLED' && reason instanceof RegistryError)
        throw reason
      throw error
    }
  }
}
