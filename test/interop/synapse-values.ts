// How values of Telepath travel between a test and synapse-agent.py, in JSON.
import {Float, type Value} from '../../src/wire/msgpack/value.ts'

type Json = null | boolean | number | string | readonly Json[] | {readonly [key: string]: Json}

/** Says a value so that the agent takes it for what it is. */
export function toAgent(value: Value): Json {
  if (value === undefined || value === null) return null
  if (typeof value === 'bigint') return {$int: value.toString()}
  if (value instanceof Float) return {$float: String(value.value)}
  if (value instanceof Uint8Array) return {$bytes: Buffer.from(value).toString('hex')}
  if (value instanceof Map) return {$map: [...value].map(([key, one]) => [toAgent(key), toAgent(one)])}
  if (Array.isArray(value)) return value.map(toAgent)
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, toAgent(one)]))
  return value
}

/** Reads what the agent says: bytes are Buffers, integral floats `Float`, integers beyond 2^53 bigint, maps with other keys Map. */
export function fromAgent(json: Json): Value {
  if (Array.isArray(json)) return json.map(fromAgent)
  if (json === null || typeof json !== 'object') return json as Value
  const entries = Object.entries(json)
  const [tag, inner] = entries.length === 1 ? (entries[0] ?? []) : []
  if (tag === '$bytes') return Buffer.from(inner as string, 'hex')
  if (tag === '$int') return BigInt(inner as string)
  if (tag === '$float') return new Float(floatOf(inner as string))
  if (tag === '$map') return new Map((inner as [Json, Json][]).map(([key, one]) => [fromAgent(key), fromAgent(one)]))
  return Object.fromEntries(entries.map(([key, one]) => [key, fromAgent(one)]))
}

/** Reads a float as Python writes it. */
function floatOf(text: string): number {
  if (text === 'nan') return Number.NaN
  if (text === 'inf' || text === '-inf') return text === 'inf' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  return Number(text)
}
