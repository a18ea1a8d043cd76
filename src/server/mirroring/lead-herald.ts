import {setTimeout as delay} from 'node:timers/promises'
import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import {outranks} from '../../registry/fence.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import type {LeadGuard, OpenMember} from './lead-guard.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {type LeadHeard, packLead, unpackHeard} from './lead-messages.ts'
import type {Mirrors} from './mirrors.ts'
import type {RoleKeeper} from './role.ts'

export interface LeadHeraldPorts {
  readonly roles: Pick<RoleKeeper, 'role' | 'set' | 'onChange'>
  readonly ledger: Pick<LeadLedger, 'member' | 'visible' | 'others' | 'isLeading' | 'onChanged'>
  readonly mirrors: Pick<Mirrors, 'size' | 'onChange'>
  readonly guard: Pick<LeadGuard, 'hear'>
  readonly open: OpenMember
  readonly cellIden: string
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: Pick<Log, 'info' | 'warning' | 'debug'>
}

export interface LeadHeraldSettings {
  /** `leader:confirm`: how long the others are asked before this member leads without an answer. */
  readonly confirmMs: number
  /** Leads without asking. */
  readonly isAlone: boolean
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** Opening a session and one call. */
const TELL_MS = 5000

/**
 * Tells the other members that this one leads, each again and again until it has heard, and hears from them whether somebody else does. While it
 * has not heard from one of them, after a start and when its last mirror is gone, this member `confirms`: it takes no changes, for at most
 * `leader:confirm`.
 */
export class LeadHerald {
  readonly #ports: LeadHeraldPorts
  readonly #settings: LeadHeraldSettings
  /** Who is being told, by iden. */
  readonly #telling = new Map<string, AbortController>()
  /** Who has heard of the present lead. */
  readonly #heard = new Set<string>()
  #deadline: NodeJS.Timeout | undefined
  /** Its last mirror left while this member was about to give the lead away. */
  #isBereft = false
  #isStopped = false

