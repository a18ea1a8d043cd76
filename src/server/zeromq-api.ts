import type {Need} from '../auth/need.ts'
import {type Clock, systemClock} from '../base/clock.ts'
import {encodeString, memberText} from '../base/json-text.ts'
import {reasonFor} from '../nexus/change-log.ts'
import type {Catalog} from '../registry/catalog.ts'
import type {Instance} from '../registry/instance.ts'
import {isObject} from '../registry/service.ts'
import type {Frame} from '../wire/zeromq/listener.ts'
import {
  decodeRequest,
  type Envelope,
  type Framing,
  failure,
  type Incoming,
  type Request,
  unwrap,
  unwrapHeartbeat,
} from '../wire/zeromq/messages.ts'
import {ListCache, listText} from './list-cache.ts'
import {ZEROMQ_METHODS, type ZeromqMethod} from './methods.ts'
import type {ZeromqAction, ZeromqRequest} from './mirroring/forwarded-call.ts'
import type {ZeromqLane} from './mirroring/zeromq-lane.ts'
import type {Registrar} from './registrar.ts'
import {type LineConnection, type ReplyLines, TOO_MANY} from './reply-line.ts'
import {EVENTS_PER_ANSWER, type ServiceEvents} from './service-events.ts'
import {
  DEREGISTERED,
  isAbsent,
  isCount,
  labelOf,
  READ_ONLY,
  refusalAnswer,
  registered,
  serviceId,
  shown,
} from './zeromq-answers.ts'
import {ZeromqDoor} from './zeromq-door.ts'

export interface ZeromqApiPorts {
  readonly catalog: Catalog
  readonly registrar: Registrar
  readonly lines: ReplyLines
  readonly clock?: Clock
  /** A number from 0 to below 1, for `discover`. */
  readonly random: () => number
  /** The fields of `info` that do not come from the catalog, as JSON members without braces. */
  readonly infoMembers: () => string
  /** What happened to the services, from the log. */
  readonly events: Pick<ServiceEvents, 'answer'>
  /** Stops the server after the answer; false when clients may not. */
  readonly terminate: () => boolean
  /** What each action asks of its caller; the table of methods unless given. */
  readonly methods?: Readonly<Record<ZeromqMethod, Need>>
  /** Why nothing is answered here: another member took the lead from this one. Undefined when it is answered. */
  readonly silence?: () => string | undefined
  /** Takes to the leader what only it can answer; undefined when this is the only member of the cell. */
  readonly lane?: Pick<ZeromqLane, 'isNeeded' | 'add'> | undefined
}

const RENEWED = '{"success":true,"message":"Service renewed successfully"}'
/** What a registry says of itself, whoever leads. */
const ALWAYS_ANSWERED: ReadonlySet<unknown> = new Set(['health', 'info', 'terminate'])
const NOT_RENEWED = failure('Service not found or could not be renewed')
const MAX_MESSAGE_BYTES = 1024 * 1024

type Read = (request: Request) => Frame
/** Never rejects. */
type SlowRead = (request: Request) => Promise<string>
/** `done` is called once, at once or later, with the answer. */
type Write = (request: Request, actor: string, done: (answer: string) => void) => void

/**
 * Answers the ZeroMQ protocol: a message in, domain calls, an answer out, in the words of the Python server. What a client sends can be
 * refused but never goes without an answer, if an answer can be addressed at all.
 */
export class ZeromqApi {
  readonly #ports: ZeromqApiPorts
  readonly #clock: Clock
  readonly #lists: ListCache
  /** Messages that nobody could be answered for. */
  unanswerable = 0

  readonly #reads: ReadonlyMap<unknown, Read>
  readonly #writes: ReadonlyMap<unknown, Write>
  /** Reads that wait for the disk. */
  readonly #slowReads: ReadonlyMap<unknown, SlowRead>
  readonly #heartbeat: Read
  /** Resolves when all changes are over that `execute` has begun. */
  #begun: Promise<unknown> = Promise.resolve()

