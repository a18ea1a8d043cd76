/**
 * The serving side of Telepath: links, sessions and calls. It knows neither users nor what it serves; `share.ts` is the port to both.
 *
 *     link: tele:syn ─► Greet ─► session (sess)         the session lives as long as this link
 *     link: t2:init {sess, …} ─► Share.call ─► answer   any link of the same peer, no handshake; one call after the other on each link
 *
 * A link that has neither opened nor used a session must do so within `handshakeMs`; where its peer has a session already it may wait,
 * because stock clients open links ahead of their calls.
 *
 * @see spec/telepath.md, sections 3 to 10
 */
import type {Socket} from 'node:net'
import {type Clock, systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import {newGuid} from '../../base/ids.ts'
import type {Log} from '../../base/log.ts'
import {Decoder} from '../msgpack/decode.ts'
import type {Value} from '../msgpack/value.ts'
import {DAEMON_LIMITS, type DaemonLimits} from './limits.ts'
import {type Door, type Listener, type ListenTls, listenTcp, listenTls, listenUnix, type TlsListener} from './listen.ts'
import {type Body, readSyn, refusalMessage, type Syn} from './messages.ts'
import {type AddressCount, type PeerGroup, PeerTable} from './peer-table.ts'
import {RareLog} from './rare-log.ts'
import {type LinkHost, ServerLink} from './server-link.ts'
import {Session, type SessionInfo} from './session.ts'
import type {Greet, Opened, Peer} from './share.ts'
import {ShareText} from './share-text.ts'
import {Waiting} from './waiting.ts'

export interface DaemonOptions {
  readonly greet: Greet
  readonly log: Log
  /** Those that differ from `DAEMON_LIMITS`. */
  readonly limits?: Partial<DaemonLimits>
  /** `syn:version`: the version of Synapse whose calls are served. */
  readonly synapseVersion: readonly [number, number, number]
  /** Time for tests. */
  readonly clock?: Pick<Clock, 'monotonicMs'>
}

/** How long what runs may take to notice that it is aborted when the daemon stops, ms. */
const ABORT_MS = 200

/** Serves Telepath on any number of listeners. */
export class Daemon implements AsyncDisposable {
  readonly #limits: DaemonLimits
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #log: Log
  readonly #rareLog: RareLog
  readonly #greet: Greet
  readonly #text: ShareText
  readonly #peers = new PeerTable()
  readonly #links = new Set<ServerLink>()
  readonly #sessions = new Map<string, Session>()
  readonly #listeners = new Set<Listener>()
  readonly #waiting: Waiting
  readonly #host: LinkHost
  readonly #door: Door
  #isReady = true
  #stopping: Promise<void> | undefined
  #onQuiet: (() => void) | undefined

  constructor(options: DaemonOptions) {
    this.#limits = {...DAEMON_LIMITS, ...options.limits}
    this.#clock = options.clock ?? systemClock
    this.#log = options.log
    this.#rareLog = new RareLog(options.log, this.#clock)
    this.#greet = options.greet
    this.#text = new ShareText(options.synapseVersion)
    this.#waiting = new Waiting(this.#clock, (link) => this.#onLate(link))
    this.#host = this.#makeHost()
    this.#door = this.#makeDoor()
  }

  /** @throws RegistryError `REG_LISTEN_FAILED` */
  async listenTcp({host, port}: {readonly host: string; readonly port: number}): Promise<Listener> {
    return this.#keep(await listenTcp(this.#door, host, port))
  }

  /** @throws RegistryError `REG_LISTEN_FAILED` */
  async listenTls(at: {readonly host: string; readonly port: number; readonly tls: ListenTls}): Promise<TlsListener> {
    return this.#keep(await listenTls(this.#door, at.tls, at.host, at.port))
  }

  /** Makes the socket with mode 0600. @throws RegistryError `REG_LISTEN_FAILED`, also for a path that is too long */
  async listenUnix(path: string): Promise<Listener> {
    return this.#keep(await listenUnix(this.#door, path))
  }

  /** A daemon that is not ready closes every link, and new ones without a word. It is ready from the start. */
  setReady(isReady: boolean): void {
    this.#isReady = isReady
    if (!isReady) for (const link of this.#links) link.destroy()
  }

  /** Lists what is open, in order of opening. */
  sessions(): SessionInfo[] {
    return Array.from(this.#sessions.values(), (session) => session.info)
  }

  /** Links that are open, those in their TLS handshake included. */
  get linkCount(): number {
    return this.#peers.links
  }

  /** Cuts the links of a session, which ends it. Does nothing when there is none. */
  closeSession(id: string): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    for (const link of session.links) link.destroy()
    session.control.destroy()
    this.#endSession(session)
  }

  /** Cuts the links of all sessions of a user. */
  closeSessionsOf(userIden: string): void {
    for (const session of this.#sessions.values()) if (session.user?.iden === userIden) this.closeSession(session.id)
  }

  /** Cuts all links of peers that it says true of, and so ends their sessions. */
  closePeers(isMeant: (peer: Peer) => boolean): void {
    for (const link of this.#links) if (isMeant(link.peer)) link.destroy()
  }

  /**
   * Takes no more connections and no more calls, ends idle links at once, lets calls that run answer for `graceMs`, then aborts them and
   * cuts what is left. Resolves when all links are closed.
   */
  stop({graceMs}: {readonly graceMs: number}): Promise<void> {
    this.#stopping ??= this.#stop(graceMs)
    return this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({graceMs: 0})
  }

  async #stop(graceMs: number): Promise<void> {
    const closing = Array.from(this.#listeners, (listener) => listener.close())
    for (const link of this.#links) if (!link.isBusy) link.close()
    if (graceMs > 0) await this.#quiet(graceMs)
    for (const link of this.#links) link.abort()
    await this.#quiet(ABORT_MS)
    for (const link of this.#links) link.destroy()
    await Promise.all(closing)
    this.#waiting.clear()
  }

  /** Resolves when no link is open, at the latest after `mostMs`. */
  #quiet(mostMs: number): Promise<void> {
    if (this.#links.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, mostMs)
      this.#onQuiet = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #keep<T extends Listener>(listener: T): T {
    this.#listeners.add(listener)
    return listener
  }

  #makeDoor(): Door {
    return {
      handshakeMs: this.#limits.handshakeMs,
      nowMs: () => this.#clock.monotonicMs(),
      admit: (address) => this.#admit(address),
      left: (count) => this.#peers.removeLink(count),
      open: (socket, peer, count, acceptedMs) => this.#open(socket, peer, count, acceptedMs),
      refused: (address, reason) =>
        this.#rareLog.warning(`refused ${address} ${reason}`, 'telepath.tls.refused', {address, reason}),
    }
  }

  #makeHost(): LinkHost {
    return {
      limits: this.#limits,
      log: this.#log,
      findSession: (id, group) => this.#findSession(id, group),
      join: (session, link) => this.#join(session, link),
      greet: (link, body) => this.#onGreeting(link, body),
      shareMessage: (iden, info) => this.#text.shareMessage(iden, info),
      reached: (limit, address) => this.#reached(limit, address),
      onIdle: (link) => {
        if (this.#stopping !== undefined) link.close()
      },
      onLinkClosed: (link, reason) => this.#onLinkClosed(link, reason),
    }
  }

  #admit(address: string): AddressCount | undefined {
    if (!this.#isReady || this.#stopping !== undefined) return undefined
    const {links, linksPerAddress} = this.#limits
    if (this.#peers.links >= links) this.#reached('links', address)
    else if (this.#peers.linksFrom(address) >= linksPerAddress) this.#reached('linksPerAddress', address)
    else return this.#peers.addLink(address)
    return undefined
  }

  #open(socket: Socket, peer: Peer, address: AddressCount, acceptedMs: number): void {
    const group = this.#peers.join(peer)
    const isKnown = group.sessions > 0
    const decoder = new Decoder({maxBytes: isKnown ? this.#limits.messageBytes : this.#limits.greetingBytes})
    const link = new ServerLink(this.#host, socket, {peer, address, group}, decoder)
    this.#links.add(link)
    if (isKnown) group.silent.add(link)
    else this.#waiting.add(link, acceptedMs + this.#limits.handshakeMs)
  }

  #onLate(link: ServerLink): void {
    if (link.isBusy) {
      this.#await(link)
      return
    }
    const {address} = link.peer
    this.#rareLog.warning('handshakeMs', 'telepath.limit', {limit: 'handshakeMs', address})
    link.destroy()
  }

  /** Gives a link that has no session the time to get one. */
  #await(link: ServerLink): void {
    this.#waiting.add(link, this.#clock.monotonicMs() + this.#limits.handshakeMs)
  }

  #settle(link: ServerLink): void {
    if (link.isSettled) return
    link.isSettled = true
    link.decoder.limits = {maxBytes: this.#limits.messageBytes}
    this.#waiting.delete(link)
    link.group.silent.delete(link)
  }

  #unsettle(link: ServerLink): void {
    if (link.isEnded || link.used.length > 0 || link.opened.length > 0) return
    link.isSettled = false
    if (link.group.sessions > 0) link.group.silent.add(link)
    else this.#await(link)
  }

  #findSession(id: Value, group: PeerGroup): Session | undefined {
    const session = typeof id === 'string' ? this.#sessions.get(id) : undefined
    return session?.group === group ? session : undefined
  }

  #join(session: Session, link: ServerLink): void {
    if (session.links.size >= this.#limits.linksPerSession) throw this.#reached('linksPerSession', link.peer.address)
    session.links.add(link)
    link.used.push(session)
    this.#settle(link)
  }

  #onGreeting(link: ServerLink, body: Body | undefined): void {
    let opened: Opened | Promise<Opened>
    const id = newGuid()
    try {
      const syn = readSyn(body)
      this.#reserve(link)
      opened = this.#ask(syn, link, id)
    } catch (error) {
      link.send(refusalMessage(error))
      return
    }
    if (!(opened instanceof Promise)) {
      this.#openSession(id, link, opened)
      return
    }
    link.begin()
    opened.then(
      (settled) => {
        this.#openSession(id, link, settled)
        link.done()
      },
      (error: unknown) => {
        this.#release(link, error)
        link.send(refusalMessage(error))
        link.done()
      },
    )
  }

  /** Counts a session that is about to be opened. */
  #reserve(link: ServerLink): void {
    const {sessionsPerLink, sessionsPerAddress} = this.#limits
    const {address} = link
    if (link.opened.length >= sessionsPerLink) throw this.#reached('sessionsPerLink', address.address)
    if (address.sessions >= sessionsPerAddress) throw this.#reached('sessionsPerAddress', address.address)
    address.sessions++
  }

  #release(link: ServerLink, error: unknown): void {
    link.address.sessions--
    if (!(error instanceof RegistryError)) this.#log.error('telepath.login.failed', {error})
  }

  #ask({name, path, auth}: Syn, link: ServerLink, id: string): Opened | Promise<Opened> {
    try {
      return this.#greet({name, path, auth, peer: link.peer}, id)
    } catch (error) {
      this.#release(link, error)
      throw error
    }
  }

  #openSession(id: string, link: ServerLink, opened: Opened): void {
    if (link.isEnded) {
      link.address.sessions--
      opened.closed?.()
      return
    }
    const session = new Session(id, link, opened)
    this.#sessions.set(id, session)
    link.opened.push(session)
    const {group} = link
    group.sessions++
    this.#settle(link)
    if (group.sessions === 1) this.#spare(group)
    link.send(this.#text.openedMessage(id, opened))
  }

  /** A peer has its first session: its other links may stay silent now. */
  #spare(group: PeerGroup): void {
    for (const link of this.#waiting.of(group)) {
      this.#waiting.delete(link)
      group.silent.add(link)
      link.decoder.limits = {maxBytes: this.#limits.messageBytes}
    }
  }

  #endSession(session: Session): void {
    if (session.isEnded) return
    this.#sessions.delete(session.id)
    const {control, group, links} = session
    control.address.sessions--
    group.sessions--
    remove(control.opened, session)
    session.end()
    for (const link of links) {
      remove(link.used, session)
      // Nobody is left to take the answer; this also ends what the call does.
      if (link.runningSession === session) link.destroy()
      this.#unsettle(link)
    }
    if (group.sessions > 0) return
    for (const link of group.silent) this.#await(link)
    group.silent.clear()
  }

  #onLinkClosed(link: ServerLink, reason: Error | undefined): void {
    this.#links.delete(link)
    this.#waiting.delete(link)
    link.group.silent.delete(link)
    this.#peers.leave(link.group)
    for (const session of link.used) session.links.delete(link)
    for (const session of [...link.opened]) this.#endSession(session)
    if (reason instanceof RegistryError) {
      const {address} = link.peer
      this.#rareLog.warning(`closed ${address}`, 'telepath.link.refused', {address, reason: reason.message})
    }
    if (this.#links.size === 0) this.#onQuiet?.()
  }

  #reached(limit: keyof DaemonLimits, address: string): RegistryError {
    const most = this.#limits[limit]
    this.#rareLog.warning(limit, 'telepath.limit', {limit, most, address})
    return new RegistryError('REG_BUSY', `the service has reached a limit: ${limit} is ${most}`, {info: {limit, most}})
  }
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at !== -1) list.splice(at, 1)
}
