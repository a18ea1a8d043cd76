/** Validators of the options, by the plain types of the table. Written out, because loading a library for them doubled every start. */
import {isIP} from 'node:net'
import {DURATION_FORM, formatDuration, parseDuration} from '../base/duration.ts'
import {LOG_LEVELS, type LogLevel, type OptionName, type OptionRow, type OptionType, rowOf} from './options.ts'

/** A value that was accepted, in the form that the conf has; or what would have been. */
export type Checked = {readonly ok: true; readonly value: unknown} | {readonly ok: false; readonly expected: string}

/** Checks the value of an option. */
export function checkValue(name: OptionName, value: unknown): Checked {
  const row = rowOf(name)
  const read = readValue(row, value)
  return read === REFUSED ? {ok: false, expected: describeType(row)} : {ok: true, value: read}
}

/** Gives the JSON schema of what may stand in cell.yaml for an option. */
export function jsonSchemaOf(name: OptionName): Record<string, unknown> {
  const row = rowOf(name)
  switch (row.kind) {
    case 'live':
      return liveSchema(row.type)
    case 'later':
      return {enum: row.off}
    case 'peer-only':
      return {}
  }
}

/** Says which values an option takes, to be read after "must be". */
export function describeType(row: OptionRow): string {
  if (row.kind === 'live') return describeLive(row.type)
  if (row.kind === 'peer-only') return row.type
  return row.off.map((value) => String(value)).join(' or ')
}

const LEVEL_NUMBERS = [10, 20, 30, 40, 50] // what Python calls the same levels
const LARGEST_PORT = 65_535
const REFUSED = Symbol('refused')

/** Gives the value as the conf has it, or `REFUSED`. */
function readValue(row: OptionRow, value: unknown): unknown {
  switch (row.kind) {
    case 'live':
      return readLive(row.type, value)
    case 'later':
      return row.off.some((off) => off === value) ? value : REFUSED
    case 'peer-only':
      return value
  }
}

function readLive(type: OptionType, value: unknown): unknown {
  switch (type.kind) {
    case 'boolean':
      return readBoolean(value, type.digits === true)
    case 'integer':
      return isWhole(value, type.min, type.max) ? value : REFUSED
    case 'port':
      return value === null || isWhole(value, 0, LARGEST_PORT) ? value : REFUSED
    case 'duration':
      return readDuration(value, type.minMs, type.maxMs)
    case 'choice':
      return type.choices.some((choice) => choice === value) ? value : REFUSED
    case 'level':
      return readLevel(value) ?? REFUSED
    case 'address':
      return readAddress(value)
  }
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

function readLevel(value: unknown): LogLevel | undefined {
  if (typeof value === 'number') return LOG_LEVELS[LEVEL_NUMBERS.indexOf(value)]
  return typeof value === 'string' ? LOG_LEVELS.find((level) => level === value.toLowerCase()) : undefined
}

function liveSchema(type: OptionType): Record<string, unknown> {
  switch (type.kind) {
    case 'boolean':
      return type.digits ? {anyOf: [{type: 'boolean'}, {enum: [0, 1]}]} : {type: 'boolean'}
    case 'integer':
      return {type: 'integer', minimum: type.min, maximum: type.max}
    case 'port':
      return {type: ['integer', 'null'], minimum: 0, maximum: LARGEST_PORT}
    case 'duration':
      return {type: ['number', 'string']}
    case 'choice':
      return {type: 'string', enum: type.choices}
    case 'level':
      return {anyOf: [{type: 'string'}, {enum: LEVEL_NUMBERS}]}
    case 'address':
      return {type: 'string'}
  }
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
      return `a whole number of ${type.unit} from ${type.min} to ${type.max}`
    case 'port':
      return 'a port from 0 to 65535, or null'
    case 'duration':
      return `a duration from ${formatDuration(type.minMs)} to ${formatDuration(type.maxMs)}: ${DURATION_FORM}`
    case 'choice':
      return `one of ${type.choices.join(', ')}`
    case 'level':
      return `one of ${LOG_LEVELS.join(', ')}`
    case 'address':
      return 'an IPv4 or IPv6 address, or localhost'
  }
}
