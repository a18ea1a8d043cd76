import type {X509Certificate} from 'node:crypto'
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

interface Known {
  readonly certificate: PeerCertificate
  readonly notAfterMs: number
}

const MAX_KNOWN = 1000

/** What certificates say that came lately, by their hash: most connections come with one that is known. */
const known = new Map<string, Known>()

/**
 * Gives the certificate of a client whose chain TLS has verified; undefined when it gave none, or one that was not verified on a listener
 * where certificates are optional. To be asked on each new connection: a resumed session is not verified again by TLS, so what may have
 * happened meanwhile is checked here.
 *
 * @throws RegistryError `REG_CERT_INVALID` when it is revoked, has expired, or has not exactly one common name
 */
export function clientCertificate(socket: TLSSocket, nowMs: number, revoked: RevokedList): PeerCertificate | undefined {
  if (!socket.authorized) return undefined
  const x509 = socket.getPeerX509Certificate()
  if (x509 === undefined) return undefined
  const {certificate, notAfterMs} = known.get(x509.fingerprint256) ?? learn(x509)
  if (!(notAfterMs > nowMs)) throw refused(certificate, 'has expired')
  if (revoked.isRevoked(certificate)) throw refused(certificate, 'is revoked')
  return certificate
}

/** Takes a certificate apart, which costs twenty times as much as looking it up. */
function learn(x509: X509Certificate): Known {
  const {subject, issuer} = x509.toLegacyObject()
  const certificate = {
    name: oneName(subject?.CN),
    issuer: oneName(issuer?.CN),
    serial: plainSerial(x509.serialNumber),
    fingerprint: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
  const learned = {certificate, notAfterMs: x509.validToDate.getTime()}
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(x509.fingerprint256, learned)
  return learned
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
