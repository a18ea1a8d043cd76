/**
 * Who asked for a change, and from where, as the log keeps it in one text:
 *
 *     telepath/visi/10.0.0.7     a user, over Telepath, from that address
 *     https/visi/10.0.0.7        the same over HTTPS
 *     unix/root                  a user on the UNIX socket of the cell, where nobody has an address
 *     provision/00.axon          who uses a one-time URL; the address stands in the change
 *     zmq:anon/6b8b4567          a connection to the plain ZeroMQ ports, by its routing id; an address is not known there
 *     registry:sweeper           a part of the registry itself
 *
 * Names of users may hold slashes: the way is what stands before the first one, the address what stands behind the last one. Entries of older
 * versions have no address, so what stands there counts only when it reads like one.
 */
export interface Actor {
  readonly via: 'telepath' | 'https' | 'unix' | 'provision' | 'zeromq' | 'registry'
  /** The user, the ticket's name, or the part of the registry; undefined where nobody says who he is. */
  readonly who: string | undefined
  /** The address, or the routing id over ZeroMQ; undefined when it is not known. */
  readonly from: string | undefined
}

const WAYS = ['telepath', 'https', 'unix', 'provision'] as const
const ZEROMQ = 'zmq:anon/'
/** IPv4, or IPv6 with at least two colons and perhaps a zone. */
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|(?=(?:[^:]*:){2})[0-9A-Fa-f:.]+(?:%[\w.-]+)?)$/

/** Gives the text for a user; without an address for one on the UNIX socket. */
export function actorText(via: 'telepath' | 'https' | 'unix', user: string, address: string | undefined): string {
  return via === 'unix' || address === undefined ? `${via}/${user}` : `${via}/${user}/${address}`
}

export function readActor(text: string): Actor {
  if (text.startsWith(ZEROMQ)) return {via: 'zeromq', who: undefined, from: text.slice(ZEROMQ.length)}
  const via = WAYS.find((way) => text.startsWith(`${way}/`))
  if (via === undefined) return {via: 'registry', who: text, from: undefined}
  const rest = text.slice(via.length + 1)
  const cut = rest.lastIndexOf('/')
  const last = rest.slice(cut + 1)
  const hasAddress = cut !== -1 && (via === 'telepath' || via === 'https') && ADDRESS.test(last)
  return hasAddress ? {via, who: rest.slice(0, cut), from: last} : {via, who: rest, from: undefined}
}

/** Gives the text without the address: what may be shown to those who ask about a service, or about a one-time URL. */
export function withoutAddress(text: string): string {
  const {via, who, from} = readActor(text)
  return via === 'zeromq' || from === undefined ? text : `${via}/${who}`
}
