import type {Clock} from '../base/clock.ts'
import type {Connection, Frame} from '../wire/zeromq/listener.ts'
import {type Framing, wrap} from '../wire/zeromq/messages.ts'

/**
 * Keeps the answers of one connection in the order of its requests, and none of them late.
 *
 * A line exists only while something of its connection waits for the disk. Behind a waiting change, further changes are begun at once
 * and wait for their turn to answer; a read is put off until all before it are answered, so that it sees what its own client wrote.
 */
export type ReplyLine = Slot[]

/** One answer that is due; `answer` is what is known of it so far. */
export interface Slot {
  readonly from: LineConnection
  readonly framing: Framing
  /** A text: ready. A function: a read that is done when its turn comes. Undefined: a change that is under way. */
  answer: Frame | (() => Frame) | undefined
  readonly dueMs: number
}

/** Gives up on what the disk has not confirmed in time, so that no answer is taken for that of a later request. */
const NOT_CONFIRMED = '{"success":false,"error":"not confirmed, ask again"}'

/**
 * Requests that one connection may have outstanding. What comes beyond it is refused in its place: a place in the line is small, and none
 * waits longer than `zmq:reply:within`, while an answer left out would make all later ones belong to the wrong requests.
 */
const LINE_MAX = 1024
/** Refuses what is beyond the limit. */
export const TOO_MANY = '{"success":false,"error":"too many requests outstanding, ask again"}'

export type LineConnection = Connection<ReplyLine>

export class ReplyLines {
  readonly #clock: Clock
  /** Latest moment of an answer after its request. */
  withinMs: number
  /** The changes under way, the oldest first: they were all given the same time. */
  readonly #waiting = new Set<Slot>()
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, withinMs: number) {
    this.#clock = clock
    this.withinMs = withinMs
  }

  /** True while answers of this connection are outstanding. */
  isWaiting(from: LineConnection): boolean {
    return from.state !== undefined && from.state.length > 0
  }

  isFull(from: LineConnection): boolean {
    return from.state !== undefined && from.state.length >= LINE_MAX
  }

  /** Puts an answer, or the read that will make it, at the end of the line. */
  add(from: LineConnection, framing: Framing, answer: Frame | (() => Frame)): void {
    const line = from.state
    if (line === undefined || line.length === 0) send(from, framing, typeof answer === 'function' ? answer() : answer)
    else line.push({from, framing, answer: line.length < LINE_MAX ? answer : TOO_MANY, dueMs: 0})
  }

  /** Reserves the place of a change that is under way. */
  reserve(from: LineConnection, framing: Framing): Slot {
    const slot: Slot = {from, framing, answer: undefined, dueMs: this.#clock.monotonicMs() + this.withinMs}
    from.state ??= []
    from.state.push(slot)
    this.#waiting.add(slot)
    if (this.#timer === undefined) this.#arm()
    return slot
  }

  /** Gives a reserved place its answer, unless its time ran out before. */
  settle(slot: Slot, answer: Frame): void {
    if (!this.#waiting.delete(slot)) return
    slot.answer = answer
    drain(slot.from)
  }

  /** Answers whatever still waits and stops the timer. */
  close(): void {
    clearTimeout(this.#timer)
    for (const slot of this.#waiting) this.settle(slot, NOT_CONFIRMED)
  }

  #arm(): void {
    const [first] = this.#waiting
    const inMs = first === undefined ? 0 : Math.max(1, first.dueMs - this.#clock.monotonicMs())
    this.#timer = first === undefined ? undefined : setTimeout(() => this.#expire(), inMs)
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const slot of this.#waiting) {
      if (slot.dueMs > nowMs) break
      this.settle(slot, NOT_CONFIRMED)
    }
    this.#arm()
  }
}

function drain(from: LineConnection): void {
  const line = from.state
  if (line === undefined) return
  let done = 0
  for (const slot of line) {
    if (slot.answer === undefined) break
    send(from, slot.framing, typeof slot.answer === 'function' ? slot.answer() : slot.answer)
    done += 1
  }
  line.splice(0, done)
}

function send(from: LineConnection, framing: Framing, answer: Frame): void {
  const frames = wrap(framing, answer)
  if (frames !== undefined) from.send(frames)
}
