import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {type GivingEvent, type GivingState, giveStep} from '../../registry/hand-over.ts'
import type {LeadMember} from '../../registry/lead.ts'
import type {LeadLedger} from './lead-ledger.ts'
import type {Mirrors} from './mirrors.ts'
import type {RoleKeeper} from './role.ts'

export interface HandOverPorts {
  readonly roles: Pick<RoleKeeper, 'role' | 'set' | 'onChange'>
  readonly changes: Pick<ChangeLog, 'settled' | 'head' | 'abandon'>
  readonly ledger: Pick<LeadLedger, 'change' | 'member' | 'visible'>
  readonly mirrors: Pick<Mirrors, 'caughtUp' | 'attached'>
  readonly log: Pick<Log, 'info' | 'warning'>
}

/** Who asks for the lead, until when, and whether he is still there. */
export interface GiveWish {
  readonly to: LeadMember
  /** For the change log. */
  readonly actor: string
  /** Longest wait for the mirror to have everything. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Gives the lead of this member to a mirror that follows it: the states of `registry/hand-over.ts` on the log and the links that there are. */
export class HandOver {
  readonly #ports: HandOverPorts
  #state: GivingState = {kind: 'leads'}
  /** Ends the waiting of the one under way. */
  #end: AbortController | undefined

  constructor(ports: HandOverPorts) {
    this.#ports = ports
    ports.roles.onChange(({kind}) => {
      if (kind === 'leads') this.#state = {kind: 'leads'}
      if (kind === 'fenced') this.#step({kind: 'outranked'})
    })
  }

  /**
   * Gives the lead away; resolves when the entry that says so is durable here. Until then, whatever goes wrong, this member leads on.
   *
   * @throws RegistryError `REG_NOT_LEADER` when this member does not lead, or gives the lead to another one already; `REG_TIMED_OUT` (`NotReady`)
   * when the mirror does not get everything in time; `REG_CANCELLED` when who asked is gone; `REG_STORE_FAILED`; `REG_FENCED`
   */
  async give({to, actor, timeoutMs, signal}: GiveWish): Promise<void> {
    const {log, changes} = this.#ports
    this.#assertLeads(to)
    log.info('lead.closing', {to: to.name, member: to.member, offset: changes.head.nextOffset})
    this.#step({kind: 'asked', by: to})
    const end = new AbortController()
    this.#end = end
    const late = AbortSignal.timeout(timeoutMs)
    try {
      await this.#bringUp(to, AbortSignal.any([signal, late, end.signal]))
      await this.#append(to, actor)
    } finally {
      this.#end = undefined
      // Nothing is left of it but in `giving`, whose end is known, and in what came after.
      this.#step({kind: signal.aborted ? 'left' : 'late'})
    }
  }

  /** Waits until what was taken before is durable, and the mirror has all of it. */
  async #bringUp(to: LeadMember, signal: AbortSignal): Promise<void> {
    const {changes, mirrors, log} = this.#ports
    await orAborted(changes.settled(), signal)
    this.#assertGoesOn(signal, to)
    const {nextOffset} = changes.head
    this.#step({kind: 'settled', nextOffset})
    log.info('lead.waiting', {to: to.name, offset: nextOffset, reached: this.#reached(to)})
    await mirrors.caughtUp(to.member, nextOffset, signal)
    this.#assertGoesOn(signal, to)
  }

  /** No turn of the event loop lies between the decision and the proposal. */
  async #append(to: LeadMember, actor: string): Promise<void> {
    const {ledger, changes, log} = this.#ports
    const {nextOffset, epoch} = changes.head
    this.#step({kind: 'reached', member: to.member, nextOffset})
    log.info('lead.giving', {to: to.name, offset: nextOffset, epoch: epoch + 1})
    const from = ledger.member
    const {member, name, urls} = to
    try {
      const take = {kind: 'lead:take', member, name, urls, epoch: epoch + 1, how: 'handed-over', from} as const
      const offset = await ledger.change(take, actor)
      this.#step({kind: 'stored'})
      log.info('lead.given', {to: name, member, offset, epoch: epoch + 1})
    } catch (error) {
      this.#step({kind: 'failed'})
      log.warning('lead.not-given', {to: name, error})
      throw error
    }
  }

  /** Takes the step, and lets the change log take what fits it. */
  #step(event: GivingEvent): void {
    const {state, action} = giveStep(this.#state, event)
    this.#state = state
    const {roles} = this.#ports
    if (action === 'close' && state.kind === 'closing') roles.set({kind: 'closing', to: state.to.name})
    // Only what this hand-over closed: meanwhile the log may say that another one leads, or somebody may have fenced this member.
    if (action === 'open' && roles.role.kind === 'closing') roles.set({kind: 'leads'})
    if (state.kind === 'fenced') this.#end?.abort()
  }

  #assertLeads(to: LeadMember): void {
    const {role} = this.#ports.roles
    if (role.kind === 'leads' && this.#state.kind === 'leads') return
    const why = role.kind === 'closing' ? `it gives the lead to ${role.to} already` : 'it does not lead'
    throw new RegistryError('REG_NOT_LEADER', `this member cannot give the lead to ${to.name}: ${why}`, {
      telepath: 'BadState',
      info: {name: to.name},
    })
  }

  #assertGoesOn(signal: AbortSignal, to: LeadMember): void {
    if (this.#state.kind === 'fenced') {
      throw new RegistryError('REG_FENCED', `the lead was not given to ${to.name}: another member took it`)
    }
    if (!signal.aborted) return
    const {reason} = signal
    const isLate = reason instanceof Error && reason.name === 'TimeoutError'
    if (!isLate) {
      throw new RegistryError('REG_CANCELLED', `the lead was not given to ${to.name}: who asked for it is gone`)
    }
    const {nextOffset} = this.#ports.changes.head
    const reached = this.#reached(to)
    const text = `${to.name} did not catch up in time: ${reached ?? 'it does not follow'}/${nextOffset}`
    throw new RegistryError('REG_TIMED_OUT', `${text}. This member leads on.`, {
      telepath: 'NotReady',
      info: {name: to.name, reached, nextOffset},
      hints: ['registry status', 'ask again when there is less to write'],
    })
  }

  #reached({member}: LeadMember): number | null {
    return this.#ports.mirrors.attached.get(member)?.nextOffset ?? null
  }
}

/** Waits for the work, or until the signal aborts; who asks looks at the signal then. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const {promise, resolve} = Promise.withResolvers<void>()
  const leave = () => resolve()
  signal.addEventListener('abort', leave, {once: true})
  try {
    await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
