import {type ErrorCode, messageOf, RegistryError} from '../base/errors.ts'
import {checkText} from '../base/json-check.ts'
import {parseJson} from '../base/json-parse.ts'
import {elements, memberText} from '../base/json-text.ts'
import {type Maintenance, readMaintenance} from '../registry/maintenance.ts'
import {decodeEntry, type ServiceEntry} from './service-entry.ts'

/** What was asked, for the texts of errors. */
export interface Question {
  readonly action: string
  /** What the action is about, as a person would say it: `service cam1`. */
  readonly about?: string | undefined
  readonly url: string
}

/** An answer that says yes. */
export interface Answer {
  readonly question: Question
  readonly text: string
  readonly value: Readonly<Record<string, unknown>>
}

/** State of the registry as `health` gives it. */
export interface RegistryHealth {
  /** `degraded`: it answers, but cannot store changes at present. */
  readonly status: 'ok' | 'degraded'
  readonly timeMs: number
  readonly problem: string | undefined
}

/** What the registry says of itself. */
export interface RegistryInfo {
  readonly status: 'ok' | 'degraded'
  /** Null for a listener that it does not have. */
  readonly ports: {
    readonly req: number | null
    readonly pub: number | null
    readonly hb: number | null
    readonly rep: number | null
  }
  /** Undefined when it does not say: CGSE before 0.15. */
  readonly uniqueTypes: boolean | undefined
  /** What only this software says; undefined for a Python server. */
  readonly server: ServerFacts | undefined
  /** Undefined when the server left them out as it was asked to; a Python server always gives them. */
  readonly services: readonly ServiceEntry[] | undefined
}

export interface ServerFacts {
  readonly version: string
  readonly pid: number
  readonly startedMs: number
  readonly strategy: string
  readonly leaseGraceS: number
  readonly store: {
    readonly kind: string
    readonly problem: string | undefined
    readonly problemSinceMs: number | undefined
  }
  readonly counts: {
    readonly services: number
    readonly critical: number
    /** In maintenance. */
    readonly maintenance: number
    readonly eventsDropped: number
    readonly unanswerable: number
  }
}

/** Nesting of an answer; a service may have 64 levels, and stands two levels deep. */
const MAX_DEPTH = 100

/**
 * Reads an answer.
 *
 * @throws RegistryError what the registry said no with, as one of the codes; `REG_BAD_ANSWER` when it is not an answer.
 */
export function readAnswer(bytes: Buffer, question: Question): Answer {
  const text = checkText(bytes, {maxBytes: Number.POSITIVE_INFINITY, maxDepth: MAX_DEPTH})
  if (typeof text !== 'string') throw badAnswer(question, text.error)
  const value = parseObject(text, question)
  if (value['success'] === false) throw refusalOf(value, question)
  if (value['success'] !== true) throw badAnswer(question, 'it does not say whether it succeeded')
  return {question, text, value}
}

/** Reads `service_id` of an answer to `register`. */
export function readServiceId({question, value}: Answer): string {
  const id = value['service_id']
  if (typeof id === 'string' || typeof id === 'number') return String(id)
  throw badAnswer(question, 'service_id is missing')
}

/** Reads `service` of an answer to `get` or `discover`. */
export function readService({question, text, value}: Answer): ServiceEntry {
  const entry = decodeEntry(memberText(text, 'service') ?? '{}', value['service'])
  if (entry === undefined) throw badAnswer(question, 'it has no service object')
  return entry
}

/** Reads `services` of an answer to `list`. */
export function readServices(answer: Answer): ServiceEntry[] {
  const services = readOptionalServices(answer)
  if (services === undefined) throw badAnswer(answer.question, 'it has no list of services')
  return services
}

function readOptionalServices({question, text, value}: Answer): ServiceEntry[] | undefined {
  const list = value['services']
  if (!Array.isArray(list)) return undefined
  return elements(memberText(text, 'services') ?? '[]').map((raw, index) => {
    const entry = decodeEntry(raw, list[index])
    if (entry === undefined) throw badAnswer(question, `entry ${index} of the list is not a service object`)
    return entry
  })
}

/** A change of a service, as `events` gives it. */
export interface ServiceEvent {
  readonly offset: number
  readonly type: 'register' | 'deregister' | 'expire' | 'maintenance'
  readonly timestampS: number
  readonly id: string
  /** JSON text of `service_info`, for `register`. */
  readonly info: string
  /** For `maintenance`: null when it ends. */
  readonly maintenance: Maintenance | null | undefined
}

/** Some of the change log: the events from one offset up to `next`, which is where to go on. */
export interface EventPage {
  readonly events: readonly ServiceEvent[]
  readonly next: number
  /** Where the log ends. */
  readonly end: number
}

const EVENT_TYPES: ReadonlySet<unknown> = new Set<ServiceEvent['type']>([
  'register',
  'deregister',
  'expire',
  'maintenance',
])

/** Reads an answer to `events`. */
export function readEvents({question, text, value}: Answer): EventPage {
  const {events, next, end} = value
  if (!Array.isArray(events) || typeof next !== 'number' || typeof end !== 'number')
    throw badAnswer(question, 'it has no events')
  const raws = elements(memberText(text, 'events') ?? '[]')
  const read = raws.map((raw, index) => {
    const event = readEvent(raw, {...events[index]})
    if (event === undefined) throw badAnswer(question, `event ${index} of the list cannot be read`)
    return event
  })
  return {events: read, next, end}
}

