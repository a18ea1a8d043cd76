// Provisioning without sockets: real users, tickets and authority, on a store in memory.
import type {KeyObject, X509Certificate} from 'node:crypto'
import {makeCsr} from '../../src/pki/csr.ts'
import {loadSigner} from '../../src/pki/issuer.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {LoginLimiter} from '../../src/server/login-limiter.ts'
import {provisionGreet} from '../../src/server/provision-api.ts'
import type {CloneWish} from '../../src/server/provision-conf.ts'
import {Provisioning, type ProvisioningSettings} from '../../src/server/provisioning.ts'
import {Redemptions} from '../../src/server/redemption.ts'
import {TicketDesk} from '../../src/server/ticket-desk.ts'
import {TicketLedger} from '../../src/server/ticket-ledger.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Greet, Opened} from '../../src/wire/telepath/share.ts'
import {certsWithCa, NETWORK} from '../pki/certs.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'
import {openBook, type TestBook} from './users.ts'

export {NETWORK}

export const CELL_IDEN = 'ce11'.repeat(8)

const ADDRESS = '127.0.0.1'

export interface ProvisionOptions extends Partial<Omit<ProvisioningSettings, 'network' | 'urls'>> {
  readonly hasListener?: boolean
  /** Whether it can tell where it is. */
  readonly hasUrls?: boolean
}

export class TestProvision {
  readonly book: TestBook
  readonly ca: X509Certificate
  readonly ledger: TicketLedger
  readonly provisioning: Provisioning
  readonly tickets: TicketDesk
  readonly greet: Greet
  /** What was logged. */
  readonly lines: string[]
  /** Full names of the services that were let in. */
  readonly letIn: string[]
  /** Called when the key of the authority is taken to sign something. */
  onSign: () => void = () => {}
  readonly #options: ProvisionOptions
  #sessions = 0

  private constructor(
    parts: Pick<TestProvision, 'book' | 'ca' | 'ledger' | 'provisioning' | 'tickets' | 'greet' | 'lines' | 'letIn'>,
    options: ProvisionOptions,
  ) {
    this.book = parts.book
    this.ca = parts.ca
    this.ledger = parts.ledger
    this.provisioning = parts.provisioning
    this.tickets = parts.tickets
    this.greet = parts.greet
    this.lines = parts.lines
    this.letIn = parts.letIn
    this.#options = options
  }

  static async open(options: ProvisionOptions = {}, given?: TestBook): Promise<TestProvision> {
    const book = given ?? (await openBook())
    const {store, changeLog, clock} = book
    const signer = await testAuthority()
    const made: {provision?: TestProvision} = {}
    const authority = {
      subject: signer.subject,
      certificate: signer.certificate,
      get key() {
        made.provision?.onSign()
        return signer.key
      },
    }
    const lines: string[] = []
    const log = silentLog(lines)
    const ledger = await TicketLedger.open({store, changeLog, clock})
    const {hasListener = true, hasUrls = true, ...settings} = options
    const urls = (user: string) => (hasUrls ? [`ssl://aha.${NETWORK}:27492?certname=${user}@${NETWORK}`] : [])
    const provisioning = new Provisioning(
      {
        ledger,
        users: book.book,
        clock,
        log,
        onceUrl: (iden) => (hasListener ? `ssl://aha.${NETWORK}:27272/${iden}?certhash=00` : undefined),
      },
      {network: NETWORK, admin: undefined, urls, expiresMs: 86_400_000, allowsRoot: true, ...settings},
    )
    const letIn: string[] = []
    const redemptions = new Redemptions({ledger, authority, clock, log, onUsed: (host) => letIn.push(host)})
    const greet = provisionGreet({
      redemptions,
      limiter: new LoginLimiter(clock),
      network: NETWORK,
      cellIden: CELL_IDEN,
      urls,
    })
    const tickets = new TicketDesk({ledger, clock, log, claimOf: (iden) => redemptions.claimOf(iden)})
    const ca = signer.certificate
    made.provision = new TestProvision({book, ca, ledger, provisioning, tickets, greet, lines, letIn}, options)
    return made.provision
  }

  /** Opens what is in the store once more, as after a restart: sessions and claims are gone. */
  async again(): Promise<TestProvision> {
    return TestProvision.open(this.#options, await this.book.again())
  }

  /** Makes a ticket and gives its iden. */
  async service(name = '00.axon', provinfo: Value = null): Promise<string> {
    return idenIn(await this.provisioning.addService(name, provinfo, 'unix/root'))
  }

  /** Makes a ticket and gives its iden. */
  async user(name = 'visi', again = false, userinfo: Value = null): Promise<string> {
    return idenIn(await this.provisioning.addUser(name, userinfo, again, 'unix/root'))
  }

  /** Makes a ticket and gives its iden. */
  async clone(host = `01.aha.${NETWORK}`, more: Partial<CloneWish> = {}): Promise<string> {
    const wish = {host, port: 27_492, conf: null, expires: null, leader: [], ...more}
    return idenIn(await this.provisioning.addClone(wish, 'unix/root'))
  }

  async session(iden: string, address = ADDRESS, family: 'tls' | 'tcp' = 'tls'): Promise<ProvisionSession> {
    this.#sessions += 1
    const peer = {family, address, port: 1} as const
    return new ProvisionSession(
      await this.greet({name: iden, path: [], auth: undefined, peer}, `session-${this.#sessions}`),
    )
  }
}

/** A session at the provisioning listener. */
export class ProvisionSession {
  readonly opened: Opened

  constructor(opened: Opened) {
    this.opened = opened
  }

  async call(method: string, ...args: readonly Value[]): Promise<Value> {
    const peer = {family: 'tls', address: ADDRESS, port: 1} as const
    const {signal} = new AbortController()
    const answer = await this.opened.share.call({method, args, kwargs: {}, signal, peer, sessionId: ''})
    if (answer.kind !== 'value') throw new Error('a value was expected')
    return answer.value
  }

  /** Has a certificate signed, and gives it in PEM form. */
  async sign(method: 'signHostCsr' | 'signUserCsr', name: string, key: KeyObject): Promise<string> {
    const csr = await makeCsr(name, key, {isCa: false, alternativeNames: []})
    return Buffer.from((await this.call(method, Buffer.from(csr))) as Uint8Array).toString()
  }

  close(): void {
    this.opened.closed?.()
  }
}

/** A key for a service or a user: of P-256, because they are made in no time. */
export function newKey(): Promise<KeyObject> {
  return newPrivateKey('p256')
}

export function idenIn(url: string): string {
  return /\/([0-9a-f]{32})\?/.exec(url)?.[1] ?? ''
}

let made: ReturnType<typeof loadSigner> | undefined

/** The same for all tests of a file. */
function testAuthority(): ReturnType<typeof loadSigner> {
  made ??= (async () => {
    await using certs = await certsWithCa()
    return await loadSigner(certs.dir, NETWORK)
  })()
  return made
}
