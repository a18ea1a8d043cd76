import {RegistryError} from '../../base/errors.ts'
import {type Bounds, Reader, STARVED} from './reader.ts'
import {Scanner} from './scanner.ts'
import {MAX_DEPTH, type Value} from './value.ts'

/** What one message may have. Beyond it the message is refused, as soon as it says so. */
export interface Limits {
  /** Size in bytes, header included. */
  readonly maxBytes: number
  /** Elements, keys and values of all arrays and maps together, 4 194 304 when absent: empty maps take more memory than bytes. */
  readonly maxItems?: number
  /** Levels, 1024 when absent, and never more. */
  readonly maxDepth?: number
}

export interface DecoderOptions {
  /** Gives what it takes to write the same bytes again: `Float`, `RawText`, and a Map where an object would change the order. */
  readonly exact?: boolean
}

const DEFAULT_MAX_ITEMS = 2 ** 22
const NOTHING = Buffer.alloc(0)
/** Least room that is taken for a message that is not all there. */
const SMALLEST_ROOM = 512

/** Decodes are never interrupted: one reader serves all. */
const reader = new Reader()

/**
 * Makes values of the bytes of a stream, however they are cut.
 *
 *     decoder.push(chunk)
 *     for (let next = decoder.next(); next !== undefined; next = decoder.next()) use(next.value)
 *
 * A chunk is looked at in place, and may be used again when `next` has given undefined. A message that is not all there is kept and looked
 * at no more than twice, so that the work is proportional to the bytes, whoever sends them how. After an error the stream is to be closed: `next`
 * throws again.
 */
export class Decoder {
  #bounds: Bounds
  #bytes: Buffer = NOTHING
  /** Begin of the message that is next. */
  #at = 0
  #end = 0
  /** Whether the bytes are in a buffer of our own, with room at its end. */
  #isOwn = false
  /** There while a message is not whole. */
  #scanner: Scanner | undefined

  constructor(limits: Limits, options: DecoderOptions = {}) {
    this.#bounds = boundsOf(limits, options.exact ?? false)
  }

  /** Sets other limits, for all messages that `next` has not given yet. */
  set limits(limits: Limits) {
    this.#bounds = boundsOf(limits, this.#bounds.isExact)
  }

  /** Bytes that have come and are not decoded. */
  get pendingBytes(): number {
    return this.#end - this.#at
  }

  /** Throws away what has come and is not decoded; nothing is to be pushed after that. */
  clear(): void {
    this.#set(NOTHING, 0, false)
    this.#scanner = undefined
  }

  push(chunk: Uint8Array): void {
    if (this.#at === this.#end) this.#set(asBuffer(chunk), chunk.length, false)
    else this.#append(chunk)
  }

  /**
   * Gives the next value, or undefined when it has not all come.
   *
   * @throws RegistryError `REG_BAD_REQUEST` (`BadMesgFormat`) when it is not readable or beyond the limits
   */
  next(): {readonly value: Value} | undefined {
    if (this.#at === this.#end) return undefined
    const {maxBytes} = this.#bounds
    if (this.#scanner?.isWhole(this.#bytes, this.#at, this.#end, maxBytes) === false) return undefined
    try {
      const value = reader.read(this.#bytes, this.#at, this.#end, this.#bounds)
      this.#at = reader.at
      this.#scanner = undefined
      if (this.#at === this.#end) this.#set(NOTHING, 0, false)
      return {value}
    } catch (error) {
      if (error !== STARVED) throw error
      this.#await()
      return undefined
    }
  }

  /** Keeps the begin of a message until the rest comes. */
  #await(): void {
    const begun = this.#bytes.subarray(this.#at, this.#end)
    const room = Buffer.allocUnsafeSlow(Math.max(SMALLEST_ROOM, begun.length))
    room.set(begun)
    this.#set(room, begun.length, true)
    this.#scanner = new Scanner()
    this.#scanner.isWhole(room, 0, begun.length, this.#bounds.maxBytes)
  }

  #append(chunk: Uint8Array): void {
    const begun = this.#end - this.#at
    if (!this.#isOwn || this.#bytes.length - this.#end < chunk.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(SMALLEST_ROOM, begun * 2, begun + chunk.length))
      room.set(this.#bytes.subarray(this.#at, this.#end))
      this.#set(room, begun, true)
    }
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  #set(bytes: Buffer, end: number, isOwn: boolean): void {
    this.#bytes = bytes
    this.#at = 0
    this.#end = end
    this.#isOwn = isOwn
  }
}

/** Decodes bytes that are one value and nothing else. Throws as `Decoder.next`, and when bytes are missing or left over. */
export function decode(bytes: Uint8Array, options: DecoderOptions = {}): Value {
  const decoder = new Decoder({maxBytes: Number.MAX_SAFE_INTEGER}, options)
  decoder.push(bytes)
  const next = decoder.next()
  if (next !== undefined && decoder.pendingBytes === 0) return next.value
  throw new RegistryError('REG_BAD_REQUEST', 'the bytes are not one message', {telepath: 'BadMesgFormat'})
}

function boundsOf({maxBytes, maxItems, maxDepth}: Limits, isExact: boolean): Bounds {
  return {maxBytes, maxItems: maxItems ?? DEFAULT_MAX_ITEMS, maxDepth: maxDepth ?? MAX_DEPTH, isExact}
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
}
