import {isIPv6} from 'node:net'
import {systemClock} from '../base/clock.ts'
import {formatDuration} from '../base/duration.ts'
import type {ServiceEntry} from '../client/service-entry.ts'
import {parseExact} from './exact-json.ts'
import {printable} from './printable.ts'
import {type Column, keyValues, localTime, table} from './render.ts'

/** Gives the service object for `--json`: as the registry gave it, numbers included, with the type where only the metadata has it. */
export function exactService(entry: ServiceEntry): Readonly<Record<string, unknown>> {
  const value = parseExact(entry.raw) as Readonly<Record<string, unknown>>
  return entry.type === undefined || 'type' in value ? value : {...value, type: entry.type}
}

/** Gives `host:port`, with brackets where the host is an IPv6 address. */
export function addressOf({host, port}: ServiceEntry): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}

const COLUMNS: readonly Column<ServiceEntry>[] = [
  {header: 'name', value: (entry) => entry.name},
  {header: 'type', value: (entry) => entry.type ?? '-'},
  {header: 'address', value: addressOf},
  {header: 'health', value: healthOf},
  {header: 'renewed', value: (entry) => ago(entry.lastHeartbeatMs)},
  {header: 'id', value: (entry) => entry.id},
]

/** Lays services out in a table. */
export function serviceTable(entries: readonly ServiceEntry[]): string {
  return table(entries, COLUMNS)
}

/** Tells everything of one service. */
export function serviceDetails(entry: ServiceEntry): string {
  const exact = exactService(entry)
  return keyValues([
    ['id', entry.id],
    ['name', entry.name],
    ['type', entry.type],
    ['address', addressOf(entry)],
    ['health', entry.health],
    ['maintenance', maintenanceText(entry)],
    ['renewed', `${localTime(entry.lastHeartbeatMs)}, ${ago(entry.lastHeartbeatMs)}`],
    ['ttl', entry.ttlS === undefined ? undefined : formatDuration(entry.ttlS * 1000)],
    ['tags', entry.tags.join(', ') || undefined],
    ['metadata', Object.keys(entry.metadata).length === 0 ? undefined : pretty(exact['metadata'])],
    ...Object.keys(entry.extra).map((key) => [printable(key), pretty(exact[key])] as const),
  ])
}

/** Says in one line which service it is. */
export function serviceLine(entry: ServiceEntry): string {
  return [entry.name, entry.type ?? '-', addressOf(entry), healthOf(entry), entry.id].join('  ')
}

function healthOf({health, maintenance}: ServiceEntry): string {
  return maintenance === undefined ? health : `${health}, maintenance`
}

function maintenanceText({maintenance}: ServiceEntry): string | undefined {
  if (maintenance === undefined) return undefined
  return `${maintenance.reason} (since ${localTime(maintenance.sinceMs)}, by ${maintenance.by})`
}

function ago(epochMs: number): string {
  // The registry's clock may be a little ahead of ours, and its times are whole seconds.
  return `${formatDuration(Math.max(0, Math.floor((systemClock.wallMs() - epochMs) / 1000)) * 1000).replace(/^0ms$/, '0s')} ago`
}

function pretty(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
}
