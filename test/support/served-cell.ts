// A built registry with certificates, served on TLS, its UNIX socket and HTTPS, and clients that log in to it.
import {mkdtemp, readFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ConnectionOptions} from 'node:tls'
import {type TeleEnv, withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {makeCrl, revokedEntry} from '../../src/pki/crl.ts'
import {issueInto, loadSigner} from '../../src/pki/issuer.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {type ServerOptions, startServer, type TestServer} from './server.ts'

export const NETWORK = 'loop.test'
export const HOST = `registry.${NETWORK}`
/** Long enough for the health not to tell of it. */
const LIFE_MS = 30 * 86_400_000
const HOUR_MS = 3_600_000

export interface ServedOptions extends Pick<ServerOptions, 'conf' | 'args' | 'env' | 'wrapper'> {
  /** Users who get a certificate `NAME@NETWORK`. */
  readonly certificates?: readonly string[]
  /** Telepath without TLS instead, for passwords. */
  readonly isPlain?: boolean
}

export class ServedCell implements AsyncDisposable {
  readonly server: TestServer
  readonly certs: CertDir
  readonly #env: TeleEnv

  private constructor(server: TestServer, certs: CertDir, env: TeleEnv) {
    this.server = server
    this.certs = certs
    this.#env = env
  }

  static async start({conf, certificates = [], isPlain, ...options}: ServedOptions = {}): Promise<ServedCell> {
    const dir = await mkdtemp(join(tmpdir(), 'served-cell-'))
    const certs = new CertDir(join(dir, 'certs'))
    if (!isPlain) await makeCerts(certs, certificates)
    const listen = isPlain ? 'tcp://127.0.0.1:0' : `ssl://127.0.0.1:0?hostname=${HOST}&ca=${NETWORK}`
    const all = {'aha:network': NETWORK, 'dmon:listen': listen, ...conf}
    const server = await startServer({...options, dir, https: true, conf: all})
    const env = await withTeleEnv({dir, certDirs: certs.paths, serviceDir: join(dir, 'none')})
    return new ServedCell(server, certs, env)
  }

  get dir(): string {
    return this.server.dir
  }

  /** Where it listens now; after a restart the ports are others. */
  async listeners(): Promise<{readonly telepath: number; readonly https: number}> {
    const run = JSON.parse(await readFile(join(this.dir, 'run.json'), 'utf8')) as {
      readonly telepath: {readonly url: string}
      readonly https: {readonly port: number}
    }
    return {telepath: Number(new URL(run.telepath.url).port), https: run.https.port}
  }

  /** Opens a session on the UNIX socket. */
  local(user = 'root'): Promise<TelepathProxy> {
    return this.#env.open(`cell://${user}@${this.dir}`)
  }

  /** Opens a session on TLS with the certificate of a user, with as many links ahead of calls. */
  async byCertificate(user: string, spareLinks = 0): Promise<TelepathProxy> {
    const {telepath} = await this.listeners()
    return this.#env.open(`ssl://127.0.0.1:${telepath}/?hostname=${HOST}&certname=${user}@${NETWORK}`, {spareLinks})
  }

  /** Opens a session with a password. */
  async byPassword(user: string, passwd: string): Promise<TelepathProxy> {
    const {telepath} = await this.listeners()
    return this.#env.open(`tcp://${user}:${encodeURIComponent(passwd)}@127.0.0.1:${telepath}/`)
  }

  /** What a TLS client shows of a user, to be used on any listener. */
  async keysOf(user: string): Promise<ConnectionOptions> {
    const name = `${user}@${NETWORK}`
    const [key, cert] = [await this.certs.read('user', name, 'key'), await this.certs.read('user', name, 'crt')]
    return {key, cert, rejectUnauthorized: false}
  }

  /** Adds a user, with a password. */
  async addUser(name: string, passwd: string | null = null): Promise<string> {
    await using root = await this.local()
    return idenOf(await root.call('addUser', {args: [name, passwd]}))
  }

  /** Calls once as root. */
  async asRoot(method: string, ...args: readonly Value[]): Promise<Value> {
    await using root = await this.local()
    return await root.call(method, {args})
  }

  /** Writes a list with the certificate of a user. */
  async revoke(user: string): Promise<void> {
    const {serialNumber} = await this.certs.certificate('user', `${user}@${NETWORK}`)
    const entries = [revokedEntry(serialNumber, Date.now(), 'keyCompromise')]
    await this.certs.replace(
      'crl',
      NETWORK,
      'crl',
      await makeCrl(await loadSigner(this.certs, NETWORK), entries, Date.now()),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#env[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
  }
}

export function idenOf(value: Value): string {
  return (value as {readonly iden: string}).iden
}

async function makeCerts(certs: CertDir, users: readonly string[]): Promise<void> {
  const common = {nowMs: Date.now(), ttlMs: LIFE_MS, backdateMs: HOUR_MS, keyType: 'p256', replace: false} as const
  await issueInto(certs, {...common, purpose: 'ca', name: NETWORK, signAs: undefined})
  await issueInto(certs, {...common, purpose: 'host', name: HOST, signAs: NETWORK})
  for (const user of users) {
    await issueInto(certs, {...common, purpose: 'user', name: `${user}@${NETWORK}`, signAs: NETWORK})
  }
}
