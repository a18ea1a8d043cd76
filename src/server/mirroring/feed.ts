import {setTimeout as delay} from 'node:timers/promises'
import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {isUnasked} from '../../registry/fence.ts'
import type {LeadMember} from '../../registry/lead.ts'
import {verifyChain} from '../../store/chain.ts'
import type {Entry, Store} from '../../store/store.ts'
import {type FeedStart, type FeedStep, type FollowTold, type FollowWish, inMessages} from './feed-messages.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {isNamed, type MirrorPlace, type Mirrors, sameName} from './mirrors.ts'
import type {Renewals, RenewalTaker} from './renewals.ts'
import {type RoleKeeper, reasonOf} from './role.ts'

export interface FeedPorts {
  readonly store: Pick<Store, 'read'>
  readonly changes: Pick<ChangeLog, 'head' | 'nextOffset' | 'written'>
  readonly roles: RoleKeeper
  readonly ledger: LeadLedger
  readonly mirrors: Mirrors
  readonly renewals: Renewals
  readonly log: Pick<Log, 'info' | 'warning'>
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly cellIden: string
  /** This member, as the others are to know it. */
  readonly self: () => LeadMember
  /** Somebody who knows of a higher epoch came: another one leads. */
  readonly onHigherEpoch: (wish: FollowWish) => void
  /** A mirror comes to this leader: writes what is new about it. Never rejects. */
  readonly onComing: (wish: FollowWish) => Promise<void>
  /** Takes over what a mirror tells, besides how far it is. */
  readonly onTold: (told: FollowTold) => void
}

/** Entries of one read; the store has other work too. */
const CHUNK = 512
/** After the first new entry others are waited for: fewer messages, and less work for leader and mirror. */
const GATHER_MS = 12
/** How often renewals are passed on. */
const RENEWED_EVERY_MS = 200
/** How often something is said although nothing happens. */
const SPEAK_EVERY_MS = 1000
const ACTOR = 'registry:mirroring'

/** Feeds the change log to mirrors: what they lack from the store, then what comes, at their own pace. A slow one keeps nothing in memory. */
export class Feed {
  readonly #ports: FeedPorts

  constructor(ports: FeedPorts) {
    this.#ports = ports
  }

  /**
   * Says first where this log is, then gives its entries from the place of the mirror on, what leases were renewed, and at least once a second
   * something. It ends when this member leads no more: with all entries that it has, so that the mirror knows who leads.
   *
   * @throws RegistryError `REG_NOT_LEADER`, who leads in `info`; `REG_FENCED`; `REG_HISTORY_DIFFERS`, `info.offset` is the first entry that is not the
   * same; `REG_OFFSET_CULLED`, `info.first` is the oldest entry that is kept; `REG_CONFLICT` when its copy, or one of its name, is there; the reason of `signal`
   */
  async *follow(wish: FollowWish, place: MirrorPlace, signal: AbortSignal): AsyncGenerator<FeedStart | FeedStep, void> {
    const {mirrors, renewals, log} = this.#ports
    const {member, name, version} = wish
    this.#assertFeeds(wish)
    this.#assertFree(wish, place)
    const sinceMs = await this.#sinceOf(wish)
    await this.#welcome(wish)
    const end = new AbortController()
    using _ = mirrors.attach(wish, place, wish.nextOffset, (error) => {
      log.warning('mirroring.dropped', {mirror: name, member, reason: error.message})
      end.abort(error)
    })
    const renewed = renewals.open(member)
    const onAbort = () => end.abort(signal.reason)
    signal.addEventListener('abort', onAbort, {once: true})
    if (signal.aborted) onAbort()
    const {address} = place
    log.info('mirroring.attached', {mirror: name, member, address, version, offset: wish.nextOffset})
    try {
      yield this.#start(sinceMs)
      yield* this.#steps(wish, renewed, end.signal)
    } finally {
      signal.removeEventListener('abort', onAbort)
      renewed.close()
      log.info('mirroring.left', {mirror: name, member, offset: mirrors.attached.get(member)?.nextOffset ?? null})
    }
  }

