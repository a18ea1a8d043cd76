import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {isJsonObject} from './aha-entry.ts'

/** Where an AHA server of the network is. Immutable. */
export interface AhaServer {
  readonly host: string
  readonly port: number
  /** It is this server, which told so itself at its start, and is told anew when its port is another one. */
  readonly isOwn: boolean
}

/**
 * What can happen to the list of AHA servers. Kinds are named as the peer's events are. It stands in the log as JSON text:
 *
 *     {"v":1,"kind":"aha:server:add","host":"aha.loop.link","port":27492,"isOwn":true}
 *     {"v":1,"kind":"aha:server:del","host":"aha.loop.link","port":27492}
 *
 * Versions: 1, the first.
 */
export type AhaServerChange =
  | ({readonly kind: 'aha:server:add'} & AhaServer)
  | {readonly kind: 'aha:server:del'; readonly host: string; readonly port: number}

const DEFAULT_PORT = 27_492
const HOST = /^[^\s\p{Cc}/?#@%]{1,255}$/u

/**
 * Checks what is said of a server; without a port it has the default one.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function readAhaServer(value: unknown): AhaServer {
  if (!isJsonObject(value)) throw badServer('server must be a map')
  const {host, port = DEFAULT_PORT, ...others} = value
  const [other] = Object.keys(others)
  if (other !== undefined) throw badServer(`server must not have ${other.slice(0, 100)}`)
  if (typeof host !== 'string' || !HOST.test(host)) throw badServer('server.host must be the name of a host')
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw badServer('server.port must be an integer from 1 to 65535')
  }
  return {host, port, isOwn: false}
}

/** Gives the key of a server among the others. */
export function serverKey({host, port}: {readonly host: string; readonly port: number}): string {
  return `${host}:${port}`
}

/** Gives what a change leaves of a server; undefined when it is gone. */
export function serverAfter(change: AhaServerChange): AhaServer | undefined {
  if (change.kind === 'aha:server:del') return undefined
  const {host, port, isOwn} = change
  return {host, port, isOwn}
}

/** Orders servers as the peer does: shorter names first, then by name and by port. */
export function byServer(one: AhaServer, other: AhaServer): number {
  return one.host.length - other.host.length || compare(one.host, other.host) || one.port - other.port
}

/** Tells whether a change of this kind is one of the list of AHA servers. */
export function isServerKind(kind: string): boolean {
  return kind.startsWith('aha:server:')
}

/** Gives the text of a change for the log. */
export function encodeServerChange(change: AhaServerChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeServerChange(text: string): AhaServerChange {
  const value = parseJson(text)
  if (!isJsonObject(value) || value['v'] !== 1) throw new TypeError('not a change of version 1')
  const {kind, host, port} = value
  if (kind === 'aha:server:add') return {kind, ...readMembers(value)}
  if (kind !== 'aha:server:del') throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  if (typeof host !== 'string' || typeof port !== 'number') throw new TypeError('not a place')
  return {kind, host, port}
}

/** Gives the text of a server for the store. */
export function encodeServer(server: AhaServer): string {
  return JSON.stringify(server)
}

/** Reads a server from the store. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeServer(text: string): AhaServer {
  return readMembers(parseJson(text))
}

function readMembers(value: unknown): AhaServer {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  const {host, port, isOwn} = value
  if (typeof host !== 'string' || typeof port !== 'number' || typeof isOwn !== 'boolean') {
    throw new TypeError('not a server')
  }
  return {host, port, isOwn}
}

function compare(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}

function badServer(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {info: {arg: 'server'}})
}
