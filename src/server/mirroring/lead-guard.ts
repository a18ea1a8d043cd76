import {setTimeout as delay} from 'node:timers/promises'
import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {LogPlace} from '../../nexus/log-reader.ts'
import {type Fence, isUnasked, outranks, type Rank} from '../../registry/fence.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import type {FenceFile} from './fence-file.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {unpackPlace} from './lead-messages.ts'
import type {RoleKeeper} from './role.ts'

/** Opens a session with another member, as one of the cell. */
export type OpenMember = (member: LeadMember, signal: AbortSignal) => Promise<TelepathProxy>

export interface LeadGuardPorts {
  readonly roles: Pick<RoleKeeper, 'role' | 'set'>
  readonly changes: Pick<ChangeLog, 'abandon' | 'head' | 'settled'>
  readonly ledger: Pick<LeadLedger, 'member' | 'visible' | 'pending' | 'isLeading' | 'onChanged'>
  readonly file: Pick<FenceFile, 'write' | 'remove'>
  readonly open: OpenMember
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info' | 'warning' | 'error' | 'critical'>
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
const CALL_MS = 5000

/**
 * Keeps a member from leading that must not. Whatever it hears of who leads comes here; one that is believed before this member's own leader fences it:
 * in the same turn no change is acknowledged any more, and the file says so before the teller gets his answer. Then it looks whether its log is a
 * beginning of that of the new leader, and follows if it is; else it stays fenced, with the reason, until it is made a mirror again.
 */
export class LeadGuard {
  readonly #ports: LeadGuardPorts
  readonly #stopped = new AbortController()
  #fence: Fence | undefined
  /** Better than what the log says, and not in it yet. */
  #heard: Lead | undefined
  #recovering: AbortController | undefined
  #written: Promise<void> = Promise.resolve()

  /** `fence` is what the file says. */
  constructor(ports: LeadGuardPorts, fence: Fence | undefined) {
    this.#ports = ports
    this.#fence = fence
    ports.ledger.onChanged(() => this.#lift())
  }

  /** Why this member must not lead; undefined when it may. */
  get fence(): Fence | undefined {
    return this.#fence
  }

  /** Whom this member takes for the leader, by its log and by what it heard. */
  get lead(): Lead | undefined {
    return [this.#fence?.lead, this.#heard].reduce(better, this.#ports.ledger.visible.lead)
  }

  /** Resolves when the file says what `isOutranked` found. */
  get written(): Promise<void> {
    return this.#written
  }

  /** Begins: a member that was fenced before it stopped is so again. */
  start(): void {
    const fence = this.#fence
    if (fence === undefined) return
    if (this.#isOver(fence.lead)) {
      this.#lift()
      return
    }
    this.#ports.log.warning('lead.still-fenced', {epoch: fence.lead.epoch, leader: fence.lead.name})
    this.#setFenced(fence.lead)
  }

  /** Ends what it does in the background. */
  stop(): void {
    this.#stopped.abort()
  }

  /**
   * Takes in who leads, as another member says; `isThere` when that one is known to be alive. Resolves when what follows from it is durable. Who was
   * restored from a backup, and has asked nobody yet, is fenced by whoever is there; one that is not there has to be newer than the backup.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE` when it could not be written; it holds all the same
   */
  async hear(lead: Lead, isThere: boolean): Promise<void> {
    const rank = this.#rank
    const {kind} = this.#ports.roles.role
    const isGone = isUnasked(rank) && !isThere && lead.epoch < rank.epoch
    // Who asks whether it may lead is told of itself by who knows it: that is for the one that asks to judge.
    const isOwn = kind === 'confirms' && lead.member === this.#ports.ledger.member
    if (isGone || isOwn || !outranks(lead, rank)) return
    this.#heard = lead
    const {roles, ledger, log} = this.#ports
    if (!ledger.isLeading && this.#fence === undefined) {
      log.info('lead.heard', {leader: lead.name, epoch: lead.epoch, how: lead.how})
      if (roles.role.kind === 'follows') roles.set({kind: 'follows', lead})
      return
    }
    await this.#fenceBy(lead)
  }

  /**
   * To be asked in the turn in which the log says that this member leads, before it does: true when it has heard meanwhile of one who is believed
   * before it, and is fenced now.
   */
  isOutranked(own: Lead): boolean {
    const heard = this.#heard
    if (heard === undefined || !outranks(heard, own)) return false
    this.#written = this.#fenceBy(heard).catch((error: unknown) => {
      this.#ports.log.error('lead.fence-file', {error})
    })
    return true
  }

