import type {Value} from '../../wire/msgpack/value.ts'
import {oddAnswer} from '../admin-values.ts'

const MAX_LEVELS = 32
const MAX_CHARACTERS = 64 * 1024

/**
 * Gives an answer as JSON and YAML can hold it.
 *
 * @throws RegistryError `REG_BAD_ANSWER` for anything else than an object, for bytes, integers beyond 2^53 and the like, and for too much
 */
export function plainObject(value: Value, what: string): Readonly<Record<string, unknown>> {
  const plain = plainOf(value, what, 0)
  if (typeof plain !== 'object' || plain === null || Array.isArray(plain)) throw oddAnswer(what, 'it is not an object')
  if (JSON.stringify(plain).length > MAX_CHARACTERS) {
    throw oddAnswer(what, `it has more than ${MAX_CHARACTERS} characters`)
  }
  return plain as Readonly<Record<string, unknown>>
}

function plainOf(value: Value, what: string, level: number): unknown {
  if (level > MAX_LEVELS) throw oddAnswer(what, `it is nested deeper than ${MAX_LEVELS} levels`)
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'string')
    return value ?? null
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (Array.isArray(value)) return value.map((item: Value) => plainOf(item, what, level + 1))
  if (typeof value !== 'object' || !isPlain(value)) throw oddAnswer(what, 'it holds what a configuration file cannot')
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainOf(item, what, level + 1)]))
}

function isPlain(value: object): value is Readonly<Record<string, Value>> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
