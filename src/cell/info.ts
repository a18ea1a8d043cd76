/** The release of Synapse whose cells this one can stand in for; clients look at it before they use what is new. */
export const SYNAPSE_VERSION = [2, 256, 0] as const

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
  /** Why changes are refused; empty when they are not. */
  readonly refusals: readonly string[]
  readonly aha: {readonly name: string | null; readonly leader: string | null; readonly network: string | null}
  readonly https: readonly {readonly host: string; readonly port: number}[]
  /** URLs of the Telepath listeners. */
  readonly telepath: readonly string[]
  /** URLs of the provisioning listeners. */
  readonly provision: readonly string[]
}

/** Gives what a cell says of itself, in the shape that the peers' clients and tools read; `features` is added by who knows them. */
export function cellInfo(facts: CellFacts) {
  const version = versionNumbers(facts.version)
  return {
    synapse: {commit: '', version: SYNAPSE_VERSION, verstring: SYNAPSE_VERSION.join('.')},
    cell: {
      run: facts.runId,
      type: facts.type,
      iden: facts.cellIden,
      paused: false,
      active: true,
      safemode: false,
      started: facts.startedMs,
      ready: true,
      commit: '',
      version,
      verstring: facts.version,
      cellvers: {},
      nexsindx: facts.nextOffset,
      uplink: false,
      mirror: null,
      aha: facts.aha,
      // `telepath` and `provision` are ours; the peers tell of HTTPS only.
      network: {https: facts.https, telepath: facts.telepath, provision: facts.provision},
      nexus: {
        indx: facts.nextOffset,
        ready: true,
        'uplink:ready': false,
        readonly: facts.refusals.length > 0,
        holds: facts.refusals.map((reason) => ({reason})),
      },
    },
    optimized: null,
  } as const
}

/** `1.2.3-rc.1` is [1, 2, 3]: clients want three integers. */
function versionNumbers(version: string): readonly number[] {
  const numbers = (version.split('-')[0] ?? '').split('.').map(Number)
  return [0, 1, 2].map((index) => (Number.isSafeInteger(numbers[index]) ? Number(numbers[index]) : 0))
}
