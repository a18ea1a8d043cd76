/**
 * TLS of a listener. One place makes the options of all listeners; the contexts are made once, and again only by `reload`.
 *
 *     const tls = await ServerTls.open(() => hostKeys(certDir, 'aha.demo.net', 'demo.net'), 'required')
 *     const server = createServer(tls.options, (socket) => …)
 *     using watching = tls.attach(server)      // from now on `tls.reload()` changes the keys of new connections
 */
import type {X509Certificate} from 'node:crypto'
import type {SecureContext, Server, TlsOptions} from 'node:tls'
import type {CertDir} from './cert-dir.ts'
import {parseCertificate} from './cert-files.ts'
import {secureContext, tlsPolicy} from './tls-policy.ts'

/** Key and certificate of one hostname, in PEM form. The certificate may be followed by the chain to its authority. */
export interface HostKey {
  readonly name: string
  readonly key: string
  readonly cert: string
}

/** What a listener proves itself with, and what it trusts. */
export interface ServerKeys {
  /** By the name that the client asks for; the first for all other clients. */
  readonly hosts: readonly [HostKey, ...HostKey[]]
  /** Authority of the clients' certificates, in PEM form. */
  readonly ca?: string | undefined
}

/** When a certificate is valid; milliseconds since the epoch. */
export interface CertificateLife {
  readonly beginsAtMs: number
  readonly expiresAtMs: number
}

/** Whether clients must, may or cannot show a certificate. */
export type ClientAuth = 'required' | 'optional' | 'none'

/** The part of a server that takes new keys; those of node:tls and node:https have it. */
type Rekeyed = Pick<Server, 'setSecureContext'>

/**
 * Reads the keys of a listener from a certificate directory: `hosts/NAME.*` of one hostname, or of several with commas between, and the
 * authority `cas/NAME.crt`. Throws as `CertDir.read`.
 */
export async function hostKeys(certDir: CertDir, hostnames: string, ca: string | undefined): Promise<ServerKeys> {
  const [first = '', ...others] = hostnames.split(',')
  return {
    hosts: [await hostKey(certDir, first), ...(await Promise.all(others.map((name) => hostKey(certDir, name))))],
    ca: ca === undefined ? undefined : await certDir.read('ca', ca, 'crt'),
  }
}

/** TLS of one listener. */
export class ServerTls {
  readonly #load: () => Promise<ServerKeys>
  readonly #clients: ClientAuth
  readonly #servers = new Set<Rekeyed>()
  #loaded: Loaded

  private constructor(load: () => Promise<ServerKeys>, clients: ClientAuth, loaded: Loaded) {
    this.#load = load
    this.#clients = clients
    this.#loaded = loaded
  }

  /**
   * Reads the keys and makes the contexts.
   *
   * @throws RegistryError `REG_CERT_INVALID` when key and certificate do not fit each other; what `load` throws
   */
  static async open(load: () => Promise<ServerKeys>, clients: ClientAuth): Promise<ServerTls> {
    return new ServerTls(load, clients, prepare(await load()))
  }

  /** For `createServer` of node:tls and node:https. */
  get options(): TlsOptions {
    return {
      ...this.#loaded.options,
      requestCert: this.#clients !== 'none',
      rejectUnauthorized: this.#clients === 'required',
      SNICallback: (name, done) => done(null, this.#loaded.contexts.get(name)),
    }
  }

  /** The life of the certificate that expires first. */
  get life(): CertificateLife {
    return this.#loaded.life
  }

  /** SHA-256 of the certificate that clients get who ask for no name; lower-case hex. */
  get fingerprint(): string {
    return this.#loaded.fingerprint
  }

  /** Gives a server new keys at each reload, until disposed of. */
  attach(server: Rekeyed): Disposable {
    this.#servers.add(server)
    return {[Symbol.dispose]: () => void this.#servers.delete(server)}
  }

  /**
   * Reads the keys again. New connections get them, and no session of before can be resumed; what is open stays open. When it fails, all stays
   * as it was. Throws as `open`.
   */
  async reload(): Promise<void> {
    this.#loaded = prepare(await this.#load())
    for (const server of this.#servers) server.setSecureContext(this.#loaded.options)
  }
}

interface Loaded {
  readonly options: TlsOptions
  /** Of the hosts after the first, which is the server's own. */
  readonly contexts: ReadonlyMap<string, SecureContext>
  readonly life: CertificateLife
  readonly fingerprint: string
}

function prepare({hosts, ca}: ServerKeys): Loaded {
  const trust = ca === undefined ? {} : {ca}
  const made = hosts.map(({name, key, cert}) => [name, secureContext({key, cert, ...trust}, `host ${name}`)] as const)
  const [{key, cert}] = hosts
  const certificates = hosts.map((host) => parseCertificate(host.cert, `host certificate ${host.name}`))
  return {
    options: {...tlsPolicy(), key, cert, ...trust},
    contexts: new Map(made.slice(1)),
    life: certificates.map(lifeOf).reduce((first, life) => (life.expiresAtMs < first.expiresAtMs ? life : first)),
    fingerprint: certificates[0]?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '',
  }
}

function lifeOf({validFromDate, validToDate}: X509Certificate): CertificateLife {
  return {beginsAtMs: validFromDate.getTime(), expiresAtMs: validToDate.getTime()}
}

async function hostKey(certDir: CertDir, name: string): Promise<HostKey> {
  return {name, cert: await certDir.read('host', name, 'crt'), key: await certDir.read('host', name, 'key')}
}
