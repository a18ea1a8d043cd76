import {RegistryError} from '../base/errors.ts'
import {readYaml, type YamlNode} from '../config/yaml.ts'
import {Float, RawText, Timestamp, type Value} from '../wire/msgpack/value.ts'
import {parseExact} from './exact-json.ts'

/**
 * Values of Telepath on the command line. Arguments are YAML, as configuration is; results are JSON. What JSON has no form for is an object
 * with one member, in both directions:
 *
 *     {"$bytes": "3q2+7w=="}               bytes, base64
 *     {"$float": "nan"}                    nan, inf, -inf
 *     {"$map": [[1, "one"], [2, "two"]]}   a map with keys that are no text, or that would be taken for one of these forms
 *     {"$time": "1700000000.000000001"}    seconds and nanoseconds since 1970
 *
 * Integers of any size stay what they are.
 */
const FORM = /^\$(bytes|float|map|time)$/
/** Argument texts are bounded by what the system takes; this is for the parser. */
const MAX_ARGUMENT_BYTES = 1024 * 1024
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

/**
 * Reads an argument. `source` names it in the error: `argument 1`.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function readArgument(text: string, source: string): Value {
  try {
    return toValue(readYaml(text, {source, maxBytes: MAX_ARGUMENT_BYTES}), source)
  } catch (error) {
    throw asUsage(error)
  }
}

/** Makes a value one that `JSON.stringify` writes without loss. */
export function jsonOf(value: Value): unknown {
  if (value === undefined || value === null) return null
  if (typeof value === 'bigint') return parseExact(String(value))
  if (typeof value === 'number') return jsonOfNumber(value)
  if (typeof value !== 'object') return value
  if (value instanceof Uint8Array) return {$bytes: Buffer.from(value).toString('base64')}
  if (value instanceof Float) return jsonOfFloat(value.value)
  if (value instanceof Timestamp) {
    return {$time: `${value.seconds}.${String(value.nanoseconds).padStart(9, '0')}`}
  }
  if (Array.isArray(value)) return value.map(jsonOf)
  // Halves of surrogate pairs; JSON has no better form for them.
  if (value instanceof RawText) return Buffer.from(value.utf8).toString()
  return jsonOfMap(value instanceof Map ? [...value] : Object.entries(value as Readonly<Record<string, Value>>))
}

function jsonOfMap(entries: readonly (readonly [Value, Value])[]): unknown {
  const isForm = entries.length === 1 && FORM.test(String(entries[0]?.[0]))
  if (isForm || entries.some(([key]) => typeof key !== 'string')) return jsonOfPairs(entries)
  return Object.fromEntries(entries.map(([key, one]) => [key, jsonOf(one)]))
}

function jsonOfNumber(value: number): unknown {
  if (Number.isFinite(value)) return Object.is(value, -0) ? parseExact('-0.0') : value
  return {$float: Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'}
}

function jsonOfFloat(value: number): unknown {
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? parseExact(`${value}.0`) : jsonOfNumber(value)
}

function jsonOfPairs(pairs: readonly (readonly [Value, Value])[]): unknown {
  return {$map: pairs.map(([key, one]) => [jsonOf(key), jsonOf(one)])}
}

function toValue(node: YamlNode, source: string): Value {
  switch (node.type) {
    case 'seq':
      return node.items.map((item) => toValue(item, source))
    case 'map': {
      const [first, ...others] = node.entries
      if (first !== undefined && others.length === 0 && FORM.test(first.key))
        return formOf(first.key, first.value, source)
      return recordOf(node.entries.map(({key, value}) => [key, toValue(value, source)]))
    }
    case 'float':
      // 1.0 is a float to the peer too.
      return Number.isInteger(node.value) ? new Float(node.value) : node.value
    default:
      return node.value
  }
}

/** A key `__proto__` is a key like another. */
function recordOf(entries: readonly (readonly [string, Value])[]): Value {
  return Object.fromEntries(entries)
}

function formOf(key: string, node: YamlNode, source: string): Value {
  const text = node.type === 'seq' || node.type === 'map' ? undefined : String(node.value)
  switch (key) {
    case '$bytes':
      if (text === undefined || !BASE64.test(text)) throw badForm(source, '{$bytes: …} takes base64')
      return Buffer.from(text, 'base64')
    case '$float':
      return floatOf(text, source)
    case '$time':
      return timeOf(text, source)
    default:
      return mapOf(node, source)
  }
}

function floatOf(text: string | undefined, source: string): Value {
  const value = {nan: Number.NaN, inf: Infinity, '-inf': -Infinity}[text ?? '']
  if (value === undefined) throw badForm(source, '{$float: …} takes nan, inf or -inf')
  return value
}

function timeOf(text: string | undefined, source: string): Value {
  const [, seconds, nanoseconds = ''] = /^(-?[0-9]{1,15})(?:\.([0-9]{1,9}))?$/.exec(text ?? '') ?? []
  if (seconds === undefined) throw badForm(source, '{$time: …} takes seconds, in quotes, with at most nine decimals')
  return new Timestamp(BigInt(seconds), Number(nanoseconds.padEnd(9, '0')))
}

function mapOf(node: YamlNode, source: string): Value {
  const pairs = node.type === 'seq' ? node.items : [{type: 'null'} as const]
  return new Map(
    pairs.map((pair): [Value, Value] => {
      const [key, value, ...more] = pair.type === 'seq' ? pair.items : []
      if (key === undefined || value === undefined || more.length > 0) {
        throw badForm(source, '{$map: …} takes a list of pairs: [[KEY, VALUE], …]')
      }
      return [toValue(key, source), toValue(value, source)]
    }),
  )
}

function badForm(source: string, how: string): RegistryError {
  return new RegistryError('REG_USAGE', `${source}: ${how}`, {hints: ['registry help query']})
}

function asUsage(error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.code === 'REG_USAGE') return error
  return new RegistryError('REG_USAGE', error.message, {
    info: error.info,
    hints: ['arguments are YAML; put text in quotes twice: \'"like this"\'', 'registry help query'],
    cause: error,
  })
}
