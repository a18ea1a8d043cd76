import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import {type ListedMember, unpackMembers} from '../../client/members.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {type Fence, isUnasked} from '../../registry/fence.ts'
import type {Lead, LeadChange, LeadMember, LeadState} from '../../registry/lead.ts'
import {sanitizeUrl} from '../../wire/telepath/url.ts'
import type {FenceFile} from './fence-file.ts'
import type {Follower, FollowerPorts} from './follower.ts'
import {HandOver} from './hand-over.ts'
import {LeadGuard, type OpenMember} from './lead-guard.ts'
import {LeadHerald, type LeadHeraldSettings} from './lead-herald.ts'
import type {LeadLedger} from './lead-ledger.ts'
import type {LeadHeard} from './lead-messages.ts'
import {asSeenBy, listMembers} from './member-list.ts'
import type {Mirrors} from './mirrors.ts'
import {Promotion} from './promotion.ts'
import type {RoleKeeper} from './role.ts'

export interface LeadMovesPorts {
  readonly roles: RoleKeeper
  readonly changes: ChangeLog
  readonly ledger: LeadLedger
  readonly mirrors: Mirrors
  readonly follower: Pick<Follower, 'leaderProxy' | 'state' | 'leaderEpoch' | 'lookAt' | 'linkedTo'>
  readonly file: FenceFile
  /** This member, as the others are to know it. */
  readonly self: () => LeadMember
  /** Opens a URL of another member, with the certificate of a member. */
  readonly open: FollowerPorts['open']
  /** Changes wait here, for a snapshot. */
  readonly isFrozen: () => boolean
  readonly cellIden: string
  readonly version: string
  readonly clock: Clock
  readonly log: Log
}

const CONNECT_MS = 5000
/** How long a leader may take to say who follows it. */
const LIST_MS = 2000

/** All that moves the lead, as one: what the log says about it, what others say, and what operators want. */
export class LeadMoves {
  readonly guard: LeadGuard
  readonly promotion: Promotion
  readonly #ports: LeadMovesPorts
  readonly #herald: LeadHerald
  readonly #stopped = new AbortController()

  /** `fence` is what the file says. */
  constructor(ports: LeadMovesPorts, settings: LeadHeraldSettings, fence: Fence | undefined) {
    this.#ports = ports
    const open: OpenMember = (member, signal) => this.#open(member, signal)
    const leader = (signal: AbortSignal) => ports.follower.leaderProxy(signal)
    // First: what the log says of the role is done before anybody looks at it.
    ports.ledger.onChanged((change, state) => this.#onChanged(change, state))
    this.guard = new LeadGuard({...ports, open}, fence)
    this.#herald = new LeadHerald({...ports, guard: this.guard, open}, settings)
    const handOver = new HandOver(ports)
    this.promotion = new Promotion({...ports, guard: this.guard, herald: this.#herald, handOver, leader})
  }

  /** Begins, when the listeners are open. */
  start(): void {
    this.guard.start()
    this.#herald.start()
  }

  /** Ends what goes on in the background. To be called before the links with mirrors are closed: their end is no loss then. */
  stop(): void {
    this.#stopped.abort()
    this.guard.stop()
    this.#herald.stop()
  }

  /** Takes in who leads, as that one says itself, and says whom this one takes for the leader. Throws as `LeadGuard.hear`. */
  async hear(told: Lead | undefined): Promise<LeadHeard> {
    if (told !== undefined) await this.guard.hear(told, true)
    const {ledger, cellIden, changes} = this.#ports
    const {member, visible} = ledger
    // Nobody is told of one that was restored, before it has asked.
    const lead = this.guard.lead !== undefined && isUnasked(this.guard.lead) ? undefined : this.guard.lead
    const {epoch, nextOffset} = changes.head
    const isThere = lead !== undefined && lead.member === this.#alive
    return {cell: cellIden, member, lead, isThere, log: {leader: visible.lead?.member, epoch, nextOffset}}
  }

  /** Iden of the leader that is known to be alive: this member, or the one that it has a link with. */
  get #alive(): string | undefined {
    const {roles, follower, ledger} = this.#ports
    const {kind} = roles.role
    if (kind === 'follows') return follower.linkedTo
    return kind === 'fenced' || kind === 'safe' ? undefined : ledger.member
  }

  /** Asks a member that knows of a higher epoch who leads. */
  askAbout(member: LeadMember): void {
    this.#herald
      .ask(member, undefined, this.#stopped.signal)
      .then(({lead, isThere}) => (lead === undefined ? undefined : this.guard.hear(lead, isThere)))
      .catch((error: unknown) => this.#ports.log.warning('lead.not-asked', {member: member.name, error}))
  }

  /** The members of the cell as this one sees them, itself first. */
  members(): readonly ListedMember[] {
    const {roles, follower, clock} = this.#ports
    const {isLinked, isReady, lagEntries, lagMs} = follower.state
    const own = {role: roles.role, lead: this.guard.lead, isLinked, isReady, lagEntries, lagMs, nowMs: clock.wallMs()}
    return listMembers(this.#ports, own)
  }

  /** The members as the leader sees them, with what this one knows of itself; as this one sees them while the leader does not answer. */
  async allMembers(signal: AbortSignal): Promise<readonly ListedMember[]> {
    const own = this.members()
    if (this.#ports.roles.role.kind !== 'follows' || !this.#ports.follower.state.isLinked) return own
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIST_MS)])
    try {
      const leader = await this.#ports.follower.leaderProxy(limit)
      return asSeenBy(own, unpackMembers(await leader.call('getMembers', {signal: limit, timeoutMs: LIST_MS})))
    } catch {
      // It is about to go, or to give the lead away: what is known here is told then.
      signal.throwIfAborted()
      return own
    }
  }

  /** Tries the URLs of a member one after the other. */
  async #open(member: LeadMember, signal: AbortSignal): ReturnType<OpenMember> {
    let last: unknown
    for (const url of member.urls) {
      signal.throwIfAborted()
      try {
        return await this.#ports.open(url, {connectMs: CONNECT_MS, timeoutMs: CONNECT_MS, spareLinks: 0, signal})
      } catch (error) {
        last = error
      }
    }
    const tried = member.urls.map(sanitizeUrl).join(', ')
    throw new RegistryError('REG_UNREACHABLE', `${member.name} is not reached${tried && ` at ${tried}`}`, {
      info: {name: member.name},
      cause: last,
    })
  }

  /** The role follows the log: in the turn in which an entry is durable that moves the lead. */
  #onChanged(change: LeadChange, {lead}: LeadState): void {
    if (change.kind !== 'lead:take' || lead === undefined) return
    const {roles, ledger, follower, log} = this.#ports
    const {kind} = roles.role
    if (kind === 'fenced') return
    if (lead.member !== ledger.member) {
      roles.set({kind: 'follows', lead})
      return
    }
    if (kind === 'leads') return
    // An old entry that comes again, in a directory that was put back from a backup: others have led since.
    const isOld = kind === 'follows' && lead.epoch < follower.leaderEpoch
    // Who was heard of while the entry was on its way, is told no second time.
    if (isOld || this.guard.isOutranked(lead)) return
    log.warning('lead.leads', {epoch: lead.epoch, how: lead.how})
    roles.set({kind: 'leads'})
  }
}
