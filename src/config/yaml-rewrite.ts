/**
 * Changes single keys of a YAML mapping and leaves every other character as it was: comments, order, blank lines, quotes. The text is cut
 * at the places that the parser names; where the form of the text does not allow that (a mapping in braces, `? key`), the parser writes
 * it anew, which keeps comments and order. Either way the result is read again before it is given out.
 */
import assert from 'node:assert/strict'
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import {RegistryError} from '../base/errors.ts'
import {plainValue, readYaml} from './yaml.ts'
import {readPlainScalar, YAML_LIMITS} from './yaml-scalars.ts'

/** What can be written. */
export type YamlValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly YamlValue[]
  | {readonly [key: string]: YamlValue}

/**
 * Sets a key of a mapping, in place if it is there, else at the end.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` when the text is no mapping, or cannot be read before or after the change.
 */
export function setYamlKey(text: string, key: string, value: YamlValue, source: string): string {
  const before = plainMapping(text, source)
  const wanted = {...before, [key]: value}
  const {document, map} = parse(text)
  const pair = map === undefined ? undefined : findPair(map, key)
  const cut = pair === undefined ? appended(text, map, key, value) : replaced(text, pair, value)
  if (cut !== undefined && reads(cut, wanted, source)) return cut
  const node = parseDocument(encodeYaml(value), {schema: 'failsafe'}).contents
  if (map === undefined) document.contents = document.createNode({[key]: node}) as never
  else document.set(key, node)
  return checked(written(document), wanted, source)
}

/**
 * Adds texts at the end of the list of a key, which is made if it is not there; a single text there becomes a list.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` as `setYamlKey`, and when there is something else at the key
 */
export function addYamlItems(text: string, key: string, items: readonly string[], source: string): string {
  const before = plainMapping(text, source)
  const value = before[key] ?? []
  if (typeof value === 'string') return setYamlKey(text, key, [value, ...items], source)
  if (!Array.isArray(value)) throw new RegistryError('REG_CONFIG_INVALID', `${source}: ${key} is not a list`)
  const wanted = {...before, [key]: [...value, ...items]}
  const {document, map} = parse(text)
  const list = map === undefined ? undefined : findPair(map, key)?.value
  const hasList = isSeq(list)
  const cut = hasList ? extended(text, list, items) : appendedList(text, map, key, items)
  if (cut !== undefined && reads(cut, wanted, source)) return cut
  if (!hasList) return setYamlKey(text, key, [...items], source)
  for (const item of items) list.add(parseDocument(encodeText(item, true), {schema: 'failsafe'}).contents as never)
  return checked(written(document), wanted, source)
}

/** Removes a key of a mapping with the comment on its own line; those above it stay. Without the key, the text stays as it is. */
export function removeYamlKey(text: string, key: string, source: string): string {
  const {[key]: _, ...wanted} = plainMapping(text, source)
  const {document, map} = parse(text)
  const pair = map === undefined ? undefined : findPair(map, key)
  if (pair === undefined) return text
  const cut = without(text, pair)
  if (cut !== undefined && reads(cut, wanted, source)) return cut
  document.delete(key)
  return checked(written(document), wanted, source)
}

/** Writes a value in one line, so that PyYAML reads the same value with the same type. */
export function encodeYaml(value: YamlValue, isNested = false): string {
  if (typeof value === 'string') return encodeText(value, isNested)
  if (typeof value === 'number') return encodeNumber(value)
  if (value === null || typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return `[${value.map((item: YamlValue) => encodeYaml(item, true)).join(', ')}]`
  const pairs = Object.entries(value).map(([key, item]) => `${encodeText(key, true)}: ${encodeYaml(item, true)}`)
  return `{${pairs.join(', ')}}`
}

const PLAIN = /^[A-Za-z0-9/_.](?:[\w.:/@%+?=&~-]*[\w./@%+?=&~-])?$/
const PLAIN_NESTED = /^[A-Za-z0-9/_.][\w./@%+-]*$/

function encodeText(text: string, isNested: boolean): string {
  if ((isNested ? PLAIN_NESTED : PLAIN).test(text) && readsAsText(text)) return text
  // JSON leaves some characters as they are that end a line for PyYAML, or that it refuses.
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function readsAsText(text: string): boolean {
  try {
    // `...` and `---` end a document.
    return readPlainScalar(text).type === 'str' && !/^(?:\.\.\.|---)/.test(text)
  } catch {
    return false // reads as something impossible, such as the 31st of February: needs quotes
  }
}

function encodeNumber(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  if (Object.is(value, -0)) return '-0.0'
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? String(value) : `${BigInt(value)}.0`
  const text = String(value)
  return /^-?\d+e/.test(text) ? text.replace('e', '.0e') : text
}

/** Reads a mapping; an empty text is an empty one. Throws `REG_CONFIG_INVALID` for anything else. */
export function plainMapping(text: string, source: string): Record<string, unknown> {
  const node = readYaml(text, {source, maxBytes: YAML_LIMITS.fileBytes})
  if (node.type === 'null') return {}
  if (node.type === 'map') return plainValue(node) as Record<string, unknown>
  throw new RegistryError('REG_CONFIG_INVALID', `${source} line ${node.line}: must be a mapping of options to values`)
}

interface Parsed {
  readonly document: Document.Parsed
  /** Undefined when there are no keys yet. */
  readonly map: YAMLMap.Parsed | undefined
}

function parse(text: string): Parsed {
  const document = parseDocument(text, {schema: 'failsafe', resolveKnownTags: false})
  return {document, map: isMap(document.contents) ? document.contents : undefined}
}

type ParsedPair = Pair<ParsedNode, ParsedNode | null>

function findPair(map: YAMLMap.Parsed, key: string): ParsedPair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === key)
}

