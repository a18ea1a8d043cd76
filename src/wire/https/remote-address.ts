import {isIP} from 'node:net'

/** What a request tells of where it comes from. */
export interface Origin {
  readonly socketAddress: string
  /** `X-Forwarded-For`, `X-Real-IP`. */
  readonly forwardedFor: string | undefined
  readonly realIp: string | undefined
}

/**
 * Gives the address of a client behind a proxy as the peers read it: `X-Real-IP`, else the last of `X-Forwarded-For`, which is what the proxy
 * itself has added; the proxy must set both or remove what the client sent. What is no address is ignored.
 */
export function forwardedAddress({socketAddress, forwardedFor, realIp}: Origin): string {
  const last = forwardedFor?.split(',').at(-1)
  for (const candidate of [realIp, last]) {
    const address = candidate?.trim() ?? ''
    if (isIP(address) !== 0) return plainAddress(address)
  }
  return plainAddress(socketAddress)
}

/** Gives an IPv4 address that came over an IPv6 socket as what it is. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped?.[1] ?? address
}

/** Gives what limits count by: an IPv4 address, or the first 64 bits of an IPv6 address, which one client may have all of. */
export function addressGroup(address: string): string {
  const plain = plainAddress(address)
  if (isIP(plain) !== 6) return plain
  const [head = '', tail] = (plain.split('%')[0] ?? '').toLowerCase().split('::')
  const front = groupsOf(head)
  const back = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array.from({length: Math.max(0, 8 - front.length - back.length)}, () => '0')
  const all = tail === undefined ? front : [...front, ...zeros, ...back]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** The last 32 bits may be written as an IPv4 address: two groups, which are beyond the first four. */
function groupsOf(part: string): string[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]))
}
