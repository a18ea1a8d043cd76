/**
 * DER, the encoding of X.509 (ITU-T X.690): as much of it as certificates, requests, revocation lists and PKCS#12 files need.
 *
 * A value is a tag byte, a length and a body: `30 03 01 01 ff` is a sequence (30) of three bytes, which are a boolean (01) of one byte, true.
 */
import {badBytes} from './cert-files.ts'

/** Tags of what is read as well as written. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

/** Writes one value. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), derLength(body.length), body])
}

/** Writes a sequence of values that are encoded already. */
export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(TAG.sequence, ...parts)
}

/** Writes a value in the context tag `number`; constructed, as explicit tags and implicit sequences are. */
export function tagged(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return der(0xa0 | number, ...parts)
}

/** Writes a positive integer: a number, or big-endian bytes. */
export function integer(value: number | Uint8Array): Buffer {
  const hex = typeof value === 'number' ? value.toString(16) : Buffer.from(value).toString('hex')
  const digits = hex.replace(/^(00)+(?=..)/, '')
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  return der(TAG.integer, ...((bytes[0] ?? 0) >= 0x80 ? [Buffer.of(0)] : []), bytes)
}

/** Writes an object identifier given as `1.2.840.113549`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

export const NULL = Buffer.of(0x05, 0x00)
export const TRUE = Buffer.of(0x01, 0x01, 0xff)

/** Writes bytes as a bit string; `unused` is the number of bits at its end that do not count. */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return der(TAG.bitString, Buffer.of(unused), bytes)
}

export function octetString(bytes: Uint8Array): Buffer {
  return der(TAG.octetString, bytes)
}

/** Writes an instant, whole seconds; in the short form until 2049 and in the long one from 2050 on, as RFC 5280 asks. */
export function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  const isShort = epochMs < Date.UTC(2050, 0) && epochMs >= Date.UTC(1950, 0)
  return isShort ? der(TAG.utcTime, Buffer.from(digits.slice(2))) : der(TAG.generalizedTime, Buffer.from(digits))
}

/** One value as it was read. */
export interface Der {
  readonly tag: number
  readonly body: Buffer
  /** Tag, length and body. */
  readonly whole: Buffer
}

/**
 * Reads exactly one value. Copies nothing.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`) when it is cut short, has something behind it, or is not DER
 */
export function readDer(bytes: Buffer): Der {
  const value = readAt(bytes, 0)
  if (value.whole.length !== bytes.length) throw badBytes('there is something behind the end of a DER value')
  return value
}

/** Gives the values inside a value with the given tag, in their order. Throws as `readDer`; when there are more than `limit`. */
export function childrenOf(value: Der | undefined, tag: number, limit = 100): readonly Der[] {
  if (value?.tag !== tag) throw badBytes(`expected a DER value of type ${hex(tag)}, found ${hex(value?.tag)}`)
  const children: Der[] = []
  for (let at = 0; at < value.body.length; ) {
    const child = readAt(value.body, at)
    children.push(child)
    at += child.whole.length
    if (children.length > limit) throw badBytes(`a DER value has more than ${limit} parts`)
  }
  return children
}

/** Gives the body of a value that must have the given tag. Throws as `readDer`. */
export function bodyOf(value: Der | undefined, tag: number): Buffer {
  if (value?.tag !== tag) throw badBytes(`expected a DER value of type ${hex(tag)}, found ${hex(value?.tag)}`)
  return value.body
}

/** Reads an object identifier as `1.2.840.113549`. Throws as `readDer`. */
export function readOid(value: Der | undefined): string {
  const body = bodyOf(value, TAG.oid)
  const numbers: number[] = []
  let number = 0
  for (const byte of body) {
    number = number * 128 + (byte & 0x7f)
    if (number > Number.MAX_SAFE_INTEGER / 128) throw badBytes('an object identifier has a number that is too large')
    if (byte >= 0x80) continue
    numbers.push(number)
    number = 0
  }
  const [head = 0, ...rest] = numbers
  const first = Math.min(Math.floor(head / 40), 2)
  return [first, head - first * 40, ...rest].join('.')
}

/** Reads an instant in milliseconds since the epoch. Throws as `readDer`. */
export function readTime(value: Der | undefined): number {
  const isShort = value?.tag === TAG.utcTime
  const text = bodyOf(value, isShort ? TAG.utcTime : TAG.generalizedTime).toString('latin1')
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(isShort ? century(text) + text : text)
  const [year = 0, month = 0, ...rest] = (match ?? []).slice(1).map(Number)
  if (match === null || month < 1 || month > 12)
    throw badBytes(`${JSON.stringify(text.slice(0, 40))} is no time of DER`)
  return Date.UTC(year, month - 1, ...rest)
}

const MAX_LENGTH_BYTES = 4

function readAt(bytes: Buffer, start: number): Der {
  const tag = bytes[start]
  const first = bytes[start + 1]
  if (tag === undefined || first === undefined) throw badBytes('a DER value is cut short')
  if ((tag & 0x1f) === 0x1f) throw badBytes('a DER value has a long tag')
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || lengthBytes > MAX_LENGTH_BYTES) throw badBytes('a DER value has no usable length')
  const body = start + 2 + lengthBytes
  if (body > bytes.length) throw badBytes('a DER value is cut short')
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(start + 2, lengthBytes)
  if (length > bytes.length - body) throw badBytes('a DER value is cut short')
  if (!derLength(length).equals(bytes.subarray(start + 1, body))) throw badBytes('a DER value has a padded length')
  const end = body + length
  return {tag, body: bytes.subarray(body, end), whole: bytes.subarray(start, end)}
}

function derLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  const digits = length.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes])
}

function base128(number: number): number[] {
  const digits = [number % 128]
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(128 + (rest % 128))
  return digits
}

/** Two-digit years below 50 are of this century (RFC 5280, 4.1.2.5.1). */
function century(text: string): string {
  return Number(text.slice(0, 2)) < 50 ? '20' : '19'
}

function hex(tag: number | undefined): string {
  return tag === undefined ? 'nothing' : `0x${tag.toString(16)}`
}
