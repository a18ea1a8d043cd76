import {RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer, timeOf} from './admin-values.ts'

/** A pool of AHA, as it says. */
export interface Pool {
  /** In full. */
  readonly name: string
  readonly createdMs: number
  /** Iden of the user who made it. */
  readonly creator: string
  /** Full names, in the order of AHA. */
  readonly services: readonly string[]
}

/** A service in a pool, and how it is now. */
export interface PoolMember {
  readonly service: string
  /** False when AHA knows no service of that name. */
  readonly isRegistered: boolean
  readonly isOnline: boolean
  readonly isReady: boolean
  /** Where it listens; undefined when it does not say. */
  readonly address: string | undefined
}

/**
 * The pools of an AHA, ours or a real one: typed calls over an open session. A name may be given in full, with three dots at its end, or relative
 * to the network of that AHA. All throw what the service answered, `REG_BAD_ANSWER` when its answer makes no sense, and as `Callable.call` does.
 */
export class PoolAdmin implements AsyncDisposable {
  readonly #aha: Callable & AsyncDisposable
  readonly #signal: AbortSignal | undefined

  /** Takes the session over: disposing of this ends it. */
  constructor(aha: Callable & AsyncDisposable, signal?: AbortSignal) {
    this.#aha = aha
    this.#signal = signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#aha[Symbol.asyncDispose]()
  }

  /** In order of name. */
  async pools(): Promise<readonly Pool[]> {
    const options = this.#signal === undefined ? {} : {signal: this.#signal}
    try {
      const values = await Array.fromAsync(this.#aha.stream('getAhaPools', options))
      return values.map(readPool).toSorted((one, other) => (one.name < other.name ? -1 : 1))
    } catch (error) {
      throw withHints(error)
    }
  }

  /** Gives the pool of this name; undefined when there is none. */
  async find(name: string): Promise<Pool | undefined> {
    const found = await this.#found('getAhaPool', name)
    return found === null ? undefined : readPool(found)
  }

  /** Gives the pool of this name. Throws `REG_NOT_FOUND`, with the name that is nearest to it. */
  async pool(name: string): Promise<Pool> {
    const pool = await this.find(name)
    if (pool !== undefined) return pool
    const names = (await this.pools()).map((one) => one.name)
    const nearest = nearestName(name, names)
    throw new RegistryError('REG_NOT_FOUND', `there is no pool "${name}"`, {
      telepath: 'NoSuchName',
      info: {name, ...(nearest === undefined ? {} : {nearest})},
      hints: [
        ...(nearest === undefined ? [] : [`registry pool show ${nearest}`]),
        'registry pool list',
        `registry pool add ${name}`,
      ],
    })
  }

  /** Gives the full name of a service. Throws `REG_NOT_FOUND` when AHA knows none of this name. */
  async service(name: string): Promise<string> {
    const found = await this.#found('getAhaSvc', name)
    if (found !== null && !isPool(found)) return textIn(found, 'name')
    throw new RegistryError('REG_NOT_FOUND', `AHA knows no service "${name}"`, {
      telepath: 'NoSuchName',
      info: {name},
      hints: ['registry query AHA-URL --call getAhaSvcs', 'start the service, so that it registers'],
    })
  }

  /** Gives the members of a pool as they are now. */
  async members({services}: Pool): Promise<readonly PoolMember[]> {
    const members: PoolMember[] = []
    for (const service of services) members.push(readMember(service, await this.#call('getAhaSvc', service)))
    return members
  }

  /** Makes a pool without members. A real AHA empties one that is there: look before. */
  async add(name: string): Promise<Pool> {
    return readPool(await this.#call('addAhaPool', await this.#fullName(name), {}))
  }

  async remove({name}: Pool): Promise<void> {
    await this.#call('delAhaPool', name)
  }

  /** Both names in full. */
  async addMember(pool: string, service: string): Promise<void> {
    await this.#call('addAhaPoolSvc', pool, service, {})
  }

  /** Both names in full. */
  async removeMember(pool: string, service: string): Promise<void> {
    await this.#call('delAhaPoolSvc', pool, service)
  }

  /** Asks for a name as it stands first, since it may be one of another network. */
  async #found(method: string, name: string): Promise<Value> {
    const found = await this.#call(method, name)
    return found === null && !name.endsWith('...') ? await this.#call(method, `${name}...`) : found
  }

  async #fullName(name: string): Promise<string> {
    if (name.endsWith('...')) return name
    const {cell} = fieldsOf(await this.#call('getCellInfo'), 'getCellInfo')
    const {aha} = fieldsOf(cell, 'cell')
    const network = textIn(aha, 'network')
    return name.endsWith(`.${network}`) ? name : `${name}.${network}`
  }

  async #call(method: string, ...args: readonly Value[]): Promise<Value> {
    try {
      return await this.#aha.call(method, {args, ...(this.#signal === undefined ? {} : {signal: this.#signal})})
    } catch (error) {
      throw withHints(error)
    }
  }
}

const NO_AHA = ['registry status URL', 'give the URL of an AHA server: --url cell://DIR or ssl://HOST']
/** What to do next, by the name of the error. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  AuthDeny: ['ask an administrator of AHA'],
  DupName: ['registry pool list', 'take another name'],
  NoSuchName: ['registry pool list'],
  NoSuchMeth: NO_AHA,
  NeedConfValu: NO_AHA,
}

function withHints(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  const hints = HINTS[error.telepath]
  if (hints === undefined) return error
  const {code, message, info, telepath, cause} = error
  return new RegistryError(code, message, {hints, info, telepath, cause})
}

function readPool(value: Value): Pool {
  const fields = fieldsOf(value, 'a pool')
  return {
    name: textIn(value, 'name'),
    createdMs: timeOf(fields['created'] ?? 0, 'created'),
    creator: textIn(value, 'creator'),
    services: Object.keys(fieldsOf(fields['services'], 'services')),
  }
}

/** What AHA answers for the name of a pool is one of its services with the pool in it. */
function isPool(value: Value): boolean {
  return fieldsOf(value, 'a service')['services'] !== undefined
}

function readMember(service: string, value: Value): PoolMember {
  if (value === null) return {service, isRegistered: false, isOnline: false, isReady: false, address: undefined}
  const {online, ready, urlinfo} = fieldsOf(fieldsOf(value, 'a service')['svcinfo'], 'svcinfo')
  const {host, port} = fieldsOf(urlinfo ?? {}, 'urlinfo')
  return {
    service,
    isRegistered: true,
    isOnline: typeof online === 'string' && online !== '',
    isReady: ready === true,
    address: host === undefined ? undefined : `${String(host)}:${String(port ?? '')}`,
  }
}

function textIn(value: Value, name: string): string {
  const text = fieldsOf(value, name)[name]
  if (typeof text === 'string') return text
  throw oddAnswer(name, 'it is not a text')
}
