import {randomUUID} from 'node:crypto'
import {Dealer} from 'zeromq'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {followConnection, type Reach} from './monitor.ts'
import {isIpv6} from './open-socket.ts'

/**
 * What stands around the JSON: `envelope` for a request port of today (`REQ`, JSON; answered `RESPONSE` or, by CGSE 0.10 to 0.14, `REP`,
 * and JSON), `plain` for one that knows only REQ sockets (empty frame, JSON both ways), `bare` for a heartbeat port (JSON both ways).
 */
type ClientFraming = 'envelope' | 'plain' | 'bare'

export interface ClientSocketOptions {
  /** `tcp://HOST:PORT` */
  readonly address: string
  readonly framing: ClientFraming
  /** Begins the routing id, which the server may log; the rest is random and new for each connection. */
  readonly name?: string
}

export interface RequestOptions {
  /** From the call to the answer, waiting behind other requests included. */
  readonly timeoutMs: number
  /** Gives up when there is no connection for so long; as `timeoutMs` when absent, so that a server may come (back) meanwhile. */
  readonly connectMs?: number
  readonly signal?: AbortSignal
}

/** Requests that may wait behind the one that is on its way. */
const QUEUE_LIMIT = 1000
/** The longest answer taken, bytes: a list of a million services. */
const ANSWER_BYTES = 512 * 1024 * 1024

/**
 * Sends requests to one server and gives the answers. The protocol has no correlation ids: an answer belongs to the oldest request. So
 * one request is on its way at a time, the others wait; and after a request that was given up its connection is thrown away, with its
 * routing id, so that a late answer can never pass for the next one.
 *
 * Connects with the first request and keeps the process alive from then on, until it is closed.
 */
export class ClientSocket implements AsyncDisposable {
  readonly #options: ClientSocketOptions
  readonly #queue: Pending[] = []
  #current: Pending | undefined
  #line: Line | undefined
  #isClosed = false
  /** Lines that are being closed. */
  readonly #ending = new Set<Promise<void>>()

  constructor(options: ClientSocketOptions) {
    this.#options = options
  }

  /**
   * Sends the JSON text and gives that of the answer, not decoded.
   *
   * @throws RegistryError `REG_UNREACHABLE` when there is no connection, `REG_TIMED_OUT` when there is one but no answer,
   * `REG_BAD_ANSWER` when the answer is not framed as it should be, `REG_CANCELLED` when `signal` aborts or the socket is closed.
   */
  request(payload: string, options: RequestOptions): Promise<Buffer> {
    const pending = new Pending(payload, options, (error) => this.#giveUp(pending, error))
    if (this.#isClosed) pending.fail(closed())
    else if (options.signal?.aborted) pending.fail(cancelled(options.signal.reason))
    else if (this.#queue.length >= QUEUE_LIMIT) pending.fail(this.#timedOut(`${QUEUE_LIMIT} requests wait already`))
    else {
      this.#queue.push(pending)
      pending.start(() => this.#late(pending))
      this.#advance()
    }
    return pending.answer
  }

  /** Closes; requests that are under way fail with `REG_CANCELLED`. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    const given = [...(this.#current ? [this.#current] : []), ...this.#queue.splice(0)]
    this.#current = undefined
    for (const pending of given) pending.fail(closed())
    this.#dropLine()
    await Promise.all(this.#ending)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #advance(): void {
    if (this.#current || this.#isClosed) return
    this.#current = this.#queue.shift()
    if (!this.#current) return
    this.#line ??= new Line(this.#options, {
      onMessage: (frames) => this.#answered(frames),
      onReach: () => this.#watchReach(),
      onFailed: (error) => this.#failed(error),
    })
    this.#line.send(wrap(this.#current.payload, this.#options.framing))
    this.#watchReach()
  }

  #failed(error: unknown): void {
    if (this.#current)
      this.#giveUp(this.#current, this.#unreachable(error === undefined ? undefined : messageOf(error)))
    else this.#dropLine()
  }

  /** Runs the clock of `connectMs` for as long as there is no connection. */
  #watchReach(): void {
    const pending = this.#current
    if (!pending) return
    if (this.#line?.reach === 'zmtp') pending.isReached()
    else pending.isUnreached(() => this.#giveUp(pending, this.#unreachable()))
  }

  #answered(frames: Buffer[]): void {
    const pending = this.#current
    const payload = unwrap(frames, this.#options.framing)
    if (!pending)
      this.#dropLine() // an answer that nobody asked for: from here on the order is lost
    else if (!payload) this.#giveUp(pending, this.#badAnswer())
    else {
      this.#current = undefined
      pending.succeed(payload)
      this.#advance()
    }
  }

  #late(pending: Pending): void {
    const isConnected = this.#line?.reach === 'zmtp'
    this.#giveUp(pending, isConnected ? this.#timedOut(`within ${pending.timeoutMs} ms`) : this.#unreachable())
  }

  #giveUp(pending: Pending, error: RegistryError): void {
    pending.fail(error)
    if (pending === this.#current) {
      this.#current = undefined
      this.#dropLine()
      this.#advance()
    } else {
      const place = this.#queue.indexOf(pending)
      if (place >= 0) this.#queue.splice(place, 1)
    }
  }

  #dropLine(): void {
    if (!this.#line) return
    const ending = this.#line.close()
    this.#ending.add(ending)
    void ending.then(() => this.#ending.delete(ending))
    this.#line = undefined
  }

  get #where(): string {
    return this.#options.address.replace('tcp://', '')
  }

  #timedOut(detail: string): RegistryError {
    return new RegistryError('REG_TIMED_OUT', `no answer from ${this.#where}: ${detail}`, {
      info: {address: this.#options.address},
    })
  }

  #unreachable(detail = WHY_UNREACHED[this.#line?.furthest ?? 'nothing']): RegistryError {
    return new RegistryError('REG_UNREACHABLE', `no connection to ${this.#where}: ${detail}`, {
      info: {address: this.#options.address},
    })
  }

  #badAnswer(): RegistryError {
    return new RegistryError('REG_BAD_ANSWER', `the answer from ${this.#where} is not that of a service registry`, {
      info: {address: this.#options.address},
    })
  }
}

const WHY_UNREACHED: Readonly<Record<Reach, string>> = {
  nothing: 'nothing listens there, or no way leads there',
  tcp: 'what listens there does not speak ZeroMQ',
  zmtp: 'it was lost',
}

function closed(): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the connection to the registry was closed')
}

function cancelled(cause: unknown): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the request was cancelled', {cause})
}

function wrap(payload: string, framing: ClientFraming): string[] {
  if (framing === 'bare') return [payload]
  return [framing === 'envelope' ? 'REQ' : '', payload]
}

/** Gives the payload, or undefined when the frames are not those of an answer. */
function unwrap(frames: Buffer[], framing: ClientFraming): Buffer | undefined {
  if (framing === 'bare') return frames.length === 1 ? frames[0] : undefined
  const head = frames[0]?.toString('latin1')
  const isAnswer = framing === 'envelope' ? head === 'RESPONSE' || head === 'REP' : head === ''
  return isAnswer ? frames[1] : undefined
}

/** One request: its promise, and the clocks that may end it. Settles once; what comes later does nothing. */
class Pending {
  readonly payload: string
  readonly timeoutMs: number
  readonly answer: Promise<Buffer>
  readonly #connectMs: number
  readonly #signal: AbortSignal | undefined
  readonly #resolve: (answer: Buffer) => void
  readonly #reject: (error: RegistryError) => void
  readonly #onAbort: () => void
  #timer: NodeJS.Timeout | undefined
  #connectTimer: NodeJS.Timeout | undefined

