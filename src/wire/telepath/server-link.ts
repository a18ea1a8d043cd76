import type {Socket} from 'node:net'
import {RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {Decoder} from '../msgpack/decode.ts'
import type {Value} from '../msgpack/value.ts'
import type {DaemonLimits} from './limits.ts'
import {Link, type LinkOwner, type MessageRoom} from './link.ts'
import {
  type Body,
  errorMessage,
  malformed,
  oldCallMessage,
  readMessage,
  readTodo,
  type Todo,
  valueMessage,
} from './messages.ts'
import type {AddressCount, PeerGroup} from './peer-table.ts'
import {sendStream} from './send-stream.ts'
import {ServerCall} from './server-call.ts'
import type {Session, SessionLink} from './session.ts'
import type {SessionTable} from './session-table.ts'
import type {Answer, Peer, Share, ShareInfo} from './share.ts'
import {noSuchMethod, noSuchObject, shareOf} from './unknown.ts'

/** What a link needs of the daemon. */
export interface LinkHost {
  readonly limits: DaemonLimits
  readonly log: Log
  readonly sessions: SessionTable
  /** Writes the answer that hands out a dynamic share. */
  shareMessage(iden: string, info: ShareInfo): Buffer
  /** Takes room for a message of the link, or gives it back. @throws RegistryError `REG_BUSY` when there is none */
  takeRoom(bytes: number, address: string): void
  /** Notes that a limit is reached, and gives the error for it. */
  reached(limit: keyof DaemonLimits, address: string): RegistryError
  /** A call or greeting is done that the link was held for. */
  onIdle(link: ServerLink): void
  onLinkClosed(link: ServerLink, reason: Error | undefined): void
}

/** Where a connection comes from, as the daemon counts it. */
export interface Origin {
  readonly peer: Peer
  readonly address: AddressCount
  readonly group: PeerGroup
}

/** A link at the server: runs one call after the other, in the order in which they came. */
export class ServerLink implements LinkOwner, MessageRoom, SessionLink {
  readonly peer: Peer
  readonly address: AddressCount
  readonly group: PeerGroup
  readonly decoder: Decoder
  readonly opened: Session[] = []
  readonly used: Session[] = []
  isSettled = false
  readonly #host: LinkHost
  readonly #link: Link
  #running: ServerCall | undefined
  #isBusy = false

  constructor(host: LinkHost, socket: Socket, origin: Origin, decoder: Decoder) {
    this.#host = host
    this.peer = origin.peer
    this.address = origin.address
    this.group = origin.group
    this.decoder = decoder
    this.#link = new Link(socket, {decoder, owner: this, room: this, pipelinedBytes: host.limits.pipelinedBytes})
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  get isEnded(): boolean {
    return this.#link.isEnded
  }

  get runningSession(): Session | undefined {
    return this.#running?.session
  }

  take(bytes: number): void {
    this.#host.takeRoom(bytes, this.peer.address)
  }

  send(message: Buffer): void {
    this.#link.send(message)
  }

  begin(): void {
    this.#isBusy = true
    this.#link.hold()
  }

  done(): void {
    this.#isBusy = false
    this.#running = undefined
    this.#host.onIdle(this)
    this.#link.release()
  }

  /** Sends what waits, then ends the link. */
  close(): void {
    this.#link.close()
  }

  destroy(reason?: Error): void {
    this.#link.destroy(reason)
  }

  /** Tells what runs that its time is over; its answer still counts. */
  abort(): void {
    this.#running?.abort()
  }

  onMessage(value: Value): void {
    const message = readMessage(value)
    switch (message.kind) {
      case 'call':
        this.#onCall(message.body)
        return
      case 'greeting':
        this.#host.sessions.onGreeting(this, message.body)
        return
      case 'share-end':
        this.#onShareEnd(message.iden)
        return
      case 'old-call':
        if (typeof message.task === 'string') this.send(oldCallMessage(message.task))
        return
      case 'end':
        this.close()
        return
      case 'junk':
        return
    }
  }

  onClosed(reason: Error | undefined): void {
    this.#running?.abort()
    this.#host.onLinkClosed(this, reason)
  }

  #onShareEnd(iden: Value): void {
    if (typeof iden === 'string') this.opened.some((session) => session.endShare(iden))
  }

  #onCall(body: Body | undefined): void {
    let session: Session
    let share: Share
    let todo: Todo
    try {
      if (body === undefined) throw malformed('t2:init has no body')
      session = this.#session(body)
      share = shareOf(session, body['name'])
      todo = readTodo(body['todo'])
      if (todo.method.startsWith('_')) throw noSuchMethod(share.info, todo.method)
    } catch (error) {
      this.send(errorMessage(error))
      return
    }
    this.#run(share, new ServerCall(todo, this.peer, session))
  }

  #session(body: Body): Session {
    const {sess, todo, name} = body
    const session = todo === undefined ? undefined : this.#host.sessions.find(sess, this.group)
    if (session === undefined) throw noSuchObject(name, 'the session is over, or was never there')
    if (!this.used.includes(session)) this.#host.sessions.join(session, this)
    return session
  }

  #run(share: Share, call: ServerCall): void {
    let answer: Answer | Promise<Answer>
    try {
      answer = share.call(call)
    } catch (error) {
      this.send(errorMessage(this.#noted(error, call)))
      return
    }
    if (answer instanceof Promise) this.#await(answer, call)
    else this.#answer(answer, call)
  }

  #await(answer: Promise<Answer>, call: ServerCall): void {
    this.begin()
    this.#running = call
    answer.then(
      (settled) => {
        this.#answer(settled, call)
        if (settled.kind !== 'stream') this.done()
      },
      (error: unknown) => {
        this.send(errorMessage(this.#noted(error, call)))
        this.done()
      },
    )
  }

  #answer(answer: Answer, call: ServerCall): void {
    switch (answer.kind) {
      case 'value':
        this.send(this.#encoded(answer.value))
        return
      case 'share':
        this.send(this.#shared(answer.share, answer.closed, call.session))
        return
      case 'stream':
        this.begin()
        this.#running = call
        void this.#stream(answer.items, call)
        return
    }
  }

  #encoded(value: Value): Buffer {
    try {
      return valueMessage(value)
    } catch (error) {
      return errorMessage(error)
    }
  }

  #shared(share: Share, closed: (() => void) | undefined, session: Session): Buffer {
    const {limits} = this.#host
    try {
      if (session.isEnded || this.isEnded) throw noSuchObject(null, 'the session is over')
      if (session.shareCount >= limits.sharesPerSession) throw this.#host.reached('sharesPerSession', this.peer.address)
      return this.#host.shareMessage(session.addShare(share, closed), share.info)
    } catch (error) {
      closed?.()
      return errorMessage(error)
    }
  }

  async #stream(items: AsyncIterable<Value>, call: ServerCall): Promise<void> {
    await sendStream(this.#link, items, call, (error) => this.#noted(error, call))
    this.done()
  }

  /** Writes into the log what is a mistake of ours and not an answer. */
  #noted(error: unknown, call: ServerCall): unknown {
    if (!(error instanceof RegistryError) && !call.isAborted && !this.isEnded) {
      this.#host.log.error('telepath.call.failed', {method: call.method.slice(0, 100), session: call.sessionId, error})
    }
    return error
  }
}
