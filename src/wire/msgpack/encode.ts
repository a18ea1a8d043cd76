import {RegistryError} from '../../base/errors.ts'
import {surrogateUtf8Write} from './surrogates.ts'
import {Float, MAX_DEPTH, RawText, Timestamp, type Value} from './value.ts'

/** Of this size a buffer is taken for many messages. */
const SLAB_BYTES = 32 * 1024
/** Longest text that is written character by character: for longer ones the native call pays. */
const SHORT_TEXT = 32
/** Longest header of a text or of bytes. */
const HEADER_BYTES = 5
/** Longest value of fixed size: a timestamp of 96 bits with its header. */
const FIXED_BYTES = 15
const TWO_32 = 2 ** 32

/** Encodes a value as Synapse does. Throws as `Encoder.encode`. */
export function encode(value: Value): Buffer {
  return shared.encode(value)
}

/**
 * Encodes values as Synapse does: the smallest form of each integer, floats in 64 bits, maps in their order.
 *
 * Many messages are written into one buffer, one behind the other; what was handed out is never written again. Who keeps an encoded
 * message for long should copy it, because it holds the whole buffer.
 *
 * @see spec/telepath.md, section 2
 */
export class Encoder {
  #bytes: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #view: DataView = viewOf(this.#bytes)
  /** Where the message begins that is being written. */
  #start = 0
  #at = 0

  /**
   * Gives the bytes of one value.
   *
   * @throws RegistryError `REG_BAD_REQUEST` (`NotMsgpackSafe`) when it holds something that the format does not know, or more than 1024 levels
   */
  encode(value: Value): Buffer {
    if (this.#bytes.length - this.#at < HEADER_BYTES + SHORT_TEXT * 3) this.#grow(SLAB_BYTES >> 1)
    this.#start = this.#at
    try {
      this.#write(value, 0)
    } catch (error) {
      this.#at = this.#start
      throw error
    }
    const message = this.#bytes.subarray(this.#start, this.#at)
    this.#start = this.#at
    return message
  }

  #write(value: Value, depth: number): void {
    if (typeof value === 'string') this.#writeText(value)
    else if (typeof value === 'number') this.#writeNumber(value)
    else if (typeof value === 'object' && value !== null) this.#writeObject(value, depth)
    else this.#writeRare(value)
  }

