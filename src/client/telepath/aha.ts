/**
 * Finding services by name: AHA servers know where they are.
 *
 * @see spec/telepath.md, section 14
 */
import {RegistryError} from '../../base/errors.ts'
import {readSimpleText} from '../../config/yaml-scalars.ts'
import type {MemberFence} from '../../registry/leadership.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {mergeAhaInfo, type TelepathUrl} from '../../wire/telepath/url.ts'
import {TelepathClient, type TelepathClientOptions, type Urls} from './telepath-client.ts'

/** What AHA says of a name. */
export interface AhaService {
  /** Full name; of a pool, that of the pool. */
  readonly name: string
  /** The URL with which a member of it, or it itself, is opened. */
  readonly url: TelepathUrl
  readonly isPool: boolean
  /** Of its cell, which mirrors share; undefined where it does not say. */
  readonly iden: string | undefined
  /** The AHA that said it. */
  readonly aha: TelepathProxy
}

/** A service of a cell, as AHA lists it. */
export interface AhaMember {
  /** Full name, and the one without the network. */
  readonly name: string
  readonly shortName: string
  /** Which start of the cell it is. */
  readonly runId: string | undefined
  /** Where it listens, `host:port`. */
  readonly address: string | undefined
  readonly isOnline: boolean
  readonly isPromotable: boolean
  /** What keeps it from leading. */
  readonly fence?: MemberFence
}

/** What AHA knows of a name that is not to be reached. */
interface OfflineService {
  readonly name: string
  readonly iden: string | undefined
}

/** Each step of a lookup may take so long. */
const STEP_MS = 5000
/** A cell with more mirrors than that is none. */
const MAX_MEMBERS = 100
/** From this version on AHA chooses mirrors. */
const FILTERS_SINCE = [2, 95, 0] as const

type Fields = Readonly<Record<string, Value>>

/** The AHA servers of a process, in the order in which they are asked. They are connected to when first asked, and kept. */
export class AhaServers implements AsyncDisposable {
  readonly #servers: readonly Urls[]
  readonly #options: TelepathClientOptions
  readonly #clients = new Map<Urls, TelepathClient>()

  constructor(servers: readonly Urls[], options: TelepathClientOptions) {
    this.#servers = servers
    this.#options = options
  }