  constructor(ports: ZeromqApiPorts) {
    this.#ports = ports
    this.#clock = ports.clock ?? systemClock
    this.#lists = new ListCache(ports.catalog)
    const door = new ZeromqDoor(ports.methods ?? ZEROMQ_METHODS)
    this.#reads = new Map<unknown, Read>([
      ['renew', admitted(door, 'renew', (request) => this.#renew(request))],
      ['get', admitted(door, 'get', (request) => this.#get(request))],
      ['list', admitted(door, 'list', (request) => this.#list(request))],
      ['discover', admitted(door, 'discover', (request) => this.#discover(request))],
      ['health', admitted(door, 'health', () => this.#health())],
      ['info', admitted(door, 'info', (request) => this.#info(request))],
      ['terminate', admitted(door, 'terminate', () => this.#terminate())],
    ])
    this.#writes = new Map<unknown, Write>([
      ['register', admittedWrite(door, 'register', (request, actor, done) => this.#register(request, actor, done))],
      [
        'deregister',
        admittedWrite(door, 'deregister', (request, actor, done) => this.#deregister(request, actor, done)),
      ],
    ])
    this.#slowReads = new Map<unknown, SlowRead>([
      ['events', admittedSlow(door, 'events', (request) => this.#events(request))],
    ])
    this.#heartbeat = admitted(door, 'heartbeat', (request) => this.#renew(request))
  }

  /** The actions that are answered. */
  get actions(): readonly unknown[] {
    return [...this.#reads.keys(), ...this.#slowReads.keys(), ...this.#writes.keys()]
  }

  /** Takes a message of the request port. */
  onRequest(from: LineConnection, frames: readonly Buffer[], envelope: Envelope): void {
    const incoming = unwrap(frames, envelope)
    if (incoming === undefined) {
      this.unanswerable += 1
      return
    }
    const request = decodeRequest(incoming.payload, MAX_MESSAGE_BYTES)
    if ('error' in request) this.#ports.lines.add(from, incoming.framing, failure(request.error))
    else this.#dispatch(from, incoming.framing, request)
  }

  /** Takes a message of the heartbeat port: whatever names a service renews it. */
  onHeartbeat(from: LineConnection, frames: readonly Buffer[]): void {
    const incoming = unwrapHeartbeat(frames)
    if (incoming === undefined) {
      this.unanswerable += 1
      return
    }
    const request = decodeRequest(incoming.payload, MAX_MESSAGE_BYTES)
    const silence = this.#ports.silence?.()
    if ('error' in request) this.#ports.lines.add(from, incoming.framing, failure(request.error))
    else if (silence !== undefined) this.#ports.lines.add(from, incoming.framing, failure(silence))
    else if (this.#isUnknownHere(request)) this.#ask(from, incoming.framing, 'renew', request)
    else this.#ports.lines.add(from, incoming.framing, this.#heartbeat(request))
  }

  /** Does what a client of another member asked there, and gives the answer. A change is begun before this returns. */
  async execute({action, text, actor}: ZeromqRequest): Promise<string> {
    const request = decodeRequest(Buffer.from(text), MAX_MESSAGE_BYTES)
    if ('error' in request) return failure(request.error)
    const write = this.#writes.get(action)
    if (write !== undefined) {
      const answer = new Promise<string>((resolve) => write(request, actor, resolve))
      this.#begun = Promise.all([this.#begun, answer])
      return await answer
    }
    const answer = this.#renew(request)
    if (answer !== NOT_RENEWED) return answer
    await this.#begun // its registration may be under way
    return this.#renew(request)
  }

  /** Answers a message that is over a limit, without reading it. */
  refuse(incoming: Incoming | undefined, from: LineConnection, error: string): void {
    if (incoming === undefined) this.unanswerable += 1
    else this.#ports.lines.add(from, incoming.framing, failure(error))
  }

  #dispatch(from: LineConnection, framing: Framing, request: Request): void {
    const {lines} = this.#ports
    const {action} = request.body
    const silence = this.#silence(action)
    if (silence !== undefined) {
      lines.add(from, framing, failure(silence))
      return
    }
    const read = this.#reads.get(action)
    if (action === 'renew' && this.#isUnknownHere(request)) {
      this.#ask(from, framing, 'renew', request)
      return
    }
    if (read !== undefined) {
      lines.add(from, framing, lines.isWaiting(from) ? () => this.#late(request, read) : read(request))
      return
    }
    const write = this.#writes.get(action)
    const slowRead = this.#slowReads.get(action)
    if (write !== undefined) {
      this.#change(from, framing, request, write)
    } else if (slowRead !== undefined) {
      this.#reserved(from, framing, (done) => {
        void slowRead(request).then((answer) => done(this.#late(request, () => answer)))
      })
    } else {
      const error = isAbsent(action) ? 'Missing required field: action' : `Unknown action: ${shown(action)}`
      lines.add(from, framing, failure(error))
    }
  }

  #change(from: LineConnection, framing: Framing, request: Request, write: Write): void {
    const action = request.body['action'] === 'register' ? 'register' : 'deregister'
    if (this.#ports.lane?.isNeeded) this.#ask(from, framing, action, request)
    else this.#reserved(from, framing, (done) => write(request, actorOf(from), done))
  }

  /** Begins what is answered later, in its place. */
  #reserved(from: LineConnection, framing: Framing, begin: (done: (answer: Frame) => void) => void): void {
    const {lines} = this.#ports
    if (lines.isFull(from)) {
      lines.add(from, framing, TOO_MANY)
      return
    }
    const slot = lines.reserve(from, framing)
    begin((answer) => lines.settle(slot, answer))
  }

  /** Why an action is not answered here now. */
  #silence(action: unknown): string | undefined {
    return ALWAYS_ANSWERED.has(action) ? undefined : this.#ports.silence?.()
  }

  /** Answers what waited: meanwhile another member may have taken the lead. */
  #late(request: Request, answer: Read): Frame {
    const silence = this.#silence(request.body['action'])
    return silence === undefined ? answer(request) : failure(silence)
  }

  /** Tells whether only the leader knows if there is such a service to renew. */
  #isUnknownHere(request: Request): boolean {
    const {lane, catalog} = this.#ports
    if (lane?.isNeeded !== true) return false
    const id = serviceId(request)
    return typeof id === 'string' && catalog.get(id) === undefined
  }

  /** Has the leader answer. */
  #ask(from: LineConnection, framing: Framing, action: ZeromqAction, {text}: Request): void {
    this.#reserved(from, framing, (done) => this.#ports.lane?.add({action, text, actor: actorOf(from)}, done))
  }

  #register(request: Request, actor: string, done: (answer: string) => void): void {
    const {registrar} = this.#ports
    const {body} = request
    if (!Object.hasOwn(body, 'service_info')) {
      done(failure('Missing required field: service_info'))
      return
    }
    const value = body['service_info']
    if (!isObject(value)) {
      done(failure('Invalid value: service_info must be an object'))
      return
    }
    const info = {value, text: memberText(request.text, 'service_info') ?? '{}', ttl: body['ttl']}
    const begun = registrar.register(info, actor, (error) => {
      done(error === undefined ? registered(sent) : failure(`Failed to register service: ${reasonFor(error)}`))
    })
    // The id goes back as it was sent: a number stays a number.
    const sent =
      'id' in begun ? (typeof value['id'] === 'number' && value['id'] !== 0 ? begun.id : encodeString(begun.id)) : ''
    if ('kind' in begun) done(refusalAnswer(begun, 'register'))
  }

  #deregister(request: Request, actor: string, done: (answer: string) => void): void {
    const {registrar} = this.#ports
    const id = serviceId(request)
    if (typeof id !== 'string') {
      done(id.answer)
      return
    }
    const refusal = registrar.deregister(id, actor, (error) => {
      done(error === undefined ? DEREGISTERED : failure(`Failed to deregister service: ${reasonFor(error)}`))
    })
    if (refusal !== undefined) done(refusalAnswer(refusal, 'deregister'))
  }

  #renew(request: Request): string {
    const id = serviceId(request)
    if (typeof id !== 'string') return id.answer
    const {registrar} = this.#ports
    return registrar.renew(id) ? RENEWED : registrar.isGuest(id) ? READ_ONLY : NOT_RENEWED
  }

  #get(request: Request): Frame {
    const id = serviceId(request)
    if (typeof id !== 'string') return id.answer
    const instance = this.#ports.catalog.get(id)
    return instance === undefined ? failure('Service not found') : `{"success":true,"service":${instance.text()}}`
  }

  #list({body}: Request): Frame {
    const {catalog} = this.#ports
    const label = labelOf(body['service_type'])
    const {name, tag} = body
    if (typeof name !== 'string' && typeof tag !== 'string') return this.#lists.answer(label)
    const wanted = [label, typeof tag === 'string' ? tag : undefined].flatMap((key) =>
      key === undefined ? [] : [catalog.labelled(key)],
    )
    const named = typeof name === 'string' ? [...catalog.named(name)].sort((a, b) => a.seq - b.seq) : undefined
    const candidates: Iterable<Instance> = named ?? wanted[0]?.members() ?? []
    const matching = [...candidates].filter((instance) => wanted.every((group) => group?.has(instance) === true))
    return `{"success":true,"services":${listText(matching)}}`
  }

  #discover({body}: Request): Frame {
    const type = labelOf(body['service_type'])
    if (type === undefined) return failure('Missing required field: service_type')
    const tag = typeof body['tag'] === 'string' ? body['tag'] : undefined
    const instance = this.#ports.catalog.pick(type, tag, this.#ports.random)
    if (instance !== undefined) return `{"success":true,"service":${instance.text()}}`
    return failure(`No healthy service of type ${type} found`)
  }

  #health(): Frame {
    const timestampS = Math.floor(this.#clock.wallMs() / 1000)
    const {problem} = this.#ports.registrar
    const text =
      problem === undefined
        ? ''
        : `,"problem":${encodeString(problem.isWait ? problem.reason : `changes are refused: ${problem.reason}`)}`
    return `{"success":true,"status":"${problem === undefined ? 'ok' : 'degraded'}","timestamp":${timestampS}${text}}`
  }

  #info({body}: Request): Frame {
    const {problem} = this.#ports.registrar
    const services = body['services'] === false ? '' : `,"services":${listText(this.#ports.catalog.all())}`
    return `{"success":true,"status":"${problem === undefined ? 'ok' : 'degraded'}",${this.#ports.infoMembers()}${services}}`
  }

  async #events({body}: Request): Promise<string> {
    const {since, limit = EVENTS_PER_ANSWER} = body
    if (since === undefined) return failure('Missing required field: since')
    if (!isCount(since, 0)) return failure('Invalid value: since must be an offset of the change log')
    if (!isCount(limit, 1)) return failure('Invalid value: limit must be a number from 1 on')
    return await this.#ports.events.answer(since, Math.min(limit, EVENTS_PER_ANSWER))
  }

  #terminate(): Frame {
    if (!this.#ports.terminate()) {
      return failure('terminate is not allowed: set the option zmq:allow:terminate, or stop the registry with SIGTERM')
    }
    return `{"success":true,"status":"terminating","timestamp":${this.#clock.wallMs() / 1000}}`
  }
}

function admitted(door: ZeromqDoor, method: ZeromqMethod, read: Read): Read {
  const refusal = door.refusal(method)
  if (refusal === undefined) return read
  const answer = failure(refusal)
  return () => answer
}

function admittedWrite(door: ZeromqDoor, method: ZeromqMethod, write: Write): Write {
  const refusal = door.refusal(method)
  return refusal === undefined ? write : (_request, _actor, done) => done(failure(refusal))
}

function admittedSlow(door: ZeromqDoor, method: ZeromqMethod, read: SlowRead): SlowRead {
  const refusal = door.refusal(method)
  return refusal === undefined ? read : async () => failure(refusal)
}

function actorOf(from: LineConnection): string {
  return `zmq:anon/${from.id}`
}
