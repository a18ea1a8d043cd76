/** What the methods of AHA work with. Only there while AHA is on: `aha:network` and `dns:name` are set. */

import assert from 'node:assert/strict'
import type {Opened, Peer} from '../wire/telepath/share.ts'
import type {AhaFences} from './aha-fences.ts'
import type {AhaPeers} from './aha-peers.ts'
import type {AhaPools} from './aha-pools.ts'
import type {AhaReport} from './aha-report.ts'
import type {AhaServerList} from './aha-server-list.ts'
import type {AhaServices} from './aha-services.ts'
import type {Authorities} from './authorities.ts'
import type {Provisioning} from './provisioning.ts'
import type {TicketDesk} from './ticket-desk.ts'

export interface AhaParts {
  /** `aha:network` */
  readonly network: string
  /** Who is where, and who is online. */
  readonly services: AhaServices
  /** Who may not take the name of the leader. */
  readonly fences: AhaFences
  /** Named sets of services. */
  readonly pools: AhaPools
  /** Where AHA servers of the network are. */
  readonly servers: AhaServerList
  /** One-time URLs for services and users. */
  readonly provisioning: Provisioning
  /** Those that there are. */
  readonly tickets: TicketDesk
  /** Calls to services. */
  readonly peers: AhaPeers
  /** Certificates for those who may ask for them. */
  readonly authorities: Authorities
  /** Its figures, for `registry status`. */
  readonly report: Pick<AhaReport, 'read'>
  /** URLs of the AHA servers for a service or a user of that name, as `getAhaUrls` answers. */
  readonly urls: (user: string) => readonly string[]
  /** Begins to redeem a one-time URL for who came to a mirror with it. Throws as `Redemptions.begin`. */
  readonly redeem: (iden: string, peer: Pick<Peer, 'address' | 'family'>) => Pick<Required<Opened>, 'share' | 'closed'>
}

/** Gives the parts of AHA to a method that only an AHA has. */
export function ahaOf({aha}: {readonly aha?: AhaParts | undefined}): AhaParts {
  assert(aha !== undefined, 'a cell that is no AHA has no methods of one')
  return aha
}
