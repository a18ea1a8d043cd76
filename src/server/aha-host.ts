import {type Clock, systemClock} from '../base/clock.ts'
import {messageOf} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {SYNAPSE_VERSION} from '../cell/info.ts'
import type {Users} from '../cell/users.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Authority} from '../pki/authority.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {hostKeys, ServerTls} from '../pki/server-tls.ts'
import type {Store} from '../store/store.ts'
import {Daemon} from '../wire/telepath/daemon.ts'
import type {DaemonLimits} from '../wire/telepath/limits.ts'
import {parseUrl, type TelepathUrl} from '../wire/telepath/url.ts'
import {bootAha, ownCertificates} from './aha-boot.ts'
import {AhaFences} from './aha-fences.ts'
import {AhaLedger} from './aha-ledger.ts'
import type {AhaParts} from './aha-parts.ts'
import {AhaPeers} from './aha-peers.ts'
import {AhaPools} from './aha-pools.ts'
import {AhaReport} from './aha-report.ts'
import {AhaServerList} from './aha-server-list.ts'
import {AhaServices} from './aha-services.ts'
import type {AhaSettings} from './aha-settings.ts'
import {Authorities} from './authorities.ts'
import {forOption} from './for-option.ts'
import {LoginLimiter} from './login-limiter.ts'
import {shareAmongMembers} from './mirroring/aha-roles.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import type {Mirroring} from './mirroring/mirroring.ts'
import {offlineThrough} from './mirroring/passing.ts'
import {redeemThrough} from './mirroring/redeem-through.ts'
import {peerOpener} from './peer-sessions.ts'
import {provisionGreet, redeemer} from './provision-api.ts'
import {Provisioning} from './provisioning.ts'
import {Redemptions} from './redemption.ts'
import {TicketDesk} from './ticket-desk.ts'
import {TicketLedger} from './ticket-ledger.ts'

export interface AhaHostPorts {
  readonly certs: CertDir
  readonly users: Users
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: ChangeLog
  readonly log: Log
  readonly cellIden: string
  /** Who leads. When another member takes the changes, nothing is written until `lead` is called. */
  readonly mirroring: Mirroring
}

const PROVISION_PORT = 27_272
const HINTS = ['registry config explain dns:name']
/** Whoever reaches the provisioning listener may speak to it: requests are small, and few at a time. */
const LIMITS: Partial<DaemonLimits> = {
  greetingBytes: 4096,
  messageBytes: 256 * 1024,
  largeBytes: 16 * 1024 * 1024,
  links: 4000,
  linksPerAddress: 1000,
  sessionsPerAddress: 200,
  linksPerSession: 16,
}

interface Opened {
  readonly authority: Authority
  readonly services: AhaServices
  readonly fences: AhaFences
  readonly pools: AhaPools
  readonly servers: AhaServerList
  readonly tickets: TicketLedger
}

/** What makes a cell an AHA: its services, one-time URLs, and the listener where these are redeemed. */
export class AhaHost {
  /** For the methods of the cell. */
  readonly parts: AhaParts
  /** Full names that one-time URLs have been made for, aliases included, when the server started. */
  readonly provisioned: ReadonlySet<string>
  readonly #ports: AhaHostPorts
  readonly #settings: AhaSettings
  readonly #daemon: Daemon
  /** What one-time URLs begin with. */
  #onceUrl: ((iden: string) => string) | undefined
  #provisionUrl: string | null = null
  #tls: ServerTls | undefined
  #detach: Disposable | undefined
  #forwarder: Forwarder | undefined
  #isLeading: boolean
  /** Where services reach this AHA. */
  #place: {readonly host: string; readonly port: number} | undefined

