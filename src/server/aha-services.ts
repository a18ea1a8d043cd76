import {randomInt} from 'node:crypto'
import {isDeepStrictEqual} from 'node:util'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {guidOf} from '../cell/idens.ts'
import {type AhaChange, subjectOf} from '../registry/aha-change.ts'
import {byPlace, mirrorsAmong, oneOfEachRun} from '../registry/aha-directory.ts'
import {type AhaEntry, asOffline, asRegistered, idenOf, onlineOf, readAhaInfo} from '../registry/aha-entry.ts'
import {type AhaName, expandName, placeName} from '../registry/aha-name.ts'
import type {Peer} from '../wire/telepath/share.ts'
import type {AhaFences} from './aha-fences.ts'
import type {AhaLedger} from './aha-ledger.ts'
import {AhaLiveness, type SessionNews} from './aha-liveness.ts'
import {AliasClaims} from './alias-claims.ts'
import {type Gone, type OfflineElsewhere, OfflineWriter} from './offline-writer.ts'

/** Far above real networks; a service that is allowed to register could else fill the disk with names. */
const MAX_SERVICES = 100_000

export interface AhaServicesPorts {
  readonly ledger: AhaLedger
  readonly log: Log
  /** `aha:network` */
  readonly network: string
  /** Who may not take the name of the leader; nobody when absent. */
  readonly fences?: Pick<AhaFences, 'barring' | 'refusal' | 'shown'>
  /** For tests, which do not wait. */
  readonly liveness?: AhaLiveness
}

/** The session that a service registers through. */
export interface AhaSession {
  readonly id: string
  readonly peer: Peer
  /** It is open at another member of the cell, which tells when it ends. */
  readonly isElsewhere?: true
}

/** Services that AHA shows although nobody registered them here. */
export interface AhaGuests {
  /** Tells whether a full name is kept for them. */
  owns(full: string): boolean
  get(full: string): AhaEntry | undefined
  /** In no particular order; all in the network of AHA. */
  list(): readonly AhaEntry[]
}

interface Registration {
  readonly online: string
  /** Full names. */
  readonly names: Set<string>
}

/**
 * The services of AHA: who is where, and who is online. All changes are durable before their promises resolve.
 *
 * The session is the unit of liveness: the names that a service registered through it go offline when it ends. Each session has a token of
 * its own, and only the entry that still has it is altered. Nobody is shown online whose session is over, even when that cannot be
 * written: the token of a session that is not open (`AhaLiveness`) counts as none. The name of a leader goes to the newest service that claimed it and is there.
 *
 * @see spec/aha.md, sections 2, 3.1 and 3.2
 */
export class AhaServices {
  readonly network: string
  readonly #ledger: AhaLedger
  readonly #log: Log
  readonly #fences: AhaServicesPorts['fences']
  readonly #claims: AliasClaims
  readonly #offline: OfflineWriter
  readonly #sessions = new Map<string, Registration>()
  readonly #liveness: AhaLiveness
  /** Of sessions that are open at other members, by token. */
  readonly #elsewhere = new Map<string, Registration>()
  #tellNew: (full: string) => void = () => {}
  readonly #watchers: ((full: string) => void)[] = []
  #guests: AhaGuests | undefined
  #isStopped = false

