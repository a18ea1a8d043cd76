import {createHash, type KeyObject} from 'node:crypto'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Log} from '../base/log.ts'
import type {Authority} from '../pki/authority.ts'
import type {CertificateRequest} from '../pki/csr.ts'
import {privateKeyPem} from '../pki/keys.ts'
import {encodePem} from '../pki/pem.ts'
import {checkSealable, sealFor} from '../pki/sealed.ts'
import {
  standingOf,
  type Ticket,
  type TicketCertificate,
  type TicketChange,
  type TicketKind,
  type Want,
} from '../registry/ticket.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {TicketLedger} from './ticket-ledger.ts'
import {ticketSecrets, unseal} from './ticket-secrets.ts'

export interface RedemptionPorts {
  readonly ledger: Pick<TicketLedger, 'pending' | 'change'>
  readonly authority: Authority
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Hears the full name of each service that has been let in, in the turn in which that is decided. */
  readonly onUsed?: ((host: string) => void) | undefined
  /** Refuses the name of a member of this cell that is there. */
  readonly assertNoMember?: ((host: string) => void) | undefined
}

/** A session that redeems a ticket at present. */
export interface Claim {
  /** Address. */
  readonly from: string
  readonly sinceMs: number
}

/** Who redeems tickets: at most one session at a time for each, and one that succeeds. */
export class Redemptions {
  readonly #ports: RedemptionPorts
  /** By the hash of the iden. */
  readonly #claims = new Map<string, Redemption>()

  constructor(ports: RedemptionPorts) {
    this.#ports = ports
  }

  /** Tells whether there is such a ticket, whatever it is still good for. */
  knows(iden: string): boolean {
    return this.#ports.ledger.pending.has(ticketSecrets.hash(iden))
  }

  /** Gives the session that has claimed a ticket, by the hash of its iden; undefined when none has. */
  claimOf(idenSha256: string): Claim | undefined {
    return this.#claims.get(idenSha256)?.claim
  }

  /**
   * Begins to redeem a ticket: claims it, or, when it was used a short while ago, lets its certificates be fetched again.
   *
   * @throws RegistryError `REG_NOT_FOUND` when there is none, it has expired or was used, or another session has claimed it
   */
  begin(iden: string, from: string): Redemption {
    const {ledger, clock, log} = this.#ports
    const idenSha256 = ticketSecrets.hash(iden)
    const ticket = ledger.pending.get(idenSha256)
    const standing = ticket === undefined ? 'unknown' : standingOf(ticket, clock.wallMs())
    const reason = standing === 'open' && this.#claims.has(idenSha256) ? 'claimed' : standing
    if (ticket === undefined || (reason !== 'open' && reason !== 'fetchable')) {
      log.warning('provision.refused', {peer: from, reason, name: ticket?.name ?? null})
      throw noSuchTicket(iden)
    }
    const redemption = new Redemption(this.#ports, this.#claims, iden, ticket, {from, sinceMs: clock.wallMs()})
    if (reason === 'open') this.#claims.set(idenSha256, redemption)
    return redemption
  }
}

/** One session at the provisioning listener. To be closed when the session is over. */
export class Redemption {
  readonly #ports: RedemptionPorts
  readonly #claims: Map<string, Redemption>
  /** What the session came with. */
  readonly iden: string
  readonly #ticket: Ticket
  /** Counts while the ticket is claimed by this session. */
  readonly claim: Claim
  /** Public keys, by what they got a certificate for in this session. */
  readonly #keys = new Map<Want['purpose'], string>()
  /** Public key of the host, once it got its certificate in this session. */
  #hostKey: KeyObject | undefined
  /** One after the other: what is the last certificate depends on those before. */
  #signing: Promise<unknown> = Promise.resolve()

  constructor(ports: RedemptionPorts, claims: Map<string, Redemption>, iden: string, ticket: Ticket, claim: Claim) {
    this.#ports = ports
    this.#claims = claims
    this.iden = iden
    this.#ticket = ticket
    this.claim = claim
  }

  get kind(): TicketKind {
    return this.#ticket.kind
  }

