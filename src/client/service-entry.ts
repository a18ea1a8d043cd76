import {isDeepStrictEqual} from 'node:util'
import {parseJson} from '../base/json-parse.ts'
import {appendMember, encodeString, memberText, withoutMembers} from '../base/json-text.ts'
import type {Health} from '../registry/instance.ts'
import {readMaintenance} from '../registry/maintenance.ts'
import {readService} from '../registry/service.ts'

/**
 * One running endpoint of a service, as the registry knows it. Servers differ: what one of them leaves out or writes in another form is
 * brought into this one, and `raw` keeps what came. A field that makes no sense (the Python server takes `"http"` as a port) does not
 * hide the entry: it has its empty value here.
 */
export interface ServiceEntry {
  readonly id: string
  readonly name: string
  readonly host: string
  /** 0 when the registry has something that is not a port. */
  readonly port: number
  /** `type`, else `metadata.type`. */
  readonly type: string | undefined
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  /** Undefined for an entry known from an event only, which does not say it. */
  readonly ttlS: number | undefined
  /** Last registration or renewal, epoch; exact to the second. */
  readonly lastHeartbeatMs: number
  readonly health: Health
  /** That it is being worked on, and not discovered. Undefined while it is in operation, and with a registry that has no maintenance. */
  readonly maintenance: {readonly reason: string; readonly sinceMs: number; readonly by: string} | undefined
  /** What else the service said of itself when it registered, by name. */
  readonly extra: Readonly<Record<string, unknown>>
  /** The service object as JSON text, letter by letter as it came: for numbers beyond 2^53, which `metadata` and `extra` round. */
  readonly raw: string
}

const OWN_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'name',
  'host',
  'port',
  'type',
  'tags',
  'metadata',
  'ttl',
  'last_heartbeat',
  'health',
  'maintenance',
])

/** Reads a service object of an answer, `value` being what `raw` says; undefined when it is none, because it has no id. */
export function decodeEntry(raw: string, value: unknown = parseJson(raw)): ServiceEntry | undefined {
  if (!isObject(value)) return undefined
  const {id, name, host, port, tags, ttl} = value
  if (typeof id !== 'string' && typeof id !== 'number') return undefined
  const metadata = isObject(value['metadata']) ? value['metadata'] : {}
  return {
    id: String(id),
    name: textOf(name),
    host: textOf(host),
    port: numberOf(port) ?? 0,
    type: typeOf(value['type']) ?? typeOf(metadata['type']),
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    metadata,
    ttlS: numberOf(ttl),
    lastHeartbeatMs: (numberOf(value['last_heartbeat']) ?? 0) * 1000,
    health: value['health'] === 'critical' ? 'critical' : 'passing',
    maintenance: maintenanceOf(value['maintenance']),
    extra: Object.fromEntries(Object.entries(value).filter(([key]) => !OWN_FIELDS.has(key))),
    raw,
  }
}

const UNSAID: ReadonlySet<string> = new Set(['ttl', 'maintenance'])

/**
 * Makes the entry of what a register event carries: the `service_info` as it was sent, which the registry completes (the type becomes a
 * tag and stands in the metadata) but does not repeat. What no event says: the ttl is missing, and maintenance goes on as it was in
 * `before`, the entry that was known.
 */
export function entryOfEvent(
  infoText: string,
  id: string,
  timestampS: number,
  before?: ServiceEntry | undefined,
): ServiceEntry | undefined {
  const value: unknown = parseJson(infoText)
  if (!isObject(value)) return undefined
  const service = readService({value, text: infoText, ttl: undefined}, () => id)
  // What our own rules refuse, another registry may have taken: as it is, then.
  const text = 'error' in service ? withId(value, infoText, id) : service.text
  const bare = withoutMembers(text, UNSAID)
  const maintenance = before?.maintenance && memberText(before.raw, 'maintenance')
  const whole = maintenance === undefined ? bare : appendMember(bare, 'maintenance', maintenance)
  return decodeEntry(appendMember(appendMember(whole, 'last_heartbeat', String(timestampS)), 'health', '"passing"'))
}

function withId(value: Readonly<Record<string, unknown>>, infoText: string, id: string): string {
  return 'id' in value ? infoText : appendMember(infoText, 'id', encodeString(id))
}

/**
 * Tells whether two entries say the same of a service; when it last renewed does not count. With `loosely`, neither does what one of the
 * servers drops: the ttl, and fields of its own.
 */
export function isSameService(one: ServiceEntry, other: ServiceEntry, loosely: boolean): boolean {
  const core = (entry: ServiceEntry) => [
    [entry.name, entry.host, entry.port, entry.type, entry.health],
    [entry.tags, entry.metadata],
    entry.maintenance,
  ]
  if (!isDeepStrictEqual(core(one), core(other))) return false
  return loosely || (one.ttlS === other.ttlS && isDeepStrictEqual(one.extra, other.extra))
}

function maintenanceOf(value: unknown): ServiceEntry['maintenance'] {
  const maintenance = readMaintenance(value)
  return maintenance && {reason: maintenance.reason, sinceMs: maintenance.sinceS * 1000, by: maintenance.by}
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function typeOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Reads a number, also one that a server keeps as text. */
function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}
