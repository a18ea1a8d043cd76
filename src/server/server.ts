import {setTimeout} from 'node:timers/promises'
import {LeaseClock, systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {encodeString} from '../base/json-text.ts'
import type {Log} from '../base/log.ts'
import {packageVersion} from '../base/package-root.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import {LogReaders} from '../nexus/log-reader.ts'
import {placeLabel} from '../registry/bridge.ts'
import {Catalog} from '../registry/catalog.ts'
import type {Strategy} from '../registry/group.ts'
import {Instance} from '../registry/instance.ts'
import {LeaseWheel} from '../registry/lease.ts'
import {readStoredService} from '../registry/service.ts'
import type {Store, StoreHead} from '../store/store.ts'
import type {Listener, ListenLimits, Publisher} from '../wire/zeromq/listener.ts'
import {type Envelope, unwrap, unwrapHeartbeat} from '../wire/zeromq/messages.ts'
import {publish} from '../wire/zeromq/publisher.ts'
import {listen} from '../wire/zeromq/router-listener.ts'
import {forOption} from './for-option.ts'
import type {Frozen} from './freezer.ts'
import {Guests} from './guests.ts'
import type {ZeromqRequest} from './mirroring/forwarded-call.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import type {Mirroring} from './mirroring/mirroring.ts'
import {type RoleKeeper, silenceOf} from './mirroring/role.ts'
import {ZeromqLane} from './mirroring/zeromq-lane.ts'
import {Registrar} from './registrar.ts'
import {RegistryDesk} from './registry-desk.ts'
import {type ReplyLine, ReplyLines} from './reply-line.ts'
import {EVENT_READERS, ServiceEvents} from './service-events.ts'
import {Sweeper, type SweepMode} from './sweeper.ts'
import {ZeromqApi} from './zeromq-api.ts'

/** Longest step of the lease clock: a pause of the process beyond it is given back to the leases. */
const MAX_CLOCK_GAP_MS = 500

/** What a running server is made of; `serve.ts` makes it of the configuration. */
export interface ServerSettings extends Reloadable {
  /** Address of the ZeroMQ listeners. */
  readonly bind: string
  /** 0 takes a free one, null has none. */
  readonly ports: Ports
  readonly limits: Omit<ListenLimits, 'messagesPerS'>
  readonly pubHwm: number
  readonly uniqueTypes: boolean
  readonly bridge: {
    /** `bridge:zmq:to:aha` */
    readonly toAha: boolean
    /** `bridge:aha:to:zmq` */
    readonly toZeromq: boolean
  }
  /** Called when a client that may do so asks the server to stop. */
  readonly onTerminate: () => void
  /** Called when a part fails for good and the server cannot go on. */
  readonly onFatal: (error: RegistryError) => void
}

/** What the server stands on; both stay with their owner. */
export interface ServerPorts {
  readonly store: Store
  /** What the store said when it was opened. */
  readonly head: StoreHead
  readonly changes: ChangeLog
  readonly mirroring: Mirroring
  /** Has the leader do what alters state, as long as this is a mirror; undefined when it never is one. */
  readonly forwarder?: Forwarder | undefined
  /** How long changes have still to wait, as they are frozen. */
  readonly frozen?: (() => Frozen | undefined) | undefined
}

/** What can be changed while the server runs. */
export interface Reloadable {
  readonly strategy: Strategy
  readonly graceMs: number
  readonly cleanupMs: number
  readonly replyWithinMs: number
  readonly messagesPerS: number
  /** Whether clients may stop the server. */
  readonly allowTerminate: boolean
}

/** `rep` is the request port for clients that want `REP`. */
export interface Ports {
  readonly req: number | null
  readonly pub: number | null
  readonly hb: number | null
  readonly rep: number | null
}

/**
 * A running registry on an opened store. Start: catalog from the store, sockets last. Stop, in reverse: no more messages in, what was
 * taken is answered, sockets, timers; the store stays with its owner.
 */
export class Server implements AsyncDisposable {
  readonly #settings: ServerSettings
  #live: Reloadable
  readonly #log: Log
  readonly #catalog: Catalog
  readonly #leaseClock = new LeaseClock(systemClock, MAX_CLOCK_GAP_MS)
  readonly #wheel = new LeaseWheel(this.#leaseClock.nowMs())
  readonly #registrar: Registrar
  readonly #lines: ReplyLines
  readonly #api: ZeromqApi
  readonly #guests: Guests
  /** A member that was kept from leading has nothing to say. */
  readonly #publish = (topic: string, body: string) => {
    if (silenceOf(this.#roles.role) === undefined) this.#publisher?.publish(topic, body)
  }
  readonly #desk: RegistryDesk
  readonly #sweeper: Sweeper
  readonly #store: Store
  readonly #changes: ChangeLog
  readonly #roles: RoleKeeper
  readonly #version = packageVersion()
  readonly #startedS = Math.floor(systemClock.wallMs() / 1000)
  /** Stored services with ids of AHA. */
  #hidden = 0
  #saveTimer: NodeJS.Timeout | undefined
  #listeners: Listener[] = []
  #publisher: Publisher | undefined
  #ports: Ports = {req: null, pub: null, hb: null, rep: null}
  readonly #limits: ListenLimits & {messagesPerS: number}
  #stopping: Promise<void> | undefined

  private constructor(ports: ServerPorts, settings: ServerSettings, log: Log) {
    this.#settings = settings
    this.#live = settings
    this.#limits = {...settings.limits, messagesPerS: settings.messagesPerS}
    this.#log = log
    this.#store = ports.store
    this.#changes = ports.changes
    this.#roles = ports.mirroring.roles
    this.#catalog = new Catalog(settings.strategy, settings.bridge.toAha ? placeLabel : undefined)
    this.#registrar = new Registrar(
      {
        store: ports.store,
        frozen: ports.frozen,
        log: ports.changes,
        catalog: this.#catalog,
        wheel: this.#wheel,
        leaseClock: this.#leaseClock,
        publish: this.#publish,
        onRenewed: (id, from) => ports.mirroring.renewals.note(id, from),
      },
      {
        nextSeq: ports.head.nextSeq,
        uniqueTypes: settings.uniqueTypes,
        hasGuests: settings.bridge.toZeromq,
      },
    )
    this.#guests = new Guests({
      catalog: this.#catalog,
      clock: systemClock,
      publish: this.#publish,
      takeSeq: () => this.#registrar.takeSeq(),
    })
    this.#desk = new RegistryDesk({
      catalog: this.#catalog,
      registrar: this.#registrar,
      infoMembers: () => this.#infoMembers(),
    })
    this.#lines = new ReplyLines(systemClock, settings.replyWithinMs)
    this.#api = new ZeromqApi({
      lane: ports.forwarder && this.#lane(ports.forwarder),
      catalog: this.#catalog,
      registrar: this.#registrar,
      lines: this.#lines,
      random: Math.random,
      infoMembers: () => this.#infoMembers(),
      events: new ServiceEvents({
        entries: new LogReaders({store: ports.store, changes: ports.changes}, EVENT_READERS),
        changes: ports.changes,
        isGuest: (id) => this.#registrar.isGuest(id),
      }),
      terminate: () => this.#terminate(),
      silence: () => silenceOf(this.#roles.role),
    })
    this.#sweeper = new Sweeper(
      {
        catalog: this.#catalog,
        wheel: this.#wheel,
        leaseClock: this.#leaseClock,
        registrar: this.#registrar,
        mode: () => sweepMode(ports.mirroring),
        onLostTime: (lostMs) => log.warning('clock.stood-still', {lostMs: Math.round(lostMs)}),
      },
      settings,
    )
    ports.mirroring.on({onRenewed: (ids, from) => this.#onRenewed(ids, from)})
    ports.mirroring.roles.onChange(({kind}) => {
      if (kind === 'leads') this.#registrar.grantAnew()
    })
  }

  /**
   * Starts on an open store.
   *
   * @throws RegistryError `REG_LISTEN_FAILED`, `REG_STORE_FAILED`, `REG_STORE_DAMAGED`; nothing is left running then.
   */
  static async start(ports: ServerPorts, settings: ServerSettings, log: Log): Promise<Server> {
    const server = new Server(ports, settings, log)
    await server.#load()
    try {
      await server.#listen()
    } catch (error) {
      await server.stop()
      throw error
    }
    server.#sweeper.start()
    server.#saveTimer = setInterval(() => server.#saveRenewals(), SAVE_EVERY_MS)
    return server
  }

  /** The services, for the methods of the cell. */
  get desk(): RegistryDesk {
    return this.#desk
  }

  /** All services that are visible; for reading. */
  get catalog(): Catalog {
    return this.#catalog
  }

  /** Where services of AHA are shown. */
  get guests(): Guests {
    return this.#guests
  }

  get ports(): Ports {
    return this.#ports
  }

  get size(): number {
    return this.#catalog.size
  }

  /** Services whose lease has ended, but which are not removed yet. */
  get critical(): number {
    return this.#catalog.critical
  }

  /** Does what a client of a mirror asked there, and gives the answer. A change is begun before this returns. */
  execute(request: ZeromqRequest): Promise<string> {
    return this.#api.execute(request)
  }

  /** Takes over what may change while the server runs. */
  reload(live: Reloadable): void {
    this.#live = live
    this.#catalog.strategy = live.strategy
    this.#limits.messagesPerS = live.messagesPerS
    this.#lines.withinMs = live.replyWithinMs
    this.#sweeper.reload(live)
  }

  /** Stops: answers what was taken, publishes what happened, saves the renewals. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #load(): Promise<void> {
    // After a start every lease counts in full: nothing alive may end because the registry was away.
    const nowMs = this.#leaseClock.nowMs()
    for await (const chunk of this.#store.instances()) {
      for (const stored of chunk) this.#loadOne(stored.seq, stored.service, stored.lastHeartbeatS, nowMs)
    }
    if (this.#hidden > 0) this.#log.warning('bridge.hidden', {services: this.#hidden})
  }

  #loadOne(seq: number, text: string, lastHeartbeatS: number, nowMs: number): void {
    try {
      const service = readStoredService(text)
      const instance = new Instance(service, seq, lastHeartbeatS, nowMs)
      if (this.#registrar.isGuest(service.id)) {
        // From a time without the bridge: it would pass for a service of AHA. It stays in the store.
        this.#hidden += 1
        this.#registrar.hide(instance)
        return
      }
      this.#catalog.put(instance, service.labels)
      this.#wheel.add(instance)
    } catch (error) {
      throw damaged(seq, this.#store.place, error)
    }
  }

  async #listen(): Promise<void> {
    const {ports} = this.#settings
    if (ports.pub !== null) this.#publisher = await forPort('pub', this.#openPublisher(ports.pub))
    const pub = this.#publisher?.port ?? null
    const hb = await forPort('hb', this.#open(ports.hb, 'heartbeat'))
    const rep = await forPort('rep', this.#open(ports.rep, 'rep'))
    // Last: who gets an answer to a request finds everything else open.
    this.#ports = {req: await forPort('req', this.#open(ports.req, 'envelope')), pub, hb, rep}
  }

  #openPublisher(port: number): Promise<Publisher> {
    const {bind, limits, pubHwm} = this.#settings
    const onFailed = (error: Error) => this.#fail(error)
    return publish({address: addressOf(bind, port), hwm: pubHwm, handshakeMs: limits.handshakeMs, onFailed})
  }

  async #open(port: number | null, kind: Envelope | 'heartbeat'): Promise<number | null> {
    if (port === null) return null
    const isHeartbeat = kind === 'heartbeat'
    const listener = await listen<ReplyLine>({
      address: addressOf(this.#settings.bind, port),
      limits: this.#limits,
      onMessage: isHeartbeat
        ? (from, frames) => this.#api.onHeartbeat(from, frames)
        : (from, frames) => this.#api.onRequest(from, frames, kind),
      onRefused: (from, frames) => {
        const incoming = isHeartbeat ? unwrapHeartbeat(frames) : unwrap(frames, kind)
        this.#api.refuse(incoming, from, 'too many requests, slow down')
      },
      onFailed: (error) => this.#fail(error),
    })
    this.#listeners.push(listener)
    return listener.port
  }

  #fail(error: Error): void {
    const text = `a ZeroMQ socket failed: ${error.message}`
    this.#settings.onFatal(new RegistryError('REG_LISTEN_FAILED', text, {cause: error}))
  }

  #lane(forwarder: Forwarder): ZeromqLane {
    return new ZeromqLane({
      forwarder,
      here: (request) => this.execute(request),
      withinMs: () => this.#lines.withinMs,
      nowMs: () => systemClock.monotonicMs(),
    })
  }

  #terminate(): boolean {
    if (this.#live.allowTerminate) this.#settings.onTerminate()
    return this.#live.allowTerminate
  }

  async #stop(): Promise<void> {
    this.#sweeper.stop()
    clearInterval(this.#saveTimer)
    for (const listener of this.#listeners) listener.pause()
    // What the disk has not confirmed by then is answered as not confirmed.
    await Promise.race([this.#changes.settled(), setTimeout(this.#live.replyWithinMs, undefined, {ref: false})])
    this.#lines.close()
    await this.#registrar.saveRenewals().catch((error: unknown) => this.#log.warning('renewals.not-saved', {error}))
    await Promise.all([...this.#listeners.map((listener) => listener.close()), this.#publisher?.close()])
  }

  #onRenewed(ids: readonly string[], from: string): void {
    for (const id of ids) this.#registrar.renew(id, from)
  }

  #saveRenewals(): void {
    this.#registrar.saveRenewals().catch((error: unknown) => this.#log.warning('renewals.not-saved', {error}))
  }

  #infoMembers(): string {
    const {req, pub, hb, rep} = this.#ports
    const trouble = this.#registrar.problem
    const since = trouble?.sinceMs === undefined ? '' : `,"problem_since":${Math.floor(trouble.sinceMs / 1000)}`
    const problem = trouble === undefined ? '' : `,"problem":${encodeString(trouble.reason)}${since}`
    const store = `{"kind":"${this.#store.kind}"${problem}}`
    const counts =
      `{"services":${this.#catalog.size},"critical":${this.#catalog.critical},"maintenance":${this.#catalog.maintained},"events_dropped":${this.#publisher?.dropped ?? 0},` +
      `"unanswerable":${this.#api.unanswerable}}`
    return (
      `"req_port":${req},"pub_port":${pub},"hb_port":${hb},"enforce_unique_service_types":${this.#settings.uniqueTypes},` +
      `"registry":{"version":"${this.#version}","pid":${process.pid},"started":${this.#startedS},"rep_port":${rep},` +
      `"strategy":"${this.#catalog.strategy}","lease_grace":${this.#live.graceMs / 1000},"store":${store},"counts":${counts}}`
    )
  }
}

const SAVE_EVERY_MS = 30_000

function sweepMode({roles, state}: Mirroring): SweepMode {
  if (roles.leads) return 'remove'
  return roles.role.kind === 'follows' && state.isLinked ? 'end' : 'stand'
}

function forPort<T>(name: keyof Ports, opening: Promise<T>): Promise<T> {
  return forOption(`zmq:${name}:port`, [`registry serve --zmq-${name}-port 0`, 'registry status'], opening)
}

function addressOf(bind: string, port: number): string {
  return `tcp://${bind.includes(':') ? `[${bind}]` : bind}:${port}`
}

function damaged(seq: number, place: string, cause: unknown): RegistryError {
  const text = `entry ${seq} in ${place} is not a service object`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {seq, place}, cause})
}
