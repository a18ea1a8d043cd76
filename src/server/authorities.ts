/**
 * The authorities of an AHA, for those who may ask them for certificates over Telepath: that of its network, and others that were made on
 * demand. Each certificate is an entry of the change log before it leaves, and is kept in `certs/hosts` or `certs/users`, as at the peer.
 *
 * What the peer signs whatever the name says, is signed here by rules:
 * - a host is `SERVICE.NETWORK`, a user `USER@NETWORK`, of the network of the authority, by the grammar of names that are provisioned;
 * - the names of this AHA's own certificates and those of administrators are for admins alone, and so are alternative names outside of the
 *   network: the permission to sign is none to become somebody who may do everything;
 * - a certificate whose key is in the same directory is never replaced: it is in use here.
 */
import {createHash, type KeyObject, type X509Certificate} from 'node:crypto'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import type {Users} from '../cell/users.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {ChangeOwner} from '../nexus/replication.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import type {Signer} from '../pki/certificate.ts'
import {newPrivateKey} from '../pki/keys.ts'
import {encodePem} from '../pki/pem.ts'
import type {SubjectName} from '../pki/subject-names.ts'
import {type CertChange, decodeCertChange, encodeCertChange, isCertKind} from '../registry/cert-change.ts'
import {isServiceName, isUserName, MAX_FULL_NAME} from '../registry/ticket.ts'
import {saveMade, selfSigned} from './aha-boot.ts'

export interface AuthorityPorts {
  readonly certs: CertDir
  readonly users: Pick<Users, 'userByName'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info'>
}

/** Who asks for a certificate. */
export interface Asker {
  /** For the change log. */
  readonly actor: string
  readonly isAdmin: boolean
  /** Address. */
  readonly from: string
}

/** A request for a certificate, as it came. */
export interface CertWish {
  readonly purpose: 'host' | 'user'
  /** In PEM form. */
  readonly csr: string
  /** Name of the authority; by the name in the request when absent. */
  readonly signAs: string | undefined
  /** `DNS:www.demo.net,…`, of hosts only. */
  readonly sans?: string | undefined
}

const MAX_AUTHORITIES = 100
/** Certificates that are kept for lists; those that were signed beyond them are in the change log alone. */
const MAX_KEPT = 10_000
const JOINED = {host: '.', user: '@'} as const

/** What a log that is replayed needs of this part: what was signed leaves nothing in the store. */
export const SIGNED_OWNER: ChangeOwner = {
  onReset: () => {},
  replay: ({kind, change}) => {
    if (!isCertKind(kind)) return undefined
    decodeCertChange(change)
    return {effect: {kind: 'none'}, committed: () => {}, failed: () => {}}
  },
}

export class Authorities {
  readonly #ports: AuthorityPorts
  /** `aha:network` */
  readonly #network: string
  /** One after the other: two that want the same new authority would both make it. */
  #making: Promise<unknown> = Promise.resolve()

  constructor(ports: AuthorityPorts, network: string) {
    this.#ports = ports
    this.#network = network
    ports.changeLog.join(SIGNED_OWNER)
  }

  /** Gives the certificate of an authority in PEM form; undefined when there is none of that name. */
  async pem(network: string): Promise<string | undefined> {
    const {certs} = this.#ports
    if (!isNetwork(network) || (await certs.find('ca', network, 'crt')) === undefined) return undefined
    return encodePem('CERTIFICATE', (await certs.certificate('ca', network)).raw)
  }

  /**
   * Gives the certificate of an authority, which is made when it is not there.
   *
   * @throws RegistryError `REG_BAD_REQUEST` for the name; `REG_BUSY` when there are too many; those of the change log; `REG_DIR_UNUSABLE`
   */
  ensure(network: string, asker: Asker): Promise<string> {
    const made = this.#making.then(async () => (await this.pem(network)) ?? (await this.#make(network, asker)))
    this.#making = made.catch(() => {})
    return made
  }

  /**
   * Signs a request and gives the certificate in PEM form.
   *
   * @throws RegistryError `REG_BAD_REQUEST` for a name; `REG_DENIED` for one that is not for this caller; `REG_CERT_MISSING` (`NoCertKey`) without
   * such an authority; `REG_CERT_INVALID` for the request; those of the change log; `REG_DIR_UNUSABLE`
   */
  async sign(wish: CertWish, asker: Asker): Promise<string> {
    const {purpose, sans} = wish
    const {readCsr, signCsr} = await import('../pki/csr.ts')
    const request = readCsr(wish.csr)
    const {name, publicKey} = request
    const network = wish.signAs ?? this.#networkOf(purpose, name)
    checkName(purpose, name, network)
    const alternativeNames = sans === undefined || sans === '' ? [] : await readNames(sans)
    if (!asker.isAdmin) await this.#checkOrdinary(wish, name, alternativeNames, network)
    const signer = await this.#signer(network)
    const {DEFAULT_TTL_MS} = await import('../pki/issuer.ts')
    const terms = {nowMs: this.#ports.clock.wallMs(), ttlMs: DEFAULT_TTL_MS, alternativeNames}
    const certificate = await signCsr(request, purpose, signer, terms)
    await this.#note({purpose, name, authority: network}, certificate, publicKey, asker)
    await this.#keep(purpose, name, encodePem('CERTIFICATE', certificate.raw))
    return encodePem('CERTIFICATE', certificate.raw)
  }

  /** As the peer, but that a name of the own network counts as one however many dots it has. */
  #networkOf(purpose: CertWish['purpose'], name: string): string {
    const joint = JOINED[purpose]
    if (name.endsWith(`${joint}${this.#network}`)) return this.#network
    const at = name.indexOf(joint)
    if (at === -1) throw badName(purpose, name)
    return name.slice(at + 1)
  }

