import {parseJson} from '../base/json-parse.ts'
import {encodeString, members} from '../base/json-text.ts'
import type {Seen} from './instance.ts'
import {encodeMaintenance, type Maintenance, readMaintenance} from './maintenance.ts'
import {isObject, readStoredInfo, type Service} from './service.ts'

/**
 * What can happen to the services. A change is stored in the log as JSON text:
 *
 *     {"v":1,"kind":"register","seq":7,"ttl":30,"info":{"name":"cam","host":"h","port":1,"id":"cam-1"}}
 *     {"v":2,"kind":"deregister","seq":7,"id":"cam-1","seen":1760000000,"health":"passing"}
 *     {"v":2,"kind":"expire","seq":7,"id":"cam-1","seen":1760000000,"health":"critical"}
 *     {"v":1,"kind":"maintenance","seq":7,"id":"cam-1","maintenance":{"reason":"new lens","since":1760000000,"by":"unix/root"}}
 *
 * `info` is the `service_info` as it was sent, with its id: the service is made from it again by the same rules, with the maintenance of
 * the instance that it replaces. `maintenance` is null when it ends. `seen` is the epoch second of the last renewal: it is part of the event
 * that tells of the end, and each member of a cell tells the same.
 *
 * Versions: 1, the first; the kind `maintenance` came later, and is refused by software from before. 2, of `deregister` and `expire`: with
 * `seen` and `health`; of version 1, each member tells what it knows itself.
 */
export type Change =
  | {readonly kind: 'register'; readonly seq: number; readonly service: Service; readonly info: string}
  | {
      readonly kind: 'deregister' | 'expire'
      readonly seq: number
      readonly id: string
      /** Undefined in version 1. */
      readonly seen: Seen | undefined
    }
  | {
      readonly kind: 'maintenance'
      readonly seq: number
      readonly id: string
      readonly maintenance: Maintenance | undefined
    }

/** Tells whether a change of this kind is one of a service. */
export function isServiceKind(kind: string): boolean {
  return SERVICE_KINDS.has(kind)
}

const SERVICE_KINDS: ReadonlySet<string> = new Set<Change['kind']>(['register', 'deregister', 'expire', 'maintenance'])

/** Gives the text of a change for the log. */
export function encodeChange(change: Change): string {
  const version = 'seen' in change && change.seen !== undefined ? 2 : 1
  const head = `{"v":${version},"kind":"${change.kind}","seq":${change.seq}`
  if (change.kind === 'register') return `${head},"ttl":${change.service.ttlS},"info":${change.info}}`
  const about = `${head},"id":${encodeString(change.id)}`
  if (change.kind !== 'maintenance') {
    const {seen} = change
    return seen === undefined ? `${about}}` : `${about},"seen":${seen.lastHeartbeatS},"health":"${seen.health}"}`
  }
  return `${about},"maintenance":${change.maintenance === undefined ? 'null' : encodeMaintenance(change.maintenance)}}`
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeChange(text: string): Change {
  const value = parseJson(text)
  if (!isObject(value) || typeof value['seq'] !== 'number') throw new TypeError('not a change')
  const {v, kind, seq, id, info} = value
  if ((kind === 'deregister' || kind === 'expire') && typeof id === 'string')
    return {kind, seq, id, seen: seenIn(value)}
  if (v !== 1) throw new TypeError('not a change of version 1')
  if (kind === 'maintenance' && typeof id === 'string') return {kind, seq, id, maintenance: maintenanceOf(value)}
  const infoText = members(text).find((member) => member.key === 'info')?.raw
  if (kind !== 'register' || infoText === undefined || !isObject(info))
    throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  const service = readStoredInfo({value: info, text: infoText, ttl: value['ttl']})
  return {kind, seq, service, info: infoText}
}

function seenIn({v, seen, health}: Readonly<Record<string, unknown>>): Seen | undefined {
  if (v === 1) return undefined
  if (v !== 2) throw new TypeError('not a change of version 1 or 2')
  if (typeof seen !== 'number' || !Number.isSafeInteger(seen)) throw new TypeError('seen is not a second')
  if (health !== 'passing' && health !== 'critical') throw new TypeError('health is not a known one')
  return {lastHeartbeatS: seen, health}
}

function maintenanceOf(value: Readonly<Record<string, unknown>>): Maintenance | undefined {
  if (value['maintenance'] === null) return undefined
  const maintenance = readMaintenance(value['maintenance'])
  if (maintenance === undefined) throw new TypeError('not the maintenance of a service')
  return maintenance
}
