import {type Clock, type LeaseClock, systemClock} from '../base/clock.ts'
import type {RegistryError} from '../base/errors.ts'
import {newServiceId} from '../base/ids.ts'
import {encodeString} from '../base/json-text.ts'
import {type ChangeLog, reasonFor} from '../nexus/change-log.ts'
import type {Proposal, Replayed, ReplayedChange} from '../nexus/replication.ts'
import {type Compared, compareTexts, type StateCheck} from '../nexus/state-check.ts'
import {isAhaId} from '../registry/bridge.ts'
import {Catalog} from '../registry/catalog.ts'
import {type Change, decodeChange, encodeChange, isServiceKind} from '../registry/change.ts'
import {Instance, type Seen} from '../registry/instance.ts'
import type {LeaseWheel} from '../registry/lease.ts'
import {withMaintenance} from '../registry/maintained.ts'
import {faultOfReason, type Maintenance} from '../registry/maintenance.ts'
import {Pending, type Standing} from '../registry/pending.ts'
import {infoWithId, readService, readStoredService, type Service, type ServiceInfo} from '../registry/service.ts'
import {ServiceReplay} from '../registry/service-replay.ts'
import type {Effect, NewEntry, Renewal, Store} from '../store/store.ts'
import {eventBody} from '../wire/zeromq/messages.ts'
import {type Frozen, frozenText} from './freezer.ts'

/** What services are called where the log is compared with what is kept; their keys are their numbers. */
export const SERVICE_TABLE = 'service'
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
  /** How long changes have still to wait; never when absent. */
  readonly frozen?: (() => Frozen | undefined) | undefined
  /** Shared with the other parts that change durable state. */
  readonly log: ChangeLog
  readonly catalog: Catalog
  readonly wheel: LeaseWheel
  readonly leaseClock: LeaseClock
  readonly clock?: Clock
  readonly publish: (topic: string, body: string) => void
  /** A lease was renewed, here or at the member `from`; at most once a second for each. */
  readonly onRenewed?: (id: string, from: string | undefined) => void
}

export interface RegistrarOptions {
  readonly nextSeq: number
  readonly uniqueTypes: boolean
  /** Services of AHA stand in the catalog too: their ids are theirs alone. */
  readonly hasGuests: boolean
}

/** A change that counts in what is pending, and what becomes of it. */
interface Decided {
  readonly change: Change
  /** What it leaves; undefined when it removes it. */
  readonly service: Service | undefined
  readonly timeS: number
  /** Lease time at which it was decided, or came here. */
  readonly leaseMs: number
}

/** A change of a service on its way to the disk. */
class ServiceProposal implements Proposal {
  readonly entry: NewEntry
  readonly #decided: Decided
  readonly #apply: (decided: Decided, isTold: boolean) => void
  #done: Done | undefined

  constructor(entry: NewEntry, decided: Decided, done: Done, apply: (decided: Decided, isTold: boolean) => void) {
    this.entry = entry
    this.#decided = decided
    this.#done = done
    this.#apply = apply
  }

  committed(): void {
    const done = this.#done
    this.#apply(this.#decided, done !== undefined)
    done?.(undefined)
  }