  constructor({ledger, log, network, fences, liveness = new AhaLiveness()}: AhaServicesPorts) {
    this.#ledger = ledger
    this.#log = log
    this.#fences = fences
    this.#claims = new AliasClaims({ledger, fences})
    this.#offline = new OfflineWriter(ledger, log, (full) => this.#claims.newest(full))
    this.network = network
    this.#liveness = liveness
    liveness.onGone(() => void this.#takeStaleOffline())
    ledger.onChanged((change, about) => this.#onVisible(change, about))
  }

  /** Shows services of another world, under the names that are kept for them. A service that was registered under such a name before goes first. */
  showAlso(guests: AhaGuests): void {
    this.#guests = guests
  }

  /** Has itself told the full name of each service that looks different now, or is gone. */
  onChanged(watcher: (full: string) => void): void {
    this.#watchers.push(watcher)
  }

  /**
   * Takes everybody offline whose session is not open: after a start, all. To be called before the listeners are opened, and need not be waited
   * for: they are shown offline from the beginning. When it cannot be written now, the log says so, and it is written later.
   */
  async start(): Promise<void> {
    await this.#takeStaleOffline()
  }

  /**
   * Begins to lead a cell that has other members: whoever is online may be connected to one of them, and has a while to be heard of. Who is not by
   * then goes offline.
   */
  lead(): void {
    const online = this.#ledger.visible.list().flatMap((entry) => onlineOf(entry) ?? [])
    this.#liveness.lead(online)
    this.tellAll()
  }

  /** Begins to follow: who is online is what the log says. */
  follow(): void {
    this.#liveness.follow()
    this.tellAll()
  }

  /** Takes what a mirror tells of the sessions at it. */
  told(member: string, news: SessionNews): void {
    this.#liveness.told(member, news)
  }

  /** The link of a mirror broke: sessions at it have a while to be heard of again. */
  lost(member: string): void {
    this.#liveness.lost(member)
  }

  /** Begins to tell a leader of the sessions here. */
  reportSessions(): ReturnType<AhaLiveness['report']> {
    return this.#liveness.report()
  }

  /** Has all watchers look at all services. */
  tellAll(): void {
    for (const {full} of this.#ledger.visible.list()) this.#tell(full)
  }

  /** Begins no more of what `start` has to write: the next start does. */
  stop(): void {
    this.#isStopped = true
    this.#liveness.stop()
  }

  /** Names the one who hears of each service that registers under a name which nobody had. */
  onNew(listener: (full: string) => void): void {
    this.#tellNew = listener
  }

  /**
   * Gives the place of a service, which its permission depends on.
   *
   * @throws RegistryError `REG_BAD_REQUEST`
   */
  place(name: string, network: string | undefined): AhaName {
    const place = placeName(name, network, this.network)
    return this.#ledger.pending.get(place.full) ?? place
  }

  /**
   * Refuses a name that is kept for services of another world.
   *
   * @throws RegistryError `REG_CONFLICT`
   */
  assertNotKept(full: string): void {
    if (this.#guests?.owns(full) !== true || this.#ledger.pending.get(full) !== undefined) return
    const text = `the name ${full} is kept for services of ZeroMQ: choose another, or set bridge:zmq:to:aha to false`
    const hints = ['registry config explain bridge:zmq:to:aha']
    throw new RegistryError('REG_CONFLICT', text, {telepath: 'BadArg', info: {name: full}, hints})
  }

  /** Gives the service as it will be when all that is under way is durable. */
  standing(name: string): AhaEntry | undefined {
    return this.#ledger.pending.get(expandName(name, this.network))
  }

  /**
   * Registers a service until its session ends. What it says of itself is kept as it is, with the token of the session, and with the
   * address of the peer where it names no host.
   *
   * @throws RegistryError `REG_BAD_REQUEST`, `REG_CONFLICT` (the name is kept, or the service from leading), `REG_BUSY` (too many services),
   * `REG_READ_ONLY`, `REG_STORE_FAILED`
   */
  async add(place: AhaName, value: unknown, session: AhaSession, actor: string): Promise<void> {
    const {pending} = this.#ledger
    this.assertNotKept(place.full)
    const given = readAhaInfo(value)
    const {peer} = session
    if (peer.family === 'unix' && !Object.hasOwn(given.urlinfo, 'host')) {
      throw new RegistryError('REG_BAD_REQUEST', 'info.urlinfo needs a host: on the UNIX socket nobody has an address')
    }
    if (pending.size >= MAX_SERVICES && pending.get(place.full) === undefined) {
      throw new RegistryError('REG_BUSY', `no more than ${MAX_SERVICES} services are taken`)
    }
    const {full, name, network} = place
    const {online, names} = session.isElsewhere ? this.#elsewhereOf(session.id) : this.#registrationOf(session.id)
    const info = asRegistered(given, online, peer.family === 'unix' ? undefined : peer.address)
    const entry = {full, name, network, info}
    this.#claims.assertAllowed(entry, names, peer.address)
    if (this.#isKnown(entry)) return
    const added = this.#ledger.change({kind: 'aha:svc:add', entry}, actor)
    // Decided: the end of the session counts from here on. What was refused at once is not remembered.
    if (this.#isOf(full, online)) {
      names.add(full)
      this.#claims.note(entry)
    }
    await added.catch((error: unknown) => {
      this.#claims.drop(full, online)
      throw error
    })
  }

  /**
   * Registers a service through a session at this mirror: `pass` has the leader do it. From here on the end of the session counts, even when it
   * comes before the leader has answered. Throws what `pass` throws.
   */
  async addThrough<T>(full: string, session: AhaSession, pass: () => Promise<T>): Promise<T> {
    const {online, names} = this.#registrationOf(session.id)
    const wasThere = names.has(full)
    names.add(full)
    try {
      return await pass()
    } catch (error) {
      const isUnknown = error instanceof RegistryError && error.code === 'REG_NOT_CONFIRMED'
      if (!wasThere && !isUnknown) names.delete(full)
      throw error
    } finally {
      if (!this.#sessions.has(session.id)) void this.#offline.write([{full, online}])
    }
  }

  /** Takes services offline whose sessions ended at another member. Never rejects: what cannot be written now is written later. */
  async takeOffline(gone: readonly Gone[]): Promise<void> {
    for (const {full, online} of gone) {
      this.#elsewhere.delete(online)
      this.#liveness.forget(online)
      this.#claims.drop(full, online)
      this.#tell(full)
    }
    await this.#offline.write(gone)
  }

  /** Has the leader write that services are offline, as long as this is a mirror. */
  passOn(elsewhere: OfflineElsewhere): void {
    this.#offline.passOn(elsewhere)
  }

  /**
   * Notes whether a service takes calls. False when there is none of the name.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async setReady(name: string, isReady: boolean, actor: string): Promise<boolean> {
    const entry = this.standing(name)
    if (entry === undefined) return false
    await this.#ledger.change({kind: 'aha:svc:mod', full: entry.full, isReady}, actor)
    return true
  }

  /**
   * Removes a service, online or not. Nothing happens when there is none.
   *
   * @throws RegistryError `REG_CONFLICT` (it is one of another world), `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async remove(full: string, actor: string): Promise<void> {
    const {visible, pending} = this.#ledger
    if (this.#guests?.get(full) !== undefined) this.assertNotKept(full)
    if (visible.get(full) === undefined && pending.get(full) === undefined) return
    this.#claims.forget(full)
    await this.#ledger.change({kind: 'aha:svc:del', full}, actor)
  }

  /** Gives a service by its full name, or by a name with three dots at its end. */
  get(name: string): AhaEntry | undefined {
    const full = expandName(name, this.network)
    const entry = this.#ledger.visible.get(full)
    return entry === undefined ? this.#guests?.get(full) : this.#seen(entry)
  }

  /** Gives one of the mirrors of a service, any of them; the service itself when it has none. */
  mirrorOf(entry: AhaEntry): AhaEntry {
    const mirrors = this.mirrors(entry)
    return mirrors[mirrors.length > 1 ? randomInt(mirrors.length) : 0] ?? entry
  }

  /** Gives the mirrors of a service that take calls. */
  mirrors(entry: AhaEntry): readonly AhaEntry[] {
    const iden = idenOf(entry)
    return iden === undefined ? [] : mirrorsAmong(this.#ofIden(iden))
  }

  /** In order of network and name. */
  list(network?: string): readonly AhaEntry[] {
    const own = this.#ledger.visible.list(network).map((entry) => this.#seen(entry))
    if (this.#guests === undefined || (network !== undefined && network !== this.network)) return own
    const guests = this.#guests.list().filter(({full}) => this.#ledger.visible.get(full) === undefined)
    return guests.length === 0 ? own : [...own, ...guests].sort(byPlace)
  }

  /** Gives one entry for each start of a cell. */
  byIden(iden: string, isOnline: boolean, skipRun: string | undefined): readonly AhaEntry[] {
    const entries = this.#ofIden(iden)
    return oneOfEachRun(isOnline ? entries.filter((entry) => onlineOf(entry) !== undefined) : entries, skipRun)
  }

  /** Takes the services offline that registered through a session which is over now; one that another service has claimed goes to it. */
  sessionClosed(sessionId: string): void {
    const registration = this.#sessions.get(sessionId)
    if (registration === undefined) return
    const {online, names} = registration
    this.#sessions.delete(sessionId)
    this.#liveness.close(online)
    for (const full of names) {
      this.#claims.drop(full, online)
      this.#tell(full)
    }
    void this.#offline.write(Array.from(names, (full) => ({full, online})))
  }

  #onVisible(change: AhaChange, {isNew, isAltered}: {readonly isNew: boolean; readonly isAltered: boolean}): void {
    const service = subjectOf(change)
    if (isAltered) this.#tell(service)
    if (isNew) this.#tellNew(service)
    if (change.kind === 'aha:svc:add') {
      const {scheme, host, port} = change.entry.info.urlinfo
      this.#log.info('aha.service.added', {service, scheme, host, port})
    } else if (change.kind === 'aha:svc:del') {
      this.#log.info('aha.service.removed', {service})
    } else if (change.kind === 'aha:svc:down' && isAltered) {
      this.#log.info('aha.service.offline', {service})
    }
  }

  async #takeStaleOffline(): Promise<void> {
    if (this.#isStopped) return
    const stale = this.#ledger.pending.list().flatMap((entry) => {
      const online = onlineOf(entry)
      return online === undefined || this.#liveness.isLive(online) ? [] : [{full: entry.full, online}]
    })
    for (const {full, online} of stale) {
      this.#elsewhere.delete(online)
      this.#claims.drop(full, online)
      this.#tell(full)
    }
    await this.#offline.write(stale, () => this.#isStopped)
  }

  #tell(full: string): void {
    for (const watcher of this.#watchers) watcher(full)
  }

  /** Tells whether the service has the token, as it will be when all that is under way is durable. */
  #isOf(full: string, online: string): boolean {
    const entry = this.#ledger.pending.get(full)
    return entry !== undefined && onlineOf(entry) === online
  }

  #elsewhereOf(sessionId: string): Registration {
    const online = tokenOf(sessionId)
    const known = this.#elsewhere.get(online)
    if (known !== undefined) return known
    const registration = {online, names: new Set<string>()}
    this.#elsewhere.set(online, registration)
    this.#liveness.expect(online)
    return registration
  }

  /**
   * Tells whether exactly this is durable, and nothing of it is under way: it leaves no trace then. A service that is refused the name of its leader
   * registers its own name again each second.
   */
  #isKnown(entry: AhaEntry): boolean {
    const {visible, pending} = this.#ledger
    const known = visible.get(entry.full)
    return known !== undefined && known === pending.get(entry.full) && isDeepStrictEqual(known.info, entry.info)
  }

  #registrationOf(sessionId: string): Registration {
    const known = this.#sessions.get(sessionId)
    if (known !== undefined) return known
    const registration = {online: tokenOf(sessionId), names: new Set<string>()}
    this.#sessions.set(sessionId, registration)
    this.#liveness.open(registration.online)
    return registration
  }

  #ofIden(iden: string): readonly AhaEntry[] {
    return this.#ledger.visible.ofIden(iden).map((entry) => this.#seen(entry))
  }

  /** As it is to be shown: by whether its session is open, whatever could be written of that. */
  #seen(entry: AhaEntry): AhaEntry {
    const online = onlineOf(entry)
    const isSo = online === undefined || this.#liveness.isLive(online)
    const seen = isSo ? entry : (this.#claims.newest(entry.full) ?? asOffline(entry))
    return this.#fences?.shown(seen) ?? seen
  }
}

/** Who knows the id of a session may call in it: others get to see what was made of it. */
function tokenOf(sessionId: string): string {
  return guidOf('aha:session', sessionId)
}