  private constructor(
    ports: AhaHostPorts,
    settings: AhaSettings,
    {authority, services, fences, pools, servers, tickets}: Opened,
  ) {
    this.#ports = ports
    this.#settings = settings
    this.#isLeading = ports.mirroring.roles.leads
    const {network, admin, provision, dnsName} = settings
    const {users, log} = ports
    const clock: Clock = systemClock
    const urls = (user: string): readonly string[] => this.#urls(user)
    const liftFence = (host: string): void => {
      fences.lift(host, 'provisioned').catch((error: unknown) => log.warning('aha.fence.not-lifted', {host, error}))
    }
    const assertNoMember = ports.mirroring.assertNameFree
    const redemptions = new Redemptions({ledger: tickets, authority, clock, log, onUsed: liftFence, assertNoMember})
    const assertFree = (full: string) => services.assertNotKept(full)
    const onceUrl = (iden: string) => this.#onceUrl?.(iden)
    const provisioning = new Provisioning(
      {ledger: tickets, users, clock, log, onceUrl},
      {
        ...{network, admin, urls, expiresMs: provision.expiresMs, allowsRoot: provision.allowsRoot},
        ...{dnsName, assertNoMember, assertFree},
      },
    )
    const claimOf = (idenSha256: string) => redemptions.claimOf(idenSha256)
    const desk = new TicketDesk({ledger: tickets, clock, log, claimOf})
    const {certs} = ports
    const redeeming = {redemptions, limiter: new LoginLimiter(clock), network, cellIden: ports.cellIden, urls}
    this.parts = {
      network,
      services,
      fences,
      pools,
      servers,
      provisioning,
      tickets: desk,
      peers: new AhaPeers({services, open: peerOpener(ports.certs)}),
      authorities: new Authorities({...ports, clock}, network),
      report: new AhaReport({services, fences, pools, tickets: desk, certs, own: ownCertificates(settings), clock}),
      urls,
      redeem: redeemer(redeeming),
    }
    this.provisioned = provisioning.fullNames()
    const own = provisionGreet(redeeming)
    const greet = redeemThrough({forwarder: () => this.#forwarder, limiter: redeeming.limiter, own})
    this.#daemon = new Daemon({greet, log, limits: LIMITS, synapseVersion: SYNAPSE_VERSION})
  }

  /**
   * Makes the certificates that are missing, reads services and tickets, and begins to take services offline whose sessions a stop or a kill of
   * this server has ended. Opens no listener.
   *
   * @throws RegistryError `REG_CERT_MISSING`, `REG_CERT_INVALID`, `REG_DIR_UNUSABLE`, `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open(ports: AhaHostPorts, settings: AhaSettings): Promise<AhaHost> {
    const {certs, log, changeLog, store, mirroring} = ports
    const nowMs = systemClock.wallMs()
    const authority = await forOption('dns:name', HINTS, bootAha({certs, log, nowMs}, settings))
    const ledgerPorts = {store, changeLog, clock: systemClock}
    const ledger = await AhaLedger.open(ledgerPorts)
    const tickets = await TicketLedger.open(ledgerPorts)
    await hashTickets(tickets, changeLog, log)
    const fences = await AhaFences.open({...ledgerPorts, log})
    const services = new AhaServices({ledger, log, network: settings.network, fences})
    const pools = await AhaPools.open({...ledgerPorts, services, log})
    const servers = await AhaServerList.open({...ledgerPorts, log})
    shareAmongMembers({services, servers}, mirroring)
    if (mirroring.roles.leads) void services.start()
    return new AhaHost(ports, settings, {authority, services, fences, pools, servers, tickets})
  }

  /**
   * Opens the provisioning listener. `telepathPort` is that of the TLS listener of the cell; undefined when there is none.
   *
   * @throws RegistryError `REG_LISTEN_FAILED`, `REG_CERT_MISSING`, `REG_CERT_INVALID`
   */
  async listen(telepathPort: number | undefined): Promise<void> {
    const {dnsName, provision} = this.#settings
    this.#place = telepathPort === undefined ? undefined : {host: dnsName, port: telepathPort}
    if (this.#isLeading) await this.#announce()
    if (provision.listen === null) return
    await forOption('provision:listen', [], this.#listenTo(parseUrl(provision.listen)))
  }

  /** Has the leader do what alters state, as long as this is a mirror. */
  passOn(forwarder: Forwarder): void {
    this.#forwarder = forwarder
    this.parts.services.passOn(offlineThrough(forwarder, this.parts.services))
  }

  /** Writes what the start of a leader does. To be called when this member begins to lead; never rejects. */
  async lead(): Promise<void> {
    this.#isLeading = true
    await Promise.all([this.parts.services.start(), this.#announce()])
  }

  /** Where one-time URLs are redeemed; null when there is no such listener. */
  get provisionUrl(): string | null {
    return this.#provisionUrl
  }

  /** Reads the certificates again. Throws as `ServerTls.reload`. */
  async reload(): Promise<void> {
    await this.#tls?.reload()
  }

  /** Closes the provisioning listener; who is being provisioned has a moment to end. */
  async stop(graceMs: number): Promise<void> {
    this.parts.services.stop()
    await Promise.all([this.#daemon.stop({graceMs}), this.parts.peers.close()])
    this.#detach?.[Symbol.dispose]()
  }

  async #announce(): Promise<void> {
    if (this.#place !== undefined) await this.parts.servers.announce(this.#place)
  }

  async #listenTo({scheme, host, port = PROVISION_PORT, params}: TelepathUrl): Promise<void> {
    const {dnsName} = this.#settings
    const {certs, log} = this.#ports
    if (scheme === 'tcp') {
      const listener = await this.#daemon.listenTcp({host, port})
      this.#onceUrl = (iden) => `tcp://${dnsName}:${listener.port}/${iden}`
      this.#provisionUrl = listenerUrl('tcp', host, listener.port)
      log.warning('provision.listening', {host, port: listener.port, tls: false})
      return
    }
    const names = params.get('hostname') ?? dnsName
    const tls = await ServerTls.open(() => hostKeys(certs, names, undefined), 'none')
    const listener = await this.#daemon.listenTls({host, port, tls: {options: tls.options}})
    this.#tls = tls
    this.#detach = tls.attach(listener)
    this.#onceUrl = (iden) => `ssl://${dnsName}:${listener.port}/${iden}?certhash=${tls.fingerprint}`
    this.#provisionUrl = `${listenerUrl('ssl', host, listener.port)}?hostname=${names}`
    log.info('provision.listening', {host, port: listener.port, tls: true})
  }

  #urls(user: string): readonly string[] {
    const {urls, network} = this.#settings
    return urls ?? this.parts.servers.urls(user, network)
  }
}

/** Who may not change anything leaves it to who may, and to a later start. */
async function hashTickets(tickets: TicketLedger, changeLog: ChangeLog, log: Log): Promise<void> {
  if (changeLog.refusal() !== undefined) return
  try {
    const count = await tickets.withoutIdens('registry:tickets')
    if (count > 0) log.warning('provision.hashed', {count, hint: 'registry trim --url cell://DIR'})
  } catch (error) {
    log.warning('provision.not.hashed', {reason: messageOf(error)})
  }
}

function listenerUrl(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
