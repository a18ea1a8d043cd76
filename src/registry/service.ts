import {parseJson} from '../base/json-parse.ts'
import {appendMember, encodeString, type Member, members, memberText, withoutMembers} from '../base/json-text.ts'
import {type Maintenance, readMaintenance} from './maintenance.ts'

/** What a service says of itself, checked. */
export interface Service {
  readonly id: string
  readonly name: string
  readonly host: string
  readonly port: number
  /** Seconds without a renewal after which the lease ends. */
  readonly ttlS: number
  /** The type it is unique by: `type`, else `metadata.type`. */
  readonly type: string | undefined
  /** What it is found by: its tags and its type, each once. */
  readonly labels: readonly string[]
  /** The service object as JSON text, without `last_heartbeat` and `health`. */
  readonly text: string
  /** Absent when it is in operation. */
  readonly maintenance?: Maintenance | undefined
}

/** A `service_info` as it came in: the value, its own text, and the `ttl` that stood beside it. */
export interface ServiceInfo {
  readonly value: Readonly<Record<string, unknown>>
  readonly text: string
  readonly ttl: unknown
}

/** Why something was not taken; the text goes to the peer. */
export interface Refused {
  readonly error: string
}

const MAX_NAME_BYTES = 255
/** An id made from the longest name and a UUID must be usable too. */
const MAX_ID_BYTES = 512
const MAX_TAGS = 256
const MAX_INFO_BYTES = 64 * 1024
const MAX_TTL_S = 10 * 366 * 86_400
const DEFAULT_TTL_S = 30
/** Members that the service object has of its own; a client's values for them do not count or are written by us. */
const OWN_MEMBERS: ReadonlySet<string> = new Set([
  'id',
  'name',
  'host',
  'port',
  'type',
  'metadata',
  'ttl',
  'tags',
  'last_heartbeat',
  'health',
  'maintenance',
])

/**
 * Checks a `service_info` and makes the service of it. What is not interpreted (metadata, unknown members) is kept as the text that came.
 * `newId` gives the id when the request has none.
 */
export function readService(info: ServiceInfo, newId: (name: string) => string): Service | Refused {
  if (info.text.length > MAX_INFO_BYTES || utf8Bytes(info.text) > MAX_INFO_BYTES) {
    // What is missing is told first, however large the rest is.
    return missingField(info.value) ?? {error: 'service_info is larger than 64 KiB'}
  }
  return makeService(info, newId)
}

/**
 * Makes the service of a `service_info` again that was taken, and got its id, which may have made it larger than what is taken. Throws a
 * `TypeError` when it is not one: the log is damaged.
 */
export function readStoredInfo(info: ServiceInfo): Service {
  const service = makeService(info, () => '')
  if ('error' in service) throw new TypeError(service.error)
  return service
}

function missingField(value: ServiceInfo['value']): Refused | undefined {
  const missing = ['name', 'host', 'port'].find((field) => !Object.hasOwn(value, field))
  return missing === undefined ? undefined : {error: `Missing required field in service_info: ${missing}`}
}

function makeService(info: ServiceInfo, newId: (name: string) => string): Service | Refused {
  const {value} = info
  const missing = missingField(value)
  if (missing !== undefined) return missing
  const broken = RULES.find(({field, holds}) => !holds(value[field]))
  if (broken !== undefined) {
    return {error: `Invalid value in service_info: ${broken.field} must be ${broken.rule}`}
  }
  const ttlS = readTtl(info.ttl)
  if (ttlS === undefined) return {error: 'Invalid ttl: expected a number of seconds above 0 and at most 10 years'}
  // The rules above make these types true.
  const {name, host, tags = [], metadata = {}} = value as unknown as Omit<Fields, 'port' | 'ttlS' | 'type' | 'id'>
  const type = isEmpty(value['type']) ? undefined : (value['type'] as string)
  const id = isEmpty(value['id']) ? newId(name) : (idText(value['id']) ?? '')
  const port = wholeNumber(value['port']) ?? 0
  return compose({id, name, host, port, ttlS, type, tags, metadata}, info.text)
}

interface Fields {
  readonly id: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly ttlS: number
  readonly type: string | undefined
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
}

function compose(fields: Fields, infoText: string): Service {
  const innerType = fields.metadata['type']
  const type = fields.type ?? (typeof innerType === 'string' && innerType !== '' ? innerType : undefined)
  // Only a type of its own becomes a tag; one that is only in the metadata does not.
  const tags =
    fields.type === undefined || fields.tags.includes(fields.type) ? fields.tags : [...fields.tags, fields.type]
  const rest = members(infoText)
  let metadata = lastText(rest, 'metadata') ?? '{}'
  if (fields.type !== undefined && innerType !== fields.type) {
    metadata = appendMember(withoutMembers(metadata, TYPE_ONLY), 'type', encodeString(fields.type))
  }
  const typeText = type === undefined ? '' : `,"type":${encodeString(type)}`
  const extra = rest.map(({key, raw}) => (OWN_MEMBERS.has(key) ? '' : `,${encodeString(key)}:${raw}`)).join('')
  const text =
    `{"id":${encodeString(fields.id)},"name":${encodeString(fields.name)},"host":${encodeString(fields.host)},"port":${fields.port}` +
    `${typeText},"metadata":${metadata},"ttl":${fields.ttlS},"tags":${tagsText(tags)}${extra}}`
  // Only what is kept: thousands of these wait for the disk at a time, and what they hold outlives two collections.
  const {id, name, host, port, ttlS} = fields
  return {id, name, host, port, ttlS, type, labels: labelsOf(tags, type), text: flat(text)}
}

