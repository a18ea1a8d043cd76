/** What the provisioning listener serves: a ticket for its iden as the name, to whoever comes with it. */
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Answer, Call, Greet, Share, ShareInfo} from '../wire/telepath/share.ts'
import {bind, type Param, required} from './cell-method.ts'
import type {LoginLimiter} from './login-limiter.ts'
import {noSuchTicket, type Redemption, type Redemptions} from './redemption.ts'

export interface ProvisionPorts {
  readonly redemptions: Redemptions
  /** Of its own: counts idens that there are not, by address. */
  readonly limiter: Pick<LoginLimiter, 'assertAllowed' | 'countFailure'>
  /** `aha:network` */
  readonly network: string
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
  const {redemptions, limiter} = ports
  return ({name, path, peer: {address}}) => {
    limiter.assertAllowed(address, undefined)
    if (!redemptions.knows(name)) limiter.countFailure(address, undefined)
    if (path.length > 0) throw noSuchTicket(name)
    const redemption = redemptions.begin(name, address)
    return {share: new ProvisionShare(ports, redemption), closed: () => redemption.close()}
  }
}

interface Row {
  readonly params: readonly Param[]
  readonly run: (
    redemption: Redemption,
    args: Readonly<Record<string, Value>>,
    ports: ProvisionPorts,
  ) => Value | Promise<Value>
}

const CSR = [required('byts')] as const
const CA_CERT: Row = {params: [], run: ({authorityPem}) => Buffer.from(authorityPem)}
const USER_CSR: Row = {params: CSR, run: (redemption, args) => sign(redemption, 'user', args['byts'])}

const SERVICE_ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['getProvInfo', {params: [], run: ({ticket}) => parseJson(ticket.info ?? '{}') as Value}],
  ['getCaCert', CA_CERT],
  ['signHostCsr', {params: CSR, run: (redemption, args) => sign(redemption, 'host', args['byts'])}],
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

const KINDS = {
  service: {rows: SERVICE_ROWS, title: 'ProvApi', info: infoOf('ProvApi', SERVICE_ROWS), other: 'user'},
  user: {rows: USER_ROWS, title: 'EnrollApi', info: infoOf('EnrollApi', USER_ROWS), other: 'service'},
} as const

/** A ticket in one session. */
class ProvisionShare implements Share {
  readonly info: ShareInfo
  readonly #ports: ProvisionPorts
  readonly #redemption: Redemption
  readonly #kind: (typeof KINDS)[keyof typeof KINDS]

  constructor(ports: ProvisionPorts, redemption: Redemption) {
    this.#ports = ports
    this.#redemption = redemption
    this.#kind = KINDS[redemption.kind]
    this.info = this.#kind.info
  }

  async call({method, args, kwargs}: Call): Promise<Answer> {
    const {rows, title, other} = this.#kind
    const row = rows.get(method)
    if (row === undefined) throw KINDS[other].rows.has(method) ? this.#wrongKind(method) : noSuchMethod(title, method)
    const bound = bind(`${title}.${method}`, row.params, args, kwargs)
    return {kind: 'value', value: await row.run(this.#redemption, bound, this.#ports)}
  }

  /** A tool that enrolls users came with the URL of a service, or the other way round: the URL stays as it was. */
  #wrongKind(method: string): RegistryError {
    const {kind, name} = this.#redemption.ticket
    const text =
      kind === 'service'
        ? `This one-time URL is for the service ${name}, not for a user: give it to the service as aha:provision.`
        : `This one-time URL is for the user ${name}, not for a service: enroll with it.`
    const hints = kind === 'service' ? ['registry provision user NAME'] : ['registry provision service NAME']
    return new RegistryError('REG_NOT_FOUND', text, {telepath: 'NoSuchMeth', info: {name: method}, hints})
  }
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