  #writeRare(value: Value): void {
    if (value === null || value === undefined) this.#byte(0xc0)
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2)
    else if (typeof value === 'bigint') this.#writeBigint(value)
    else throw unsafe(value)
  }

  #writeObject(value: object, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null)
      this.#writeRecord(value as Record<string, Value>, depth + 1)
    else if (Array.isArray(value)) this.#writeArray(value, depth + 1)
    else if (value instanceof Uint8Array) this.#writeBytes(value)
    else if (value instanceof Map) this.#writeMap(value, depth + 1)
    else if (value instanceof Float) this.#writeFloat(value.value)
    else if (value instanceof Timestamp) this.#writeTimestamp(value)
    else if (value instanceof RawText) this.#writeRawText(value)
    else throw unsafe(value)
  }

  #writeRecord(record: Record<string, Value>, depth: number): void {
    const keys = Object.keys(record)
    this.#writeMapHeader(keys.length, depth)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string
      this.#writeText(key)
      this.#write(record[key], depth)
    }
  }

  #writeMap(map: ReadonlyMap<Value, Value>, depth: number): void {
    this.#writeMapHeader(map.size, depth)
    for (const [key, value] of map) {
      this.#write(key, depth)
      this.#write(value, depth)
    }
  }

  #writeMapHeader(size: number, depth: number): void {
    checkDepth(depth)
    if (size < 16) this.#byte(0x80 | size)
    else this.#sized(size, 0xde)
  }

  #writeArray(items: readonly Value[], depth: number): void {
    checkDepth(depth)
    const size = items.length
    if (size < 16) this.#byte(0x90 | size)
    else this.#sized(size, 0xdc)
    for (let i = 0; i < size; i++) this.#write(items[i], depth)
  }

  #writeNumber(value: number): void {
    if (value >= 0 && value < 128 && Math.floor(value) === value && (value !== 0 || 1 / value > 0)) this.#byte(value)
    else if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#writeFloat(value)
    else if (value >= 0) this.#writeUnsigned(value)
    else this.#writeNegative(value)
  }

  #writeUnsigned(value: number): void {
    this.#need(9)
    const at = this.#at
    if (value < 0x100) {
      this.#bytes[at] = 0xcc
      this.#bytes[at + 1] = value
      this.#at = at + 2
    } else if (value < 0x10000) {
      this.#bytes[at] = 0xcd
      this.#view.setUint16(at + 1, value)
      this.#at = at + 3
    } else if (value < TWO_32) {
      this.#bytes[at] = 0xce
      this.#view.setUint32(at + 1, value)
      this.#at = at + 5
    } else {
      this.#bytes[at] = 0xcf
      this.#view.setUint32(at + 1, Math.floor(value / TWO_32))
      this.#view.setUint32(at + 5, value % TWO_32)
      this.#at = at + 9
    }
  }

  #writeNegative(value: number): void {
    this.#need(9)
    const at = this.#at
    if (value >= -32) {
      this.#bytes[at] = value & 0xff
      this.#at = at + 1
    } else if (value >= -0x80) {
      this.#bytes[at] = 0xd0
      this.#bytes[at + 1] = value & 0xff
      this.#at = at + 2
    } else if (value >= -0x8000) {
      this.#bytes[at] = 0xd1
      this.#view.setInt16(at + 1, value)
      this.#at = at + 3
    } else if (value >= -0x80000000) {
      this.#bytes[at] = 0xd2
      this.#view.setInt32(at + 1, value)
      this.#at = at + 5
    } else {
      this.#bytes[at] = 0xd3
      this.#view.setBigInt64(at + 1, BigInt(value))
      this.#at = at + 9
    }
  }

  #writeBigint(value: bigint): void {
    if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
      this.#writeNumber(Number(value))
    } else if (value < -(2n ** 63n)) {
      this.#writeExt(1, twosComplement(value))
    } else if (value >= 2n ** 64n) {
      this.#writeExt(0, magnitude(value))
    } else {
      this.#need(9)
      this.#bytes[this.#at] = value < 0n ? 0xd3 : 0xcf
      if (value < 0n) this.#view.setBigInt64(this.#at + 1, value)
      else this.#view.setBigUint64(this.#at + 1, value)
      this.#at += 9
    }
  }

  #writeFloat(value: number): void {
    this.#need(9)
    this.#bytes[this.#at] = 0xcb
    this.#view.setFloat64(this.#at + 1, value)
    this.#at += 9
  }

  #writeText(text: string): void {
    if (text.length > SHORT_TEXT || !this.#writeShortText(text)) this.#writeLongText(text)
  }

  /** Writes it if it is ASCII. */
  #writeShortText(text: string): boolean {
    const length = text.length
    this.#need(HEADER_BYTES + length)
    const bytes = this.#bytes
    let to = this.#at + headerBytesOf(length)
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      bytes[to++] = code
    }
    this.#textHeader(length)
    this.#at = to
    return true
  }

  #writeLongText(text: string): void {
    this.#need(HEADER_BYTES + text.length * 3)
    const at = this.#at
    // The header is as long as that of an ASCII text would be; when the text is longer than that it moves.
    const guessed = headerBytesOf(text.length)
    const size = text.isWellFormed()
      ? this.#bytes.write(text, at + guessed)
      : surrogateUtf8Write(text, this.#bytes, at + guessed)
    const headerBytes = headerBytesOf(size)
    if (headerBytes !== guessed) this.#bytes.copyWithin(at + headerBytes, at + guessed, at + guessed + size)
    this.#textHeader(size)
    this.#at += size
  }

  #textHeader(size: number): void {
    if (size < 32) this.#byte(0xa0 | size)
    else if (size < 0x100) {
      this.#bytes[this.#at] = 0xd9
      this.#bytes[this.#at + 1] = size
      this.#at += 2
    } else this.#sized(size, 0xda)
  }

  #writeRawText({utf8}: RawText): void {
    this.#need(HEADER_BYTES + utf8.length)
    this.#textHeader(utf8.length)
    this.#copy(utf8)
  }

  #writeBytes(bytes: Uint8Array): void {
    this.#need(HEADER_BYTES + bytes.length)
    if (bytes.length < 0x100) {
      this.#byte(0xc4)
      this.#byte(bytes.length)
    } else this.#sized(bytes.length, 0xc5)
    this.#copy(bytes)
  }

  #writeExt(type: number, payload: Uint8Array): void {
    const size = payload.length
    this.#need(HEADER_BYTES + 1 + size)
    const fixed = [1, 2, 4, 8, 16].indexOf(size)
    if (fixed >= 0) this.#byte(0xd4 + fixed)
    else if (size < 0x100) {
      this.#byte(0xc7)
      this.#byte(size)
    } else this.#sized(size, 0xc8)
    this.#byte(type & 0xff)
    this.#copy(payload)
  }

  /** In the smallest of its three forms. */
  #writeTimestamp({seconds, nanoseconds}: Timestamp): void {
    const payload = Buffer.alloc(12)
    if (seconds < 0n || seconds >= 2n ** 34n) {
      payload.writeUInt32BE(nanoseconds)
      payload.writeBigInt64BE(seconds, 4)
      this.#writeExt(-1, payload)
    } else if (nanoseconds === 0 && seconds < 2n ** 32n) {
      payload.writeUInt32BE(Number(seconds))
      this.#writeExt(-1, payload.subarray(0, 4))
    } else {
      payload.writeBigUInt64BE((BigInt(nanoseconds) << 34n) | seconds)
      this.#writeExt(-1, payload.subarray(0, 8))
    }
  }

  /** A header with 16 or 32 bits of size; the code of the latter is one higher. */
  #sized(size: number, code: number): void {
    this.#need(HEADER_BYTES)
    const at = this.#at
    if (size < 0x10000) {
      this.#bytes[at] = code
      this.#view.setUint16(at + 1, size)
      this.#at = at + 3
    } else {
      this.#bytes[at] = code + 1
      this.#view.setUint32(at + 1, size)
      this.#at = at + 5
    }
  }

  #copy(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #byte(byte: number): void {
    if (this.#at === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#at++] = byte
  }

  #need(count: number): void {
    if (this.#bytes.length - this.#at < count) this.#grow(count)
  }

  /** Takes a new buffer with room for `count` more, and the message begun so far with it. */
  #grow(count: number): void {
    const begun = this.#bytes.subarray(this.#start, this.#at)
    const wanted = begun.length + Math.max(count, FIXED_BYTES)
    const size = wanted <= SLAB_BYTES ? SLAB_BYTES : wanted * 2
    this.#bytes = Buffer.allocUnsafeSlow(size)
    this.#view = viewOf(this.#bytes)
    this.#bytes.set(begun)
    this.#at = begun.length
    this.#start = 0
  }
}

function headerBytesOf(size: number): number {
  if (size < 32) return 1
  if (size < 0x100) return 2
  return size < 0x10000 ? 3 : 5
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH)
    throw new RegistryError('REG_BAD_REQUEST', `a value of more than ${MAX_DEPTH} levels cannot be sent`, NOT_SAFE)
}

const NOT_SAFE = {telepath: 'NotMsgpackSafe'}

function unsafe(value: unknown): RegistryError {
  const kind = typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value
  return new RegistryError('REG_BAD_REQUEST', `a value of type ${kind} cannot be sent`, NOT_SAFE)
}

/** Big-endian, without leading zeros. */
function magnitude(value: bigint): Buffer {
  const digits = value.toString(16)
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
}

/** Big-endian, in floor(bits of the magnitude / 8) + 1 bytes: Python's way, at times one more than needed. */
function twosComplement(value: bigint): Buffer {
  const size = Math.floor((-value).toString(2).length / 8) + 1
  return magnitude(BigInt.asUintN(size * 8, value))
}

const shared = new Encoder()