  failed(error: RegistryError): void {
    const done = this.#done
    this.#done = undefined
    done?.(error)
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
  /** Services that were registered under ids of AHA, where or when there was no bridge: stored, and not shown. */
  readonly #hidden = new Catalog()
  readonly #hiddenPending = new Pending(this.#hidden)
  readonly #log: ChangeLog
  readonly #applyDecided = (decided: Decided, isTold: boolean) => this.#apply(decided, isTold)
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
    this.#log.join({
      onReset: () => this.#onReset(),
      replay: (change) => this.#replay(change),
      check: () => this.#check(),
    })
  }

  /** Why changes are refused at present, or wait; undefined when they do not, or for a moment only. */
  get problem(): {readonly reason: string; readonly sinceMs?: number; readonly isWait?: true} | undefined {
    const {trouble, holds} = this.#log
    if (trouble !== undefined) return {reason: reasonFor(trouble.error), sinceMs: trouble.sinceMs}
    for (const reason of holds.values()) return {reason}
    const {source} = this.#log
    if (source.kind === 'none' && source.code === 'REG_FENCED') return {reason: source.reason}
    const frozen = this.#ports.frozen?.()
    return frozen && {reason: frozenText(frozen), sinceMs: frozen.sinceMs, isWait: true}
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
    this.#propose({kind: 'register', seq, service, info: infoWithId(info.text, service.id)}, actor, done)
    return {id: service.id}
  }

  /** Takes an entry out, or gives the reason against it. */
  deregister(id: string, actor: string, done: Done): Refusal | undefined {
    const closed = this.#refusal()
    if (closed !== undefined) return closed
    if (this.isGuest(id)) return {kind: 'read-only'}
    const standing = this.#pending.get(id)
    if (standing === undefined) return {kind: 'not-found'}
    this.#propose({kind: 'deregister', seq: standing.seq, id, seen: this.#seenOf(standing, id)}, actor, done)
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

  /** Keeps a service that is stored, but is not shown because its id belongs to AHA. */
  hide(instance: Instance): void {
    this.#hidden.put(instance, [])
  }

  /** Gives the place in the order of registration for an instance that is not stored. */
  takeSeq(): number {
    return this.#nextSeq++
  }

  /**
   * Renews a lease, as a client asked or as another member of the cell says (`from`). False when there is no such entry, when its removal is under
   * way, and for what has no lease.
   */
  renew(id: string, from?: string): boolean {
    const {catalog, wheel, leaseClock, onRenewed} = this.#ports
    const instance = catalog.get(id)
    if (instance === undefined || instance.isExpiring || !instance.isLeased) return false
    const timeS = Math.floor(this.#clock.wallMs() / 1000)
    if (onRenewed !== undefined && (timeS !== instance.lastHeartbeatS || instance.health === 'critical')) {
      onRenewed(id, from)
    }
    const wasCritical = catalog.renew(instance, timeS, leaseClock.nowMs())
    if (wasCritical) wheel.add(instance)
    if (!instance.isUnsaved) {
      instance.isUnsaved = true
      this.#unsaved.push(instance)
    }
    return true
  }

  /**
   * Gives every lease its full time again, as this member begins to lead: what was renewed at the one that led before may not have come here. What is
   * critical stays so, and has its grace in full.
   */
  grantAnew(): void {
    const {catalog, leaseClock} = this.#ports
    const nowMs = leaseClock.nowMs()
    for (const instance of catalog.all()) {
      if (!instance.isLeased) continue
      if (instance.health === 'critical') instance.criticalSinceMs = nowMs
      else instance.renewedMs = nowMs
    }
  }

  /**
   * Removes an entry whose lease has ended. False, and `done` is not called, when a change of it is under way already, and when another member
   * decides.
   */
  expire(instance: Instance, actor: string, done: Done): boolean {
    if (this.#log.source.kind !== 'own') return false
    const standing = this.#pending.get(instance.id)
    // A change of this entry that is under way decides what becomes of it.
    if (instance.isExpiring || standing?.seq !== instance.seq || standing.service !== undefined) return false
    if (instance.isMaintained) return false
    instance.isExpiring = true
    const {seq, id, lastHeartbeatS, health} = instance
    this.#propose({kind: 'expire', seq, id, seen: {lastHeartbeatS, health}}, actor, (error) => {
      if (error !== undefined) instance.isExpiring = false
      done(error)
    })
    return true
  }

  /** Saves when instances were last renewed, a few at a time, so that changes are not held up. */
  async saveRenewals(): Promise<void> {
    if (this.#ports.frozen?.() !== undefined) return
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

  #onReset(): void {
    this.#pending.clear()
    this.#hiddenPending.clear()
  }

  #catalogOf(id: string): Catalog {
    return this.isGuest(id) ? this.#hidden : this.#ports.catalog
  }

  #pendingOf(id: string): Pending {
    return this.isGuest(id) ? this.#hiddenPending : this.#pending
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
    return standing.service === undefined ? this.#catalogOf(id).get(id)?.maintenance : standing.service.maintenance
  }

  /** What the event of its end tells: of one that registers just now, what it will be. */
  #seenOf(standing: Standing, id: string): Seen {
    const instance = standing.service === undefined ? this.#ports.catalog.get(id) : undefined
    if (instance === undefined) return {lastHeartbeatS: Math.floor(this.#clock.wallMs() / 1000), health: 'passing'}
    const {lastHeartbeatS, health} = instance
    return {lastHeartbeatS, health}
  }

  #propose(change: Change, actor: string, done: Done): void {
    const timeMs = this.#clock.wallMs()
    const {decided, effect} = this.#decide(change, timeMs)
    const entry: NewEntry = {timeMs, actor, change: encodeChange(change), effect}
    this.#log.propose(new ServiceProposal(entry, decided, done, this.#applyDecided))
  }

  #replay({kind, change: text, timeMs}: ReplayedChange): Replayed | undefined {
    if (!isServiceKind(kind)) return undefined
    const change = decodeChange(text)
    const id = idOf(change)
    const seq = this.#pendingOf(id).get(id)?.seq
    // A new one has a number of its own; all other changes are about the one that is there.
    if (seq !== change.seq && (seq !== undefined || change.kind !== 'register')) {
      throw new TypeError(`${kind} is about number ${change.seq} of ${id}, which is ${seq ?? 'none'} here`)
    }
    const {decided, effect} = this.#decide(change, timeMs)
    this.#nextSeq = Math.max(this.#nextSeq, change.seq + 1)
    return {effect, committed: () => this.#apply(decided, true), failed: () => undefined}
  }

  #check(): StateCheck {
    const wanted = new ServiceReplay()
    return {
      take: (kind, change) => {
        if (isServiceKind(kind)) wanted.apply(change)
      },
      compare: () => this.#compare(wanted.texts),
    }
  }

  #compare(wanted: ReadonlyMap<number, string>): Iterable<Compared | undefined> {
    const catalog = this.#ports.catalog
    const hidden = this.#hidden
    const isStored = ({id}: Instance): boolean => !this.isGuest(id)
    const kept = {
      *all() {
        for (const one of catalog.all()) if (isStored(one)) yield {table: SERVICE_TABLE, key: `${one.seq}`, text: ''}
        for (const one of hidden.all()) yield {table: SERVICE_TABLE, key: `${one.seq}`, text: ''}
      },
      get: (_: string, seq: string) => {
        const id = readStoredService(wanted.get(Number(seq)) ?? '').id
        const instance = this.#catalogOf(id).get(id)
        return instance?.seq === Number(seq) ? instance.storedText() : undefined
      },
    }
    const left = {
      *all() {
        for (const [seq, text] of wanted) yield {table: SERVICE_TABLE, key: `${seq}`, text}
      },
      get: (_: string, seq: string) => wanted.get(Number(seq)),
    }
    return compareTexts(left, kept)
  }

  /** Counts a change in what is pending, and gives what it leaves there and in the store. It depends on the change and the state only. */
  #decide(change: Change, timeMs: number): {readonly decided: Decided; readonly effect: Effect} {
    const timeS = Math.floor(timeMs / 1000)
    const service = this.#outcome(change)
    const effect = this.#effectOf(change, service, timeS)
    const id = idOf(change)
    this.#pendingOf(id).set(id, change.seq, service)
    return {decided: {change, service, timeS, leaseMs: this.#ports.leaseClock.nowMs()}, effect}
  }

  #outcome(change: Change): Service | undefined {
    switch (change.kind) {
      case 'register': {
        const {service} = change
        const standing = this.#pendingOf(service.id).get(service.id)
        const maintenance = standing && this.#maintenanceOf(standing, service.id)
        return maintenance === undefined ? service : withMaintenance(service, maintenance)
      }
      case 'maintenance': {
        const standing = this.#pendingOf(change.id).get(change.id)?.service
        const service = standing ?? readStoredService(this.#visible(change.id, change.kind).storedText())
        return withMaintenance(service, change.maintenance)
      }
      case 'deregister':
      case 'expire':
        return undefined
    }
  }

  #effectOf({kind, seq}: Change, service: Service | undefined, timeS: number): Effect {
    if (service === undefined) return {kind: 'delete', seq}
    const renewedS = kind === 'register' ? undefined : this.#catalogOf(service.id).get(service.id)?.lastHeartbeatS
    return {kind: 'put', instance: {seq, service: service.text, lastHeartbeatS: renewedS ?? timeS}}
  }

  #apply(decided: Decided, isTold: boolean): void {
    const {change, service, timeS, leaseMs} = decided
    this.#pendingOf(idOf(change)).settle(idOf(change))
    if (this.isGuest(idOf(change))) this.#applyHidden(decided)
    else if (change.kind === 'maintenance') this.#applyMaintenance(change.id, change.maintenance)
    else if (change.kind !== 'register') this.#applyRemoval(change, timeS, isTold)
    else if (service !== undefined) this.#applyRegister(service, change, {timeS, leaseMs}, isTold)
  }

  /** No event tells of it: the kinds of events are the peer's, and who watches learns it at the next look at the list. */
  #applyMaintenance(id: string, maintenance: Maintenance | undefined): void {
    this.#ports.catalog.setMaintenance(this.#visible(id, 'maintenance'), maintenance)
  }

  #applyRegister(
    service: Service,
    {seq, info}: Extract<Change, {kind: 'register'}>,
    {timeS, leaseMs}: Pick<Decided, 'timeS' | 'leaseMs'>,
    isTold: boolean,
  ): void {
    const {catalog, wheel} = this.#ports
    const old = catalog.get(service.id)
    const instance = new Instance(service, seq, timeS, leaseMs)
    if (old !== undefined) takeOverRenewal(instance, old)
    catalog.put(instance, service.labels)
    if (old !== undefined) wheel.noteGone()
    wheel.add(instance)
    if (isTold) this.#tell('register', timeS, service.id, info)
  }

  #applyRemoval(
    {kind, id, seen}: Extract<Change, {kind: 'deregister' | 'expire'}>,
    timeS: number,
    isTold: boolean,
  ): void {
    const {catalog, wheel} = this.#ports
    const instance = this.#visible(id, kind)
    const text = seen === undefined ? instance.text() : instance.textWhen(seen)
    catalog.remove(instance)
    wheel.noteGone()
    if (isTold) this.#tell(kind, timeS, id, text)
  }

  #applyHidden({change, service, timeS, leaseMs}: Decided): void {
    if (service !== undefined) this.hide(new Instance(service, change.seq, timeS, leaseMs))
    else this.#hidden.remove(this.#visible(idOf(change), change.kind))
  }

  #tell(kind: 'register' | 'deregister' | 'expire', timeS: number, id: string, info: string): void {
    this.#ports.publish(kind, eventBody(kind, timeS, `{"service_id":${encodeString(id)},"service_info":${info}}`))
  }

  #visible(id: string, kind: Change['kind']): Instance {
    const instance = this.#catalogOf(id).get(id)
    if (instance === undefined) throw new TypeError(`${kind} of ${id} was decided, but there is no such entry`)
    return instance
  }
}

function idOf(change: Change): string {
  return change.kind === 'register' ? change.service.id : change.id
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
