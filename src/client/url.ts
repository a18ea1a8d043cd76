import {RegistryError} from '../base/errors.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

/** Where a registry takes ZeroMQ requests. */
export interface RegistryAddress {
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** In one form for the same place: `zmq://[::1]:5556`. */
  readonly url: string
}

const DEFAULT_PORT = 5556
const FORM = /^zmq:\/\/(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/i

/**
 * Reads `zmq://HOST[:PORT]`; an IPv6 address stands in brackets, the port is 5556 when it is not given.
 *
 * @throws RegistryError `REG_USAGE` saying what is wrong with it.
 */
export function parseRegistryUrl(text: string): RegistryAddress {
  const [, ipv6, name, digits] = FORM.exec(text.trim()) ?? []
  const host = ipv6 ?? name
  if (host === undefined) throw notOne(text, whyNot(text))
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  if (port < 1 || port > 65_535) throw notOne(text, 'the port must be from 1 to 65535')
  return {host, port, url: `zmq://${bracketed(host)}:${port}`}
}

/** Gives the address of a port of `host` as the sockets take it. */
export function tcpAddress(host: string, port: number): string {
  return `tcp://${bracketed(host)}:${port}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function whyNot(text: string): string {
  const scheme = /^([a-z][\w+.-]*):\/\//i.exec(text)?.[1]
  if (scheme === undefined) return 'it begins with zmq://'
  if (scheme.toLowerCase() !== 'zmq') return `${scheme}:// is no address of ZeroMQ requests`
  return 'after zmq:// stand a host and perhaps a port, and nothing else'
}

function notOne(text: string, why: string): RegistryError {
  const shown = sanitizeUrl(text)
  return new RegistryError('REG_USAGE', `"${shown}" is not the URL of a registry: ${why}`, {
    info: {url: shown},
    hints: ['zmq://HOST:5556', 'zmq://[::1]:5556'],
  })
}
