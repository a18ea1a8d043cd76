/** What the provisioning listener serves: a ticket for its iden as the name, to whoever comes with it. */
import {RegistryError} from '../base/errors.ts'
import type {TicketKind} from '../registry/ticket.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Answer, Call, Greet, Opened, Peer, Share, ShareInfo} from '../wire/telepath/share.ts'
import {bind, type Param, required} from './cell-method.ts'
import type {LoginLimiter} from './login-limiter.ts'
import {noSuchTicket, type Redemption, type Redemptions} from './redemption.ts'

export interface ProvisionPorts {
  readonly redemptions: Redemptions
  /** Of its own: counts idens that there are not, by address. */
  readonly limiter: Pick<LoginLimiter, 'assertAllowed' | 'countFailure'>
  /** `aha:network` */
  readonly network: string
  /** Shared by all members of this cell: what a clone becomes. */
  readonly cellIden: string
  /** As `getAhaUrls` answers. */
  readonly urls: (user: string) => readonly string[]
}

/** Requests are some 2 KB. */
const MAX_CSR_BYTES = 64 * 1024

/**
 * Makes the `Greet` of the provisioning daemon. Who asks for tickets that do not exist is refused after some.
 *
 * @throws RegistryError the greet: `REG_NOT_FOUND` (`NoSuchName`), `REG_BUSY` for guessers
 */
export function provisionGreet(ports: ProvisionPorts): Greet {
  const redeem = redeemer(ports)
  return ({name, path, peer}) => redeem(name, peer, path)
}

/** Gives what begins to redeem a ticket. Throws as the greet does. */
export function redeemer({redemptions, limiter, ...ports}: ProvisionPorts): Redeem {
  return (iden, {address, family}, path = []) => {
    limiter.assertAllowed(address, undefined)
    if (!redemptions.knows(iden)) limiter.countFailure(address, undefined)
    if (path.length > 0) throw noSuchTicket(iden)
    const redemption = redemptions.begin(iden, address)
    if (redemption.kind === 'clone' && family !== 'tls') {
      redemption.close()
      throw new RegistryError('REG_DENIED', 'a clone is made over TLS only: it gets the key of the authority')
    }
    return {share: new ProvisionShare(ports, redemption), closed: () => redemption.close()}
  }
}

/** Who comes with a one-time URL. */
type Redeemer = Pick<Peer, 'address' | 'family'>

type Redeem = (iden: string, peer: Redeemer, path?: readonly string[]) => Pick<Required<Opened>, 'share' | 'closed'>

type ShareParts = Omit<ProvisionPorts, 'redemptions' | 'limiter'>

interface Row {
  readonly params: readonly Param[]
  readonly run: (
    redemption: Redemption,
    args: Readonly<Record<string, Value>>,
    ports: ShareParts,
  ) => Value | Promise<Value>
}

const CSR = [required('byts')] as const
const CA_CERT: Row = {params: [], run: ({authorityPem}) => Buffer.from(authorityPem)}
const HOST_CSR: Row = {params: CSR, run: (redemption, args) => sign(redemption, 'host', args['byts'])}
const USER_CSR: Row = {params: CSR, run: (redemption, args) => sign(redemption, 'user', args['byts'])}

const SERVICE_ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['getProvInfo', {params: [], run: ({iden, told}) => ({...told, iden})}],
  ['getCaCert', CA_CERT],
  ['signHostCsr', HOST_CSR],
  ['signUserCsr', USER_CSR],
])
const USER_ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  [
    'getUserInfo',
    {
      params: [],
      run: ({ticket: {name}}, _args, {network, urls}) => ({
        'aha:urls': urls(name),
        'aha:user': name,
        'aha:network': network,
      }),
    },
  ],
  ['getCaCert', CA_CERT],
  ['signUserCsr', USER_CSR],
])

/** Ours, but for `getCloneDef`: what a copy of this cell needs to become a member of it. */
const CLONE_ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['getCloneDef', {params: [], run: refuseClone}],
  ['getMemberDef', {params: [], run: ({told}, _args, {cellIden}) => ({...told, cell: cellIden})}],
  ['getCaCert', CA_CERT],
  ['signHostCsr', HOST_CSR],
  ['getCaKey', {params: [], run: (redemption) => redemption.authorityKey()}],
])

