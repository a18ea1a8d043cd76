import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {CertDir} from '../../pki/cert-dir.ts'
import type {Fence} from '../../registry/fence.ts'
import type {LeadMember} from '../../registry/lead.ts'
import type {Store, StoreHead} from '../../store/store.ts'
import type {ArchiverPlace} from '../archiver-messages.ts'
import {Feed} from './feed.ts'
import type {FollowTold} from './feed-messages.ts'
import {FenceFile} from './fence-file.ts'
import {Follower, type FollowerState} from './follower.ts'
import type {LeadHeraldSettings} from './lead-herald.ts'
import {LeadLedger} from './lead-ledger.ts'
import {LeadMoves} from './lead-moves.ts'
import {type MemberNames, memberOpener, memberPlace} from './member-place.ts'
import {isNamed, Mirrors} from './mirrors.ts'
import {Renewals} from './renewals.ts'
import {type Role, RoleKeeper} from './role.ts'
import {startRole} from './start-role.ts'
import type {ToTell} from './teller.ts'

export interface MirroringPorts {
  /** Data directory. */
  readonly dir: string
  readonly store: Pick<Store, 'read' | 'records' | 'place'>
  /** What the store said when it was opened. */
  readonly head: StoreHead
  readonly changes: ChangeLog
  readonly log: Log
  readonly clock: Clock
  readonly cellIden: string
  /** Which start this is, 32 hex digits. */
  readonly run: string
  readonly version: string
  readonly certs: CertDir
}

export interface MirroringSettings {
  /** `mirror` */
  readonly mirror: readonly string[]
  readonly names: MemberNames
  /** URLs of the AHA servers where this service is registered, for a leader that is named there. */
  readonly servers: readonly string[]
  /** How it asks the others before it leads. */
  readonly lead: LeadHeraldSettings
  /** `safemode`: calls nobody, takes no changes. */
  readonly isSafe: boolean
}

/** Who hears of it that a part of the server has something to do. */
export interface MirroringEvents {
  /** Leases were renewed at another member. `from` is the iden of a mirror, or `LEADER`. */
  readonly onRenewed: (ids: readonly string[], from: string) => void
  /** What a mirror told, besides how far it is and what was renewed. */
  readonly onTold: (told: FollowTold) => void
  /** Begins to tell a leader of sessions here through which services registered: all that are open at first, then what changes. */
  readonly reportSessions: () => {readonly take: ToTell['sessions']; readonly close: () => void}
  /** Who archives the log here. */
  readonly reportArchivers: () => readonly ArchiverPlace[]
  /** Who archives the log at a mirror, as that one tells. */
  readonly onArchivers: (member: string, archivers: readonly ArchiverPlace[]) => void
  /** Changes wait here, for a snapshot. */
  readonly isFrozen: () => boolean
  /** A mirror comes to this leader: writes what is new about it. Never rejects. */
  readonly onComing: (mirror: LeadMember) => Promise<void>
  /** A session of a mirror counts no more: cuts its links. */
  readonly onDropped: (sessionId: string) => void
  /** A mirror is forgotten: takes back what was written when it came. */
  readonly onForgotten: (mirror: LeadMember, actor: string) => Promise<void>
  /** The log of the leader, which is there, begins after the end of this one. */
  readonly onCulled: (leader: string) => void
}

const NO_SESSIONS = {opened: [], closed: []} as const

/** Name of the leader among those who renewals come from and go to. */
const LEADER = 'leader'

/** What makes a server a member of its cell: it leads and feeds mirrors, or it is one. */
export class Mirroring implements AsyncDisposable {
  readonly roles: RoleKeeper
  readonly ledger: LeadLedger
  readonly mirrors: Mirrors
  readonly renewals = new Renewals()
  readonly feed: Feed
  readonly follower: Follower
  /** What moves the lead. */
  readonly moves: LeadMoves
  readonly #forget: (() => void)[]
  readonly #settings: MirroringSettings
  readonly #close: () => Promise<void>
  #events: Partial<MirroringEvents> = {}
  #self: LeadMember
  #isStarted = false

