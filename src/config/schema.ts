/** Validators of the options, by the plain types of the table. Written out, because loading a library for them doubled every start. */
import {isIP} from 'node:net'
import {DURATION_FORM, formatDuration, parseDuration} from '../base/duration.ts'
import {describeObject, objectProblem} from './objects.ts'
import {
  LOG_LEVELS,
  type LogLevel,
  type OptionName,
  type OptionRow,
  type OptionType,
  rowOf,
  type TextForm,
} from './options.ts'

/** A value that was accepted, in the form that the conf has; or what would have been. */
export type Checked = {readonly ok: true; readonly value: unknown} | {readonly ok: false; readonly expected: string}

/** Checks the value of an option. */
export function checkValue(name: OptionName, value: unknown): Checked {
  const row = rowOf(name)
  const read = readValue(row, value)
  if (read !== REFUSED) return {ok: true, value: read}
  const exact = row.kind === 'live' && row.type.kind === 'object' ? objectProblem(row.type.shape, value) : undefined
  return {ok: false, expected: exact ?? describeType(row)}
}

/** Gives the JSON schema of what may stand in cell.yaml for an option. */
export function jsonSchemaOf(name: OptionName): Record<string, unknown> {
  const row = rowOf(name)
  switch (row.kind) {
    case 'live':
      return liveSchema(row.type)
    case 'peer-only':
      return {}
  }
}

/** Says which values an option takes, to be read after "must be". */
export function describeType(row: OptionRow): string {
  return row.kind === 'live' ? describeLive(row.type) : row.type
}

const LEVEL_NUMBERS = [10, 20, 30, 40, 50] // what Python calls the same levels
const LARGEST_PORT = 65_535
const NEVER = 'never'
const MAX_URLS = 100
/** A scheme and what follows it. Who asks gets some of them as they stand, so those must hold no password. */
const URL_TEXT = /^[a-z]+:\/\/[\x21-\x7e]{1,1024}$/
const URL_WITHOUT_PASSWD = /^[a-z]+:\/\/(?![^/?]*:[^/?@]*@)[\x21-\x7e]{1,1024}$/
const REFUSED = Symbol('refused')

/** Gives the value as the conf has it, or `REFUSED`. */
function readValue(row: OptionRow, value: unknown): unknown {
  switch (row.kind) {
    case 'live':
      return readLive(row.type, value)
    case 'peer-only':
      return value
  }
}

function readLive(type: OptionType, value: unknown): unknown {
  switch (type.kind) {
    case 'boolean':
      return readBoolean(value, type.digits === true)
    case 'integer':
      return orRefused(value, isWhole(value, type.min, type.max) || (value === null && type.nullable === true))
    case 'port':
      return orRefused(value, value === null || isWhole(value, 0, LARGEST_PORT))
    case 'duration':
      return readDuration(value, type.minMs, type.maxMs)
    case 'life':
      return value === NEVER ? null : readDuration(value, type.minMs, type.maxMs)
    case 'urls':
      return readUrls(value, type)
    case 'choice':
      return orRefused(
        value,
        type.choices.some((choice) => choice === value),
      )
    case 'level':
      return readLevel(value) ?? REFUSED
    case 'address':
      return readAddress(value)
    case 'text':
      return orRefused(value, value === null || isText(type.form, value))
    case 'object':
      return orRefused(value, value === null || objectProblem(type.shape, value) === undefined)
  }
}

function orRefused(value: unknown, isRight: boolean): unknown {
  return isRight ? value : REFUSED
}

function readBoolean(value: unknown, digits: boolean): unknown {
  if (digits && (value === 0 || value === 1)) return value === 1
  return typeof value === 'boolean' ? value : REFUSED
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
}

function readDuration(value: unknown, minMs: number, maxMs: number): unknown {
  if (typeof value !== 'number' && typeof value !== 'string') return REFUSED
  const ms = parseDuration(String(value))
  return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : REFUSED
}

/** What shows no certificate cannot pass changes on, and is told by nobody who leads. */
const MEMBER_URL = /^(ssl|aha):\/\//i

function readUrls(value: unknown, {withPasswd, ofMember}: Extract<OptionType, {kind: 'urls'}>): unknown {
  if (value === null) return value
  const urls: readonly unknown[] = Array.isArray(value) ? value : [value]
  const isRight = urls.length > 0 && urls.length <= MAX_URLS
  const forms = [withPasswd ? URL_TEXT : URL_WITHOUT_PASSWD, ...(ofMember ? [MEMBER_URL] : [])]
  const isUrl = (url: unknown) => typeof url === 'string' && forms.every((form) => form.test(url))
  return orRefused(urls, isRight && urls.every(isUrl))
}

