import {decide} from '../auth/allow.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'
import type {Log} from '../base/log.ts'
import type {Users} from '../cell/users.ts'
import {withoutAddress} from '../registry/actor.ts'
import {outdated, shortIden, standingOf, type Ticket, type TicketKind} from '../registry/ticket.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {
  type CloneWish,
  checkEnrolled,
  type Life,
  lifeForUser,
  type PlannedService,
  type ProvisionSettings,
  planClone,
  planService,
} from './provision-conf.ts'
import type {TicketLedger} from './ticket-ledger.ts'
import {ticketSecrets} from './ticket-secrets.ts'

export interface ProvisioningPorts {
  readonly ledger: Pick<TicketLedger, 'pending' | 'change'>
  readonly users: Pick<Users, 'user' | 'role' | 'gate' | 'userByName' | 'addUser' | 'addUserRule'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info'>
  /** Gives the one-time URL for an iden; undefined when there is no provisioning listener. */
  readonly onceUrl: (iden: string) => string | undefined
}

export interface ProvisioningSettings extends ProvisionSettings {
  /** `provision:expires`; undefined for never. */
  readonly expiresMs: number | undefined
  /** `provision:service:root` */
  readonly allowsRoot: boolean
  /** `dns:name`: who had a certificate for it could stand in for this AHA. */
  readonly dnsName?: string
  /** Refuses the name of a member of this cell that is there. */
  readonly assertNoMember?: (host: string) => void
  /** Refuses a full name that no service of AHA may have. */
  readonly assertFree?: (full: string) => void
}

function hostsOf({wants}: Ticket): readonly string[] {
  return wants.flatMap(({purpose, name}) => (purpose === 'host' ? [name] : []))
}

/** Open tickets; everything is held in memory. */
const MAX_OPEN = 10_000
/** Makes and takes back tickets for services, users and clones, with the users and rules that they come with. */
export class Provisioning {
  readonly #ports: ProvisioningPorts
  readonly #settings: ProvisioningSettings
  /** One after the other: two that want the same new user would both make it. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(ports: ProvisioningPorts, settings: ProvisioningSettings) {
    this.#ports = ports
    this.#settings = settings
  }

  /**
   * Makes a ticket for a service and gives its one-time URL. The user that it will be is made when there is none, and may look up services and
   * register under its name and alias.
   *
   * @throws RegistryError `REG_BAD_REQUEST` (`BadArg`); `REG_CONFLICT` (`NeedConfValu`) without a provisioning listener; `REG_DENIED` for root when
   * that is forbidden; those of the change log
   */
  addService(name: string, provinfo: Value, actor: string): Promise<string> {
    return this.#inTurn(() => this.#addService(name, provinfo, actor))
  }

  /**
   * Makes a ticket for a user and gives its one-time URL. The user `name@network` is made, who may look up services; `again` when he may be there
   * already. Where there is a user `name`, the certificate is his, and nobody is made.
   *
   * @throws RegistryError as `addService`; `REG_CONFLICT` (`DupUserName`)
   */
  addUser(name: string, userinfo: Value, again: boolean, actor: string): Promise<string> {
    return this.#inTurn(() => this.#addUser(name, userinfo, again, actor))
  }

  /**
   * Makes a ticket for another member of this cell and gives its one-time URL. Who redeems it gets a copy of everything, and the key of the
   * authority, so this goes by TLS only.
   *
   * @throws RegistryError as `addService`
   */
  addClone(wish: CloneWish, actor: string): Promise<string> {
    return this.#inTurn(() => this.#addClone(wish, actor))
  }

