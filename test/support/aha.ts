import type {Clock} from '../../src/base/clock.ts'
import type {Log} from '../../src/base/log.ts'
import type {Users} from '../../src/cell/users.ts'
import type {ChangeLog} from '../../src/nexus/change-log.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {AhaFences} from '../../src/server/aha-fences.ts'
import {AhaLedger} from '../../src/server/aha-ledger.ts'
import type {AhaParts} from '../../src/server/aha-parts.ts'
import {AhaPeers} from '../../src/server/aha-peers.ts'
import {AhaPools} from '../../src/server/aha-pools.ts'
import {AhaReport} from '../../src/server/aha-report.ts'
import {AhaServerList} from '../../src/server/aha-server-list.ts'
import {AhaServices} from '../../src/server/aha-services.ts'
import {Authorities} from '../../src/server/authorities.ts'
import {type OpenPeer, peerOpener} from '../../src/server/peer-sessions.ts'
import {Provisioning} from '../../src/server/provisioning.ts'
import {TicketDesk} from '../../src/server/ticket-desk.ts'
import {TicketLedger} from '../../src/server/ticket-ledger.ts'
import type {Store} from '../../src/store/store.ts'

export const AHA_NETWORK = 'demo.net'

export interface AhaPorts {
  readonly store: Store
  readonly changeLog: ChangeLog
  readonly clock: Clock
  readonly users: Users
  readonly log: Log
  /** None can be kept unless given. */
  readonly certs?: CertDir | undefined
  /** Those of the network are called by TLS unless given. */
  readonly openPeer?: OpenPeer | undefined
}

/** Those parts, and what keeps the services and the one-time URLs. */
export interface TestAhaParts extends AhaParts {
  readonly ledger: AhaLedger
  readonly ticketLedger: TicketLedger
}

/** The parts of an AHA without listeners. */
export async function openAhaParts(ports: AhaPorts): Promise<TestAhaParts> {
  const {store, changeLog, clock, users, log, certs = new CertDir('/dev/null/certs')} = ports
  const {openPeer = peerOpener(certs)} = ports
  const ledger = await AhaLedger.open({store, changeLog, clock})
  const fences = await AhaFences.open({store, changeLog, clock, log})
  const services = new AhaServices({ledger, log, network: AHA_NETWORK, fences})
  const pools = await AhaPools.open({store, changeLog, clock, services, log})
  const servers = await AhaServerList.open({store, changeLog, clock, log})
  const urls = (user: string) => servers.urls(user, AHA_NETWORK)
  const tickets = await TicketLedger.open({store, changeLog, clock})
  const onceUrl = (iden: string) => `ssl://aha.${AHA_NETWORK}:27272/${iden}?certhash=00`
  const provisioning = new Provisioning(
    {ledger: tickets, users, clock, log, onceUrl},
    {network: AHA_NETWORK, admin: undefined, urls, expiresMs: undefined, allowsRoot: true},
  )
  const desk = new TicketDesk({ledger: tickets, clock, log, claimOf: () => undefined})
  await servers.announce({host: `aha.${AHA_NETWORK}`, port: 27_492})
  const peers = new AhaPeers({services, open: openPeer})
  const authorities = new Authorities({certs, users, changeLog, clock, log}, AHA_NETWORK)
  const report = new AhaReport({services, fences, pools, tickets: desk, certs, own: [], clock})
  const redeem = () => {
    throw new Error('no URL is redeemed here')
  }
  return {
    network: AHA_NETWORK,
    services,
    fences,
    pools,
    servers,
    provisioning,
    tickets: desk,
    peers,
    authorities,
    report,
    urls,
    redeem,
    ticketLedger: tickets,
    ledger,
  }
}
