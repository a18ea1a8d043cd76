import {isUtf8} from 'node:buffer'
import {tooLarge, unreadable} from './refusals.ts'
import {readShortText, SHORT_TEXT} from './short-texts.ts'
import {surrogateUtf8Read, surrogateUtf8Write} from './surrogates.ts'
import {Float, MAX_DEPTH, RawText, Timestamp, type Value} from './value.ts'

/** Thrown when the bytes end before the message does. It is one object, because making errors is slow. */
export const STARVED = new Error('the message is not all there yet')

/** Largest payload of an extension: integers of that many bytes are nobody's. */
const MAX_EXT_BYTES = 64 * 1024
/** Longest map that the peer's library reads. */
const MAX_MAP_SIZE = 2 ** 31 - 1
const TWO_32 = 2 ** 32
/** Of an unsigned integer with 64 bits, the upper half that keeps it safe. */
const MAX_SAFE_HIGH = 0x1fffff
/** A key that an object sorts before all others. */
const INDEX_KEY = /^(?:0|[1-9][0-9]{0,9})$/

export interface Bounds {
  readonly maxBytes: number
  readonly maxItems: number
  readonly maxDepth: number
  readonly isExact: boolean
}

/** Reads one value from bytes that are all in one piece. Keeps nothing between two values: one reader serves all links. */
export class Reader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  /** First byte that the message may not have. */
  #limit = 0
  #itemsLeft = 0
  #bounds: Bounds = {maxBytes: 0, maxItems: 0, maxDepth: 0, isExact: false}

  /** Where the value that was read last ends. */
  get at(): number {
    return this.#at
  }

  /**
   * Reads the value that begins at `from`.
   *
   * @throws STARVED when it goes on behind `end`; RegistryError `REG_BAD_REQUEST` when it is not readable or beyond the bounds
   */
  read(bytes: Buffer, from: number, end: number, bounds: Bounds): Value {
    this.#bytes = bytes
    this.#at = from
    this.#end = end
    this.#limit = from + bounds.maxBytes
    this.#itemsLeft = bounds.maxItems
    this.#bounds = bounds
    const value = this.#value(0)
    if (this.#at > this.#limit) throw tooLarge(bounds.maxBytes)
    return value
  }

  #value(depth: number): Value {
    const at = this.#at
    if (at >= this.#end) throw STARVED
    const head = this.#bytes[at] as number
    this.#at = at + 1
    if (head < 0x80) return head
    if (head < 0x90) return this.#map(head & 0x0f, depth + 1)
    if (head < 0xa0) return this.#array(head & 0x0f, depth + 1)
    if (head < 0xc0) return this.#text(head & 0x1f)
    if (head >= 0xe0) return head - 0x100
    return head < 0xca ? this.#plain(head) : head < 0xd4 ? this.#number(head) : this.#sized(head, depth + 1)
  }

  /** 0xc0 to 0xc9: constants, bytes, extensions with a size. */
  #plain(head: number): Value {
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#size8())
      case 0xc5:
        return this.#binary(this.#size16())
      case 0xc6:
        return this.#binary(this.#size32())
      case 0xc7:
        return this.#extension(this.#size8())
      case 0xc8:
        return this.#extension(this.#size16())
      case 0xc9:
        return this.#extension(this.#size32())
      default:
        throw unreadable('it has a byte that begins nothing')
    }
  }

  /** 0xca to 0xd3. */
  #number(head: number): Value {
    switch (head) {
      case 0xca:
        return this.#float(this.#bytes.readFloatBE(this.#take(4)))
      case 0xcb:
        return this.#float(this.#bytes.readDoubleBE(this.#take(8)))
      case 0xcc:
        return this.#size8()
      case 0xcd:
        return this.#size16()
      case 0xce:
        return this.#size32()
      case 0xcf:
        return this.#unsigned64()
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1))
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4))
      default:
        return this.#signed64()
    }
  }

  /** 0xd4 to 0xdf: extensions of fixed size, texts, arrays and maps with a size. */
  #sized(head: number, depth: number): Value {
    switch (head) {
      case 0xd9:
        return this.#text(this.#size8())
      case 0xda:
        return this.#text(this.#size16())
      case 0xdb:
        return this.#text(this.#size32())
      case 0xdc:
        return this.#array(this.#size16(), depth)
      case 0xdd:
        return this.#array(this.#size32(), depth)
      case 0xde:
        return this.#map(this.#size16(), depth)
      case 0xdf:
        return this.#map(this.#size32(), depth)
      default:
        return this.#extension(2 ** (head - 0xd4))
    }
  }

  #array(size: number, depth: number): Value[] {
    this.#enter(size, depth)
    const items: Value[] = []
    for (let i = 0; i < size; i++) items.push(this.#value(depth))
    return items
  }

  #map(size: number, depth: number): Value {
    if (size > MAX_MAP_SIZE) throw unreadable('it has a map of more than 2147483647 entries')
    this.#enter(size * 2, depth)
    if (this.#bounds.isExact) return this.#exactMap(size, depth)
    const record: Record<string, Value> = {}
    for (let i = 0; i < size; i++) {
      const key = this.#value(depth)
      if (typeof key !== 'string') return this.#mapOf(record, key, size - i, depth)
      const value = this.#value(depth)
      if (key === '__proto__') setOwn(record, key, value)
      else record[key] = value
    }
    return record
  }

  /** Reads on with a map whose keys are not all texts: this many are left, the first of them with a key that was read. */
  #mapOf(record: Readonly<Record<string, Value>>, firstKey: Value, left: number, depth: number): Map<Value, Value> {
    const map = new Map<Value, Value>(Object.entries(record))
    map.set(asKey(firstKey), this.#value(depth))
    for (let i = 1; i < left; i++) map.set(asKey(this.#value(depth)), this.#value(depth))
    return map
  }

  #exactMap(size: number, depth: number): Value {
    const map = new Map<Value, Value>()
    for (let i = 0; i < size; i++) map.set(asKey(this.#value(depth)), this.#value(depth))
    const isRecord = map.keys().every((key) => typeof key === 'string' && !INDEX_KEY.test(key))
    if (!isRecord) return map
    const record: Record<string, Value> = {}
    for (const [key, value] of map) setOwn(record, key as string, value)
    return record
  }

  #enter(count: number, depth: number): void {
    if (depth > this.#bounds.maxDepth || depth > MAX_DEPTH) throw unreadable(`it has more than ${MAX_DEPTH} levels`)
    this.#need(count)
    this.#itemsLeft -= count
    if (this.#itemsLeft < 0) throw unreadable(`it has more than ${this.#bounds.maxItems} values`)
  }

  #text(size: number): Value {
    const from = this.#take(size)
    const bytes = this.#bytes
    if (size <= SHORT_TEXT) {
      const text = readShortText(bytes, from, size)
      if (text !== undefined) return text
    }
    const part = bytes.subarray(from, from + size)
    return isUtf8(part) ? bytes.toString('utf8', from, from + size) : this.#surrogateText(part)
  }

  #surrogateText(bytes: Buffer): Value {
    const text = surrogateUtf8Read(bytes)
    if (text === undefined) throw unreadable('it has a text that is not UTF-8')
    if (!this.#bounds.isExact) return text
    const written = Buffer.allocUnsafe(text.length * 3)
    const size = surrogateUtf8Write(text, written, 0)
    return written.subarray(0, size).equals(bytes) ? text : new RawText(Buffer.from(bytes))
  }

  #binary(size: number): Buffer {
    const from = this.#take(size)
    const copy = Buffer.allocUnsafe(size)
    this.#bytes.copy(copy, 0, from, from + size)
    return copy
  }

  #float(value: number): Value {
    const isIntegral = Number.isInteger(value) && !Object.is(value, -0)
    return isIntegral && this.#bounds.isExact ? new Float(value) : value
  }

  #unsigned64(): number | bigint {
    const at = this.#take(8)
    const high = this.#bytes.readUInt32BE(at)
    return high <= MAX_SAFE_HIGH ? high * TWO_32 + this.#bytes.readUInt32BE(at + 4) : this.#bytes.readBigUInt64BE(at)
  }

  #signed64(): number | bigint {
    return smallest(this.#bytes.readBigInt64BE(this.#take(8)))
  }

  #extension(size: number): Value {
    if (size > MAX_EXT_BYTES) throw unreadable(`it has an extension of more than ${MAX_EXT_BYTES} bytes`)
    const at = this.#take(size + 1)
    const type = this.#bytes.readInt8(at)
    const payload = this.#bytes.subarray(at + 1, at + 1 + size)
    if (type === -1) return timestampOf(payload)
    if (type !== 0 && type !== 1) throw unreadable(`it has an extension of type ${type}`)
    const value = size === 0 ? 0n : BigInt(`0x${payload.toString('hex')}`)
    return smallest(type === 0 ? value : BigInt.asIntN(size * 8, value))
  }

  #size8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  #size16(): number {
    const at = this.#take(2)
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number)
  }

  #size32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  /** Passes so many bytes and gives the first one's place. */
  #take(count: number): number {
    const at = this.#at
    this.#need(count)
    this.#at = at + count
    return at
  }

  #need(count: number): void {
    if (this.#end - this.#at >= count) return
    if (this.#at + count > this.#limit) throw tooLarge(this.#bounds.maxBytes)
    throw STARVED
  }
}

function setOwn(record: Record<string, Value>, key: string, value: Value): void {
  Object.defineProperty(record, key, {value, writable: true, enumerable: true, configurable: true})
}

/** A key as it stands in a Map. Python refuses maps, which have no hash. */
function asKey(key: Value): Value {
  const isMap =
    typeof key === 'object' && key !== null && (key instanceof Map || Object.getPrototypeOf(key) === Object.prototype)
  if (isMap) throw unreadable('it has a map as the key of another')
  return key
}

function smallest(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

function timestampOf(payload: Buffer): Timestamp {
  switch (payload.length) {
    case 4:
      return new Timestamp(BigInt(payload.readUInt32BE()), 0)
    case 8: {
      const value = payload.readBigUInt64BE()
      return new Timestamp(value & 0x3ffffffffn, Number(value >> 34n))
    }
    case 12:
      return new Timestamp(payload.readBigInt64BE(4), payload.readUInt32BE())
    default:
      throw unreadable('it has a timestamp of a size that none has')
  }
}
