import {type Clock, type LeaseClock, systemClock} from '../base/clock.ts'
import type {RegistryError} from '../base/errors.ts'
import {newServiceId} from '../base/ids.ts'
import {encodeString} from '../base/json-text.ts'
import {type ChangeLog, type Proposal, reasonFor} from '../nexus/change-log.ts'
import {isAhaId} from '../registry/bridge.ts'
import type {Catalog} from '../registry/catalog.ts'
import {type Change, encodeChange} from '../registry/change.ts'
import {Instance} from '../registry/instance.ts'
import type {LeaseWheel} from '../registry/lease.ts'
import {withMaintenance} from '../registry/maintained.ts'
import {faultOfReason, type Maintenance} from '../registry/maintenance.ts'
import {Pending, type Standing} from '../registry/pending.ts'
import {infoWithId, readService, readStoredService, type Service, type ServiceInfo} from '../registry/service.ts'
import type {NewEntry, Renewal, Store} from '../store/store.ts'
import {eventBody} from '../wire/zeromq/messages.ts'

/** Renewals that are saved together: few, so that changes are not held up. */
const SAVE_MAX = 300

export type Refusal =
  | {readonly kind: 'invalid'; readonly error: string}
  | {readonly kind: 'policy'}
  | {readonly kind: 'duplicate-type'; readonly type: string; readonly holder: string}
  | {readonly kind: 'not-found'}
  | {readonly kind: 'read-only'}
  | {readonly kind: 'store'; readonly reason: string}

/** Called once with how a change ended: undefined when it is durable and visible. Never called before the call that began it returns. */
export type Done = (error: RegistryError | undefined) => void

export interface RegistrarPorts {
  readonly store: Pick<Store, 'saveRenewals'>
  /** Shared with the other parts that change durable state. */
  readonly log: ChangeLog
  readonly catalog: Catalog
  readonly wheel: LeaseWheel
  readonly leaseClock: LeaseClock
  readonly clock?: Clock
  readonly publish: (topic: string, body: string) => void
}

export interface RegistrarOptions {
  readonly nextSeq: number
  readonly uniqueTypes: boolean
  /** Services of AHA stand in the catalog too: their ids are theirs alone. */
  readonly hasGuests: boolean
}

/** A change of a service on its way to the disk. */
class ServiceProposal implements Proposal {
  readonly entry: NewEntry
  readonly change: Change
  readonly leaseMs: number
  readonly done: Done
  readonly #apply: (proposal: ServiceProposal) => void

  constructor(
    entry: NewEntry,
    change: Change,
    leaseMs: number,
    done: Done,
    apply: (proposal: ServiceProposal) => void,
  ) {
    this.entry = entry
    this.change = change
    this.leaseMs = leaseMs
    this.done = done
    this.#apply = apply
  }

  committed(): void {
    this.#apply(this)
  }

  failed(error: RegistryError): void {
    this.done(error)
  }
}

/**
 * Decides changes against the pending catalog, makes them durable through the log, and only then visible: catalog, event, answer, in this
 * order. Renewals touch memory only.
 */
export class Registrar {
  readonly #ports: RegistrarPorts
  readonly #clock: Clock
  readonly #isUnique: boolean
  readonly #hasGuests: boolean
  readonly #pending: Pending
  readonly #log: ChangeLog
  readonly #applyProposal = (proposal: ServiceProposal) => this.#apply(proposal)
  #nextSeq: number
  #unsaved: Instance[] = []

  constructor(ports: RegistrarPorts, options: RegistrarOptions) {
    this.#ports = ports
    this.#hasGuests = options.hasGuests
    this.#clock = ports.clock ?? systemClock
    this.#isUnique = options.uniqueTypes
    this.#nextSeq = options.nextSeq
    this.#pending = new Pending(ports.catalog)
    this.#log = ports.log
    this.#log.join({onReset: () => this.#pending.clear()})
  }

  /** Why changes are refused at present; undefined when they are not, or for a moment only. */
  get problem(): {readonly reason: string; readonly sinceMs?: number} | undefined {
    const {trouble, holds} = this.#log
    if (trouble !== undefined) return {reason: reasonFor(trouble.error), sinceMs: trouble.sinceMs}
    for (const reason of holds.values()) return {reason}
    return undefined
  }