  constructor(payload: string, options: RequestOptions, giveUp: (error: RegistryError) => void) {
    const {promise, resolve, reject} = Promise.withResolvers<Buffer>()
    this.payload = payload
    this.timeoutMs = options.timeoutMs
    this.answer = promise
    this.#connectMs = options.connectMs ?? options.timeoutMs
    this.#signal = options.signal
    this.#resolve = resolve
    this.#reject = reject
    this.#onAbort = () => giveUp(cancelled(this.#signal?.reason))
  }

  start(onLate: () => void): void {
    this.#timer = setTimeout(onLate, this.timeoutMs)
    this.#signal?.addEventListener('abort', this.#onAbort, {once: true})
  }

  isReached(): void {
    clearTimeout(this.#connectTimer)
    this.#connectTimer = undefined
  }

  isUnreached(onGivenUp: () => void): void {
    if (this.#connectMs < this.timeoutMs) this.#connectTimer ??= setTimeout(onGivenUp, this.#connectMs)
  }

  succeed(answer: Buffer): void {
    this.#stop()
    this.#resolve(answer)
  }

  fail(error: RegistryError): void {
    this.#stop()
    this.#reject(error)
  }

  #stop(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#connectTimer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}

interface LineListener {
  readonly onMessage: (frames: Buffer[]) => void
  readonly onReach: () => void
  /** The line is of no use any more; `error` is absent when it was the peer's fault. */
  readonly onFailed: (error: unknown) => void
}

/** One DEALER socket with its routing id, from its making until it is thrown away. Silent once it is closed. */
class Line {
  readonly #socket: Dealer
  readonly #listener: LineListener
  readonly #gone: Promise<void>
  #reach: Reach = 'nothing'
  #furthest: Reach = 'nothing'

  constructor(options: ClientSocketOptions, listener: LineListener) {
    this.#listener = listener
    this.#socket = new Dealer({
      routingId: `${options.name ?? 'registry-client'}-${randomUUID()}`,
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: ANSWER_BYTES,
      ipv6: isIpv6(options.address),
    })
    this.#gone = followConnection(this.#socket, {
      onReach: (reach) => this.#reached(reach),
      onBroken: () => this.#fail(undefined),
    })
    this.#read(options.address).catch((error) => this.#fail(error))
  }

  get reach(): Reach {
    return this.#reach
  }

  /** How far it ever came. */
  get furthest(): Reach {
    return this.#furthest
  }

  send(frames: string[]): void {
    this.#socket.send(frames).catch((error) => this.#fail(error))
  }

  close(): Promise<void> {
    this.#socket.close()
    return this.#gone
  }

  async #read(address: string): Promise<void> {
    this.#socket.connect(address)
    while (!this.#socket.closed) {
      const frames = await this.#socket.receive()
      if (!this.#socket.closed) this.#listener.onMessage(frames)
    }
  }

  #reached(reach: Reach): void {
    this.#reach = reach
    if (reach === 'zmtp' || (reach === 'tcp' && this.#furthest === 'nothing')) this.#furthest = reach
    if (!this.#socket.closed) this.#listener.onReach()
  }

  #fail(error: unknown): void {
    if (!this.#socket.closed) this.#listener.onFailed(error)
  }
}
