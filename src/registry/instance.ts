import {maintainedText} from './maintained.ts'
import type {Maintenance} from './maintenance.ts'
import {readStoredService, type Service} from './service.ts'

/** A group of instances, as its members see it (`Group`). */
export interface Membership {
  readonly key: string
  readonly size: number
  /** Rises with every change of a member; what was made of the members is valid for one version. */
  version: number
  /** Counts a member that may be discovered again. */
  join(instance: Instance): void
  /** No longer counts a member as discoverable. */
  leave(instance: Instance): void
  remove(instance: Instance): void
}

export type Health = 'passing' | 'critical'

/** What is told of an instance besides the service object. */
export interface Seen {
  /** Epoch seconds of the last registration or renewal. */
  readonly lastHeartbeatS: number
  readonly health: Health
}

const LAST_HEARTBEAT = ',"last_heartbeat":'
const NONE: readonly Membership[] = []

/** What an instance is at a moment; the few that there are, are shared by all. */
interface Condition {
  readonly health: Health
  readonly isMaintained: boolean
  /** The end of the service object. */
  readonly tail: string
}

const OPERATED = conditions(false)
const MAINTAINED = conditions(true)

function conditions(isMaintained: boolean): Readonly<Record<Health, Condition>> {
  return {
    passing: {health: 'passing', isMaintained, tail: ',"health":"passing"}'},
    critical: {health: 'critical', isMaintained, tail: ',"health":"critical"}'},
  }
}

/**
 * One running endpoint of a service, as the catalog holds it. What the service said of itself never changes (a new registration makes a
 * new object); its lease, its health and its maintenance do, and only `Catalog` changes them.
 */
export class Instance {
  /** Order of first registration; a new registration of a living id keeps it. */
  readonly seq: number
  readonly id: string
  readonly name: string
  readonly ttlS: number
  /** The service object without `last_heartbeat` and `health`: the very text that is stored, since a hundred thousand of these are kept. */
  #service: string
  #condition: Condition
  /** Epoch seconds of the last registration or renewal, for people and peers. */
  lastHeartbeatS: number
  /** Milliseconds of lease time of the last registration or renewal; `Infinity` without a lease. */
  renewedMs: number
  /** Lease time in ms since which it is critical; meaningless while passing. */
  criticalSinceMs = 0
  /** True while its removal is being committed: it cannot be renewed any more. */
  isExpiring = false
  /** True once it has left the catalog. */
  isGone = false
  /** True while its last renewal has not been saved. */
  isUnsaved = false
  /** The groups that it is in; one array for all instances with the same labels. */
  groups: readonly Membership[] = NONE

  constructor(service: Service, seq: number, lastHeartbeatS: number, renewedMs: number) {
    this.seq = seq
    this.id = service.id
    this.name = service.name
    this.ttlS = service.ttlS
    this.#service = service.text
    this.#condition = conditionOf('passing', service.maintenance)
    this.lastHeartbeatS = lastHeartbeatS
    this.renewedMs = renewedMs
  }

  get health(): Health {
    return this.#condition.health
  }

  set health(health: Health) {
    this.#condition = (this.isMaintained ? MAINTAINED : OPERATED)[health]
  }

  /** True while it is in maintenance. */
  get isMaintained(): boolean {
    return this.#condition.isMaintained
  }

  /** False for one whose life another part of the server decides: it was made with a renewal that never ends. */
  get isLeased(): boolean {
    return this.renewedMs !== Number.POSITIVE_INFINITY
  }

  /** True when it may be discovered. */
  get isDiscoverable(): boolean {
    return this.#condition === OPERATED.passing
  }

  get maintenance(): Maintenance | undefined {
    return this.isMaintained ? readStoredService(this.#service).maintenance : undefined
  }

  set maintenance(maintenance: Maintenance | undefined) {
    this.#service = maintainedText(this.#service, maintenance)
    this.#condition = conditionOf(this.health, maintenance)
  }

  /** Gives the service object as JSON text, as it is stored. */
  storedText(): string {
    return this.#service
  }

  /** Gives the service object as JSON text, as it is sent. */
  text(): string {
    return this.#service.slice(0, -1) + LAST_HEARTBEAT + this.lastHeartbeatS + this.#condition.tail
  }

  /** Gives the same text, as it was when it was last seen so. */
  textWhen({lastHeartbeatS, health}: Seen): string {
    return this.#service.slice(0, -1) + LAST_HEARTBEAT + lastHeartbeatS + OPERATED[health].tail
  }
}

function conditionOf(health: Health, maintenance: Maintenance | undefined): Condition {
  return (maintenance === undefined ? OPERATED : MAINTAINED)[health]
}