interface KindOfTicket {
  readonly rows: ReadonlyMap<string, Row>
  readonly title: string
  readonly info: ShareInfo
  /** Whom such URLs are for, and how one is used. */
  readonly noun: string
  readonly usage: string
  /** What makes a URL of this kind. */
  readonly hint: string
}

const KINDS: Readonly<Record<TicketKind, KindOfTicket>> = {
  service: {
    rows: SERVICE_ROWS,
    title: 'ProvApi',
    info: infoOf('ProvApi', SERVICE_ROWS),
    noun: 'service',
    usage: 'give it to the service as aha:provision',
    hint: 'registry provision service NAME',
  },
  user: {
    rows: USER_ROWS,
    title: 'EnrollApi',
    info: infoOf('EnrollApi', USER_ROWS),
    noun: 'user',
    usage: 'enroll with it',
    hint: 'registry provision user NAME',
  },
  clone: {
    rows: CLONE_ROWS,
    title: 'CloneApi',
    info: infoOf('CloneApi', CLONE_ROWS),
    noun: 'clone',
    usage: 'give it to registry serve as clone',
    hint: 'registry clone NAME',
  },
}

/** A ticket in one session. */
class ProvisionShare implements Share {
  readonly info: ShareInfo
  readonly #ports: ShareParts
  readonly #redemption: Redemption
  readonly #kind: KindOfTicket

  constructor(ports: ShareParts, redemption: Redemption) {
    this.#ports = ports
    this.#redemption = redemption
    this.#kind = KINDS[redemption.kind]
    this.info = this.#kind.info
  }

  async call({method, args, kwargs}: Call): Promise<Answer> {
    const {rows, title} = this.#kind
    const row = rows.get(method)
    if (row === undefined) throw this.#noSuchMethod(title, method)
    const bound = bind(`${title}.${method}`, row.params, args, kwargs)
    return {kind: 'value', value: await row.run(this.#redemption, bound, this.#ports)}
  }

  /** A tool that enrolls users may have come with the URL of a service, or the other way round: the URL stays as it was. */
  #noSuchMethod(title: string, method: string): RegistryError {
    const other = Object.values(KINDS).find(({rows}) => rows.has(method))
    if (other === undefined) return noSuchMethod(title, method)
    const {noun, usage} = this.#kind
    const text = `This one-time URL is for the ${noun} ${this.#redemption.ticket.name}, not for a ${other.noun}: ${usage}.`
    return new RegistryError('REG_NOT_FOUND', text, {telepath: 'NoSuchMeth', info: {name: method}, hints: [other.hint]})
  }
}

/** What a real AHA asks that was given the URL: it would go on with our files, and could not read them. */
function refuseClone({ticket: {name}}: Redemption): never {
  const text = `This AHA is a registry of another software, and its files are not those of a Synapse AHA: it cannot be cloned by one. The URL for ${name} is as good as before: start this registry there with it, or set up a Synapse AHA of its own.`
  throw new RegistryError('REG_CONFLICT', text, {
    telepath: 'FeatureNotSupported',
    info: {name},
    hints: ['registry serve DIR, with clone: URL in DIR/cell.yaml'],
  })
}

async function sign(redemption: Redemption, purpose: 'host' | 'user', csr: Value): Promise<Value> {
  if (!(csr instanceof Uint8Array)) throw new RegistryError('REG_BAD_REQUEST', 'a certificate request must be bytes')
  if (csr.length > MAX_CSR_BYTES) {
    throw new RegistryError('REG_BAD_REQUEST', `a certificate request must not have more than ${MAX_CSR_BYTES} bytes`)
  }
  return Buffer.from(await redemption.sign(purpose, Buffer.from(csr).toString('latin1')))
}

function infoOf(title: string, rows: ReadonlyMap<string, Row>): ShareInfo {
  const methods = new Map([...rows.keys()].map((name) => [name, {isGenerator: false}]))
  return {classes: [`synapse.lib.aha.${title}`], methods}
}

function noSuchMethod(title: string, name: string): RegistryError {
  const shown = name.slice(0, 100)
  return new RegistryError('REG_NOT_FOUND', `${title} has no method: ${shown}.`, {
    telepath: 'NoSuchMeth',
    info: {name: shown},
  })
}