  async #make(network: string, asker: Asker): Promise<string> {
    const {certs, log, clock} = this.#ports
    if (!isNetwork(network)) {
      throw new RegistryError('REG_BAD_REQUEST', `Invalid network name: ${network.slice(0, 100)}.`, {
        info: {name: network.slice(0, 100)},
      })
    }
    if ((await certs.list('ca', 'key')).length >= MAX_AUTHORITIES) {
      throw new RegistryError('REG_BUSY', `no more than ${MAX_AUTHORITIES} authorities are kept`)
    }
    const key = await newPrivateKey('rsa4096')
    const nowMs = clock.wallMs()
    const certificate = await selfSigned(network, key, nowMs)
    await this.#note({purpose: 'ca', name: network, authority: network}, certificate, certificate.publicKey, asker)
    await saveMade({certs, log}, 'ca', network, key, certificate)
    return encodePem('CERTIFICATE', certificate.raw)
  }

  async #signer(network: string): Promise<Signer> {
    const {certs} = this.#ports
    if ((await certs.find('ca', network, 'key')) === undefined) {
      throw new RegistryError('REG_CERT_MISSING', `Missing .key for ${network}`, {
        telepath: 'NoCertKey',
        info: {name: network},
        hints: [`name the network of this AHA: easycert --network ${this.#network}`],
      })
    }
    const {loadSigner} = await import('../pki/issuer.ts')
    return await loadSigner(certs, network)
  }

  /** What may be signed for those who have the permission and are no admins. */
  async #checkOrdinary(
    {purpose}: CertWish,
    name: string,
    names: readonly SubjectName[],
    network: string,
  ): Promise<void> {
    if ((await this.#ports.certs.find(purpose, name, 'key')) !== undefined) throw denied(name, 'it is one of this AHA')
    if (purpose === 'user' && this.#isOfAdmin(name, network)) throw denied(name, 'that user is an admin')
    for (const {kind, value} of names) {
      if (kind !== 'DNS' || !fits('host', value, network)) throw denied(value, `it is no host of ${network}`)
      if ((await this.#ports.certs.find('host', value, 'key')) !== undefined) {
        throw denied(value, 'it is one of this AHA')
      }
    }
  }

  /** Services have a root whether or not there is one here. */
  #isOfAdmin(name: string, network: string): boolean {
    const local = name.slice(0, -network.length - 1)
    const {users} = this.#ports
    return local === 'root' || [local, name].some((one) => users.userByName(one)?.isAdmin === true)
  }

  async #note(
    facts: Pick<CertChange, 'purpose' | 'name' | 'authority'>,
    certificate: X509Certificate,
    key: KeyObject,
    {actor, from}: Asker,
  ): Promise<void> {
    const {changeLog, clock, log} = this.#ports
    const serial = certificate.serialNumber.toLowerCase()
    const spki = key.export({type: 'spki', format: 'der'})
    const keySha256 = createHash('sha256').update(spki).digest('hex')
    const change: CertChange = {kind: 'cert:issue', ...facts, serial, keySha256, from}
    changeLog.assertOpen()
    await new Promise<void>((resolve, failed) => {
      const effect = {kind: 'none'} as const
      const entry = {timeMs: clock.wallMs(), actor, change: encodeCertChange(change), effect}
      changeLog.propose({entry, committed: () => resolve(), failed})
    })
    const {purpose, name, authority} = facts
    log.info('certificate.issued', {purpose, cn: name, authority, serial, actor, peer: from})
  }

  async #keep(purpose: CertWish['purpose'], name: string, pem: string): Promise<void> {
    const {certs} = this.#ports
    if ((await certs.find(purpose, name, 'key')) !== undefined) return
    const isNew = (await certs.find(purpose, name, 'crt')) === undefined
    if (isNew && (await certs.list(purpose, 'crt')).length >= MAX_KEPT) return
    await certs.overwrite(purpose, name, 'crt', pem)
  }
}

function isNetwork(text: string): boolean {
  return text.length <= MAX_FULL_NAME && isServiceName(text)
}

function checkName(purpose: CertWish['purpose'], name: string, network: string): void {
  if (!isNetwork(network) || !fits(purpose, name, network)) throw badName(purpose, name)
}

function fits(purpose: CertWish['purpose'], name: string, network: string): boolean {
  const tail = `${JOINED[purpose]}${network}`
  const local = name.slice(0, -tail.length)
  const isName = purpose === 'host' ? isServiceName : isUserName
  return name.endsWith(tail) && name.length <= MAX_FULL_NAME && isName(local)
}

async function readNames(text: string): Promise<readonly SubjectName[]> {
  const {parseSubjectNames} = await import('../pki/subject-names.ts')
  return parseSubjectNames(text)
}

function badName(purpose: CertWish['purpose'], name: string): RegistryError {
  const shown = name.slice(0, 100)
  return new RegistryError('REG_BAD_REQUEST', `Invalid ${purpose} CSR CN=${shown}.`, {
    info: {name: shown},
    hints: [purpose === 'host' ? 'name a host SERVICE.NETWORK' : 'name a user USER@NETWORK'],
  })
}

function denied(name: string, why: string): RegistryError {
  const shown = name.slice(0, 100)
  return new RegistryError('REG_DENIED', `Only admins get certificates for ${shown}: ${why}.`, {info: {name: shown}})
}
