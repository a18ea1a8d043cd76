import {parseJson} from '../base/json-parse.ts'
import {encodeString, members} from '../base/json-text.ts'
import {encodeMaintenance, type Maintenance, readMaintenance} from './maintenance.ts'
import {isObject, readService, type Service} from './service.ts'

/**
 * What can happen to the services. A change is stored in the log as JSON text:
 *
 *     {"v":1,"kind":"register","seq":7,"ttl":30,"info":{"name":"cam","host":"h","port":1,"id":"cam-1"}}
 *     {"v":1,"kind":"deregister","seq":7,"id":"cam-1"}
 *     {"v":1,"kind":"expire","seq":7,"id":"cam-1"}
 *     {"v":1,"kind":"maintenance","seq":7,"id":"cam-1","maintenance":{"reason":"new lens","since":1760000000,"by":"unix/root"}}
 *
 * `info` is the `service_info` as it was sent, with its id: the service is made from it again by the same rules, with the maintenance of
 * the instance that it replaces. `maintenance` is null when it ends.
 *
 * Versions: 1, the first; the kind `maintenance` came later, and is refused by software from before.
 */
export type Change =
  | {readonly kind: 'register'; readonly seq: number; readonly service: Service; readonly info: string}
  | {readonly kind: 'deregister' | 'expire'; readonly seq: number; readonly id: string}
  | {
      readonly kind: 'maintenance'
      readonly seq: number
      readonly id: string
      readonly maintenance: Maintenance | undefined
    }

export function encodeChange(change: Change): string {
  const head = `{"v":1,"kind":"${change.kind}","seq":${change.seq}`
  if (change.kind === 'register') return `${head},"ttl":${change.service.ttlS},"info":${change.info}}`
  const about = `${head},"id":${encodeString(change.id)}`
  if (change.kind !== 'maintenance') return `${about}}`
  return `${about},"maintenance":${change.maintenance === undefined ? 'null' : encodeMaintenance(change.maintenance)}}`
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeChange(text: string): Change {
  const value = parseJson(text)
  if (!isObject(value) || value['v'] !== 1 || typeof value['seq'] !== 'number')
    throw new TypeError('not a change of version 1')
  const {kind, seq, id, info} = value
  if ((kind === 'deregister' || kind === 'expire') && typeof id === 'string') return {kind, seq, id}
  if (kind === 'maintenance' && typeof id === 'string') return {kind, seq, id, maintenance: maintenanceOf(value)}
  const infoText = members(text).find((member) => member.key === 'info')?.raw
  if (kind !== 'register' || infoText === undefined || !isObject(info))
    throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  const service = readService({value: info, text: infoText, ttl: value['ttl']}, () => '')
  if ('error' in service) throw new TypeError(service.error)
  return {kind, seq, service, info: infoText}
}

function maintenanceOf(value: Readonly<Record<string, unknown>>): Maintenance | undefined {
  if (value['maintenance'] === null) return undefined
  const maintenance = readMaintenance(value['maintenance'])
  if (maintenance === undefined) throw new TypeError('not the maintenance of a service')
  return maintenance
}
