import type {RegistryInfo} from '../client/answers.ts'
import type {AhaFacts} from './aha-status.ts'
import type {ErrorReport} from './error-report.ts'
import type {GroupReport} from './group-report.ts'
import type {NetworkReport} from './network-report.ts'

/** What `registry status` tells; the shape under `--json`. Members are missing where a registry does not tell. */
export interface RegistryStatus {
  readonly url: string
  readonly status: 'ok' | 'degraded' | 'failed' | 'away' | 'refused'
  /** With `away`: why. With `refused`: who asked is not let in, and `group` is what AHA knows. */
  readonly error?: ErrorReport
  /** `registry`: this software; `cgse`: the Python registry; `synapse`: a Synapse service. */
  readonly software?: 'registry' | 'cgse' | 'synapse'
  readonly version?: string
  readonly pid?: number
  readonly startedAt?: string
  readonly uptimeS?: number
  readonly ports?: RegistryInfo['ports']
  readonly uniqueTypes?: boolean
  readonly discoverStrategy?: string
  readonly leaseGraceS?: number
  readonly store?: {readonly kind: string; readonly problem?: string; readonly problemSince?: string}
  readonly counts?: {
    readonly services: number
    readonly critical: number
    readonly maintenance?: number
    readonly eventsDropped?: number
    readonly unanswerable?: number
  }
  /** With `--verify`: what became of the check of the change log. */
  readonly log?: LogCheck
  /** It is the AHA of a network. */
  readonly aha?: AhaFacts
  /** What was asked is a cell: by Telepath. */
  readonly cell?: CellFacts
  readonly health?: CellHealth
  /** The leader and the mirrors of its cell, of a service that is in AHA. */
  readonly group?: GroupReport
  /** The services of an AHA. */
  readonly network?: NetworkReport
  /** How many there are; missing when who asks may not know. */
  readonly users?: number
}

/** What every cell tells of itself. Members are missing where it does not tell, or not to who asks. */
export interface CellFacts {
  readonly type: string
  readonly iden: string
  readonly runId: string
  /** It takes changes: it leads, or is alone. */
  readonly active: boolean
  readonly ready?: boolean
  readonly version: string
  readonly synapseVersion: string
  /** Index of the next change in its log. */
  readonly nexusIndex: number
  readonly readOnly?: boolean
  /** URL that it mirrors; null for a leader. */
  readonly mirror: string | null
  /** Name of who took the lead from it while it led; it neither leads nor follows. */
  readonly fencedBy?: string
  /** What clients may use beyond the plain protocol, with versions. */
  readonly features: Readonly<Record<string, number>>
  /** Addresses of its HTTPS listeners, and URLs of its Telepath listeners where it tells them. */
  readonly https: readonly string[]
  readonly telepath: readonly string[]
  /** URLs of the listeners for one-time URLs. */
  readonly provision: readonly string[]
  /** Who archives its change log, and how far each has it; missing when nobody does. */
  readonly archivers?: readonly StatusArchiver[]
  readonly aha: {readonly name: string | null; readonly leader: string | null; readonly network: string | null}
}

/** One that archives a change log: it has the entries below `index`. */
export interface StatusArchiver {
  /** Host and directory. */
  readonly name: string
  readonly index: number
  readonly behind: number
  readonly attached: boolean
  /** When it came, or was last heard of. */
  readonly since: string
}

/** How a cell says that it does. */
export interface CellHealth {
  readonly status: string
  readonly components: readonly {
    readonly name: string
    readonly status: string
    readonly mesg: string
    readonly data: unknown
  }[]
}

/** What a registry of this software found when it checked its change log. */
export interface LogCheck {
  /** Offset of the oldest entry that is kept, and of the next one. */
  readonly first: number
  readonly next: number
  /** The first entry that is not what was written. */
  readonly damage: {readonly offset: number; readonly reason: string} | null
  /** Services compared with what the log leaves; null when it does not begin with the first entry, or is damaged. */
  readonly services: number | null
  /** Numbers of those that are not what the log leaves. */
  readonly differing: readonly number[]
  /** Users, one-time URLs, services of AHA and all else that was compared; null when nothing was. */
  readonly records: number | null
  /** Which of those are not what the log leaves: some of them, by table and key. */
  readonly differingRecords: readonly string[]
}