  /**
   * Gives the ticket to who may know what is in it: who has claimed it, or has shown a key that it was used with.
   *
   * @throws RegistryError `REG_NOT_FOUND`
   */
  get ticket(): Ticket {
    const ticket = this.#current()
    if (!this.#hasClaim && this.#keys.size === 0) throw this.#refused()
    return ticket
  }

  /** What a service or a clone is told, for those whom `ticket` is for. @throws RegistryError as `ticket`; `REG_STORE_DAMAGED` */
  get told(): Readonly<Record<string, Value>> {
    const {sealed} = this.ticket
    return parseJson(sealed === null ? '{}' : unseal(this.iden, sealed)) as Readonly<Record<string, Value>>
  }

  /** The certificate of the authority, in PEM form. */
  get authorityPem(): string {
    return encodePem('CERTIFICATE', this.#ports.authority.certificate.raw)
  }

  /**
   * Signs a request, or gives what its key got before. When this returns, what was signed is on disk, and with the last certificate the use.
   *
   * @throws RegistryError `REG_BAD_REQUEST` for another name; `REG_NOT_FOUND` when the ticket is no longer good for it; `REG_CONFLICT` for a second
   * key; `REG_CERT_INVALID`; those of the change log
   */
  sign(purpose: Want['purpose'], csr: string): Promise<string> {
    const signed = this.#signing.then(() => this.#sign(purpose, csr))
    this.#signing = signed.catch(() => {})
    return signed
  }

  /**
   * Gives the key of the authority, which nobody can read but who has the key of the host that this ticket was used for, in this session or before.
   *
   * @throws RegistryError `REG_NOT_FOUND` when this is no clone, or its certificate was not signed in this session
   */
  authorityKey(): Uint8Array {
    const isUsed = this.#current().used !== null
    if (this.kind !== 'clone' || this.#hostKey === undefined || !isUsed) throw this.#refused()
    const {authority, log} = this.#ports
    const sealed = sealFor(this.#hostKey, privateKeyPem(authority.key))
    log.warning('clone.authority.given', {name: this.#ticket.name, peer: this.claim.from})
    return sealed
  }

  close(): void {
    if (this.#hasClaim) this.#claims.delete(this.#ticket.idenSha256)
  }

  get #hasClaim(): boolean {
    return this.#claims.get(this.#ticket.idenSha256) === this
  }

  async #sign(purpose: Want['purpose'], csr: string): Promise<string> {
    const {readCsr} = await import('../pki/csr.ts')
    const request = readCsr(csr)
    const want = this.#ticket.wants.find((one) => one.purpose === purpose)
    if (want === undefined || want.name !== request.name) {
      const text = `Invalid ${purpose} CSR CN=${request.name.slice(0, 100)}.`
      throw new RegistryError('REG_BAD_REQUEST', text, {info: {name: request.name.slice(0, 100)}})
    }
    if (this.kind === 'clone') checkSealable(request.publicKey) // before the ticket is used
    const keySha256 = hashOf(request.publicKey)
    const before = this.#signedBefore(purpose, keySha256)
    if (standingOf(this.#current(), this.#ports.clock.wallMs()) === 'fetchable') {
      if (before === undefined) throw this.#refused()
      this.#took(purpose, keySha256, request)
      return before.pem
    }
    this.#checkOpen(purpose, keySha256)
    if (this.kind === 'clone') this.#ports.assertNoMember?.(want.name)
    const certificate = before ?? (await this.#issue(want, request, keySha256))
    this.#checkOpen(purpose, keySha256) // it may have been revoked meanwhile, or the session is over
    await this.#keep(certificate, before === undefined)
    this.#took(purpose, keySha256, request)
    return certificate.pem
  }

  #took(purpose: Want['purpose'], keySha256: string, {publicKey}: CertificateRequest): void {
    this.#keys.set(purpose, keySha256)
    if (purpose === 'host') this.#hostKey = publicKey
  }

  /** @throws RegistryError `REG_NOT_FOUND`, `REG_CONFLICT` */
  #checkOpen(purpose: Want['purpose'], keySha256: string): void {
    const standing = standingOf(this.#current(), this.#ports.clock.wallMs())
    if (standing !== 'open' || !this.#hasClaim) throw this.#refused()
    const key = this.#keys.get(purpose) ?? keySha256
    if (key === keySha256) return
    throw new RegistryError('REG_CONFLICT', `another key has got the ${purpose} certificate of this URL`)
  }

  async #issue({purpose, name}: Want, request: CertificateRequest, keySha256: string): Promise<TicketCertificate> {
    const {authority, clock} = this.#ports
    const {signCsr} = await import('../pki/csr.ts')
    const {DEFAULT_TTL_MS, signerOf} = await import('../pki/issuer.ts')
    const nowMs = clock.wallMs()
    const signed = await signCsr(request, purpose, signerOf(authority), {nowMs, ttlMs: DEFAULT_TTL_MS})
    const serial = signed.serialNumber.toLowerCase()
    return {
      purpose,
      name,
      keySha256,
      serial,
      issuedMs: nowMs,
      from: this.claim.from,
      pem: encodePem('CERTIFICATE', signed.raw),
    }
  }

  /** Writes what was signed, and with the last one the use. */
  async #keep(certificate: TicketCertificate, isNew: boolean): Promise<void> {
    const {ledger, clock, log, onUsed} = this.#ports
    const {idenSha256, name, wants} = this.#ticket
    const isLast = wants.every(({purpose}) => purpose === certificate.purpose || this.#keys.has(purpose))
    const issued = isNew ? certificate : null
    if (!isLast && issued === null) return
    const change: TicketChange =
      isLast || issued === null
        ? {kind: 'ticket:use', idenSha256, certificate: issued, use: {atMs: clock.wallMs(), from: this.claim.from}}
        : {kind: 'ticket:issue', idenSha256, certificate: issued}
    const written = ledger.change(change, `provision/${name}`)
    const host = wants.find(({purpose}) => purpose === 'host')?.name
    if (isLast && host !== undefined) onUsed?.(host)
    await written
    const facts = {name, peer: this.claim.from}
    log.info('certificate.issued', {...facts, cn: certificate.name, serial: certificate.serial})
    if (isLast) log.info('provision.redeemed', facts)
  }

  #signedBefore(purpose: Want['purpose'], keySha256: string): TicketCertificate | undefined {
    const {certificates} = this.#current()
    return certificates.findLast((one) => one.purpose === purpose && one.keySha256 === keySha256)
  }

  /** The ticket as it is now. */
  #current(): Ticket {
    const ticket = this.#ports.ledger.pending.get(this.#ticket.idenSha256)
    if (ticket === undefined) throw this.#refused()
    return ticket
  }

  #refused(): RegistryError {
    return noSuchTicket(this.iden)
  }
}

/** In the peer's words. */
export function noSuchTicket(iden: string): RegistryError {
  const name = iden.slice(0, 100)
  const text = `Invalid provisioning identifier name=${name}. This could be caused by the re-use of a provisioning URL.`
  return new RegistryError('REG_NOT_FOUND', text, {
    info: {name},
    hints: ['registry provision service NAME', 'registry provision user NAME --again'],
  })
}

function hashOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({type: 'spki', format: 'der'}))
    .digest('hex')
}