/** Adds items below the last one of a list that has each on a line of its own. */
function extended(text: string, list: YAMLSeq.Parsed, items: readonly string[]): string | undefined {
  const last = list.items.at(-1)
  if (last === undefined || list.flow === true) return undefined
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n'
  const indent = ' '.repeat(columnOf(text, list.range[0]))
  const newline = text.indexOf('\n', Math.max(last.range[1] - 1, 0))
  const [head, tail] = newline < 0 ? [`${text}${lineEnd}`, ''] : [text.slice(0, newline + 1), text.slice(newline + 1)]
  return `${head}${items.map((item) => `${indent}- ${encodeText(item, false)}${lineEnd}`).join('')}${tail}`
}

/** Adds a key with a list, one item on each line; undefined where there is such a key. */
function appendedList(text: string, map: YAMLMap.Parsed | undefined, key: string, items: readonly string[]) {
  if (map !== undefined && findPair(map, key) !== undefined) return undefined
  const lines = items.map((item) => `- ${encodeText(item, false)}`)
  return appended(text, map, key, 'x').replace(/: x(\r?\n)$/, (_, lineEnd) => [':', ...lines, ''].join(lineEnd))
}

function replaced(text: string, {key, value}: ParsedPair, next: YamlValue): string | undefined {
  if (value === null) return undefined
  const [start, end] = value.range
  if (start === end) {
    // No value yet; its place is behind the colon, not behind the comment that may follow.
    const place = text.indexOf(':', key.range[1]) + 1
    return `${text.slice(0, place)} ${encodeYaml(next)}${text.slice(place)}`
  }
  const gap = text.slice(key.range[1], start)
  // A comment between the key and a value on the next line stays; the value then stays on its line.
  const lead = gap.includes('#') ? gap : ': '
  const tail = text.slice(start, end).endsWith('\n') ? '\n' : ''
  return `${text.slice(0, key.range[1])}${lead}${encodeYaml(next)}${tail}${text.slice(end)}`
}

function appended(text: string, map: YAMLMap.Parsed | undefined, key: string, value: YamlValue): string {
  const indent = map === undefined ? 0 : columnOf(text, map.range[0])
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n'
  const gap = text === '' || text.endsWith('\n') ? '' : lineEnd
  return `${text}${gap}${' '.repeat(indent)}${encodeText(key, false)}: ${encodeYaml(value)}${lineEnd}`
}

function without(text: string, {key, value}: ParsedPair): string | undefined {
  const start = key.range[0] - columnOf(text, key.range[0])
  if (!['', '?'].includes(text.slice(start, key.range[0]).trim())) return undefined
  return text.slice(0, start) + text.slice((value ?? key).range[2])
}

function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf('\n', offset - 1) + 1)
}

function written(document: Document.Parsed): string {
  return document.toString({lineWidth: 0})
}

function reads(text: string, wanted: Record<string, unknown>, source: string): boolean {
  try {
    return isSame(plainMapping(text, source), wanted)
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

function checked(text: string, wanted: Record<string, unknown>, source: string): string {
  assert(isSame(plainMapping(text, source), wanted), 'a rewritten file must hold what was to be written')
  return text
}

/** Compares as they would be written: 1 and 1n are the same, 1 and '1' are not, and the order of keys counts. */
function isSame(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  return encodeYaml(a as YamlValue) === encodeYaml(b as YamlValue)
}
