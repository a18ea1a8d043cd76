import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {withoutAddress} from '../registry/actor.ts'
import type {Catalog} from '../registry/catalog.ts'
import type {Instance} from '../registry/instance.ts'
import type {Maintenance} from '../registry/maintenance.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Refusal, Registrar} from './registrar.ts'

export interface RegistryDeskPorts {
  readonly catalog: Catalog
  readonly registrar: Pick<Registrar, 'setMaintenance' | 'problem' | 'isGuest'>
  /** What `info` of the ZeroMQ protocol tells beyond the catalog, as JSON members without braces. */
  readonly infoMembers: () => string
}

/** The registry as the methods of the cell reach it. */
export class RegistryDesk {
  readonly #ports: RegistryDeskPorts

  constructor(ports: RegistryDeskPorts) {
    this.#ports = ports
  }

  /** Gives what `info` of the ZeroMQ protocol tells, without the services. */
  info(): Readonly<Record<string, Value>> {
    const {registrar, infoMembers} = this.#ports
    const status = registrar.problem === undefined ? 'ok' : 'degraded'
    return parseJson(`{"status":"${status}",${infoMembers()}}`) as Readonly<Record<string, Value>>
  }

  /**
   * Begins the maintenance of a service, named by its id or by a name that only one has, or ends it with undefined. Resolves when that is
   * durable, with the maintenance before and after.
   *
   * @throws RegistryError `REG_NOT_FOUND`, `REG_CONFLICT` (several have the name), `REG_BAD_REQUEST` (the reason), `REG_READ_ONLY`
   */
  async setMaintenance(idOrName: string, reason: string | undefined, actor: string): Promise<Value> {
    const {registrar} = this.#ports
    const instance = this.#find(idOrName)
    const before = packed(instance.maintenance)
    const {promise, resolve, reject} = Promise.withResolvers<void>()
    const wish = reason === undefined ? undefined : {reason, by: withoutAddress(actor)}
    const refusal = registrar.setMaintenance(instance.id, wish, actor, (error) =>
      error === undefined ? resolve() : reject(error),
    )
    if (refusal !== undefined) throw refused(refusal, instance.id)
    await promise
    return {id: instance.id, name: instance.name, before, after: packed(this.#find(instance.id).maintenance)}
  }

  #find(idOrName: string): Instance {
    const {catalog} = this.#ports
    const found = catalog.get(idOrName)
    if (found !== undefined) return found
    const [only, ...others] = catalog.named(idOrName)
    if (only === undefined) throw unknown(idOrName)
    if (others.length === 0) return only
    const ids = [only, ...others].slice(0, MAX_NAMED).map(({id}) => id)
    throw new RegistryError('REG_CONFLICT', `${others.length + 1} services have the name "${idOrName}": give an id`, {
      telepath: 'DupName',
      info: {name: idOrName, ids},
    })
  }
}

/** Ids that are named in an error. */
const MAX_NAMED = 10

function packed(maintenance: Maintenance | undefined): Value {
  if (maintenance === undefined) return null
  const {reason, sinceS, by} = maintenance
  return {reason, since: sinceS, by}
}

function unknown(idOrName: string): RegistryError {
  return new RegistryError('REG_NOT_FOUND', `no service has the id or the name "${idOrName}"`, {info: {name: idOrName}})
}

function refused(refusal: Refusal, id: string): RegistryError {
  switch (refusal.kind) {
    case 'invalid':
      return new RegistryError('REG_BAD_REQUEST', refusal.error)
    case 'not-found':
      return unknown(id)
    case 'read-only':
      return new RegistryError('REG_CONFLICT', `${id} is a service of AHA, which has no maintenance here`)
    case 'store':
      return new RegistryError('REG_READ_ONLY', refusal.reason)
    case 'policy':
    case 'duplicate-type':
      throw new TypeError(`maintenance is never refused for ${refusal.kind}`)
  }
}
