import type {Peer} from './share.ts'

/** All links of one peer, as far as the transport can tell: of one certificate; without one, of one remote address or one UNIX socket. */
export interface PeerGroup {
  readonly key: string
  sessions: number
  links: number
}

/** What one address has open. */
export interface AddressCount {
  readonly address: string
  links: number
  sessions: number
}

/** Who is connected, counted by peer and by address. */
export class PeerTable {
  readonly #groups = new Map<string, PeerGroup>()
  readonly #addresses = new Map<string, AddressCount>()
  /** Links of all peers. */
  links = 0

  linksFrom(address: string): number {
    return this.#addresses.get(address)?.links ?? 0
  }

  /** Counts a connection, which may be in its TLS handshake yet. */
  addLink(address: string): AddressCount {
    let count = this.#addresses.get(address)
    if (count === undefined) {
      count = {address, links: 0, sessions: 0}
      this.#addresses.set(address, count)
    }
    count.links++
    this.links++
    return count
  }

  removeLink(count: AddressCount): void {
    count.links--
    this.links--
    if (count.links === 0) this.#addresses.delete(count.address)
  }

  /** Gives the group of a peer that has a link now; to be given back with `leave`. */
  join(peer: Peer): PeerGroup {
    const key = peerKey(peer)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = {key, sessions: 0, links: 0}
      this.#groups.set(key, group)
    }
    group.links++
    return group
  }

  leave(group: PeerGroup): void {
    group.links--
    if (group.links === 0) this.#groups.delete(group.key)
  }
}

function peerKey(peer: Peer): string {
  return peer.certificate === undefined
    ? `${peer.family} ${peer.address}`
    : `certificate ${peer.certificate.fingerprint}`
}
