import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {type TakingEvent, type TakingState, takeStep} from '../../registry/hand-over.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import type {Callable} from '../../wire/telepath/caller.ts'
import type {HandOver} from './hand-over.ts'
import type {LeadGuard} from './lead-guard.ts'
import type {LeadHerald} from './lead-herald.ts'
import type {LeadLedger} from './lead-ledger.ts'
import type {AttachedMirror, Mirrors} from './mirrors.ts'
import {type RoleKeeper, reasonOf} from './role.ts'

export interface PromotionPorts {
  readonly roles: Pick<RoleKeeper, 'role' | 'leads' | 'set' | 'onChange'>
  readonly changes: Pick<ChangeLog, 'settled' | 'head'>
  readonly ledger: Pick<LeadLedger, 'change' | 'member' | 'visible' | 'others'>
  readonly mirrors: Pick<Mirrors, 'attached'>
  readonly guard: Pick<LeadGuard, 'lead' | 'hear' | 'written'>
  readonly herald: Pick<LeadHerald, 'ask'>
  readonly handOver: Pick<HandOver, 'give'>
  /** Changes wait here, for a snapshot. */
  readonly isFrozen: () => boolean
  /** This member, as the others are to know it. */
  readonly self: () => LeadMember
  /** The session with the leader that this mirror follows. */
  readonly leader: (signal: AbortSignal) => Promise<Callable>
  readonly log: Pick<Log, 'info' | 'warning'>
}

/** What a mirror asks of its leader. */
export interface HandOffWish {
  /** Where the mirror is reached. */
  readonly url: string
  /** Its iden; undefined when who asks does not say. */
  readonly member: string | undefined
  readonly timeoutMs: number
}

/** Who asks, and whether he is still there. */
export interface Asker {
  /** For the change log. */
  readonly actor: string
  readonly signal: AbortSignal
}

/** The leader waits so long for the mirror, unless it is told otherwise. */
export const HAND_OVER_MS = 30_000
/** How long a leader is looked for. */
const LEADER_MS = 10_000
/** The leader itself gives up first, and says why. */
const GRACE_MS = 5000
/** A forced promotion is to be done within a second: others have this long to say which epoch they know. */
const ASK_MS = 300

/** Moves the lead of the cell, as operators and other members ask for it. */
export class Promotion {
  readonly #ports: PromotionPorts
  #taking: TakingState = {kind: 'follows'}

