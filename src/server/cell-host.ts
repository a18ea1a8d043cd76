import {systemClock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import {packageVersion, replacement} from '../base/package-root.ts'
import type {CellDir, Listeners} from '../cell/dirs.ts'
import type {DiskState} from '../cell/disk-guard.ts'
import {type HealthReport, healthReport} from '../cell/health.ts'
import {cellInfo, SYNAPSE_VERSION} from '../cell/info.ts'
import type {LogTail} from '../cell/log-tail.ts'
import {systemInfo} from '../cell/system-info.ts'
import type {Users} from '../cell/users.ts'
import {type ChangeLog, reasonFor} from '../nexus/change-log.ts'
import type {LogReaders} from '../nexus/log-reader.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {clientCertificate} from '../pki/peer-certificate.ts'
import type {Revocations} from '../pki/revocation.ts'
import type {ServerTls} from '../pki/server-tls.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {Daemon} from '../wire/telepath/daemon.ts'
import {DEFAULT_PORT, parseUrl, type TelepathUrl} from '../wire/telepath/url.ts'
import type {AhaHost} from './aha-host.ts'
import type {AhaMember} from './aha-member.ts'
import {archiverFacts, archiverHealth} from './archiver-report.ts'
import type {Backups} from './backups.ts'
import {kindOf} from './cell-api-self.ts'
import type {CellParts} from './cell-parts.ts'
import {type Compacted, readCompacted} from './compact-record.ts'
import {forOption} from './for-option.ts'
import type {Freezer} from './freezer.ts'
import type {HttpsListener, HttpsSettings} from './https.ts'
import type {LogParts} from './log-parts.ts'
import {LoginLimiter} from './login-limiter.ts'
import {ForwardDesk, type ForwardDeskPorts} from './mirroring/forward-desk.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import {type MemberSource, memberFacts, memberHealth} from './mirroring/member-report.ts'
import type {Mirroring} from './mirroring/mirroring.ts'
import {assertCurrent, isActive, reasonOf} from './mirroring/role.ts'
import type {Snapshots} from './mirroring/snapshots.ts'
import type {RegistryDesk} from './registry-desk.ts'
import {Tasks} from './tasks.ts'
import {CellFrame} from './telepath-api.ts'

/** Calls that run when the cell stops may go on for this long, ms: a SIGTERM is to be over within a second. */
const GRACE_MS = 500

const TELEPATH_HINTS = ['registry serve --telepath URL', 'registry cert host NAME --dir DIR']
const HTTPS_HINTS = ['registry serve --https PORT, or null for none']

export interface CellHostPorts {
  readonly cellDir: CellDir
  readonly users: Users
  readonly changes: ChangeLog
  /** It begins when the listeners are open; it stops with who opened it. */
  readonly mirroring: Mirroring
  readonly forwarder: Forwarder
  /** Does what a client of ZeroMQ asked at a mirror. */
  readonly zeromq: ForwardDeskPorts['zeromq']
  readonly snapshots: Snapshots
  readonly backups: Backups
  /** Which start this is, 32 hex digits. */
  readonly runId: string
  readonly entries: LogReaders
  readonly logParts: LogParts
  readonly registry: RegistryDesk
  /** Undefined when the cell is no AHA. Opened, and not listening yet; it stops with the cell. */
  readonly aha: AhaHost | undefined
  readonly freezer: Freezer
  readonly certs: CertDir
  /** Undefined when the cell registers at no AHA. Not started yet; it stops with the cell. */
  readonly member: AhaMember | undefined
  readonly log: Log
  readonly logs: LogTail
  readonly disk: () => DiskState | undefined
  readonly services: () => {readonly all: number; readonly critical: number}
  /** Reads the configuration again. */
  readonly reloadConf: () => Promise<Value>
  /** Begins the stop of the server. */
  readonly stop: () => void
}

export interface CellHostSettings {
  /** `dmon:listen`; null for the UNIX socket alone. */
  readonly listen: string | null
  /** Undefined for no HTTPS. */
  readonly https: Omit<HttpsSettings, 'dir'> | undefined
  /** `aha:network` */
  readonly network: string | undefined
  /** `aha:name` */
  readonly ahaName: string | undefined
  /** `aha:leader` */
  readonly leader: string | undefined
  /** `auth:anon` */
  readonly anonymous: string | undefined
  /** `mirror` */
  readonly mirror: readonly string[]
  /** Names under which the cell can be asked for, besides `*`. */
  readonly shareNames: readonly string[]
}

/** Health over HTTPS is asked for by load balancers, many times a second: it looks at the backups this often. */
const HEALTH_LOOK_MS = 10_000

/**
 * The cell around the registry: its Telepath listeners, HTTPS, and what they answer. Start: the listener of `dmon:listen`, that of
 * provisioning, whose URLs lead there, the UNIX socket, HTTPS; then it registers at its AHA. Stop: it leaves the AHA, so that nobody is led
 * here any more, then all at once, each lets what runs end for a moment.
 */
export class CellHost implements AsyncDisposable {
  readonly #ports: CellHostPorts
  readonly #settings: CellHostSettings
  readonly #clock = systemClock
  readonly #startedMs = this.#clock.wallMs()
  readonly #startedAtMs = this.#clock.monotonicMs()
  readonly #limiter = new LoginLimiter(this.#clock)
  readonly #frame: CellFrame
  readonly #daemon: Daemon
  readonly #ends: (() => void | Promise<void>)[] = []
  #tls: ServerTls | undefined
  #revocations: Revocations | undefined
  #https: HttpsListener | undefined
  #compacted: Compacted | null = null
  #url: string | null = null
  /** Of the TLS listener. */
  #tlsPort: number | undefined
  #stopping: Promise<void> | undefined

  private constructor(ports: CellHostPorts, settings: CellHostSettings) {
    this.#ports = ports
    this.#settings = settings
    this.#frame = new CellFrame(this.#parts(), {...settings, ahaName: fullName(settings)})
    this.#daemon = new Daemon({greet: this.#frame.greet, log: ports.log, synapseVersion: SYNAPSE_VERSION})
    ports.mirroring.on({onDropped: (sessionId) => this.#daemon.closeSession(sessionId)})
    this.#ends.push(
      ports.users.onBarred((iden) => {
        for (const id of this.#frame.sessionsOf(iden)) this.#daemon.closeSession(id)
      }),
    )
  }

  /**
   * Opens the listeners.
   *
   * @throws RegistryError `REG_LISTEN_FAILED`, `REG_CERT_INVALID`, `REG_NOT_FOUND` (a certificate that is not there); nothing is left running then
   */
  static async start(ports: CellHostPorts, settings: CellHostSettings): Promise<CellHost> {
    const host = new CellHost(ports, settings)
    try {
      host.#compacted = await readCompacted(ports.cellDir.path)
      await host.#listen()
    } catch (error) {
      await host.stop()
      throw error
    }
    return host
  }

  /** Where it listens. */
  get listeners(): Omit<Listeners, 'zeromq'> {
    const {https} = this.#settings
    const provisionUrl = this.#ports.aha?.provisionUrl ?? null
    return {
      provision: provisionUrl === null ? null : {url: provisionUrl},
      telepath: {socket: this.#ports.cellDir.socketPath, url: this.#url},
      https: https === undefined || this.#https === undefined ? null : {bind: https.bind, port: this.#https.port},
    }
  }

  /** Reads certificates and keys again. Throws when some cannot be used; then they stay as they were. */
  async reloadCerts(): Promise<void> {
    const reloading = [
      this.#tls?.reload(),
      this.#ports.aha?.reload(),
      this.#https?.reload(),
      this.#revocations?.reload(),
    ]
    const failed = (await Promise.allSettled(reloading)).find(({status}) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  }

  /** Closes the listeners; what runs has a moment to end. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    await this.#ports.member?.stop()
    await Promise.all([this.#daemon.stop({graceMs: GRACE_MS}), this.#ports.aha?.stop(GRACE_MS), this.#https?.stop()])
    for (const end of this.#ends) await end()
  }

  async #listen(): Promise<void> {
    const url = this.#settings.listen === null ? undefined : parseUrl(this.#settings.listen)
    const ca = url?.params.get('ca') ?? undefined
    if (ca !== undefined) await this.#watchRevocations()
    if (url !== undefined) this.#url = await forOption('dmon:listen', TELEPATH_HINTS, this.#listenTo(url, ca))
    await this.#ports.aha?.listen(this.#tlsPort)
    await this.#daemon.listenUnix(this.#ports.cellDir.socketPath)
    const {https} = this.#settings
    if (https !== undefined) await forOption('https:port', HTTPS_HINTS, this.#startHttps(https, ca))
    this.#ports.member?.start({cellIden: this.#ports.cellDir.guid, runId: this.#ports.runId, url: this.#url})
    this.#ports.mirroring.start(this.#url)
  }

  /** Opens the listener of `dmon:listen` and gives its URL, with the port that it has. */
  async #listenTo(url: TelepathUrl, ca: string | undefined): Promise<string> {
    const {host} = url
    const port = url.port ?? DEFAULT_PORT
    const shown = (real: number) => `${url.scheme}://${host.includes(':') ? `[${host}]` : host}:${real}`
    if (url.scheme === 'tcp') return shown((await this.#daemon.listenTcp({host, port})).port)
    const {hostKeys, ServerTls} = await import('../pki/server-tls.ts')
    const {clientRefusal} = await import('../pki/tls-reasons.ts')
    const names = url.params.get('hostname') ?? host
    const tls = await ServerTls.open(
      () => hostKeys(this.#ports.certs, names, ca),
      ca === undefined ? 'none' : 'required',
    )
    const listener = await this.#daemon.listenTls({
      host,
      port,
      tls: {
        options: tls.options,
        certificate: (socket) => clientCertificate(socket, this.#clock.wallMs(), this.#revoked),
        whyRefused: clientRefusal,
      },
    })
    const attached = tls.attach(listener)
    this.#tls = tls
    this.#tlsPort = listener.port
    this.#ends.push(() => attached[Symbol.dispose]())
    return `${shown(listener.port)}?${[...url.params].map(([key, value]) => `${key}=${value ?? ''}`).join('&')}`
  }

  async #startHttps(settings: Omit<HttpsSettings, 'dir'>, ca: string | undefined): Promise<void> {
    const {users, log, cellDir} = this.#ports
    const {startHttps} = await import('./https.ts')
    this.#https = await startHttps(
      {
        users,
        log,
        limiter: this.#limiter,
        health: async () => {
          await this.#ports.backups.lookAgain(HEALTH_LOOK_MS)
          return this.#health()
        },
        isActive: () => isActive(this.#ports.mirroring.roles.role),
        assertCurrent: () => assertCurrent(this.#ports.mirroring.roles.role),
        aha: this.#ports.aha?.parts,
        forwarder: this.#ports.forwarder,
        clientCa: ca === undefined ? undefined : () => this.#ports.certs.read('ca', ca, 'crt'),
        certificateUser: (socket) => {
          const certificate = clientCertificate(socket, this.#clock.wallMs(), this.#revoked)
          return certificate === undefined ? undefined : this.#frame.userOfCertificate(certificate.name)
        },
      },
      {...settings, dir: cellDir.path},
    )
  }

  /** Cuts the sessions of certificates that are revoked while they are open. */
  async #watchRevocations(): Promise<void> {
    const {log} = this.#ports
    const {Revocations} = await import('../pki/revocation.ts')
    const revocations = await Revocations.open(this.#ports.certs, {
      onProblem: (error) => log.warning('crl.unusable', {error}),
    })
    this.#revocations = revocations
    this.#ends.push(() => revocations[Symbol.asyncDispose]())
    revocations.onRevoked((added) => {
      log.warning('certificates.revoked', {count: added.length, serials: added.slice(0, 20).map(({serial}) => serial)})
      this.#daemon.closePeers(({certificate}) => certificate !== undefined && revocations.isRevoked(certificate))
    })
  }

  get #revoked(): Pick<Revocations, 'isRevoked'> {
    return this.#revocations ?? {isRevoked: () => false}
  }

  #health(): HealthReport {
    const {cellDir, changes, disk, services, member, logParts} = this.#ports
    return healthReport(cellDir.guid, {
      trouble: () => {
        const {trouble} = changes
        return trouble === undefined ? undefined : {sinceMs: trouble.sinceMs, reason: reasonFor(trouble.error)}
      },
      holds: () => changes.holds,
      frozen: () => this.#ports.freezer.frozen,
      disk,
      certificates: () => [
        ...(this.#tls === undefined ? [] : [{listener: 'telepath', ...this.#tls.life}]),
        ...(this.#https === undefined ? [] : [{listener: 'https', ...this.#https.life}]),
      ],
      nowMs: () => this.#clock.wallMs(),
      services,
      mirroring: () => memberHealth(this.#member()),
      archivers: () => archiverHealth(logParts.archivers.known, changes.nextOffset, this.#clock.wallMs()),
      backup: () => this.#ports.backups.health(),
      replaced: () => replacementOf(packageVersion()),
      membership: () => {
        const state = member?.state
        return state && {name: state.name, problem: state.kind === 'waiting' ? state.reason : undefined}
      },
    })
  }

  #parts(): CellParts {
    const {
      users,
      changes,
      mirroring,
      snapshots,
      runId,
      entries,
      logParts,
      registry,
      log,
      logs,
      cellDir,
      reloadConf,
      stop,
    } = this.#ports
    const certs = async (): Promise<Value> => {
      await this.reloadCerts()
      return true
    }
    const {network} = this.#settings
    const forwards = new ForwardDesk({
      parts: () => parts,
      zeromq: this.#ports.zeromq,
      leads: () => mirroring.roles.leads,
      head: () => changes.head,
    })
    const parts: CellParts = {
      users,
      registry,
      freezer: this.#ports.freezer,
      changes,
      mirroring,
      forwarder: this.#ports.forwarder,
      forwards,
      memberName: network === undefined ? undefined : `root@${network}`,
      snapshots,
      backups: this.#ports.backups,
      isMember: this.#ports.member !== undefined,
      entries,
      logKeeper: logParts.keeper,
      logTrim: logParts.trim,
      archivers: logParts.archivers,
      aha: this.#ports.aha?.parts,
      log,
      logs,
      clock: this.#clock,
      tasks: new Tasks(),
      limiter: this.#limiter,
      cellIden: cellDir.guid,
      runId,
      info: () => this.#info(),
      systemInfo: () => {
        const uptimeMs = this.#clock.monotonicMs() - this.#startedAtMs
        return systemInfo({dir: cellDir.path, backupDir: this.#ports.backups.dir, startedMs: this.#startedMs, uptimeMs})
      },
      health: () => this.#health(),
      reloads: new Map([
        ['https:certs', certs],
        ['config', reloadConf],
      ]),
      stop,
    }
    return parts
  }

  #member(): MemberSource {
    const {mirroring, changes} = this.#ports
    return {mirroring, ...changes.head, urls: this.#settings.mirror}
  }

  #info(): ReturnType<typeof cellInfo> {
    const {cellDir, changes, mirroring, logParts} = this.#ports
    const {https, telepath, provision} = this.listeners
    const {role} = mirroring.roles
    return cellInfo({
      cellIden: cellDir.guid,
      runId: this.#ports.runId,
      type: kindOf(this.#ports).type,
      startedMs: this.#startedMs,
      version: packageVersion(),
      nextOffset: changes.nextOffset,
      refusals: [
        ...(changes.trouble === undefined ? [] : [reasonFor(changes.trouble.error)]),
        ...changes.holds.values(),
        ...(role.kind === 'safe' ? [reasonOf(role)] : []),
      ],
      member: memberFacts(this.#member()),
      archivers: archiverFacts(logParts.archivers.known, changes.nextOffset),
      aha: {
        name: this.#settings.ahaName ?? null,
        leader: this.#settings.leader ?? null,
        network: this.#settings.network ?? null,
      },
      https: https === null ? [] : [{host: https.bind, port: https.port}],
      telepath: telepath.url === null ? [] : [telepath.url],
      provision: provision === null ? [] : [provision.url],
      optimized: this.#compacted,
    })
  }
}

function replacementOf(version: string): {version: string; installed: string | null} | undefined {
  const installed = replacement()
  return installed === undefined ? undefined : {version, installed}
}

function fullName({ahaName, network}: CellHostSettings): string | undefined {
  return ahaName === undefined || network === undefined ? undefined : `${ahaName}.${network}`
}