/** Writes a text out as one: neither joined from parts nor cut from a longer one, which V8 would keep beside it. */
export function flat(text: string): string {
  return Buffer.from(text).toString()
}

const TYPE_ONLY: ReadonlySet<string> = new Set(['type'])

function tagsText(tags: readonly string[]): string {
  return `[${tags.map(encodeString).join(',')}]`
}

function lastText(list: readonly Member[], key: string): string | undefined {
  return list.findLast((member) => member.key === key)?.raw
}

function labelsOf(tags: readonly string[], type: string | undefined): readonly string[] {
  const labels = type === undefined || tags.includes(type) ? tags : [...tags, type]
  return labels.length > 1 ? [...new Set(labels)] : labels
}

/** Reads a service object that was made here and stored. Throws a `TypeError` or `SyntaxError` when it is not one: the store is damaged. */
export function readStoredService(text: string): Service {
  const value = parseJson(text)
  if (!isObject(value)) throw new TypeError('the stored service is not an object')
  const {id, name, host, port, type, tags, ttl} = value
  const isWhole =
    typeof id === 'string' &&
    typeof name === 'string' &&
    typeof host === 'string' &&
    typeof port === 'number' &&
    typeof ttl === 'number' &&
    (type === undefined || typeof type === 'string') &&
    Array.isArray(tags)
  if (!isWhole) throw new TypeError('the stored service lacks a field')
  const service = {id, name, host, port, ttlS: ttl, type, labels: labelsOf(tags, type), text}
  const maintenance = readMaintenance(value['maintenance'])
  return maintenance === undefined ? service : {...service, maintenance}
}

/** Gives the `service_info` that the register event and the log carry: as it was sent, with the id added. */
export function infoWithId(infoText: string, id: string): string {
  const sent = memberText(infoText, 'id')
  if (sent !== undefined && !isEmpty(parseJson(sent))) return infoText
  return appendMember(sent === undefined ? infoText : withoutMembers(infoText, ID_ONLY), 'id', encodeString(id))
}

const ID_ONLY: ReadonlySet<string> = new Set(['id'])

/** Gives the id that a request means: text, or a number as text; undefined when it can't be one. */
export function idText(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  return isName(value, MAX_ID_BYTES) ? value : undefined
}

/** Tells what the protocol takes as absent. */
export function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === false || value === 0
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readTtl(ttl: unknown): number | undefined {
  if (ttl === undefined) return DEFAULT_TTL_S
  const number = typeof ttl === 'string' && DECIMAL.test(ttl) ? Number(ttl) : ttl
  return typeof number === 'number' && number > 0 && number <= MAX_TTL_S ? number : undefined
}

function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && DIGITS.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : undefined
}

const DIGITS = /^[0-9]{1,16}$/
const DECIMAL = /^[0-9]{1,16}(\.[0-9]{1,16})?$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

function isName(value: unknown, maxBytes = MAX_NAME_BYTES): value is string {
  if (typeof value !== 'string' || value.length > maxBytes || CONTROL.test(value)) return false
  return value.length * 3 <= maxBytes || utf8Bytes(value) <= maxBytes
}

function utf8Bytes(text: string): number {
  return Buffer.byteLength(text)
}

interface Rule {
  readonly field: string
  readonly rule: string
  readonly holds: (value: unknown) => boolean
}

const NAME_RULE = `a text without control characters, at most ${MAX_NAME_BYTES} bytes`

/** What the members of a `service_info` must be, in the order in which they are checked. */
const RULES: readonly Rule[] = [
  {field: 'name', rule: NAME_RULE, holds: (value) => isName(value)},
  {field: 'host', rule: NAME_RULE, holds: (value) => isName(value)},
  {field: 'port', rule: 'an integer from 0 to 65535', holds: (value) => (wholeNumber(value) ?? 65_536) <= 65_535},
  {
    field: 'tags',
    rule: `a list of at most ${MAX_TAGS} texts, each at most ${MAX_NAME_BYTES} bytes`,
    holds: (value) =>
      value === undefined || (Array.isArray(value) && value.length <= MAX_TAGS && value.every((tag) => isName(tag))),
  },
  {field: 'metadata', rule: 'an object', holds: (value) => value === undefined || isObject(value)},
  {field: 'type', rule: NAME_RULE, holds: (value) => isEmpty(value) || isName(value)},
  {
    field: 'id',
    rule: `a text without control characters, at most ${MAX_ID_BYTES} bytes, or an integer`,
    holds: (value) => isEmpty(value) || idText(value) !== undefined,
  },
]