  /** Gives the full names that services have been provisioned with, those of their leaders included. */
  fullNames(): ReadonlySet<string> {
    const services = [...this.#ports.ledger.pending.values()].filter(({kind}) => kind === 'service')
    return new Set(services.flatMap((ticket) => [...hostsOf(ticket), ...this.#leaderOf(ticket)]))
  }

  #leaderOf({leader}: Ticket): readonly string[] {
    return leader === null ? [] : [`${leader}.${this.#settings.network}`]
  }

  /** Takes a ticket back, whatever its state; one that is not there is fine. */
  async remove(kind: TicketKind, iden: string, actor: string): Promise<void> {
    const idenSha256 = ticketSecrets.hash(iden)
    const ticket = this.#ports.ledger.pending.get(idenSha256)
    if (ticket?.kind !== kind) return
    await this.#ports.ledger.change({kind: 'ticket:del', tickets: [idenSha256]}, actor)
    this.#ports.log.info('provision.removed', {name: ticket.name})
  }

  /** Takes back all tickets that were not used. */
  async clear(kind: TicketKind, actor: string): Promise<void> {
    const tickets = [...this.#ports.ledger.pending.values()]
    const unused = tickets.filter((ticket) => ticket.kind === kind && ticket.used === null)
    if (unused.length === 0) return
    const change = {kind: 'ticket:del', tickets: unused.map(({idenSha256}) => idenSha256)} as const
    await this.#ports.ledger.change(change, actor)
    this.#ports.log.info('provision.cleared', {kind, count: unused.length})
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #addService(name: string, provinfo: Value, actor: string): Promise<string> {
    const {network} = this.#settings
    const iden = this.#newIden()
    if (name !== '') this.#onceUrl(iden) // the peer looks for the listener before it looks at the rest
    const planned = planService(name, provinfo, this.#settings)
    this.#checkRights(planned)
    this.#checkHost(`${planned.name}.${network}`)
    const names = planned.leader === null ? [planned.name] : [planned.name, planned.leader]
    for (const one of names) this.#settings.assertFree?.(`${one}.${network}`)
    const adds = names.map((one) => ['aha', 'service', 'add', network, one])
    await this.#ensureUser(planned.user, [['aha', 'service', 'get', network], ...adds], actor)
    const sealed = ticketSecrets.seal(iden, JSON.stringify(planned.info))
    const wants = [
      {purpose: 'host', name: `${planned.name}.${network}`},
      {purpose: 'user', name: `${planned.user}@${network}`},
    ] as const
    const {leader} = planned
    return await this.#add(iden, {kind: 'service', name, wants, leader, sealed}, planned.life, actor)
  }

  async #addUser(name: string, userinfo: Value, again: boolean, actor: string): Promise<string> {
    const {network} = this.#settings
    const iden = this.#newIden()
    if (name !== '') this.#onceUrl(iden)
    checkEnrolled(name, network)
    const life = lifeForUser(userinfo)
    const fullName = `${name}@${network}`
    const known = [name, fullName].find((one) => this.#ports.users.userByName(one) !== undefined)
    if (!again && known !== undefined) {
      const text = `User name (${name}) already exists.  Need --again?`
      throw new RegistryError('REG_CONFLICT', text, {telepath: 'DupUserName', info: {name}})
    }
    await this.#ensureUser(known ?? fullName, [['aha', 'service', 'get', network]], actor)
    const wants = [{purpose: 'user', name: fullName}] as const
    return await this.#add(iden, {kind: 'user', name, wants, leader: null, sealed: null}, life, actor)
  }

  async #addClone(wish: CloneWish, actor: string): Promise<string> {
    const iden = this.#newIden()
    if (!this.#onceUrl(iden).startsWith('ssl://')) {
      const text =
        'provision:listen is not ssl://, and a clone gets the key of the authority: that does not go unencrypted'
      throw new RegistryError('REG_CONFLICT', text, {
        telepath: 'NeedConfValu',
        hints: ['registry config explain provision:listen'],
      })
    }
    const {host, info, life} = planClone(wish, this.#settings)
    this.#checkHost(host)
    this.#settings.assertFree?.(host)
    const wants = [{purpose: 'host', name: host}] as const
    const sealed = ticketSecrets.seal(iden, JSON.stringify(info))
    return await this.#add(iden, {kind: 'clone', name: host, wants, leader: null, sealed}, life, actor)
  }

  /** Writes the ticket, with room made for it. */
  async #add(
    iden: string,
    made: Pick<Ticket, 'kind' | 'name' | 'wants' | 'leader' | 'sealed'>,
    life: Life | undefined,
    actor: string,
  ): Promise<string> {
    const {ledger, clock, log} = this.#ports
    const url = this.#onceUrl(iden)
    const nowMs = clock.wallMs()
    const tickets = [...ledger.pending.values()]
    if (tickets.filter((ticket) => standingOf(ticket, nowMs) === 'open').length >= MAX_OPEN) {
      const hints = ['registry provision list', 'registry provision revoke ID']
      throw new RegistryError('REG_BUSY', `no more than ${MAX_OPEN} one-time URLs can wait to be used`, {hints})
    }
    const lifeMs = life ?? this.#settings.expiresMs ?? 'never'
    const ticket: Ticket = {
      idenSha256: ticketSecrets.hash(iden),
      short: shortIden(iden),
      ...made,
      createdMs: nowMs,
      createdBy: withoutAddress(actor),
      expiresMs: lifeMs === 'never' ? null : nowMs + lifeMs,
      certificates: [],
      used: null,
    }
    await ledger.change({kind: 'ticket:add', ticket, dropped: outdated(tickets, nowMs)}, actor)
    log.info('provision.added', {kind: made.kind, name: made.name, expiresMs: ticket.expiresMs})
    return url
  }

  /** Makes an iden that no other begins like. */
  #newIden(): string {
    for (;;) {
      const iden = newGuid()
      const short = shortIden(iden)
      if (![...this.#ports.ledger.pending.values()].some((other) => other.short === short)) return iden
    }
  }

  #onceUrl(iden: string): string {
    const url = this.#ports.onceUrl(iden)
    if (url !== undefined && this.#settings.urls('root').length === 0) {
      const text =
        'who is provisioned would not learn where this AHA is: dmon:listen is no ssl:// URL, and aha:urls is not set'
      throw new RegistryError('REG_CONFLICT', text, {
        telepath: 'NeedConfValu',
        hints: ['registry config explain dmon:listen', 'registry config explain aha:urls'],
      })
    }
    if (url !== undefined) return url
    throw new RegistryError('REG_CONFLICT', 'The AHA server is not configured for provisioning.', {
      telepath: 'NeedConfValu',
      hints: ['registry config explain provision:listen'],
    })
  }

  #checkRights({user}: PlannedService): void {
    const isAdmin = user === 'root' || this.#ports.users.userByName(user)?.isAdmin === true
    if (this.#settings.allowsRoot || !isAdmin) return
    throw new RegistryError('REG_DENIED', `provision:service:root forbids services that are ${user}, who is admin`, {
      info: {user, option: 'provision:service:root'},
      hints: ['registry provision service NAME --user own'],
    })
  }

  #checkHost(full: string): void {
    if (full.toLowerCase() !== this.#settings.dnsName?.toLowerCase()) {
      this.#settings.assertNoMember?.(full)
      return
    }
    throw new RegistryError('REG_CONFLICT', `${full} is the name of this AHA itself: another one is needed`, {
      telepath: 'BadArg',
      info: {name: full},
      hints: ['registry config explain dns:name'],
    })
  }

  /** Makes the user when there is none, and allows him what he is not allowed yet. */
  async #ensureUser(name: string, paths: readonly (readonly string[])[], actor: string): Promise<void> {
    const {users} = this.#ports
    const {iden} = users.userByName(name) ?? (await users.addUser({name}, actor))
    for (const path of paths) {
      const user = users.user(iden)
      if (user === undefined || decide(users, user, {path}).isAllowed) continue
      await users.addUserRule(iden, [true, path], 0, undefined, actor)
    }
  }
}
