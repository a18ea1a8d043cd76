/** A link as its client sees it: it asks, and takes the answers one by one. */
import type {Socket} from 'node:net'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {Decoder} from '../msgpack/decode.ts'
import type {Value} from '../msgpack/value.ts'
import {Link, type LinkOwner} from './link.ts'

/** Opens a connection to the peer: TLS done, the peer's certificate checked. Rejects with the signal's reason when that aborts. */
export type Dial = (signal: AbortSignal) => Promise<Socket>

export interface CallLinkOptions {
  /** Who is at the other end, for texts. */
  readonly peer: string
  readonly maxBytes: number
  /** Whether values are decoded such that they can be written again as they were. */
  readonly isExact?: boolean | undefined
  /** Says what an error of the socket means where it means more than that the link is gone: a certificate that the peer refused. */
  readonly explain?: ((error: Error) => RegistryError | undefined) | undefined
  /** Called once, when the link is over. */
  readonly onEnded: (link: CallLink, reason: RegistryError) => void
  /** Takes what comes while nothing is asked; without it that is a fault of the peer. */
  readonly onUnasked?: (message: Value) => void
}

interface Waiting {
  readonly resolve: (message: Value) => void
  readonly reject: (error: unknown) => void
}

export class CallLink implements LinkOwner {
  readonly #link: Link
  readonly #decoder: Decoder
  readonly #options: CallLinkOptions
  #waiting: Waiting | undefined
  /** Why it was cut by us. */
  #fault: unknown
  #ended: RegistryError | undefined

  constructor(socket: Socket, options: CallLinkOptions) {
    this.#options = options
    this.#decoder = new Decoder({maxBytes: options.maxBytes}, {exact: options.isExact ?? false})
    this.#link = new Link(socket, {decoder: this.#decoder, owner: this})
  }

  get isEnded(): boolean {
    return this.#link.isEnded
  }

  /** Sets how large a message of the peer may be from now on. */
  set maxBytes(maxBytes: number) {
    this.#decoder.limits = {maxBytes}
  }

  send(bytes: Buffer): void {
    this.#link.send(bytes)
  }

  /**
   * Waits for the next message. Until then nothing more is taken from the peer than fits in a small buffer. What came before the peer closed is
   * given first.
   *
   * @throws RegistryError `REG_LINK_CLOSED`, `REG_BAD_ANSWER`, or what `fail` was called with
   */
  next(): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#waiting = {resolve, reject}
      if (this.#ended === undefined && this.#fault === undefined) this.#link.release()
      else this.#giveRest()
    })
  }

  /** Ends the exchange: what comes from now on was not asked for. */
  settle(): void {
    if (!this.#link.isEnded) this.#link.release()
  }

  /** Closes a link on which nothing is under way. */
  close(): void {
    this.#link.close()
  }

  /** Cuts the link; who waits gets the error. */
  fail(error: unknown): void {
    this.#fault ??= error
    this.#link.destroy()
    this.#reject(error)
  }

  onMessage(message: Value): void {
    const waiting = this.#waiting
    if (waiting !== undefined) {
      this.#waiting = undefined
      this.#link.hold()
      waiting.resolve(message)
    } else if (this.#options.onUnasked !== undefined) this.#options.onUnasked(message)
    else this.fail(this.#badAnswer('it sent a message that was not asked for'))
  }

  onClosed(reason: Error | undefined): void {
    this.#ended = this.#explained(reason)
    if (this.#waiting !== undefined) this.#giveRest()
    this.#options.onEnded(this, this.#ended)
  }

  /** Gives what came before the end, then the end. */
  #giveRest(): void {
    const rest = this.#fault === undefined ? this.#takeRest() : undefined
    if (rest === undefined) {
      this.#reject(this.#fault ?? this.#ended)
      return
    }
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve(rest.value)
  }

  #takeRest(): {readonly value: Value} | undefined {
    try {
      return this.#decoder.next()
    } catch {
      return undefined // the link has ended, and why it did is said already
    }
  }

  #reject(error: unknown): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(error)
  }

  #explained(reason: Error | undefined): RegistryError {
    if (this.#fault instanceof RegistryError) return this.#fault
    // Only the decoder gives such a reason.
    if (reason instanceof RegistryError) return this.#badAnswer(reason.message, reason)
    const explained = reason && this.#options.explain?.(reason)
    if (explained) return explained
    const how = reason === undefined ? 'closed the connection' : `is gone: ${messageOf(reason)}`
    return new RegistryError('REG_LINK_CLOSED', `${this.#options.peer} ${how}`, {
      info: {peer: this.#options.peer},
      cause: reason,
    })
  }

  #badAnswer(why: string, cause?: unknown): RegistryError {
    return new RegistryError('REG_BAD_ANSWER', `${this.#options.peer}: ${why}`, {
      info: {peer: this.#options.peer},
      cause,
    })
  }
}
