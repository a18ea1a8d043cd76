import type {Connection, Frame, ListenLimits} from './listener.ts'

/** Sends frames to the peer of that routing id. */
export type Outlet = (message: Frame[]) => void

/**
 * Remembers the peers of a ROUTER by routing id, at most `limits.connections`. Two generations: a peer seen is in the young one; when
 * that is half of the limit, it becomes the old one and the old one is forgotten. Cheaper than any list in order of use.
 */
export class Peers<State> {
  readonly #send: Outlet
  readonly #limits: ListenLimits
  #young = new Map<string, Peer<State>>()
  #old = new Map<string, Peer<State>>()

  constructor(limits: ListenLimits, send: Outlet) {
    this.#limits = limits
    this.#send = send
  }

  /** Gives the peer of this routing id, the same object as before if it is still remembered. */
  get(routingId: Buffer): Peer<State> {
    const key = routingId.toString('latin1')
    return this.#young.get(key) ?? this.#rejuvenate(key, routingId)
  }

  #rejuvenate(key: string, routingId: Buffer): Peer<State> {
    const peer = this.#old.get(key) ?? new Peer<State>(routingId, this.#limits, this.#send)
    if (this.#young.size >= this.#limits.connections / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, peer)
    return peer
  }
}

/** A peer with its allowance of messages: a bucket that is filled, and the clock read, only when it is found empty. */
export class Peer<State> implements Connection<State> {
  state: State | undefined = undefined
  readonly #routingId: Buffer
  readonly #send: Outlet
  /** The listener's own, so that a rate that is set anew holds for those who are connected, too. */
  readonly #limits: Pick<ListenLimits, 'messagesPerS'>
  #allowance: number
  #filledAtMs: number

  constructor(routingId: Buffer, limits: Pick<ListenLimits, 'messagesPerS'>, send: Outlet) {
    this.#routingId = routingId
    this.#send = send
    this.#limits = limits
    this.#allowance = limits.messagesPerS
    this.#filledAtMs = performance.now()
  }

  get id(): string {
    const text = this.#routingId.toString('latin1')
    return /^[\x20-\x7e]+$/.test(text) ? text : `0x${this.#routingId.toString('hex')}`
  }

  send(frames: readonly Frame[]): void {
    this.#send([this.#routingId, ...frames])
  }

  /** Takes one message out of the allowance; false when there is none left. */
  admit(): boolean {
    if (this.#allowance < 1 && !this.#refill()) return false
    this.#allowance--
    return true
  }

  #refill(): boolean {
    const nowMs = performance.now()
    const {messagesPerS} = this.#limits
    const gained = ((nowMs - this.#filledAtMs) / 1000) * messagesPerS
    this.#allowance = Math.min(this.#allowance + gained, messagesPerS)
    this.#filledAtMs = nowMs
    return this.#allowance >= 1
  }
}