  private constructor(
    ports: MirroringPorts,
    ledger: LeadLedger,
    settings: MirroringSettings,
    fence: Fence | undefined,
  ) {
    const {changes, log, clock, cellIden, run, version, store, certs} = ports
    const {open, close} = memberOpener(certs, settings.names, settings.servers)
    this.#settings = settings
    this.#close = close
    this.ledger = ledger
    this.#self = {member: ledger.member, name: ledger.member, urls: []}
    this.roles = new RoleKeeper(changes, startRole(ledger, fence, settings))
    this.mirrors = new Mirrors(clock, (sessionId) => this.#events.onDropped?.(sessionId))
    const {roles, mirrors, renewals} = this
    const self = (): LeadMember => this.#self
    const isFrozen = (): boolean => this.#events.isFrozen?.() ?? false
    this.feed = new Feed({
      ...{store, changes, roles, ledger, mirrors, renewals, log, clock, cellIden, self},
      onHigherEpoch: (wish) => this.moves.askAbout(wish),
      onComing: async (mirror) => await this.#events.onComing?.(mirror),
      onTold: (told) => {
        this.#events.onRenewed?.(told.renewed, told.member)
        this.#events.onTold?.(told)
        if (told.archivers !== undefined) this.#events.onArchivers?.(told.member, told.archivers)
      },
    })
    this.follower = new Follower(
      {
        ...{changes, ledger, open, log, clock, cellIden, run, version, self},
        knownEpoch: () => this.moves.guard.lead?.epoch ?? 0,
        onRenewed: (ids) => this.#events.onRenewed?.(ids, LEADER),
        toTell: () => {
          const renewed = renewals.open(LEADER)
          const sessions = this.#events.reportSessions?.()
          const archivers = () => this.#events.reportArchivers?.() ?? []
          const close = (): void => {
            renewed.close()
            sessions?.close()
          }
          return {renewed: renewed.take, sessions: () => sessions?.take() ?? NO_SESSIONS, archivers, isFrozen, close}
        },
        onCulled: (leader) => this.#events.onCulled?.(leader),
      },
      settings.mirror,
    )
    this.moves = new LeadMoves(
      {
        ...{changes, roles, ledger, mirrors, log, clock, cellIden, version, self},
        ...{file: new FenceFile(ports.dir), open, follower: this.follower, isFrozen},
      },
      settings.lead,
      fence,
    )
    this.#forget = [roles.onChange((role) => this.#onRole(role))]
  }

  /** Reads from the store who leads. Nothing is connected to. @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED` */
  static async open(ports: MirroringPorts, settings: MirroringSettings): Promise<Mirroring> {
    const {store, head, changes, clock, dir} = ports
    const ledger = await LeadLedger.open({store, changeLog: changes, clock}, head.iden)
    return new Mirroring(ports, ledger, settings, await new FenceFile(dir).read())
  }

  /** This member, as the others know it. */
  get self(): LeadMember {
    return this.#self
  }

  get state(): FollowerState {
    return this.follower.state
  }

  /** Names who hears. Those that are left out stay. */
  readonly on = (events: Partial<MirroringEvents>): void => {
    this.#events = {...this.#events, ...events}
  }

  /**
   * Refuses a name for a new member, or for a service, while a member of that name is there: its certificate would be that of the member.
   *
   * @throws RegistryError `REG_CONFLICT` (`BadArg`)
   */
  readonly assertNameFree = (name: string): void => {
    const found = isNamed(this.#self, name) ? this.#self : this.mirrors.named(name)
    if (found === undefined) return
    throw new RegistryError(
      'REG_CONFLICT',
      `${found.name} is a member of this cell, and is there: take another name, or stop it first`,
      {
        telepath: 'BadArg',
        info: {name},
        hints: ['registry status', `when it is to be made anew, stop it first: registry clone ${found.name}`],
      },
    )
  }

  /**
   * Takes a member that is gone for good out of the cell, and gives it: it is asked and told no more. If it comes back it is a member again.
   *
   * @throws RegistryError `REG_NOT_FOUND`; `REG_CONFLICT` when it leads or follows at present; as `LeadLedger.change`
   */
  async forget(name: string, actor: string): Promise<LeadMember> {
    const {ledger, mirrors} = this
    const found = [...ledger.pending.members.values()].find((one) => one.name === name)
    if (found === undefined) throw unknownMember(name, ledger.others)
    if (found.member === ledger.member || mirrors.attached.has(found.member)) throw isThere(name, found, ledger.member)
    await this.#events.onForgotten?.(found, actor)
    // It may have come back meanwhile; who comes from this turn on is noted again.
    if (mirrors.attached.has(found.member)) throw isThere(name, found, ledger.member)
    await ledger.change({kind: 'lead:forget', member: found.member}, actor)
    return found
  }

  /** Begins to follow, if it is a mirror. To be called when the listeners are open; `url` is that of the one for Telepath, if there is one. */
  start(url: string | null): void {
    const {member} = this.ledger
    this.#self = {member, ...memberPlace(this.#settings.names, url, `member ${member.slice(0, 8)}`)}
    if (this.roles.role.kind === 'safe') return
    this.#isStarted = true
    this.#onRole(this.roles.role)
    this.moves.start()
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    this.moves.stop()
    for (const forget of this.#forget) forget()
    await this.follower.stop()
    await this.#close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #onRole(role: Role): void {
    if (!this.#isStarted) return
    if (role.kind === 'follows') {
      if (role.lead !== undefined) this.follower.lookAt(role.lead)
      this.follower.start()
    } else void this.follower.stop()
  }
}

function unknownMember(name: string, others: readonly LeadMember[]): RegistryError {
  const known = others.length === 0 ? 'it has no others' : `it has ${others.map((one) => one.name).join(', ')}`
  return new RegistryError('REG_NOT_FOUND', `the cell has no member ${name}: ${known}`, {
    info: {name},
    hints: ['registry status'],
  })
}

function isThere(name: string, {member}: LeadMember, own: string): RegistryError {
  const what = member === own ? 'leads' : 'follows at present'
  return new RegistryError('REG_CONFLICT', `${name} ${what}: only one that is gone for good can be forgotten`, {
    info: {name},
    hints: ['stop it first, and remove its directory', 'registry status'],
  })
}