  constructor(ports: PromotionPorts) {
    this.#ports = ports
    ports.roles.onChange(({kind}) => this.#step({kind: kind === 'leads' ? 'taken' : 'given'}))
    if (ports.roles.leads) this.#step({kind: 'taken'})
  }

  /**
   * Makes this member lead: by a hand-over of its leader, or, with `isForced`, at once with what it has.
   *
   * @throws RegistryError `REG_CONFLICT` (`BadConfValu`) when it leads; `REG_FENCED`; `REG_UNREACHABLE` when its leader is not there; what the leader
   * answers; `REG_STORE_FAILED`
   */
  async promote(isForced: boolean, asker: Asker): Promise<void> {
    const {kind} = this.#ports.roles.role
    if (kind === 'fenced') throw this.#fenced()
    this.#assertNotFrozen()
    const mayLead = kind === 'follows' || (kind === 'confirms' && isForced)
    if (!mayLead) {
      throw new RegistryError('REG_CONFLICT', 'promote() called on non-mirror', {
        telepath: 'BadConfValu',
        hints: ['registry status'],
      })
    }
    if (this.#taking.kind === 'asking') {
      throw new RegistryError('REG_CONFLICT', 'this member is asking for the lead already', {telepath: 'BadState'})
    }
    this.#step({kind: 'wished'})
    try {
      await (isForced ? this.#take(asker) : this.#ask(asker))
    } finally {
      this.#step({kind: 'refused'})
    }
  }

  /**
   * Makes this fenced member lead again, with what it has, because the one that took the lead from it is gone for good. `epoch` is that of the
   * fence that is known to who asks.
   *
   * @throws RegistryError `REG_CONFLICT` when it is not fenced, not by that epoch, or the one that leads answers; `REG_FENCED` when it heard of another
   * one meanwhile; `REG_STORE_FAILED`
   */
  async leadAgain(epoch: number, asker: Asker): Promise<void> {
    const {role} = this.#ports.roles
    const {lead} = this.#ports.guard
    if (role.kind !== 'fenced' || role.epoch !== epoch || lead === undefined) {
      throw new RegistryError('REG_CONFLICT', `this member is not fenced by epoch ${epoch}`, {
        telepath: 'BadState',
        hints: ['registry status'],
      })
    }
    this.#assertNotFrozen()
    await this.#assertGone(lead, asker.signal)
    // It may follow by now, or lead again because somebody else asked for it.
    if (this.#ports.roles.role !== role) {
      throw new RegistryError('REG_CONFLICT', 'this member is not fenced as it was any more', {
        telepath: 'BadState',
        hints: ['registry status'],
      })
    }
    await this.#take(asker)
  }

  /** Nobody answers where it was, and no other member has a link with it. */
  async #assertGone(lead: Lead, signal: AbortSignal): Promise<void> {
    const {ledger} = this.#ports
    const others = ledger.others.filter(({member}) => member !== lead.member)
    const answers = await Promise.all([lead, ...others].map((one) => this.#isSeenBy(one, lead, signal)))
    if (!answers.includes(true)) return
    throw new RegistryError('REG_CONFLICT', `${lead.name} took the lead, and answers: this member can follow it`, {
      telepath: 'BadState',
      info: {name: lead.name, epoch: lead.epoch},
      hints: ['registry rejoin DIR'],
    })
  }

  /** Tells whether a member answers that is the leader itself, or follows it. */
  async #isSeenBy(member: LeadMember, lead: Lead, signal: AbortSignal): Promise<boolean> {
    const {herald, ledger, log} = this.#ports
    try {
      const heard = await herald.ask(member, undefined, signal)
      // What was restored in its place may have its address.
      if (heard.member === ledger.member) return false
      return heard.member === lead.member || (heard.isThere && heard.lead?.member === lead.member)
    } catch (error) {
      signal.throwIfAborted()
      log.warning('lead.gone', {leader: lead.name, epoch: lead.epoch, member: member.name, error})
      return false
    }
  }

  /**
   * Gives the lead to the mirror that asks for it.
   *
   * @throws RegistryError `REG_NOT_LEADER` (`BadState`); `REG_CONFLICT` (`BadArg`) when it does not follow this member; as `HandOver.give`
   */
  async handOff({url, member, timeoutMs}: HandOffWish, {actor, signal}: Asker): Promise<void> {
    const {roles} = this.#ports
    if (!roles.leads) {
      const why = roles.role.kind === 'leads' ? '' : `: ${reasonOf(roles.role)}`
      throw new RegistryError('REG_NOT_LEADER', `this member does not lead and cannot hand over${why}`, {
        telepath: 'BadState',
      })
    }
    const to = this.#mirrorAt(url, member)
    if (to === undefined) {
      throw new RegistryError('REG_CONFLICT', 'who asks for the lead is no mirror that follows this member', {
        telepath: 'BadArg',
        hints: ['registry status', 'make mirrors with: registry clone NAME'],
      })
    }
    this.#assertNotFrozen()
    if (to.isFrozen) throw frozen(to.name)
    await this.#ports.handOver.give({to, actor, timeoutMs, signal})
  }

  /** Gives the lead to one of the mirrors that follow, the one that is furthest first: true then, false when none could take it in time. */
  async demote(timeoutMs: number, {actor, signal}: Asker): Promise<boolean> {
    const {roles, mirrors, log} = this.#ports
    if (roles.leads) this.#assertNotFrozen()
    const late = AbortSignal.timeout(timeoutMs)
    const heirs = [...mirrors.attached.values()].toSorted(byProgress)
    for (const to of heirs) {
      if (!roles.leads || late.aborted || signal.aborted) break
      try {
        if (to.isFrozen) throw frozen(to.name)
        await this.#ports.handOver.give({to, actor, timeoutMs, signal: AbortSignal.any([signal, late])})
        return true
      } catch (error) {
        log.warning('lead.not-taken', {mirror: to.name, error})
      }
    }
    return false
  }

  /** The lead moves by an entry, and entries wait: nobody would lead until the freeze ends. */
  #assertNotFrozen(): void {
    if (this.#ports.isFrozen()) throw frozen(this.#ports.self().name)
  }

  async #ask({signal}: Asker): Promise<void> {
    const {leader, self, log, ledger} = this.#ports
    const {name, urls} = self()
    log.info('lead.asking', {leader: ledger.visible.lead?.name ?? null, offset: this.#ports.changes.head.nextOffset})
    const proxy = await leader(AbortSignal.any([signal, AbortSignal.timeout(LEADER_MS)]))
    const args = [urls[0] ?? name, HAND_OVER_MS / 1000, ledger.member]
    try {
      await proxy.call('handoff', {args, timeoutMs: HAND_OVER_MS + GRACE_MS, signal})
    } catch (error) {
      // The link may have broken after the lead was given: then the entry comes with the next one.
      const isOpen = error instanceof RegistryError && error.code === 'REG_LINK_CLOSED'
      if (!isOpen || !(await this.#leads(GRACE_MS, signal))) throw error
      return
    }
    if (await this.#leads(HAND_OVER_MS, signal)) return
    throw new RegistryError('REG_TIMED_OUT', 'the leader gave the lead away, but its entry has not come yet', {
      hints: ['registry status'],
    })
  }

  async #take({actor, signal}: Asker): Promise<void> {
    const {roles, changes, ledger, log, self} = this.#ports
    const before = roles.role
    const {name, urls} = self()
    // Neither entries of the leader nor own changes come between.
    roles.set({kind: 'closing', to: name})
    try {
      await Promise.all([changes.settled(), this.#askAll(signal)])
      // One that led is fenced by whom it has heard of: then nothing must say that it leads.
      if (roles.role.kind === 'fenced') throw this.#fenced()
      const epoch = Math.max(changes.head.epoch, this.#ports.guard.lead?.epoch ?? 1) + 1
      const {member, visible} = ledger
      const from = visible.lead?.member ?? null
      log.warning('lead.taking', {epoch, offset: changes.head.nextOffset, from: visible.lead?.name ?? null})
      await ledger.change({kind: 'lead:take', member, name, urls, epoch, how: 'forced', from}, actor)
      if (!roles.leads) {
        await this.#ports.guard.written
        throw this.#fenced()
      }
      log.warning('lead.taken', {epoch})
    } catch (error) {
      if (roles.role.kind === 'closing') roles.set(before)
      throw error
    }
  }

  /** Asks the others which epoch they know, for a moment: who does not answer is told later. */
  async #askAll(signal: AbortSignal): Promise<void> {
    const {ledger, herald, guard} = this.#ports
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)])
    const asking = ledger.others.map((member) => herald.ask(member, undefined, limit))
    const {promise: late, resolve} = Promise.withResolvers<void>()
    limit.addEventListener('abort', () => resolve(), {once: true})
    if (limit.aborted) resolve()
    for (const one of asking) {
      one.then(({lead, isThere}) => lead && guard.hear(lead, isThere)).catch(() => undefined)
    }
    await Promise.race([Promise.allSettled(asking), late])
  }

  /** Waits until this member leads. */
  async #leads(withinMs: number, signal: AbortSignal): Promise<boolean> {
    const {roles} = this.#ports
    if (roles.leads) return true
    const end = AbortSignal.any([signal, AbortSignal.timeout(withinMs)])
    const {promise, resolve} = Promise.withResolvers<void>()
    const forget = roles.onChange(({kind}) => {
      if (kind === 'leads') resolve()
    })
    end.addEventListener('abort', () => resolve(), {once: true})
    if (end.aborted) resolve()
    try {
      await promise
    } finally {
      forget()
    }
    return roles.leads
  }

  #mirrorAt(url: string, member: string | undefined): AttachedMirror | undefined {
    const {attached} = this.#ports.mirrors
    if (member !== undefined) return attached.get(member)
    const asked = hostOf(url)
    return [...attached.values()].find(({urls}) => urls.some((known) => hostOf(known) === asked))
  }

  #step(event: TakingEvent): void {
    this.#taking = takeStep(this.#taking, event)
  }

  #fenced(): RegistryError {
    const {role} = this.#ports.roles
    const why = role.kind === 'leads' ? '' : reasonOf(role)
    return new RegistryError('REG_FENCED', `this member cannot lead: ${why}`, {telepath: 'BadState'})
  }
}

/** The one that has most first; of two that are equal, always the same. */
function byProgress(one: AttachedMirror, other: AttachedMirror): number {
  return other.nextOffset - one.nextOffset || (one.name < other.name ? -1 : 1)
}

/** Host and port of a URL: what tells members apart. */
function hostOf(url: string): string {
  return url.split('?', 1)[0]?.replace(/\/+$/, '') ?? url
}

function frozen(name: string): RegistryError {
  const text = `${name} is frozen for a snapshot, and the lead cannot move before that ends: registry resume on its machine, then ask again`
  return new RegistryError('REG_CONFLICT', text, {telepath: 'BadState', info: {name}, hints: ['registry resume']})
}