  /** Takes what a mirror tells. @throws RegistryError `REG_CONFLICT` when its session does not follow */
  ack(told: FollowTold, sessionId: string): void {
    this.#ports.mirrors.ack(told.member, sessionId, told.nextOffset, told.isFrozen)
    this.#ports.onTold(told)
  }

  async *#steps(wish: FollowWish, renewed: RenewalTaker, signal: AbortSignal): AsyncGenerator<FeedStep, void> {
    const {changes, roles, mirrors, clock} = this.#ports
    let at = wish.nextOffset
    let spokeAtMs = clock.monotonicMs()
    let isNoted = false
    for (;;) {
      signal.throwIfAborted()
      if (roles.leads && !isNoted) {
        // Who is not in the log is not asked who leads, and no trim waits for it.
        await this.#welcome(wish)
        isNoted = true
      }
      const {nextOffset} = changes
      mirrors.noteLog(wish.member, nextOffset)
      const isThere = at < nextOffset
      if (roles.role.kind === 'fenced' || !(isThere || this.#mayFollow(wish))) throw this.#notLeading()
      const steps = isThere ? await this.#entries(at, nextOffset, renewed) : this.#renewed(renewed, spokeAtMs)
      for (const step of steps) {
        yield step
        at += step.entries.length
        spokeAtMs = clock.monotonicMs()
      }
      if (!isThere) await this.#next(at, signal)
    }
  }

  async #entries(at: number, nextOffset: number, renewed: RenewalTaker): Promise<readonly FeedStep[]> {
    const entries = await this.#ports.store.read(at, Math.min(CHUNK, nextOffset - at))
    return [...inMessages(entries)].map((some) => this.#step(some, renewed))
  }

  /** Nothing, when nothing was renewed, unless nothing was said for long. */
  #renewed(renewed: RenewalTaker, spokeAtMs: number): readonly FeedStep[] {
    const isQuiet = this.#ports.clock.monotonicMs() - spokeAtMs >= SPEAK_EVERY_MS
    const step = this.#step([], renewed)
    return isQuiet || step.renewed.length > 0 ? [step] : []
  }

