// Lets Node find the names of a Synapse network of the tests on loopback, as loopback/sitecustomize.py does for Python: each name in PEER_NAMES
// (with commas between) and each name below one is 127.0.0.1. For a process of its own: `node --import <this file>`.
import dns from 'node:dns'

const names = new Set<string>()

type Lookup = (host: string, options: unknown, done: unknown) => unknown

/** From now on names of that network are loopback in this process. */
export function keepOnLoopback(network: string): void {
  if (names.size === 0) {
    const lookup = dns.lookup as unknown as Lookup
    const patched: Lookup = (host, options, done) => lookup(isOurs(host) ? '127.0.0.1' : host, options, done)
    dns.lookup = patched as unknown as typeof dns.lookup
  }
  names.add(network.toLowerCase())
}

function isOurs(host: string): boolean {
  const dotted = `.${host.toLowerCase()}`
  return [...names].some((name) => dotted.endsWith(`.${name}`))
}

for (const name of (process.env['PEER_NAMES'] ?? '').split(',')) {
  if (name !== '') keepOnLoopback(name)
}
