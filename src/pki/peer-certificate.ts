import {createHash} from 'node:crypto'
import type {TLSSocket} from 'node:tls'
import {RegistryError} from '../base/errors.ts'

/** Of a verified client certificate; the same shape as the one of wire/telepath/share.ts. */
export interface PeerCertificate {
  /** Common name of the subject. */
  readonly name: string
  /** Common name of the issuer. */
  readonly issuer: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string
}

/** What a listener needs of `Revocations`. */
export interface RevokedList {
  isRevoked(certificate: {readonly issuer: string; readonly serial: string}): boolean
}

/**
 * Gives the certificate of a client whose chain TLS has verified; undefined when it gave none, or one that was not verified on a listener
 * where certificates are optional. To be asked on each new connection: a resumed session is not verified again by TLS, so what may have
 * happened meanwhile is checked here.
 *
 * @throws RegistryError `REG_CERT_INVALID` when it is revoked, has expired, or has not exactly one common name
 */
export function clientCertificate(socket: TLSSocket, nowMs: number, revoked: RevokedList): PeerCertificate | undefined {
  if (!socket.authorized) return undefined
  const {subject, issuer, serialNumber, raw, valid_to} = socket.getPeerCertificate()
  if (raw === undefined) return undefined
  const certificate = {
    name: oneName(subject?.CN),
    issuer: oneName(issuer?.CN),
    serial: plainSerial(serialNumber),
    fingerprint: createHash('sha256').update(raw).digest('hex'),
  }
  if (!(Date.parse(valid_to) > nowMs)) throw refused(certificate, 'has expired')
  if (revoked.isRevoked(certificate)) throw refused(certificate, 'is revoked')
  return certificate
}

/** Gives a serial number in lower-case hex without leading zeros, as all of this room writes it. */
export function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '')
}

function oneName(name: string | string[] | undefined): string {
  if (typeof name === 'string' && name !== '') return name
  throw new RegistryError('REG_CERT_INVALID', 'the certificate of the client has not exactly one common name')
}

function refused(certificate: PeerCertificate, what: string): RegistryError {
  const {name, issuer, serial} = certificate
  return new RegistryError('REG_CERT_INVALID', `the certificate of ${name} (of ${issuer}, serial ${serial}) ${what}`, {
    info: {name, issuer, serial},
  })
}