  #step(entries: readonly Entry[], renewed: RenewalTaker): FeedStep {
    const {changes, clock} = this.#ports
    return {entries, renewed: renewed.take(), nowMs: clock.wallMs(), nextOffset: changes.nextOffset}
  }

  /** Waits for the next entry, and a little for more of them; not for long, and not when the role changes. */
  async #next(at: number, signal: AbortSignal): Promise<void> {
    const {changes, roles} = this.#ports
    const rest = new AbortController()
    const wake = () => rest.abort()
    const timer = setTimeout(wake, RENEWED_EVERY_MS)
    const forget = roles.onChange(wake)
    signal.addEventListener('abort', wake, {once: true})
    if (signal.aborted) wake()
    try {
      const isThere = await changes.written(at, rest.signal)
      if (isThere && roles.leads) await delay(GATHER_MS)
    } finally {
      clearTimeout(timer)
      forget()
      signal.removeEventListener('abort', wake)
    }
  }

  #start(sinceMs: number | null): FeedStart {
    const {changes, clock, cellIden, self} = this.#ports
    const {epoch, nextOffset} = changes.head
    return {lead: self(), epoch, nextOffset, nowMs: clock.wallMs(), cellIden, sinceMs}
  }

  /** Writes what is new about a mirror, before it is told where the log is: it has that too when it has caught up. */
  async #welcome(wish: FollowWish): Promise<void> {
    const {roles, ledger, self, onComing} = this.#ports
    if (!roles.leads) return
    const {member, name, urls} = wish
    await Promise.all([ledger.note(self(), {member, name, urls}, ACTOR), onComing(wish)])
  }

  #assertFeeds(wish: FollowWish): void {
    const {changes, ledger, onHigherEpoch, log} = this.#ports
    const {epoch, member, name} = wish
    if (member === ledger.member) {
      const text = `${name} has the member iden of the leader: its directory is a copy of that of the leader`
      throw new RegistryError('REG_CONFLICT', text, {info: {member}, hints: ['make mirrors with: registry clone NAME']})
    }
    if (epoch > changes.head.epoch && this.#isFeeding) {
      log.warning('mirroring.newer-epoch', {mirror: name, member, epoch, own: changes.head.epoch})
      onHigherEpoch(wish)
      const text = `${name} knows of epoch ${epoch}, and this member is in epoch ${changes.head.epoch}: another one took the lead`
      throw new RegistryError('REG_FENCED', text, {info: {epoch}})
    }
    if (!this.#mayFollow(wish)) throw this.#notLeading()
  }

  /** Before it is noted: it would take the place of the other in the log. */
  #assertFree(wish: FollowWish, place: MirrorPlace): void {
    const {mirrors, self} = this.#ports
    const own = self()
    if (isNamed(own, wish.name)) throw sameName(wish, place, own)
    mirrors.assertFree(wish, place)
  }

  /** Takes changes, or is about to end that. */
  get #isFeeding(): boolean {
    const {roles, ledger} = this.#ports
    const {kind} = roles.role
    const {lead} = ledger.visible
    // Who follows one that was restored gives up the leader that it has.
    const isAsking = kind === 'confirms' && !(lead !== undefined && isUnasked(lead))
    return kind === 'leads' || kind === 'closing' || isAsking
  }

  /** Who got the lead from this member still has to hear that it did. */
  #mayFollow({member, nextOffset}: FollowWish): boolean {
    if (this.#isFeeding) return true
    const {ledger, changes, mirrors, roles} = this.#ports
    const {lead} = ledger.visible
    if (roles.role.kind !== 'follows' || lead?.member !== member || lead.from !== ledger.member) return false
    // Who has the entry already may be about to give the lead back, and looks for who leads.
    const reached = Math.max(nextOffset, mirrors.attached.get(member)?.nextOffset ?? 0)
    return reached < changes.nextOffset
  }

  #notLeading(): RegistryError {
    const {role} = this.#ports.roles
    if (role.kind === 'fenced') {
      const {epoch, name, urls} = role
      return new RegistryError('REG_FENCED', `this member does not lead: ${reasonOf(role)}`, {
        info: {epoch, name, urls},
      })
    }
    const {lead} = this.#ports.ledger.visible
    const who = role.kind === 'leads' ? 'another one leads' : reasonOf(role)
    const isOther = lead !== undefined && lead.member !== this.#ports.ledger.member
    const info = !isOther ? {} : {member: lead.member, name: lead.name, urls: lead.urls, epoch: lead.epoch}
    return new RegistryError('REG_NOT_LEADER', `this member does not lead: ${who}`, {info})
  }

  /** Finds the place of the mirror in this log, and gives when the first entry was written that it lacks; null when it lacks none. */
  async #sinceOf(wish: FollowWish): Promise<number | null> {
    const {changes, store} = this.#ports
    const {nextOffset, lastHash} = wish
    const {head} = changes
    if (nextOffset > head.nextOffset) throw differs(wish, head.nextOffset)
    if (nextOffset === head.nextOffset) {
      if (lastHash !== head.lastHash) throw differs(wish, nextOffset - 1)
      return null
    }
    const [next] = await store.read(nextOffset, 1) // throws REG_OFFSET_CULLED
    // The chain says it without the entry before, which may have been trimmed away.
    const verdict = verifyChain(next === undefined ? [] : [next], {nextOffset, lastHash})
    if (next === undefined || verdict.kind === 'damaged') throw differs(wish, nextOffset - 1)
    return next.timeMs
  }
}

function differs({name, nextOffset}: FollowWish, offset: number): RegistryError {
  const text = `the change log of ${name} is not a beginning of this one: entry ${offset} is another one, or is not here; it has ${nextOffset}`
  return new RegistryError('REG_HISTORY_DIFFERS', text, {info: {offset, next: nextOffset}})
}