  /** Registers, or gives the reason against it. The id is known at once; `done` says when the registration stands. */
  register(info: ServiceInfo, actor: string, done: Done): {readonly id: string} | Refusal {
    const closed = this.#refusal()
    if (closed !== undefined) return closed
    const {value} = info
    const singleton = flag(value['singleton'])
    const duplicates = flag(value['allow_duplicate_service_type'])
    if (singleton === undefined || duplicates === undefined) return invalidFlag(singleton === undefined)
    if (singleton && duplicates) return {kind: 'policy'}
    const service = readService(info, newServiceId)
    if ('error' in service) return {kind: 'invalid', error: service.error}
    if (this.isGuest(service.id)) return {kind: 'read-only'}
    if ((this.#isUnique || singleton) && !duplicates && service.type !== undefined) {
      const holder = this.#claimType(service.type, service.id, actor)
      if (holder !== undefined) return {kind: 'duplicate-type', type: service.type, holder}
    }
    const standing = this.#pending.get(service.id)
    const seq = standing?.seq ?? this.#nextSeq++
    const maintenance = standing && this.#maintenanceOf(standing, service.id)
    const kept = maintenance === undefined ? service : withMaintenance(service, maintenance)
    this.#propose({kind: 'register', seq, service: kept, info: infoWithId(info.text, service.id)}, actor, done)
    return {id: service.id}
  }

  /** Takes an entry out, or gives the reason against it. */
  deregister(id: string, actor: string, done: Done): Refusal | undefined {
    const closed = this.#refusal()
    if (closed !== undefined) return closed
    if (this.isGuest(id)) return {kind: 'read-only'}
    const standing = this.#pending.get(id)
    if (standing === undefined) return {kind: 'not-found'}
    this.#propose({kind: 'deregister', seq: standing.seq, id}, actor, done)
    return undefined
  }

  /**
   * Begins the maintenance of an entry, or ends it with undefined; gives the reason against it. It lasts through renewals, new
   * registrations and the end of the lease; what is in maintenance keeps its time when the reason changes.
   */
  setMaintenance(
    id: string,
    wish: {readonly reason: string; readonly by: string} | undefined,
    actor: string,
    done: Done,
  ): Refusal | undefined {
    const closed = this.#refusal()
    if (closed !== undefined) return closed
    const fault = wish && faultOfReason(wish.reason)
    if (fault !== undefined) return {kind: 'invalid', error: fault}
    if (this.isGuest(id)) return {kind: 'read-only'}
    const standing = this.#pending.get(id)
    if (standing === undefined) return {kind: 'not-found'}
    const sinceS = this.#maintenanceOf(standing, id)?.sinceS ?? Math.floor(this.#clock.wallMs() / 1000)
    const maintenance = wish && {...wish, sinceS}
    this.#propose({kind: 'maintenance', seq: standing.seq, id, maintenance}, actor, done)
    return undefined
  }

  /** Tells whether an id belongs to a service of AHA, which is there or is not, and cannot be changed here. */
  isGuest(id: string): boolean {
    return this.#hasGuests && isAhaId(id)
  }

  /** Gives the place in the order of registration for an instance that is not stored. */
  takeSeq(): number {
    return this.#nextSeq++
  }

  /** Renews a lease. False when there is no such entry, when its removal is under way, and for what has no lease. */
  renew(id: string): boolean {
    const {catalog, wheel, leaseClock} = this.#ports
    const instance = catalog.get(id)
    if (instance === undefined || instance.isExpiring || !instance.isLeased) return false
    const wasCritical = catalog.renew(instance, Math.floor(this.#clock.wallMs() / 1000), leaseClock.nowMs())
    if (wasCritical) wheel.add(instance)
    if (!instance.isUnsaved) {
      instance.isUnsaved = true
      this.#unsaved.push(instance)
    }
    return true
  }

  /** Removes an entry whose lease has ended. False, and `done` is not called, when a change of it is under way already. */
  expire(instance: Instance, actor: string, done: Done): boolean {
    const standing = this.#pending.get(instance.id)
    // A change of this entry that is under way decides what becomes of it.
    if (instance.isExpiring || standing?.seq !== instance.seq || standing.service !== undefined) return false
    if (instance.isMaintained) return false
    instance.isExpiring = true
    this.#propose({kind: 'expire', seq: instance.seq, id: instance.id}, actor, (error) => {
      if (error !== undefined) instance.isExpiring = false
      done(error)
    })
    return true
  }

  /** Saves when instances were last renewed, a few at a time, so that changes are not held up. */
  async saveRenewals(): Promise<void> {
    while (this.#unsaved.length > 0 && this.#log.trouble === undefined) {
      const some = this.#unsaved.splice(-SAVE_MAX)
      const renewals: Renewal[] = []
      for (const instance of some) {
        instance.isUnsaved = false
        if (!instance.isGone) renewals.push({seq: instance.seq, lastHeartbeatS: instance.lastHeartbeatS})
      }
      await this.#ports.store.saveRenewals(renewals)
    }
  }

  #refusal(): Refusal | undefined {
    const refusal = this.#log.refusal()
    return refusal === undefined ? undefined : {kind: 'store', reason: refusal.reason}
  }

