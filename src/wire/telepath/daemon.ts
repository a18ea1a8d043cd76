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
import type {Log} from '../../base/log.ts'
import {Decoder} from '../msgpack/decode.ts'
import {DAEMON_LIMITS, type DaemonLimits} from './limits.ts'
import {type Door, type Listener, type ListenTls, listenTcp, listenTls, listenUnix, type TlsListener} from './listen.ts'
import {type AddressCount, PeerTable} from './peer-table.ts'
import {RareLog} from './rare-log.ts'
import {type LinkHost, ServerLink} from './server-link.ts'
import type {SessionInfo, SessionLink} from './session.ts'
import {SessionTable} from './session-table.ts'
import type {Greet, Peer} from './share.ts'
import {ShareText} from './share-text.ts'
import {SilentLinks} from './silent-links.ts'

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
  readonly #peers = new PeerTable()
  readonly #links = new Set<ServerLink>()
  readonly #listeners = new Set<Listener>()
  readonly #silent: SilentLinks
  readonly #sessions: SessionTable
  readonly #host: LinkHost
  readonly #door: Door
  /** Of messages that have not all come. */
  #largeBytes = 0
  #isReady = true
  #stopping: Promise<void> | undefined
  #onQuiet: (() => void) | undefined

  constructor(options: DaemonOptions) {
    this.#limits = {...DAEMON_LIMITS, ...options.limits}
    this.#clock = options.clock ?? systemClock
    this.#log = options.log
    this.#rareLog = new RareLog(options.log, this.#clock)
    const text = new ShareText(options.synapseVersion)
    this.#silent = new SilentLinks(this.#clock, this.#limits.handshakeMs, (link) => this.#onLate(link))
    this.#sessions = new SessionTable({
      greet: options.greet,
      limits: this.#limits,
      log: options.log,
      text,
      silent: this.#silent,
      reached: (limit, address) => this.#reached(limit, address),
      nowMs: () => this.#clock.monotonicMs(),
    })
    this.#host = this.#makeHost(text)
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
    return this.#sessions.list()
  }

  /** Links that are open, those in their TLS handshake included. */
  get linkCount(): number {
    return this.#peers.links
  }

  /** Cuts the links of a session, which ends it. Does nothing when there is none. */
  closeSession(id: string): void {
    this.#sessions.close(id)
  }

  /** Cuts the links of all sessions of a user. */
  closeSessionsOf(userIden: string): void {
    this.#sessions.closeAllOf(userIden)
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
    this.#silent.clear()
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

  #makeHost(text: ShareText): LinkHost {
    return {
      limits: this.#limits,
      log: this.#log,
      sessions: this.#sessions,
      shareMessage: (iden, info) => text.shareMessage(iden, info),
      takeRoom: (bytes, address) => this.#takeRoom(bytes, address),
      reached: (limit, address) => this.#reached(limit, address),
      onIdle: (link) => {
        if (this.#stopping !== undefined) link.close()
      },
      onLinkClosed: (link, reason) => this.#onLinkClosed(link, reason),
    }
  }

  #takeRoom(bytes: number, address: string): void {
    if (bytes > 0 && this.#largeBytes + bytes > this.#limits.largeBytes) throw this.#reached('largeBytes', address)
    this.#largeBytes += bytes
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
    // Its TLS handshake may have taken until after the end.
    if (!this.#isReady || this.#stopping !== undefined) {
      socket.destroy()
      return
    }
    const group = this.#peers.join(peer)
    const isKnown = group.sessions > 0
    const decoder = new Decoder({maxBytes: isKnown ? this.#limits.messageBytes : this.#limits.greetingBytes})
    const link = new ServerLink(this.#host, socket, {peer, address, group}, decoder)
    this.#links.add(link)
    this.#silent.add(link, acceptedMs)
  }

  #onLate(link: SessionLink): void {
    this.#reached('handshakeMs', link.peer.address)
    link.destroy()
  }

  #onLinkClosed(link: ServerLink, reason: Error | undefined): void {
    this.#links.delete(link)
    this.#silent.delete(link)
    this.#peers.leave(link.group)
    this.#sessions.onLinkClosed(link)
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
