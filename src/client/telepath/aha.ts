/**
 * Finding services by name: AHA servers know where they are.
 *
 * @see spec/telepath.md, section 14
 */
import {RegistryError} from '../../base/errors.ts'
import {readSimpleText} from '../../config/yaml-scalars.ts'
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
  /** The AHA that said it. */
  readonly aha: TelepathProxy
}

/** Each step of a lookup may take so long. */
const STEP_MS = 5000
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
   * @throws RegistryError `REG_NOT_FOUND` (`NoSuchName`) when no server knows it, or it is offline; `REG_UNREACHABLE` (`NotReady`) when there is no
   * server to ask; else what the last server failed with
   */
  async find(url: TelepathUrl, signal?: AbortSignal): Promise<AhaService> {
    if (this.#servers.length === 0) throw noServers(url.host)
    let failure: unknown
    for (const server of this.#servers) {
      try {
        const found = await this.#ask(server, url, signal)
        if (found !== undefined) return found
      } catch (error) {
        signal?.throwIfAborted()
        failure = error
      }
    }
    throw failure ?? notFound(url.host)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  async #ask(server: Urls, url: TelepathUrl, signal: AbortSignal | undefined): Promise<AhaService | undefined> {
    const limits = {timeoutMs: STEP_MS, ...(signal === undefined ? {} : {signal})}
    const aha = await this.#client(server).proxy(limits)
    const {synapse} = fieldsOf(await aha.call('getCellInfo', limits))
    const kwargs = isSince(fieldsOf(synapse)['version']) ? {filters: {mirror: wantsMirror(url)}} : {}
    const entry = fieldsOf(await aha.call('getAhaSvc', {...limits, args: [url.host], kwargs}))
    const {name, svcinfo, services} = entry
    const {online, urlinfo} = fieldsOf(svcinfo)
    if (typeof name !== 'string' || online === undefined || online === null || online === '') return undefined
    const isPool = services !== undefined && services !== null
    return {name, url: mergeAhaInfo(url, fieldsOf(urlinfo)), isPool, aha}
  }

  #client(server: Urls): TelepathClient {
    const known = this.#clients.get(server)
    if (known !== undefined) return known
    const client = new TelepathClient(server, this.#options)
    this.#clients.set(server, client)
    return client
  }
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
  return new RegistryError('REG_NOT_FOUND', `aha lookup failed: ${name}`, {info: {name}})
}
