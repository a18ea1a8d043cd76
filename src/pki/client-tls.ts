/**
 * TLS of a client. The contexts are made once and used again until a file that they were made from changes.
 *
 *     const tls = await clients.for({hostname: 'aha.demo.net', certname: 'visi@demo.net'})
 *     const socket = connect({host, port, ...tls.options})
 *     socket.once('secureConnect', () => tls.verify(socket))    // throws when it is not the expected peer
 */
import {createHash} from 'node:crypto'
import {isIP} from 'node:net'
import {type ConnectionOptions, getCACertificates, type SecureContext, type TLSSocket} from 'node:tls'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'
import {readCertFile, stampsOf} from './cert-files.ts'
import {secureContext} from './tls-policy.ts'

/** Whom a client wants to talk to, and as whom. */
export interface TlsTarget {
  /** Common name that the peer's certificate must have. */
  readonly hostname: string
  /** User certificate to show, found as `CertDir.userCertFor` does; none without it. */
  readonly certname?: string | undefined
  /** SHA-256 of the peer's certificate in lower-case hex: instead of chain and name, this is compared. No own certificate is shown then. */
  readonly certhash?: string | undefined
}

const MAX_CONTEXTS = 256 // as many peers as one process talks to; beyond it, the oldest is made again

/** TLS towards one target. */
export class ClientTls {
  readonly #target: TlsTarget
  readonly #context: SecureContext
  #session: {readonly ticket: Buffer; readonly untilMs: number} | undefined

  /** Use `ClientTlsCache`. */
  constructor(target: TlsTarget, context: SecureContext) {
    this.#target = target
    this.#context = context
  }

  /** For `connect` of node:tls. With them, a connection resumes the session of an earlier one when the peer agrees. */
  get options(): ConnectionOptions {
    const {hostname, certhash} = this.#target
    const session =
      this.#session !== undefined && systemClock.wallMs() < this.#session.untilMs ? this.#session.ticket : undefined
    return {
      secureContext: this.#context,
      servername: isIP(hostname) === 0 ? hostname : '',
      rejectUnauthorized: certhash === undefined,
      checkServerIdentity: () => undefined, // `verify` compares the common name alone, as the peers do
      ...(session === undefined ? {} : {session}),
    }
  }

  /**
   * Checks that a connection made with `options` leads to the target; to be called at its `secureConnect`, before anything is sent. Destroys
   * nothing.
   *
   * @throws RegistryError `REG_CERT_INVALID`: `BadCertHost` when the common name is another, `LinkBadCert` when the hash is another
   */
  verify(socket: TLSSocket): void {
    // A resumed session was verified when it was a new one; Node has no certificate for it then.
    const untilMs = socket.isSessionReused() ? (this.#session?.untilMs ?? 0) : this.#check(socket)
    // TLS 1.2 gives its session before the handshake ends, 1.3 after it.
    if (socket.getProtocol() === 'TLSv1.2') this.#keep(socket.getSession(), untilMs)
    socket.on('session', (ticket) => this.#keep(ticket, untilMs))
  }

  /** Checks the certificate and gives the time when it expires. */
  #check(socket: TLSSocket): number {
    const {raw, subject, valid_to} = socket.getPeerCertificate()
    if (this.#target.certhash !== undefined) checkHash(this.#target.certhash, raw)
    else checkName(this.#target.hostname, subject?.CN)
    return Date.parse(valid_to)
  }

  #keep(ticket: Buffer | undefined, untilMs: number): void {
    if (ticket !== undefined) this.#session = {ticket, untilMs}
  }
}

/** Makes and keeps the TLS contexts of a process's clients. */
export class ClientTlsCache {
  readonly #certDir: CertDir
  readonly #made = new Map<string, {readonly stamp: string; readonly tls: ClientTls}>()

  constructor(certDir: CertDir) {
    this.#certDir = certDir
  }

  /**
   * Gives TLS towards a target: that of the last time, or a new one when a file of it changed.
   *
   * @throws RegistryError `REG_CERT_MISSING` (`NoSuchCert`, `NoCertKey`) for the user certificate; `REG_CERT_INVALID`
   */
  async for(target: TlsTarget): Promise<ClientTls> {
    const {hostname, certname, certhash} = target
    const files = certhash === undefined ? await this.#files(certname) : PINNED
    const name = JSON.stringify([hostname, certname, certhash])
    const stamp = await stampsOf([...(files.cas ?? []), ...(files.own ?? [])])
    const kept = this.#made.get(name)
    if (kept?.stamp === stamp) return kept.tls
    const tls = new ClientTls(target, await contextOf(files, certname ?? ''))
    this.#made.delete(name)
    this.#made.set(name, {stamp, tls})
    for (const oldest of this.#made.keys()) {
      if (this.#made.size <= MAX_CONTEXTS) break
      this.#made.delete(oldest)
    }
    return tls
  }

  async #files(certname: string | undefined): Promise<TlsFiles> {
    const cas = (await this.#certDir.list('ca', 'crt')).map(({path}) => path)
    if (certname === undefined) return {cas, own: undefined}
    const user = await this.#certDir.userCertFor(certname)
    return {
      cas,
      own: [await this.#certDir.locate('user', user, 'crt'), await this.#certDir.locate('user', user, 'key')],
    }
  }
}

interface TlsFiles {
  /** Trusted besides the authorities of the system; undefined when no authority matters. */
  readonly cas: readonly string[] | undefined
  readonly own: readonly [cert: string, key: string] | undefined
}

const PINNED: TlsFiles = {cas: undefined, own: undefined}

async function contextOf({cas, own}: TlsFiles, what: string): Promise<SecureContext> {
  const [cert, key] = await Promise.all((own ?? []).map(readCertFile))
  const ca = cas === undefined ? [] : await trusted(cas)
  return secureContext({ca, ...(cert === undefined || key === undefined ? {} : {cert, key})}, `user ${what}`)
}

/** The authorities of the system and those in files. The system's list has most twice, and each would be kept in memory twice. */
async function trusted(cas: readonly string[]): Promise<string[]> {
  return [...new Set([...getCACertificates('system'), ...(await Promise.all(cas.map(readCertFile)))])]
}

function checkHash(wanted: string, raw: Buffer | undefined): void {
  const got = createHash('sha256')
    .update(raw ?? '')
    .digest('hex')
  if (got === wanted) return
  throw new RegistryError('REG_CERT_INVALID', `the certificate of the server does not have the pinned hash ${wanted}`, {
    telepath: 'LinkBadCert',
    info: {expected: wanted, got},
    hints: ['ask for a new one-time URL: that of a renewed server certificate is another'],
  })
}

function checkName(expected: string, got: string | readonly string[] | undefined): void {
  if (got === expected) return
  throw new RegistryError('REG_CERT_INVALID', `the server is not the expected one. Expected: ${expected} Got: ${got}`, {
    telepath: 'BadCertHost',
    info: {expected, got: got ?? null},
    hints: ['name the host as its certificate does', 'append ?hostname=NAME to the URL'],
  })
}
