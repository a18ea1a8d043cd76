import {type AhaEntry, isAlias, onlineOf, runOf} from '../registry/aha-entry.ts'
import type {AhaFences} from './aha-fences.ts'
import type {AhaLedger} from './aha-ledger.ts'

/** Services that say at the same time that they lead one cell; real ones are one, or two when something went wrong. */
const KEPT = 8

export interface AliasClaimsPorts {
  readonly ledger: Pick<AhaLedger, 'pending'>
  /** Who may not take the name of a leader; nobody when absent. */
  readonly fences: Pick<AhaFences, 'barring' | 'refusal'> | undefined
}

/**
 * Who has claimed the name of a leader through a session that is still open. The newest claim counts; when its session ends, the one before it does,
 * so that a leader keeps its name when an old one stops. In memory only: after a start of the server all claim again.
 */
export class AliasClaims {
  readonly #ports: AliasClaimsPorts
  /** By full name of the alias; the newest last. */
  readonly #claims = new Map<string, readonly AhaEntry[]>()

  constructor(ports: AliasClaimsPorts) {
    this.#ports = ports
  }

  /**
   * Refuses the name of the leader to a service that is kept from it. `names` are those that its session has, `from` is where it is.
   *
   * @throws RegistryError `REG_CONFLICT`
   */
  assertAllowed(claim: AhaEntry, names: ReadonlySet<string>, from: string): void {
    const {fences} = this.#ports
    const fence = fences?.barring(claim, this.#namesOf(claim, names))
    if (fence !== undefined) throw fences?.refusal(fence, claim, from)
  }

  /**
   * Notes that a service registers: a claim, when it is under the name of a leader. Under its own name it has given up the sessions before this one,
   * and what it claimed through them.
   */
  note(entry: AhaEntry): void {
    const {full, network, info} = entry
    const {leader, run, online} = info
    if (isAlias(entry)) {
      const others = this.#of(full).filter((one) => !isSameStart(one, entry) && onlineOf(one) !== online)
      this.#claims.set(full, [...others, entry].slice(-KEPT))
    } else if (typeof leader === 'string' && typeof run === 'string') {
      this.#keep(`${leader}.${network}`, (claim) => runOf(claim) !== run || onlineOf(claim) === online)
    }
  }

  /** Takes back what the session with this token has claimed. */
  drop(full: string, online: string): void {
    this.#keep(full, (claim) => onlineOf(claim) !== online)
  }

  /** Forgets all claims of a name. */
  forget(full: string): void {
    this.#claims.delete(full)
  }

  /** Gives the newest claim of who is not kept from the name; undefined when there is none. */
  newest(full: string): AhaEntry | undefined {
    this.#keep(full, (claim) => this.#ports.fences?.barring(claim, this.#namesOf(claim)) === undefined)
    return this.#of(full).at(-1)
  }

  /** The names of a service that claims that of the leader: those of its session, what it says, and what this start of it registered. */
  #namesOf({full, info}: AhaEntry, names: ReadonlySet<string> = new Set()): ReadonlySet<string> {
    const {run, iden, urlinfo} = info
    const ofCell = typeof iden === 'string' && run !== undefined ? this.#ports.ledger.pending.ofIden(iden) : []
    const ofStart = ofCell.filter((entry) => entry.full !== full && runOf(entry) === run).map((entry) => entry.full)
    return new Set([...names, ...ofStart, String(urlinfo['hostname'])])
  }

  #of(full: string): readonly AhaEntry[] {
    return this.#claims.get(full) ?? []
  }

  #keep(full: string, isKept: (claim: AhaEntry) => boolean): void {
    const kept = this.#of(full).filter(isKept)
    if (kept.length === 0) this.#claims.delete(full)
    else this.#claims.set(full, kept)
  }
}

function isSameStart(one: AhaEntry, other: AhaEntry): boolean {
  return runOf(one) !== undefined && runOf(one) === runOf(other)
}
