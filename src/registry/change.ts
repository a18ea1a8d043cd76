import {parseJson} from '../base/json-parse.ts'
import {encodeString, members} from '../base/json-text.ts'
import {isObject, readService, type Service} from './service.ts'

/**
 * What can happen to the services. A change is stored in the log as JSON text:
 *
 *     {"v":1,"kind":"register","seq":7,"ttl":30,"info":{"name":"cam","host":"h","port":1,"id":"cam-1"}}
 *     {"v":1,"kind":"deregister","seq":7,"id":"cam-1"}
 *     {"v":1,"kind":"expire","seq":7,"id":"cam-1"}
 *
 * `info` is the `service_info` as it was sent, with its id: the service is made from it again by the same rules.
 *
 * Versions: 1, the first.
 */
export type Change =
  | {readonly kind: 'register'; readonly seq: number; readonly service: Service; readonly info: string}
  | {readonly kind: 'deregister' | 'expire'; readonly seq: number; readonly id: string}

export function encodeChange(change: Change): string {
  if (change.kind !== 'register')
    return `{"v":1,"kind":"${change.kind}","seq":${change.seq},"id":${encodeString(change.id)}}`
  return `{"v":1,"kind":"register","seq":${change.seq},"ttl":${change.service.ttlS},"info":${change.info}}`
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeChange(text: string): Change {
  const value = parseJson(text)
  if (!isObject(value) || value['v'] !== 1 || typeof value['seq'] !== 'number')
    throw new TypeError('not a change of version 1')
  const {kind, seq, id, info} = value
  if ((kind === 'deregister' || kind === 'expire') && typeof id === 'string') return {kind, seq, id}
  const infoText = members(text).find((member) => member.key === 'info')?.raw
  if (kind !== 'register' || infoText === undefined || !isObject(info))
    throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  const service = readService({value: info, text: infoText, ttl: value['ttl']}, () => '')
  if ('error' in service) throw new TypeError(service.error)
  return {kind, seq, service, info: infoText}
}