  constructor(ports: LeadHeraldPorts, settings: LeadHeraldSettings) {
    this.#ports = ports
    this.#settings = settings
    ports.roles.onChange(() => this.#onRole())
    ports.ledger.onChanged((change) => {
      if (change.kind === 'lead:take') this.#begin()
      if (change.kind === 'lead:forget') this.#leave(change.member)
    })
    ports.mirrors.onChange((event, {member}) => {
      if (event === 'attached') this.#answered(member)
      else if (ports.mirrors.size === 0) this.#onBereft()
    })
  }

  /** Begins, after the role of the start was set: who leads by the log and has others to ask, asks them first. */
  start(): void {
    const {kind} = this.#ports.roles.role
    if (kind === 'confirms' || kind === 'leads') this.#confirm('it starts')
  }

  /** Ends what it does in the background. */
  stop(): void {
    this.#isStopped = true
    this.#endAll()
  }

  /**
   * To be called before `start`: makes sure that a directory that was restored takes the lead from nobody who lives. Whoever it was copied from may still run,
   * and would be fenced by the higher epoch. Nobody is told anything.
   *
   * @throws RegistryError `REG_CONFLICT` naming who leads
   */
  async assertGivenUp(signal: AbortSignal): Promise<void> {
    const {roles, ledger} = this.#ports
    const {lead} = ledger.visible
    if (roles.role.kind !== 'confirms' || lead?.how !== 'restored') return
    // It has the name and the URLs of the one that it was copied from, which is none of the others any more.
    const asked = [lead, ...ledger.others].map((member) => this.ask(member, undefined, signal).catch(() => undefined))
    for (const heard of await Promise.all(asked)) {
      const isOld = heard?.lead !== undefined && heard.member !== ledger.member && heard.lead.member === heard.member
      if (isOld && !outranks(heard.lead, lead)) throw stillLeads(heard.lead)
    }
  }

  /** Asks a member whom it takes for the leader, and tells it who is when there is something to tell. @throws RegistryError what it answers */
  async ask(member: LeadMember, lead: Lead | undefined, signal: AbortSignal): Promise<LeadHeard> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TELL_MS)])
    await using proxy = await this.#ports.open(member, limit)
    const args = [lead === undefined ? null : packLead(lead)]
    const heard = unpackHeard(await proxy.call('fence', {args, timeoutMs: TELL_MS, signal: limit}))
    const {cellIden} = this.#ports
    if (heard.cell === cellIden) return heard
    throw new RegistryError('REG_CONFLICT', `${member.name} is of another cell: ${heard.cell}, not ${cellIden}`)
  }

  #onRole(): void {
    const {roles, mirrors} = this.#ports
    const {kind} = roles.role
    if (kind !== 'confirms') this.#endWait()
    if (kind === 'follows' || kind === 'fenced') this.#endAll()
    const isBereft = this.#isBereft && mirrors.size === 0
    this.#isBereft = false
    if (kind !== 'leads') return
    if (isBereft) this.#confirm('its last mirror is gone')
    else this.#tellAll()
  }

  #onBereft(): void {
    const {roles, ledger} = this.#ports
    if (roles.role.kind === 'leads') this.#confirm('its last mirror is gone')
    // Perhaps it was promoted by force when the lead did not come: this member asks if it leads on.
    else if (roles.role.kind === 'closing') this.#isBereft = ledger.isLeading
  }

  /** Another lead: what was heard of the one before counts no more. */
  #begin(): void {
    this.#endAll()
    if (this.#ports.roles.role.kind === 'leads') this.#tellAll()
  }

  #confirm(why: string): void {
    const {ledger, roles, clock, log} = this.#ports
    const {confirmMs, isAlone} = this.#settings
    if (this.#isStopped || isAlone || ledger.others.length === 0 || !ledger.isLeading) return
    log.info('lead.confirming', {why, members: ledger.others.map(({name}) => name), withinMs: confirmMs})
    this.#heard.clear()
    roles.set({kind: 'confirms', untilMs: clock.monotonicMs() + confirmMs})
    this.#deadline = setTimeout(() => {
      log.warning('lead.unconfirmed', {withinMs: confirmMs})
      this.#lead()
    }, confirmMs)
    this.#tellAll()
  }

  /** A member has heard who leads, and knows of nobody better. */
  #answered(member: string): void {
    this.#leave(member)
    this.#heard.add(member)
    if (this.#ports.roles.role.kind !== 'confirms') return
    this.#ports.log.info('lead.confirmed', {by: this.#ports.ledger.visible.members.get(member)?.name ?? member})
    this.#lead()
  }

  #lead(): void {
    this.#endWait()
    if (this.#ports.roles.role.kind === 'confirms') this.#ports.roles.set({kind: 'leads'})
  }

  #tellAll(): void {
    const {ledger} = this.#ports
    const {lead} = ledger.visible
    if (this.#isStopped || lead === undefined || lead.member !== ledger.member) return
    for (const member of ledger.others) {
      if (this.#heard.has(member.member) || this.#telling.has(member.member)) continue
      const end = new AbortController()
      this.#telling.set(member.member, end)
      this.#tell(member, lead, end.signal).catch((error: unknown) => {
        if (!end.signal.aborted) this.#ports.log.warning('lead.told-in-vain', {member: member.name, error})
      })
    }
  }

  async #tell(member: LeadMember, lead: Lead, signal: AbortSignal): Promise<void> {
    const {guard, log} = this.#ports
    let pauseMs = FIRST_PAUSE_MS
    for (;;) {
      try {
        const heard = await this.ask(member, lead, signal)
        if (signal.aborted) return
        if (heard.lead !== undefined) await guard.hear(heard.lead)
        if (signal.aborted) return // what it said has fenced this member
        log.info('lead.told', {member: member.name, epoch: lead.epoch})
        this.#answered(member.member)
        return
      } catch (error) {
        if (signal.aborted) return
        log.debug('lead.not-told', {member: member.name, error})
      }
      await delay(pauseMs, undefined, {signal}).catch(() => undefined)
      if (signal.aborted) return
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    }
  }

  #leave(member: string): void {
    this.#telling.get(member)?.abort()
    this.#telling.delete(member)
  }

  #endWait(): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
  }

  #endAll(): void {
    this.#endWait()
    for (const member of [...this.#telling.keys()]) this.#leave(member)
    this.#heard.clear()
  }
}

function stillLeads({name, urls, epoch}: Lead): RegistryError {
  const text = `${name} leads the cell that this directory was restored from, and lives: this one does not take the lead from it`
  return new RegistryError('REG_CONFLICT', text, {
    info: {name, urls, epoch},
    hints: [
      'to try a backup, which reaches nobody: registry backup drill BACKUP',
      `to go on with what was restored: stop ${name} for good, then start again`,
      'to go on with what it has: make this directory a mirror of it, with registry clone',
    ],
  })
}
