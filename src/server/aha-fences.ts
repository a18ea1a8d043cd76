import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {type AhaEntry, idenOf, type JsonObject, runOf} from '../registry/aha-entry.ts'
import {
  type AhaFence,
  type AhaFenceChange,
  decodeFence,
  decodeFenceChange,
  encodeFence,
  encodeFenceChange,
  fenceAfter,
  fenceOf,
  isFenceKind,
} from '../registry/aha-fence.ts'
import {tooMany} from './aha-limits.ts'
import {packFence, type Refusals} from './packed-aha.ts'
import {type RecordFormat, RecordLedger, type RecordLedgerPorts} from './record-ledger.ts'

/** Far above real networks: each is a leader that failed and did not come back. */
const MAX_FENCES = 1000
/** Actor of what AHA does by itself. */
const AHA_ACTOR = 'aha'

const FORMAT: RecordFormat<AhaFenceChange, AhaFence> = {
  table: 'aha:fence',
  keyOf: ({name}) => name,
  after: fenceAfter,
  isKind: isFenceKind,
  encodeChange: encodeFenceChange,
  decodeChange: decodeFenceChange,
  encode: encodeFence,
  decode: decodeFence,
}

export interface AhaFencesPorts extends RecordLedgerPorts {
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Log
}

/**
 * The services that may not take the name of the leader. The fences are durable. A service that is refused asks again each second for as long as it
 * runs: each start of it is one entry of the log and one line, the rest is counted.
 */
export class AhaFences {
  readonly #ports: AhaFencesPorts
  readonly #ledger: RecordLedger<AhaFenceChange, AhaFence>
  readonly #refusals = new Map<string, Refusals>()

  private constructor(ports: AhaFencesPorts, ledger: RecordLedger<AhaFenceChange, AhaFence>) {
    this.#ports = ports
    this.#ledger = ledger
  }

  /** Reads the fences from the store. Throws as `RecordLedger.open`. */
  static async open(ports: AhaFencesPorts): Promise<AhaFences> {
    return new AhaFences(ports, await RecordLedger.open(ports, FORMAT))
  }

  /** In order of their names, as peers get them. */
  list(): readonly JsonObject[] {
    const fences = [...this.#ledger.visible.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
    return fences.map((fence) => packFence(fence, this.#refusals.get(fence.name)))
  }

  /** Gives an entry with the fence of its service, for those who look; others as they are. */
  shown(entry: AhaEntry): AhaEntry {
    const fence = this.#ledger.visible.get(entry.full)
    if (fence === undefined || fence.iden !== idenOf(entry)) return entry
    const fenced = packFence(fence, this.#refusals.get(fence.name))
    return {...entry, info: {...entry.info, urlinfo: entry.info.urlinfo, fenced}}
  }

  /**
   * Keeps a service from taking the name of the leader, which another one of its cell has now.
   *
   * @throws RegistryError `REG_BAD_REQUEST` (they are not of one cell), `REG_BUSY` (too many), `REG_READ_ONLY`, `REG_STORE_FAILED`
   */
  async set(entry: AhaEntry, leader: AhaEntry, actor: string): Promise<AhaFence> {
    const {clock, log} = this.#ports
    const {pending} = this.#ledger
    const fence = fenceOf(entry, leader, clock.wallMs())
    if (pending.size >= MAX_FENCES && !pending.has(fence.name)) throw tooMany('fences', MAX_FENCES)
    await this.#ledger.change({kind: 'aha:fence:set', ...fence}, actor)
    this.#refusals.delete(fence.name)
    log.warning('aha.fence.set', {service: fence.name, alias: fence.alias, leader: fence.leader, actor})
    return fence
  }

  /**
   * Lets a service take the name of the leader again. False when it was not kept from it.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async lift(name: string, why: 'asked' | 'provisioned', actor = AHA_ACTOR): Promise<boolean> {
    const {log} = this.#ports
    if (!this.#ledger.pending.has(name)) return false
    await this.#ledger.change({kind: 'aha:fence:lift', name, why}, actor)
    this.#refusals.delete(name)
    log.info('aha.fence.lifted', {service: name, why})
    return true
  }

  /** Gives the fence that stands in the way of a claim of the name of a leader. `names` are those that the service may have. */
  barring(claim: AhaEntry, names: Iterable<string>): AhaFence | undefined {
    for (const name of names) {
      const fence = this.#ledger.pending.get(name)
      if (fence !== undefined && fence.alias === claim.full && fence.iden === idenOf(claim)) return fence
    }
    return undefined
  }

  /** Counts a claim that is refused, and gives the reason for the service. */
  refusal(fence: AhaFence, claim: AhaEntry, from: string): RegistryError {
    const {name, alias, leader, sinceMs} = fence
    const nowMs = this.#ports.clock.wallMs()
    const {count} = this.#refusals.get(name) ?? {count: 0}
    this.#refusals.set(name, {count: count + 1, lastMs: nowMs})
    const run = runOf(claim) ?? ''
    if (fence.back?.run !== run) void this.#noteReturn(name, {run, atMs: nowMs, from})
    const since = new Date(sinceMs).toISOString()
    const text = `${name} may not lead as ${alias}: ${leader} was promoted in its place at ${since}, by force`
    return new RegistryError('REG_CONFLICT', text, {
      telepath: 'BadState',
      info: {name: alias, service: name, leader},
      hints: [
        `empty its directory, and registry provision service ${name} --mirror ${alias}`,
        `registry promote aha://${name} --allow-return`,
      ],
    })
  }

  /** Once for each start of the service. When it cannot be written now, the next claim tries again. */
  async #noteReturn(name: string, back: {readonly run: string; readonly atMs: number; readonly from: string}) {
    const {log} = this.#ports
    try {
      await this.#ledger.change({kind: 'aha:fence:refuse', name, ...back}, AHA_ACTOR)
      log.warning('aha.fence.refused', {service: name, run: back.run, peer: back.from})
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
    }
  }
}
