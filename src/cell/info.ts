import type {Value} from '../wire/msgpack/value.ts'

/** The release of Synapse whose cells this one can stand in for; clients look at it before they use what is new. */
export const SYNAPSE_VERSION = [2, 256, 0] as const

/** What a cell is among those that share its data. */
export interface MemberFacts {
  /** It leads. */
  readonly isActive: boolean
  /** It only shows what it has. */
  readonly isSafe: boolean
  /** A mirror had all that its leader had, once since its start. */
  readonly isReady: boolean
  /** A mirror is connected to its leader. */
  readonly hasUplink: boolean
  /** Where a mirror follows its leader, or looks for it, without a password; null for a leader. */
  readonly mirror: string | null
  /** Role, lag and mirrors, for our own tools; undefined where there is nothing to tell. */
  readonly told?: Readonly<Record<string, Value>> | undefined
}

/** What the report of a cell is made of. */
export interface CellFacts {
  readonly cellIden: string
  readonly runId: string
  readonly type: string
  readonly startedMs: number
  /** Of this software, `1.2.3`. */
  readonly version: string
  /** Offset that the next entry of the change log gets. */
  readonly nextOffset: number
  /** Why changes are refused; empty when they are not, and when another member of the cell takes them. */
  readonly refusals: readonly string[]
  /** Leader or mirror. */
  readonly member: MemberFacts
  readonly aha: {readonly name: string | null; readonly leader: string | null; readonly network: string | null}
  readonly https: readonly {readonly host: string; readonly port: number}[]
  /** URLs of the Telepath listeners. */
  readonly telepath: readonly string[]
  /** Who archives the change log; nothing is told when nobody does. */
  readonly archivers: readonly Value[]
  /** When the database was last written anew at a start, in the peers' shape; null: never. */
  readonly optimized: Value
  /** URLs of the provisioning listeners. */
  readonly provision: readonly string[]
}

/** Gives what a cell says of itself, in the shape that the peers' clients and tools read; `features` is added by who knows them. */
export function cellInfo(facts: CellFacts) {
  const version = versionNumbers(facts.version)
  const {isActive, isSafe, isReady, hasUplink, mirror, told} = facts.member
  return {
    synapse: {commit: '', version: SYNAPSE_VERSION, verstring: SYNAPSE_VERSION.join('.')},
    cell: {
      run: facts.runId,
      type: facts.type,
      iden: facts.cellIden,
      paused: false,
      active: isActive,
      safemode: isSafe,
      started: facts.startedMs,
      ready: isReady,
      commit: '',
      version,
      verstring: facts.version,
      cellvers: {},
      nexsindx: facts.nextOffset,
      uplink: hasUplink,
      mirror,
      ...(told === undefined ? {} : {mirroring: told}),
      ...(facts.archivers.length === 0 ? {} : {archivers: facts.archivers}),
      aha: facts.aha,
      // `telepath` and `provision` are ours; the peers tell of HTTPS only.
      network: {https: facts.https, telepath: facts.telepath, provision: facts.provision},
      nexus: {
        indx: facts.nextOffset,
        ready: isReady,
        'uplink:ready': hasUplink && isReady,
        readonly: facts.refusals.length > 0,
        holds: facts.refusals.map((reason) => ({reason})),
      },
    },
    optimized: facts.optimized,
  }
}

/** `1.2.3-rc.1` is [1, 2, 3]: clients want three integers. */
function versionNumbers(version: string): readonly number[] {
  const numbers = (version.split('-')[0] ?? '').split('.').map(Number)
  return [0, 1, 2].map((index) => (Number.isSafeInteger(numbers[index]) ? Number(numbers[index]) : 0))
}
