import type {Clock} from '../../src/base/clock.ts'
import {LeaseClock} from '../../src/base/clock.ts'
import {ChangeLog, COMMIT_LIMITS, type LogHead, type Trouble} from '../../src/nexus/change-log.ts'
import {placeLabel} from '../../src/registry/bridge.ts'
import {Catalog} from '../../src/registry/catalog.ts'
import {LeaseWheel} from '../../src/registry/lease.ts'
import {Guests} from '../../src/server/guests.ts'
import {Registrar, type RegistrarPorts} from '../../src/server/registrar.ts'
import {type LineConnection, type ReplyLine, ReplyLines} from '../../src/server/reply-line.ts'
import {ZeromqApi, type ZeromqApiPorts} from '../../src/server/zeromq-api.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Store} from '../../src/store/store.ts'
import type {Frame} from '../../src/wire/zeromq/listener.ts'
import {type Envelope, failure} from '../../src/wire/zeromq/messages.ts'

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  nowMs: number
  /** How far somebody has set the wall clock away from where it was. */
  wallStepMs = 0
  constructor(nowMs = 1_800_000_000_000) {
    this.nowMs = nowMs
  }
  wallMs(): number {
    return this.nowMs + this.wallStepMs
  }
  monotonicMs(): number {
    return this.nowMs
  }
}

/** A peer without a socket: what is sent to it is kept. */
export class TestPeer implements LineConnection {
  readonly id: string
  state: ReplyLine | undefined = undefined
  readonly received: string[][] = []

  constructor(id = 'peer') {
    this.id = id
  }

  send(frames: readonly Frame[]): void {
    this.received.push(frames.map((frame) => Buffer.from(frame as string).toString()))
  }
}

export interface TestEvent {
  readonly topic: string
  readonly body: string
}

export interface ApiOptions {
  readonly store?: Pick<Store, 'append' | 'probe' | 'saveRenewals'>
  readonly uniqueTypes?: boolean
  /** Those of a cell, which other parts share; made on the store unless given. */
  readonly changes?: ChangeLog
  readonly clock?: FakeClock
  /** Directions of the bridge that the catalog is made for. */
  readonly bridge?: {readonly toAha: boolean; readonly toZeromq: boolean}
  readonly terminate?: () => boolean
  /** What actions ask of their callers, where it is not what the table says. */
  readonly methods?: ZeromqApiPorts['methods']
  /** Latest moment of an answer; none is early because the machine is busy unless it is given. */
  readonly replyWithinMs?: number
  /** Where requests go that only a leader can answer. */
  readonly lane?: ZeromqApiPorts['lane']
  /** Why nothing is answered. */
  readonly silence?: () => string | undefined
  /** What gives the events of the log; there is none unless given. */
  readonly events?: ZeromqApiPorts['events']
  /** Longest step of the lease clock. */
  readonly maxGapMs?: number
  /** Whether changes are frozen. */
  readonly frozen?: RegistrarPorts['frozen']
}

/** The server's inside without sockets and timers: messages in, answers and events out. */
export class TestApi {
  readonly clock: FakeClock
  readonly catalog: Catalog
  readonly guests: Guests
  readonly events: TestEvent[] = []
  readonly troubles: (Trouble | undefined)[] = []
  readonly changes: ChangeLog
  readonly registrar: Registrar
  readonly lines: ReplyLines
  readonly leaseClock: LeaseClock
  readonly wheel: LeaseWheel
  readonly api: ZeromqApi

  /** Makes one on an empty store in memory, unless another is given (and open). */
  static async start(options: ApiOptions = {}): Promise<TestApi> {
    return new TestApi({store: await TestApi.emptyStore(), ...options})
  }

  static async emptyStore(): Promise<Store> {
    const store = new MemoryStore()
    await store.open()
    return store
  }

  /** Makes one on an open store. */
  static on(options: ApiOptions & {readonly store: NonNullable<ApiOptions['store']>}): TestApi {
    return new TestApi(options)
  }

  private constructor(options: ApiOptions & {readonly store: NonNullable<ApiOptions['store']>}) {
    this.clock = options.clock ?? new FakeClock()
    this.catalog = new Catalog('random', options.bridge?.toAha ? placeLabel : undefined)
    this.leaseClock = new LeaseClock(this.clock, options.maxGapMs ?? 1e12)
    this.wheel = new LeaseWheel(this.leaseClock.nowMs())
    this.changes =
      options.changes ??
      new ChangeLog(options.store, {
        ...COMMIT_LIMITS,
        clock: this.clock,
        onTrouble: (trouble) => this.troubles.push(trouble),
      })
    this.registrar = new Registrar(
      {
        store: options.store,
        frozen: options.frozen,
        log: this.changes,
        catalog: this.catalog,
        wheel: this.wheel,
        leaseClock: this.leaseClock,
        clock: this.clock,
        publish: (topic, body) => this.events.push({topic, body}),
      },
      {nextSeq: 1, uniqueTypes: options.uniqueTypes ?? false, hasGuests: options.bridge?.toZeromq ?? false},
    )
    this.guests = new Guests({
      catalog: this.catalog,
      clock: this.clock,
      publish: (topic, body) => this.events.push({topic, body}),
      takeSeq: () => this.registrar.takeSeq(),
    })
    this.lines = new ReplyLines(
      {wallMs: Date.now, monotonicMs: () => performance.now()},
      options.replyWithinMs ?? 3_600_000,
    )
    this.api = new ZeromqApi({
      catalog: this.catalog,
      registrar: this.registrar,
      lines: this.lines,
      clock: this.clock,
      random: () => 0,
      infoMembers: () => '"req_port":1,"pub_port":2,"hb_port":3,"enforce_unique_service_types":false',
      events: options.events ?? {answer: async () => failure('there is no log')},
      terminate: options.terminate ?? (() => false),
      lane: options.lane,
      ...(options.methods === undefined ? {} : {methods: options.methods}),
      ...(options.silence === undefined ? {} : {silence: options.silence}),
    })
  }

  /** Sends a message and lets everything happen that it causes without the passing of time; gives what came back. */
  async exchange(
    peer: TestPeer,
    frames: readonly (string | Buffer)[],
    port: Envelope | 'hb' = 'envelope',
  ): Promise<string[][]> {
    const before = peer.received.length
    const buffers = frames.map((frame) => Buffer.from(frame as string))
    if (port === 'hb') this.api.onHeartbeat(peer, buffers)
    else this.api.onRequest(peer, buffers, port)
    await this.changes.settled()
    await settle()
    return peer.received.slice(before)
  }

  /** Sends one enveloped request and gives the answer's object. */
  async ask(request: object, peer = new TestPeer()): Promise<Record<string, unknown>> {
    const [answer] = await this.exchange(peer, ['REQ', JSON.stringify(request)])
    return JSON.parse(answer?.[1] ?? 'null')
  }

  /** Ends the lease of an entry and removes it, as the sweeper does. */
  async expire(id: string): Promise<void> {
    const instance = this.catalog.get(id)
    if (instance === undefined) throw new Error(`no entry ${id}`)
    this.catalog.setHealth(instance, 'critical')
    this.registrar.expire(instance, 'test', () => undefined)
    await this.changes.settled()
    await settle()
  }

  close(): void {
    this.changes.close()
    this.lines.close()
  }
}

/** Lets callbacks run that are due already. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** The end of a log of so many entries, for those who do not look at its hash. */
export function headAt(nextOffset: number): LogHead {
  return {nextOffset, epoch: 1, lastHash: '0'.repeat(64)}
}