  /** Makes room for a unique type: ended leases go, a live holder stays and is given back. */
  #claimType(type: string, id: string, actor: string): string | undefined {
    const ended: Instance[] = []
    for (const holder of this.#pending.holders(type, id)) {
      const instance = this.#ports.catalog.get(holder)
      // One that registers again just now is alive, whatever its last lease says.
      const isComing = this.#pending.get(holder)?.service !== undefined
      if (isComing || instance?.health !== 'critical' || instance.isMaintained) return holder
      ended.push(instance)
    }
    for (const instance of ended) this.expire(instance, actor, () => undefined)
    return undefined
  }

  #maintenanceOf(standing: Standing, id: string): Maintenance | undefined {
    return standing.service === undefined ? this.#ports.catalog.get(id)?.maintenance : standing.service.maintenance
  }

  #propose(change: Change, actor: string, done: Done): void {
    const timeMs = this.#clock.wallMs()
    const id = change.kind === 'register' ? change.service.id : change.id
    const service = this.#outcome(change)
    const effect = this.#effectOf(change, service, Math.floor(timeMs / 1000))
    this.#pending.set(id, change.seq, service)
    const entry: NewEntry = {timeMs, actor, change: encodeChange(change), effect}
    this.#log.propose(new ServiceProposal(entry, change, this.#ports.leaseClock.nowMs(), done, this.#applyProposal))
  }

  /** Gives the service that a change leaves behind; undefined when it removes it. */
  #outcome(change: Change): Service | undefined {
    if (change.kind === 'register') return change.service
    if (change.kind !== 'maintenance') return undefined
    const standing = this.#pending.get(change.id)?.service
    const service = standing ?? readStoredService(this.#visible(change.id, change.kind).storedText())
    return withMaintenance(service, change.maintenance)
  }

  #effectOf({kind, seq}: Change, service: Service | undefined, timeS: number): NewEntry['effect'] {
    if (service === undefined) return {kind: 'delete', seq}
    const renewedS = kind === 'register' ? undefined : this.#ports.catalog.get(service.id)?.lastHeartbeatS
    return {kind: 'put', instance: {seq, service: service.text, lastHeartbeatS: renewedS ?? timeS}}
  }

  #apply({change, entry, leaseMs, done}: ServiceProposal): void {
    const timeS = Math.floor(entry.timeMs / 1000)
    if (change.kind === 'register') this.#applyRegister(change.service, change.seq, change.info, timeS, leaseMs)
    else if (change.kind === 'maintenance') this.#applyMaintenance(change.id, change.maintenance)
    else this.#applyRemoval(change.kind, change.id, timeS)
    done(undefined)
  }

  /** No event tells of it: the kinds of events are the peer's, and who watches learns it at the next look at the list. */
  #applyMaintenance(id: string, maintenance: Maintenance | undefined): void {
    this.#pending.settle(id)
    this.#ports.catalog.setMaintenance(this.#visible(id, 'maintenance'), maintenance)
  }

  #applyRegister(service: Service, seq: number, info: string, timeS: number, leaseMs: number): void {
    const {catalog, wheel, publish} = this.#ports
    const old = catalog.get(service.id)
    const instance = new Instance(service, seq, timeS, leaseMs)
    if (old !== undefined) takeOverRenewal(instance, old)
    catalog.put(instance, service.labels)
    if (old !== undefined) wheel.noteGone()
    wheel.add(instance)
    this.#pending.settle(service.id)
    publish(
      'register',
      eventBody('register', timeS, `{"service_id":${encodeString(service.id)},"service_info":${info}}`),
    )
  }

  #applyRemoval(kind: 'deregister' | 'expire', id: string, timeS: number): void {
    const {catalog, wheel, publish} = this.#ports
    const instance = this.#visible(id, kind)
    this.#pending.settle(id)
    const data = `{"service_id":${encodeString(id)},"service_info":${instance.text()}}`
    catalog.remove(instance)
    wheel.noteGone()
    publish(kind, eventBody(kind, timeS, data))
  }

  #visible(id: string, kind: Change['kind']): Instance {
    const instance = this.#ports.catalog.get(id)
    if (instance === undefined) throw new TypeError(`${kind} of ${id} was decided, but there is no such entry`)
    return instance
  }
}

/** A renewal that came while the registration waited for the disk counts on. */
function takeOverRenewal(instance: Instance, old: Instance): void {
  if (old.renewedMs <= instance.renewedMs) return
  instance.renewedMs = old.renewedMs
  instance.lastHeartbeatS = old.lastHeartbeatS
}

/** Reads a policy flag: absent and null mean false, anything but a boolean is undefined. */
function flag(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return false
  return typeof value === 'boolean' ? value : undefined
}

function invalidFlag(isSingleton: boolean): Refusal {
  const name = isSingleton ? 'singleton' : 'allow_duplicate_service_type'
  return {kind: 'invalid', error: `Invalid value in service_info: ${name} must be true or false`}
}
