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
  readonly framing: Framing
  /** A text: ready. A function: a read that is done when its turn comes. Undefined: a change that is under way. */
  answer: Frame | (() => Frame) | undefined
  readonly dueMs: number
}

/** Gives up on what the disk has not confirmed in time, so that no answer is taken for that of a later request. */
export const NOT_CONFIRMED = '{"success":false,"error":"not confirmed, ask again"}'

/** Answers that one connection may have outstanding; beyond it requests are refused, and at twice the number dropped. */
const LINE_MAX = 1024

export type LineConnection = Connection<ReplyLine>

export class ReplyLines {
  readonly #clock: Clock
  /** Latest moment of an answer after its request. */
  withinMs: number
  readonly #waiting: {readonly from: LineConnection; readonly slot: Slot}[] = []
  #head = 0
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
    else if (line.length < 2 * LINE_MAX) line.push({framing, answer, dueMs: 0})
  }

  /** Reserves the place of a change that is under way. */
  reserve(from: LineConnection, framing: Framing): Slot {
    const slot: Slot = {framing, answer: undefined, dueMs: this.#clock.monotonicMs() + this.withinMs}
    from.state ??= []
    from.state.push(slot)
    this.#waiting.push({from, slot})
    if (this.#timer === undefined) this.#arm()
    return slot
  }

  /** Gives a reserved place its answer, unless its time ran out before. */
  settle(from: LineConnection, slot: Slot, answer: Frame): void {
    if (slot.answer !== undefined) return
    slot.answer = answer
    drain(from)
  }

  /** Answers whatever still waits and stops the timer. */
  close(): void {
    clearTimeout(this.#timer)
    for (const {from, slot} of this.#waiting.slice(this.#head)) this.settle(from, slot, NOT_CONFIRMED)
    this.#waiting.length = 0
    this.#head = 0
  }

  #arm(): void {
    const first = this.#firstWaiting()
    this.#timer =
      first === undefined
        ? undefined
        : setTimeout(() => this.#expire(), Math.max(1, first.slot.dueMs - this.#clock.monotonicMs()))
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs()
    for (
      let first = this.#firstWaiting();
      first !== undefined && first.slot.dueMs <= nowMs;
      first = this.#firstWaiting()
    ) {
      this.settle(first.from, first.slot, NOT_CONFIRMED)
    }
    this.#arm()
  }

  /** Passes over what has its answer; the array is cut now and then. */
  #firstWaiting(): {readonly from: LineConnection; readonly slot: Slot} | undefined {
    while (this.#waiting[this.#head]?.slot.answer !== undefined) this.#head += 1
    if (this.#head > 4096 || this.#head === this.#waiting.length) {
      this.#waiting.splice(0, this.#head)
      this.#head = 0
    }
    return this.#waiting[this.#head]
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