function readEvent(raw: string, value: Readonly<Record<string, unknown>>): ServiceEvent | undefined {
  const {offset, type, timestamp} = value
  const data = objectOf(value['data']) ?? {}
  const {service_id: id, maintenance} = data
  if (typeof offset !== 'number' || !isEventType(type) || typeof id !== 'string') return undefined
  const info = memberText(memberText(raw, 'data') ?? '{}', 'service_info') ?? '{}'
  return {
    ...{offset, type, id, info, timestampS: numberOf(timestamp) ?? 0},
    maintenance: type === 'maintenance' ? (readMaintenance(maintenance) ?? null) : undefined,
  }
}

function isEventType(type: unknown): type is ServiceEvent['type'] {
  return EVENT_TYPES.has(type)
}

/** Reads an answer to `health`. */
export function readHealth({value}: Answer): RegistryHealth {
  return {
    status: statusOf(value),
    timeMs: (numberOf(value['timestamp']) ?? 0) * 1000,
    problem: textOf(value['problem']),
  }
}

/** Reads an answer to `info`. */
export function readInfo(answer: Answer): RegistryInfo {
  return {...readRegistryInfo(answer.value), services: readOptionalServices(answer)}
}

/** Reads what `info` says of the registry itself, however it came. */
export function readRegistryInfo(value: Readonly<Record<string, unknown>>): Omit<RegistryInfo, 'services'> {
  const facts = objectOf(value['registry'])
  const unique = value['enforce_unique_service_types']
  return {
    status: statusOf(value),
    ports: {
      req: portOf(value['req_port']),
      pub: portOf(value['pub_port']),
      hb: portOf(value['hb_port']),
      rep: portOf(facts?.['rep_port']),
    },
    uniqueTypes: typeof unique === 'boolean' ? unique : undefined,
    server: facts === undefined ? undefined : factsOf(facts),
  }
}

function factsOf(facts: Readonly<Record<string, unknown>>): ServerFacts {
  const store = objectOf(facts['store']) ?? {}
  const counts = objectOf(facts['counts']) ?? {}
  const sinceS = numberOf(store['problem_since'])
  return {
    version: textOf(facts['version']) ?? '',
    pid: numberOf(facts['pid']) ?? 0,
    startedMs: (numberOf(facts['started']) ?? 0) * 1000,
    strategy: textOf(facts['strategy']) ?? '',
    leaseGraceS: numberOf(facts['lease_grace']) ?? 0,
    store: {
      kind: textOf(store['kind']) ?? '',
      problem: textOf(store['problem']),
      problemSinceMs: sinceS === undefined ? undefined : sinceS * 1000,
    },
    counts: {
      services: numberOf(counts['services']) ?? 0,
      critical: numberOf(counts['critical']) ?? 0,
      maintenance: numberOf(counts['maintenance']) ?? 0,
      eventsDropped: numberOf(counts['events_dropped']) ?? 0,
      unanswerable: numberOf(counts['unanswerable']) ?? 0,
    },
  }
}

/** What the texts of a refusal mean, the first that fits; both kinds of server use the same ones where both know the case. */
const REFUSALS: readonly (readonly [text: RegExp, code: ErrorCode])[] = [
  [/^Service not found|^No healthy service of type /, 'REG_NOT_FOUND'],
  [/^duplicate_service_type$/, 'REG_CONFLICT'],
  [/^not confirmed, ask again$/, 'REG_NOT_CONFIRMED'],
  [/^too many requests/, 'REG_BUSY'],
  [/^offset \d+ was trimmed /, 'REG_OFFSET_CULLED'],
  [/^offset \d+ is yet to come/, 'REG_CONFLICT'],
  [/^this member answers nothing: /, 'REG_FENCED'],
  [/^Failed to (?:de)?register service/, 'REG_STORE_FAILED'],
  [/^terminate is not allowed|^services of AHA are read-only here/, 'REG_DENIED'],
]

function refusalOf(value: Readonly<Record<string, unknown>>, question: Question): RegistryError {
  const {success: _, error, message, ...rest} = value
  const said = textOf(error) ?? 'no reason given'
  const code = REFUSALS.find(([text]) => text.test(said))?.[1] ?? 'REG_BAD_REQUEST'
  const {action} = question
  const reason = textOf(message) ?? said
  return new RegistryError(code, refusalText(code, question, reason), {info: {action, error: said, ...rest}})
}

function refusalText(code: ErrorCode, {action, about}: Question, reason: string): string {
  if (code !== 'REG_NOT_FOUND') return `cannot ${about === undefined ? action : `${action} ${about}`}: ${reason}`
  return about === undefined ? reason : `${about} is not registered`
}

function parseObject(text: string, question: Question): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    throw badAnswer(question, messageOf(error), error)
  }
  const object = objectOf(value)
  if (object === undefined) throw badAnswer(question, 'it is not an object')
  return object
}

function badAnswer({action, url}: Question, why: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BAD_ANSWER', `what ${url} answered to ${action} is not understood: ${why}`, {
    info: {url, action},
    cause,
  })
}

function statusOf(value: Readonly<Record<string, unknown>>): 'ok' | 'degraded' {
  return value['status'] === 'degraded' ? 'degraded' : 'ok'
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? {...value} : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function portOf(value: unknown): number | null {
  return numberOf(value) || null
}