function readLevel(value: unknown): LogLevel | undefined {
  if (typeof value === 'number') return LOG_LEVELS[LEVEL_NUMBERS.indexOf(value)]
  return typeof value === 'string' ? LOG_LEVELS.find((level) => level === value.toLowerCase()) : undefined
}

function liveSchema(type: OptionType): Record<string, unknown> {
  switch (type.kind) {
    case 'boolean':
      return type.digits ? {anyOf: [{type: 'boolean'}, {enum: [0, 1]}]} : {type: 'boolean'}
    case 'integer':
      return {type: type.nullable ? ['integer', 'null'] : 'integer', minimum: type.min, maximum: type.max}
    case 'port':
      return {type: ['integer', 'null'], minimum: 0, maximum: LARGEST_PORT}
    case 'duration':
    case 'life':
      return {type: ['number', 'string']}
    case 'urls':
      return {type: ['string', 'array', 'null'], items: {type: 'string'}}
    case 'choice':
      return {type: 'string', enum: type.choices}
    case 'level':
      return {anyOf: [{type: 'string'}, {enum: LEVEL_NUMBERS}]}
    case 'address':
      return {type: 'string'}
    case 'text':
      return {type: ['string', 'null']}
    case 'object':
      return {type: ['object', 'null']}
  }
}

/** A scheme, a host, perhaps a port, perhaps parameters: what `docs/protocols/telepath.md` says of listeners. */
const LISTEN_URL = /^(tcp|ssl):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?(\?[\x21-\x7e]*)?$/

const TEXT_FORMS: Readonly<Record<TextForm, {readonly pattern: RegExp; readonly expected: string}>> = {
  any: {pattern: /^[^\0]{1,4096}$/su, expected: 'a text that is not empty'},
  network: {
    pattern: /^(?=.{1,60}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
    expected: 'a name of words joined by dots, at most 60 characters',
  },
  'host name': {
    pattern: /^(?=.{1,64}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
    expected: 'the DNS name of a host, at most 64 characters',
  },
  'certificate name': {
    pattern: /^(?=.{1,64}$)[A-Za-z0-9_-]+([.@][A-Za-z0-9_-]+)*$/,
    expected: 'the name in a certificate, at most 64 characters',
  },
  guid: {pattern: /^[0-9a-f]{32}$/, expected: '32 lower-case hex digits'},
  path: {pattern: /^[^\0]{1,4096}$/su, expected: 'a path'},
  'listen url': {pattern: LISTEN_URL, expected: 'tcp://HOST:PORT or ssl://HOST:PORT?hostname=NAME&ca=NAME'},
  'once url': {
    pattern: /^ssl:\/\/[^/?#@\s]{1,300}\/[0-9a-f]{32}(\?[\x21-\x7e]{0,200})?$/,
    expected: 'ssl://HOST:PORT/32-HEX-DIGITS?certhash=HASH, as registry clone prints it',
  },
  'user name': {pattern: /^[^\0\n]{1,256}$/u, expected: 'the name of a user'},
}

function isText(form: TextForm, value: unknown): boolean {
  return typeof value === 'string' && TEXT_FORMS[form].pattern.test(value)
}

/** A listener wants an address; which one `localhost` is must not depend on the machine's tables. */
function readAddress(value: unknown): unknown {
  if (value === 'localhost') return '127.0.0.1'
  return typeof value === 'string' && isIP(value) !== 0 ? value : REFUSED
}

function describeLive(type: OptionType): string {
  switch (type.kind) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      return `a whole number of ${type.unit} from ${type.min} to ${type.max}${type.nullable ? ', or null' : ''}`
    case 'port':
      return 'a port from 0 to 65535, or null'
    case 'duration':
      return `a duration from ${formatDuration(type.minMs)} to ${formatDuration(type.maxMs)}: ${DURATION_FORM}`
    case 'life':
      return `a duration from ${formatDuration(type.minMs)} to ${formatDuration(type.maxMs)}, or ${NEVER}: ${DURATION_FORM}`
    case 'urls':
      return type.ofMember
        ? `ssl://HOST:PORT or aha://NAME, or a list of up to ${MAX_URLS} of them, or null; members of a cell know each other by the certificates of TLS, which tcp:// and sockets do not show`
        : `a Telepath URL or a list of up to ${MAX_URLS} of them, or null`
    case 'choice':
      return `one of ${type.choices.join(', ')}`
    case 'level':
      return `one of ${LOG_LEVELS.join(', ')}`
    case 'address':
      return 'an IPv4 or IPv6 address, or localhost'
    case 'text':
      return `${TEXT_FORMS[type.form].expected}, or null`
    case 'object':
      return `${describeObject(type.shape)}, or null`
  }
}
