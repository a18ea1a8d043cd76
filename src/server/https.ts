/** The HTTPS listener of a cell, put together. */
import type {TLSSocket} from 'node:tls'
import type {User} from '../auth/model.ts'
import {type Clock, systemClock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {HealthReport} from '../cell/health.ts'
import type {Users} from '../cell/users.ts'
import {type CertificateLife, ServerTls} from '../pki/server-tls.ts'
import type {HttpsLimits, HttpsObserver} from '../wire/https/messages.ts'
import {type HttpsServer, openHttps} from '../wire/https/server.ts'
import type {AhaParts} from './aha-parts.ts'
import {Behold} from './behold.ts'
import {type Admitted, httpsRoutes} from './https-api.ts'
import {answerToError} from './https-errors.ts'
import type {HttpsParts} from './https-handlers.ts'
import {httpsObserver} from './https-log.ts'
import {HttpsLogins} from './https-login.ts'
import {ensureHttpsPair, readHttpsPair} from './https-pair.ts'
import type {LoginLimiter} from './login-limiter.ts'

/** What the listener needs of the cell. */
export interface HttpsPorts {
  readonly users: Users
  readonly log: Log
  readonly clock?: Clock
  /** Of failed logins; one of its own unless given. */
  readonly limiter?: LoginLimiter
  readonly health: () => Promise<HealthReport>
  /** Whether the cell takes changes as a leader. */
  readonly isActive: () => boolean
  readonly assertCurrent: () => void
  /** Undefined when the cell is no AHA. */
  readonly aha?: Pick<AhaParts, 'services' | 'provisioning'> | undefined
  /** Has the leader make changes; undefined when there is none but this one. */
  readonly forwarder?: HttpsParts['forwarder']
  /**
   * Authority whose users may log in by certificate, in PEM form; asked at the start and at each reload. Without it no client is asked for a
   * certificate.
   */
  readonly clientCa?: (() => Promise<string>) | undefined
  /** Gives the user of a client's certificate, undefined when it has none; throws when there is one and it is no good. Asked at each request. */
  readonly certificateUser?: ((socket: TLSSocket) => User | undefined) | undefined
}

export interface HttpsSettings {
  /** Data directory: `sslcert.pem` and `sslkey.pem` are there, or are made. */
  readonly dir: string
  /** `https:bind` */
  readonly bind: string
  /** `https:port`; 0 takes a free one. */
  readonly port: number
  /** `https:headers` */
  readonly headers: Readonly<Record<string, string>>
  /** `https:parse:proxy:remoteip` */
  readonly isBehindProxy: boolean
  /** Other limits, for tests. */
  readonly limits?: Partial<HttpsLimits>
}

export interface HttpsListener extends AsyncDisposable {
  readonly port: number
  /** That of its certificate. */
  readonly life: CertificateLife
  /**
   * `https:certs`: reads the pair and the authority again. New connections get them; when it fails, all stays as it was.
   *
   * @throws RegistryError `REG_CERT_INVALID`
   */
  reload(): Promise<void>
  /** Takes no more, lets what is under way end for a moment, then cuts it. Idempotent. */
  stop(): Promise<void>
}

const LIMITS: HttpsLimits = {
  bodyBytes: 1024 * 1024,
  strangerBytes: 64 * 1024,
  bodyDepth: 64,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  handshakeMs: 10_000,
  idleMs: 60_000,
  stalledMs: 120_000,
  connections: 1000,
  connectionsPerAddress: 200,
  websocketBacklogBytes: 1024 * 1024,
}

/** What is under way at a stop has this long, ms; a SIGTERM is to be over within a second. */
const GRACE_MS = 500

/**
 * Starts the listener. fastify is loaded here, and not before.
 *
 * @throws RegistryError `REG_CERT_INVALID` for the pair; `REG_LISTEN_FAILED`; nothing is left running then
 */
export async function startHttps(ports: HttpsPorts, settings: HttpsSettings): Promise<HttpsListener> {
  const {users, log, clock = systemClock, limiter, clientCa, certificateUser = () => undefined} = ports
  const {dir, isBehindProxy} = settings
  if (await ensureHttpsPair(dir, clock.wallMs())) log.warning('https.self-signed-pair-made', {dir})
  const load = async () => ({hosts: [await readHttpsPair(dir)] as const, ca: await clientCa?.()})
  const tls = await ServerTls.open(load, clientCa === undefined ? 'none' : 'optional')
  const logins = new HttpsLogins({users, log, clock, certificateUser, ...(limiter === undefined ? {} : {limiter})})
  const behold = new Behold({users, logins, isBehindProxy})
  const observer: HttpsObserver<Admitted> = httpsObserver(log, clock)
  const {health, isActive, assertCurrent, aha, forwarder} = ports
  const parts = {users, logins, health, isActive, assertCurrent, aha, forwarder}
  const end = () => {
    behold.stop()
    logins.stop()
  }
  try {
    const server = await openHttps<Admitted>({
      ...settings,
      tls,
      limits: {...LIMITS, ...settings.limits},
      routes: httpsRoutes({parts, isBehindProxy}),
      websockets: [behold.route],
      observer,
      describe: (error) => answerToError(error, (unforeseen) => log.error('https.failed', {error: unforeseen})),
    })
    return new RunningHttps(server, tls, end)
  } catch (error) {
    end()
    throw error
  }
}

class RunningHttps implements HttpsListener {
  readonly #server: HttpsServer
  readonly #tls: ServerTls
  readonly #end: () => void

  constructor(server: HttpsServer, tls: ServerTls, end: () => void) {
    this.#server = server
    this.#tls = tls
    this.#end = end
  }

  get port(): number {
    return this.#server.port
  }

  get life(): CertificateLife {
    return this.#tls.life
  }

  reload(): Promise<void> {
    return this.#tls.reload()
  }

  async stop(): Promise<void> {
    await this.#server.stop(GRACE_MS)
    this.#end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
