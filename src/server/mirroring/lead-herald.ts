import {setTimeout as delay} from 'node:timers/promises'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {isUnasked} from '../../registry/fence.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import {askable, type Doubt, doubtOf} from './lead-doubt.ts'
import type {LeadGuard, OpenMember} from './lead-guard.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {type LeadHeard, packLead, unpackHeard} from './lead-messages.ts'
import type {Mirrors} from './mirrors.ts'
import {askingReason, type RoleKeeper} from './role.ts'

export interface LeadHeraldPorts {
  readonly roles: Pick<RoleKeeper, 'role' | 'set' | 'onChange'>
  readonly ledger: Pick<LeadLedger, 'member' | 'visible' | 'others' | 'isLeading' | 'onChanged' | 'change'>
  readonly mirrors: Pick<Mirrors, 'size' | 'attached' | 'onChange'>
  readonly guard: Pick<LeadGuard, 'hear'>
  readonly open: OpenMember
  readonly cellIden: string
  readonly changes: Pick<ChangeLog, 'head'>
  /** This member, as the others are to know it. */
  readonly self: () => LeadMember
  readonly log: Pick<Log, 'info' | 'warning' | 'critical' | 'debug'>
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
/** A mirror notices within this time that its link with the leader is broken; and has been asked again by then. */
const DOUBT_MS = 7000
const ACTOR = 'registry:mirroring'

/**
 * Tells the other members that this one leads, each again and again until it has heard, and hears from them whether somebody else does. While it
 * has not heard from one of them, after a start and when its last mirror is gone, this member `confirms`: it takes no changes, for at most
 * `leader:confirm`. What it hears may say that it must not lead, though nobody else does: then it goes on to ask.
 *
 * One that was restored from a backup tells nothing: it asks for all of `leader:confirm`, and writes into its log that it leads when nobody did meanwhile.
 */
export class LeadHerald {
  readonly #ports: LeadHeraldPorts
  readonly #settings: LeadHeraldSettings
  /** Who is being told, by iden. */
  readonly #telling = new Map<string, AbortController>()
  /** Who has heard of the present lead. */
  readonly #heard = new Set<string>()
  /** Why this member must not lead, by the iden of the one that said so. */
  readonly #doubts = new Map<string, Doubt>()
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
    if (kind !== 'confirms' && kind !== 'leads') return
    this.#confirm('it starts')
    if (this.#isUnasked && this.#ports.roles.role.kind === 'leads') this.#noteConfirmed() // there is nobody to ask
  }

  /** Ends what it does in the background. */
  stop(): void {
    this.#isStopped = true
    this.#endAll()
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
    const {ledger, roles, log} = this.#ports
    const {confirmMs, isAlone} = this.#settings
    const members = this.#askable
    if (this.#isStopped || isAlone || members.length === 0 || !ledger.isLeading) return
    log.info('lead.confirming', {why, members: members.map(({name}) => name), withinMs: confirmMs})
    this.#heard.clear()
    this.#doubts.clear()
    roles.set({kind: 'confirms', reason: askingReason(ledger.visible.lead)})
    this.#waitFor(confirmMs)
    this.#tellAll()
  }

  get #askable(): readonly LeadMember[] {
    const {others, visible} = this.#ports.ledger
    return askable({others, lead: visible.lead})
  }

  /** It was restored from a backup, and has not asked the others yet. */
  get #isUnasked(): boolean {
    const {lead} = this.#ports.ledger.visible
    return lead !== undefined && isUnasked(lead)
  }

