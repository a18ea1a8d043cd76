import type {Service} from './service.ts'

/** A group of instances, as its members see it (`Group`). */
export interface Membership {
  readonly key: string
  readonly size: number
  /** Rises with every change of a member; what was made of the members is valid for one version. */
  version: number
  /** Counts a member that is passing again. */
  join(instance: Instance): void
  /** No longer counts a member as passing. */
  leave(instance: Instance): void
  remove(instance: Instance): void
}

export type Health = 'passing' | 'critical'

const LAST_HEARTBEAT = ',"last_heartbeat":'
const NONE: readonly Membership[] = []
const TAILS = {passing: ',"health":"passing"}', critical: ',"health":"critical"}'} as const

/**
 * One running endpoint of a service, as the catalog holds it. What the service said of itself never changes (a new registration makes a
 * new object); its lease and its health do, and only `Catalog` changes them.
 */
export class Instance {
  /** Order of first registration; a new registration of a living id keeps it. */
  readonly seq: number
  readonly id: string
  readonly name: string
  readonly ttlS: number
  /** The service object without `last_heartbeat` and `health`: the very text that is stored, since a hundred thousand of these are kept. */
  readonly #service: string
  health: Health = 'passing'
  /** Epoch seconds of the last registration or renewal, for people and peers. */
  lastHeartbeatS: number
  /** Milliseconds of lease time of the last registration or renewal. */
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
    this.lastHeartbeatS = lastHeartbeatS
    this.renewedMs = renewedMs
  }

  /** Gives the service object as JSON text, as it is sent. */
  text(): string {
    return this.#service.slice(0, -1) + LAST_HEARTBEAT + this.lastHeartbeatS + TAILS[this.health]
  }
}