  async #fenceBy(lead: Lead): Promise<void> {
    const {ledger, changes, log, clock, file} = this.#ports
    const own = ledger.visible.lead?.epoch ?? changes.head.epoch
    log.critical('lead.fenced', {leader: lead.name, member: lead.member, epoch: lead.epoch, own})
    this.#fence = {lead, sinceMs: clock.wallMs(), reason: null}
    this.#setFenced(lead)
    await file.write(this.#fence)
  }

  /** In this turn: nothing is taken, and nothing of what is under way is acknowledged. */
  #setFenced(lead: Lead): void {
    const {roles, changes, ledger} = this.#ports
    const {epoch, name, urls} = lead
    const own = ledger.visible.lead
    roles.set({kind: 'fenced', epoch, name, urls, isRestored: own !== undefined && isUnasked(own)})
    changes.abandon(
      new RegistryError('REG_FENCED', `${name} took the lead, since epoch ${epoch}`, {info: {epoch, name}}),
    )
    this.#recovering?.abort()
    const recovering = new AbortController()
    this.#recovering = recovering
    const signal = AbortSignal.any([recovering.signal, this.#stopped.signal])
    this.#recover(lead, signal).catch((error: unknown) => {
      if (!signal.aborted) this.#ports.log.error('lead.not-followed', {leader: lead.name, error})
    })
  }

  /** Asks the new leader again and again until it says whether this log is a beginning of its own. */
  async #recover(lead: Lead, signal: AbortSignal): Promise<void> {
    const {changes, log} = this.#ports
    await changes.settled()
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const reason = await this.#compare(lead, signal)
        signal.throwIfAborted()
        if (reason === undefined) this.#follow(lead)
        else await this.#stay(lead, reason)
        return
      } catch (error) {
        if (signal.aborted) return
        log.warning('lead.not-asked', {leader: lead.name, error})
        await delay(pauseMs, undefined, {signal}).catch(() => undefined)
      }
    }
  }

  /** Gives why this log is no beginning of that of the leader; undefined when it is. */
  async #compare(lead: Lead, signal: AbortSignal): Promise<string | undefined> {
    const {changes, open} = this.#ports
    await using proxy = await open(lead, AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]))
    const {nextOffset, lastHash} = changes.head
    if (nextOffset === 0) return undefined
    const place = await placeIn(proxy, nextOffset - 1, signal)
    if (place.hash === lastHash) return undefined
    if (nextOffset <= place.first)
      return `the log of ${lead.name} begins after offset ${nextOffset - 1}, where this one ends`
    if (place.hash === undefined) {
      return `this member has ${nextOffset} entries, and ${lead.name} only ${place.nextOffset}: it lacks the newest of these`
    }
    return `the entry at offset ${nextOffset - 1} is another one than that of ${lead.name}: each has entries that the other lacks`
  }

  #follow(lead: Lead): void {
    const {roles, log} = this.#ports
    if (roles.role.kind !== 'fenced') return
    log.warning('lead.follows', {leader: lead.name, epoch: lead.epoch})
    // The file stays until the log says so too: after a kill before that, this member would take itself for the leader.
    roles.set({kind: 'follows', lead})
  }

  async #stay(lead: Lead, reason: string): Promise<void> {
    const {log, file} = this.#ports
    if (this.#fence?.lead !== lead) return
    log.critical('lead.apart', {leader: lead.name, epoch: lead.epoch, reason, next: 'registry rejoin DIR'})
    this.#fence = {...this.#fence, reason}
    await file.write(this.#fence)
  }

  /** The log says by now who leads. */
  #lift(): void {
    const fence = this.#fence
    if (fence === undefined || !this.#isOver(fence.lead)) return
    this.#fence = undefined
    const {file, log} = this.#ports
    log.info('lead.fence-lifted', {leader: fence.lead.name, epoch: fence.lead.epoch})
    file.remove().catch((error: unknown) => log.warning('lead.fence-file', {error}))
  }

  #isOver(lead: Lead): boolean {
    const own = this.#ports.ledger.visible.lead
    return own !== undefined && !outranks(lead, own)
  }

  get #rank(): Rank {
    const {ledger, changes} = this.#ports
    // Who led before counts by what is being written of it.
    const {lead} = ledger.pending
    if (this.#fence === undefined && ledger.isLeading && lead?.member === ledger.member) return lead
    return this.lead ?? {epoch: changes.head.epoch, member: ledger.member, how: 'founded'}
  }
}

function better(one: Lead | undefined, other: Lead | undefined): Lead | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return outranks(other, one) ? other : one
}

/** Asks a member for a place in its log. @throws RegistryError what it answers */
async function placeIn(proxy: Pick<TelepathProxy, 'call'>, offset: number, signal: AbortSignal): Promise<LogPlace> {
  return unpackPlace(await proxy.call('getLogPlace', {args: [offset], timeoutMs: CALL_MS, signal}))
}