  #waitFor(ms: number): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.#onDeadline(), ms)
  }

  #onDeadline(): void {
    const {confirmMs} = this.#settings
    if (this.#doubts.size === 0) {
      this.#ports.log.warning('lead.unconfirmed', {withinMs: confirmMs})
      this.#lead()
      return
    }
    this.#ports.log.warning('lead.not-confirmed', {reasons: [...this.#doubts.values()].map(({reason}) => reason)})
    // One that does not last is said again, as long as it is so and the one is there that says it.
    for (const [member, {isLasting}] of this.#doubts) if (!isLasting) this.#doubts.delete(member)
    this.#waitFor(Math.max(confirmMs, DOUBT_MS))
  }

  /** A member has heard who leads, and knows of nobody better. */
  #answered(member: string): void {
    this.#leave(member)
    this.#heard.add(member)
    this.#doubts.delete(member)
    if (this.#ports.roles.role.kind !== 'confirms' || this.#doubts.size > 0) return
    this.#ports.log.info('lead.confirmed', {by: this.#ports.ledger.visible.members.get(member)?.name ?? member})
    this.#lead()
  }

  #lead(): void {
    this.#endWait()
    const {roles} = this.#ports
    if (roles.role.kind !== 'confirms') return
    if (this.#isUnasked) this.#noteConfirmed()
    else roles.set({kind: 'leads'})
  }

  /** Writes that this member leads, which was restored. It leads as soon as that is durable. */
  #noteConfirmed(): void {
    const {ledger, roles, self, log} = this.#ports
    const {lead} = ledger.visible
    if (lead === undefined) return
    const {name, urls} = self()
    const own = urls.length === 0 ? {} : {name, urls}
    ledger.change({kind: 'lead:take', ...lead, ...own, how: 'confirmed'}, ACTOR).catch((error: unknown) => {
      if (this.#isStopped) return
      log.warning('lead.not-noted', {error})
      if (roles.role.kind === 'confirms') this.#waitFor(this.#settings.confirmMs)
    })
  }

  #tellAll(): void {
    const {ledger, roles} = this.#ports
    const {lead} = ledger.visible
    if (this.#isStopped || lead === undefined || lead.member !== ledger.member) return
    if (isUnasked(lead) && roles.role.kind !== 'confirms') return // until that is noted
    for (const member of this.#askable) {
      if (this.#heard.has(member.member) || this.#telling.has(member.member)) continue
      const end = new AbortController()
      this.#telling.set(member.member, end)
      this.#tell(member, lead, end.signal).catch((error: unknown) => {
        if (!end.signal.aborted) this.#ports.log.warning('lead.told-in-vain', {member: member.name, error})
      })
    }
  }

  async #tell(member: LeadMember, lead: Lead, signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    for (;;) {
      try {
        if (await this.#tellOnce(member, lead, signal)) return
        pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        if (signal.aborted) return
        this.#ports.log.debug('lead.not-told', {member: member.name, error})
      }
      await delay(pauseMs, undefined, {signal}).catch(() => undefined)
      if (signal.aborted) return
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    }
  }

  /** False when the member is to be asked again. */
  async #tellOnce(member: LeadMember, lead: Lead, signal: AbortSignal): Promise<boolean> {
    const heard = await this.ask(member, isUnasked(lead) ? undefined : lead, signal)
    signal.throwIfAborted()
    if (heard.lead !== undefined) await this.#ports.guard.hear(heard.lead, heard.isThere)
    signal.throwIfAborted() // what it said has fenced this member
    return this.#isDone(member, lead, heard)
  }

  /** Takes in what a member said that knows of nobody better; false when it is to be asked again. */
  #isDone({member, name}: LeadMember, lead: Lead, heard: LeadHeard): boolean {
    const {ledger, log, roles} = this.#ports
    const isSelf = heard.member === ledger.member
    if (isUnasked(lead)) {
      if (isSelf) this.#leave(member)
      // As long as it may not lead, somebody may come who does; but for this member alone.
      if (this.#telling.size === 0) this.#lead()
      return isSelf
    }
    const doubt = roles.role.kind === 'confirms' ? doubtOf(lead, heard, this.#ports) : undefined
    if (doubt !== undefined) {
      this.#note(heard.member, doubt)
      return false
    }
    log.info('lead.told', {member: name, epoch: lead.epoch})
    this.#answered(member)
    return true
  }

  #note(member: string, doubt: Doubt): void {
    const {log, roles} = this.#ports
    const isNews = this.#doubts.get(member)?.reason !== doubt.reason
    this.#doubts.set(member, doubt)
    if (!isNews) return
    log.critical('lead.doubted', {reason: doubt.reason})
    roles.set({kind: 'confirms', reason: doubt.reason})
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
    this.#doubts.clear()
  }
}
