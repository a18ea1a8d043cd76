import {Float, RawText, Timestamp, type Value} from '../../../src/wire/msgpack/value.ts'

/** A value as the vector files describe it. */
export interface Described {
  readonly t: string
  readonly v?: unknown
  readonly ieee?: string
  readonly hex?: string
  readonly utf16?: readonly number[]
  readonly repeat?: string
  readonly count?: number
  readonly each?: Described
  readonly nested?: number
  readonly seconds?: number
  readonly nanoseconds?: number
}

/** Gives the value that a description stands for, as an exact decoder gives it. */
export function describedValue(described: Described): Value {
  switch (described.t) {
    case 'nil':
      return null
    case 'bool':
      return described.v === true
    case 'int':
      return integerOf(String(described.v))
    case 'float':
      return floatOf(Buffer.from(String(described.ieee), 'hex').readDoubleBE())
    case 'str':
      return textOf(described)
    case 'bin':
      return described.count === undefined
        ? Buffer.from(String(described.hex), 'hex')
        : Buffer.alloc(described.count, String(described.repeat), 'hex')
    case 'array':
    case 'map':
      return described.nested === undefined ? itemsOf(described) : nestedOf(described)
    case 'timestamp':
      return new Timestamp(BigInt(described.seconds ?? 0), described.nanoseconds ?? 0)
    default:
      throw new Error(`no value is described by ${described.t}`)
  }
}

function integerOf(digits: string): Value {
  const value = BigInt(digits)
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function floatOf(value: number): Value {
  return Number.isInteger(value) && !Object.is(value, -0) ? new Float(value) : value
}

function textOf({v, utf16, repeat, count}: Described): Value {
  if (repeat !== undefined) return repeat.repeat(count ?? 0)
  if (utf16 === undefined) return String(v)
  const isPair = utf16.some((unit, i) => unit >> 10 === 0x36 && (utf16[i + 1] ?? 0) >> 10 === 0x37)
  if (!isPair) return String.fromCharCode(...utf16)
  const threeBytes = utf16.flatMap((unit) => [0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)])
  return new RawText(Buffer.from(threeBytes))
}

function itemsOf({t, v, count, each}: Described): Value {
  if (each !== undefined) return new Array<Value>(count ?? 0).fill(describedValue(each))
  if (t === 'array') return (v as Described[]).map(describedValue)
  const entries = (v as [Described, Described][]).map(
    ([key, value]) => [describedValue(key), describedValue(value)] as const,
  )
  return entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : new Map(entries)
}

function nestedOf({t, nested}: Described): Value {
  let value: Value = null
  for (let level = 0; level < (nested ?? 0); level++) value = t === 'map' ? {a: value} : [value]
  return value
}
