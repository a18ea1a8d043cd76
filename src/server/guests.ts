import type {Clock} from '../base/clock.ts'
import {encodeString} from '../base/json-text.ts'
import type {Catalog} from '../registry/catalog.ts'
import {Instance} from '../registry/instance.ts'
import {readService, type ServiceInfo} from '../registry/service.ts'
import {eventBody} from '../wire/zeromq/messages.ts'

export interface GuestsPorts {
  readonly catalog: Catalog
  readonly clock: Pick<Clock, 'wallMs'>
  readonly publish: (topic: string, body: string) => void
  /** Gives a place in the order of registration. */
  readonly takeSeq: () => number
}

/**
 * Services that stand in the catalog without having been registered over ZeroMQ: they have no lease, are not stored, and end when who brought
 * them says so. Events tell of them as of others.
 */
export class Guests {
  readonly #ports: GuestsPorts

  constructor(ports: GuestsPorts) {
    this.#ports = ports
  }

  /**
   * Shows a service, in place of the one with its id. One that is not ready is listed as critical, and not discovered. False, and nothing
   * is shown, when the protocol does not allow what it says of itself.
   */
  show(info: ServiceInfo, isReady: boolean): boolean {
    const service = readService(info, () => '')
    if ('error' in service) return false
    const {catalog, clock, publish, takeSeq} = this.#ports
    const old = catalog.get(service.id)
    const timeS = Math.floor(clock.wallMs() / 1000)
    const instance = new Instance(service, old?.seq ?? takeSeq(), timeS, Number.POSITIVE_INFINITY)
    catalog.put(instance, service.labels)
    this.setReady(service.id, isReady)
    const data = `{"service_id":${encodeString(service.id)},"service_info":${info.text}}`
    publish('register', eventBody('register', timeS, data))
    return true
  }

  /** Says whether a service takes calls. No event tells of it, as of no change of health. */
  setReady(id: string, isReady: boolean): void {
    const {catalog} = this.#ports
    const instance = catalog.get(id)
    if (instance !== undefined) catalog.setHealth(instance, isReady ? 'passing' : 'critical')
  }

  /** Ends a service that is shown; nothing happens when it is not. */
  end(id: string): void {
    const {catalog, clock, publish} = this.#ports
    const instance = catalog.get(id)
    if (instance === undefined) return
    const data = `{"service_id":${encodeString(id)},"service_info":${instance.text()}}`
    catalog.remove(instance)
    publish('deregister', eventBody('deregister', Math.floor(clock.wallMs() / 1000), data))
  }
}