  /**
   * Finds the service that an `aha://` URL names.
   *
   * @throws RegistryError `REG_NOT_FOUND` (`NoSuchName`) when no server knows it; `REG_UNREACHABLE` (`NoSuchName`) when it is known and offline, with
   * those services of its cell that are online; `REG_UNREACHABLE` (`NotReady`) when there is no server to ask; else what the last server failed with
   */
  async find(url: TelepathUrl, signal?: AbortSignal): Promise<AhaService> {
    if (this.#servers.length === 0) throw noServers(url.host)
    let failure: unknown
    for (const server of this.#servers) {
      try {
        const found = await this.#ask(server, url, signal)
        if (found !== undefined && 'url' in found) return found
        if (found !== undefined) failure = await this.#offline(url.host, found, signal)
      } catch (error) {
        signal?.throwIfAborted()
        failure = error
      }
    }
    throw failure ?? notFound(url.host)
  }

  /**
   * Gives the services of a cell, its leader and its mirrors, offline ones too, from the first server that knows some; none when no server does.
   * Whoever may log in to AHA may ask for them. Throws as `find`.
   */
  async ofCell(iden: string, signal?: AbortSignal): Promise<readonly AhaMember[]> {
    if (this.#servers.length === 0) throw noServers(`the services of the cell ${iden}`)
    const limits = {timeoutMs: STEP_MS, ...(signal === undefined ? {} : {signal})}
    let failure: unknown
    for (const server of this.#servers) {
      try {
        const aha = await this.#client(server).proxy(limits)
        const entries = await Array.fromAsync(aha.stream('getAhaSvcsByIden', {...limits, args: [iden, false]}))
        if (entries.length > 0) return ownEntries(entries.slice(0, MAX_MEMBERS).map(fieldsOf))
      } catch (error) {
        signal?.throwIfAborted()
        failure = error
      }
    }
    if (failure !== undefined) throw failure
    return []
  }

  /** Asks the first server that can be reached. Throws what it answers, or as `find` when none can be reached. */
  async ask<T>(ask: (aha: TelepathProxy) => Promise<T>, signal: AbortSignal): Promise<T> {
    if (this.#servers.length === 0) throw noServers('the services of its network')
    let failure: unknown
    for (const server of this.#servers) {
      const proxy = await this.#client(server)
        .proxy({timeoutMs: STEP_MS, signal})
        .catch((error: unknown) => {
          signal.throwIfAborted()
          failure = error
        })
      if (proxy !== undefined) return await ask(proxy)
    }
    throw failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  async #ask(
    server: Urls,
    url: TelepathUrl,
    signal: AbortSignal | undefined,
  ): Promise<AhaService | OfflineService | undefined> {
    const limits = {timeoutMs: STEP_MS, ...(signal === undefined ? {} : {signal})}
    const aha = await this.#client(server).proxy(limits)
    const {synapse} = fieldsOf(await aha.call('getCellInfo', limits))
    const kwargs = isSince(fieldsOf(synapse)['version']) ? {filters: {mirror: wantsMirror(url)}} : {}
    const entry = fieldsOf(await aha.call('getAhaSvc', {...limits, args: [url.host], kwargs}))
    const {name, svcinfo, services} = entry
    const {online, urlinfo} = fieldsOf(svcinfo)
    if (typeof name !== 'string') return undefined
    if (textOf(online) === undefined) return {name, iden: textOf(fieldsOf(svcinfo)['iden'])}
    const isPool = services !== undefined && services !== null
    const iden = textOf(fieldsOf(svcinfo)['iden'])
    return {name, url: mergeAhaInfo(url, fieldsOf(urlinfo)), isPool, iden, aha}
  }

  /** Says that a service is offline, and which others of its cell are not. */
  async #offline(asked: string, {name, iden}: OfflineService, signal: AbortSignal | undefined): Promise<RegistryError> {
    const all = iden === undefined ? [] : await this.ofCell(iden, signal).catch(() => [])
    signal?.throwIfAborted()
    const others = all.filter((member) => member.isOnline)
    return new RegistryError('REG_UNREACHABLE', `aha lookup failed: ${asked}: ${name} is offline`, {
      telepath: 'NoSuchName',
      info: {name, online: others.map((member) => member.name)},
      hints: others.length === 0 ? ['start it'] : others.map((member) => `registry status aha://${member.name}`),
    })
  }

  #client(server: Urls): TelepathClient {
    const known = this.#clients.get(server)
    if (known !== undefined) return known
    const client = new TelepathClient(server, this.#options)
    this.#clients.set(server, client)
    return client
  }
}

/** The entry under the name of the leader may be left of a start that is over, and then counts only where there is no other. */
function ownEntries(entries: readonly Fields[]): readonly AhaMember[] {
  const own = entries.filter(({svcname, svcinfo}) => {
    const {leader, online} = fieldsOf(svcinfo)
    return leader !== svcname || textOf(online) !== undefined
  })
  return (own.length > 0 ? own : entries).flatMap(memberOf)
}

function memberOf({name, svcname, svcinfo}: Fields): readonly AhaMember[] {
  const {run, urlinfo, online, promotable, fenced} = fieldsOf(svcinfo)
  const {host, port} = fieldsOf(urlinfo)
  if (typeof name !== 'string') return []
  return [
    {
      name,
      shortName: textOf(svcname) ?? name,
      runId: textOf(run),
      address: typeof host === 'string' ? `${host.includes(':') ? `[${host}]` : host}:${Number(port)}` : undefined,
      isOnline: textOf(online) !== undefined,
      isPromotable: promotable !== false,
      ...fenceOf(fieldsOf(fenced)),
    },
  ]
}

function fenceOf({leader, since, refused, last}: Fields): Pick<AhaMember, 'fence'> {
  if (typeof leader !== 'string' || typeof since !== 'number') return {}
  const lastMs = typeof last === 'number' ? last : null
  return {fence: {leader, sinceMs: since, refused: typeof refused === 'number' ? refused : 0, lastMs}}
}

function textOf(value: Value): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isSince(version: Value): boolean {
  if (!Array.isArray(version)) return false
  for (const [place, least] of FILTERS_SINCE.entries()) {
    const part = Number(version[place] ?? 0)
    if (part !== least) return part > least
  }
  return true
}

/** The parameter is read as YAML, and what is neither no nor nothing means yes. */
function wantsMirror({params}: TelepathUrl): boolean {
  const text = params.get('mirror')
  if (text === undefined || text === null) return false
  const scalar = readSimpleText(text)
  return scalar === undefined || Boolean(scalar.value)
}

function fieldsOf(value: Value): Fields {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isMap ? (value as Fields) : {}
}

function noServers(name: string): RegistryError {
  return new RegistryError('REG_UNREACHABLE', `No aha servers registered to lookup ${name}`, {
    telepath: 'NotReady',
    hints: ['registry enroll URL', 'name the AHA servers in ~/.syn/telepath.yaml'],
  })
}

function notFound(name: string): RegistryError {
  const isRelative = name.endsWith('...')
  const hints = [
    'see what the AHA knows: registry query --call getAhaSvcs NETWORK',
    ...(isRelative ? [] : ['a name without its network ends in three dots: aha://00.axon...']),
  ]
  return new RegistryError('REG_NOT_FOUND', `aha lookup failed: ${name}`, {info: {name}, hints})
}
