/**
 * Certificates as the peers make them: one common name, and per kind exactly the extensions that Synapse 2.256 gives, in its order, none of
 * them critical. Its own checks and those of OpenSSL are satisfied with that; no key identifiers, no CRL address.
 */

import assert from 'node:assert/strict'
import {type KeyObject, randomBytes, X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import {type Purpose, USE_IDS} from './certificate-facts.ts'
import {
  bitString,
  childrenOf,
  der,
  integer,
  octetString,
  oid,
  readDer,
  sequence,
  TAG,
  TRUE,
  tagged,
  time,
} from './der.ts'
import {checkPublicKey, signatureAlgorithm, signedDer} from './keys.ts'
import {encodePem} from './pem.ts'
import {dnsName, generalNames, type SubjectName} from './subject-names.ts'

/** What a certificate shall say. */
export interface CertificateWish {
  readonly purpose: Purpose
  /** Common name, at most 64 bytes. */
  readonly name: string
  readonly publicKey: KeyObject
  /** Beside `DNS:` and the name itself; of hosts only. */
  readonly alternativeNames?: readonly SubjectName[] | undefined
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Who signs. */
export interface Signer {
  /** Distinguished name in DER form: the issuer of what it signs. */
  readonly subject: Buffer
  readonly key: KeyObject
  /** Absent for a certificate that is signed by itself. */
  readonly certificate?: X509Certificate
}

/**
 * Makes a certificate and proves it: the signature is verified before it is given out.
 *
 * @throws RegistryError `REG_BAD_REQUEST` for a name that is too long; `REG_CERT_INVALID` for a key that is too weak
 */
export async function issueCertificate(wish: CertificateWish, signer: Signer): Promise<X509Certificate> {
  checkPublicKey(wish.publicKey)
  const body = sequence(
    tagged(0, integer(2)),
    integer(newSerial()),
    signatureAlgorithm(signer.key),
    signer.subject,
    sequence(time(wish.notBeforeMs), time(wish.notAfterMs)),
    commonName(wish.name),
    wish.publicKey.export({type: 'spki', format: 'der'}),
    tagged(3, sequence(...extensionsFor(wish))),
  )
  const certificate = new X509Certificate(await signedDer(body, signer.key))
  const publicKey = signer.certificate?.publicKey ?? wish.publicKey
  assert(certificate.verify(publicKey), 'a certificate that was just signed can be verified')
  return certificate
}

/** Gives a certificate in PEM form with the end of line that text files have. */
export function certificatePem(certificate: X509Certificate): string {
  return encodePem('CERTIFICATE', certificate.raw)
}

const MAX_NAME_BYTES = 64

/**
 * Writes a distinguished name of one common name.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when it has not 1 to 64 bytes
 */
export function commonName(name: string): Buffer {
  const bytes = Buffer.from(name)
  if (bytes.length < 1 || bytes.length > MAX_NAME_BYTES) {
    throw new RegistryError(
      'REG_BAD_REQUEST',
      `a name in a certificate has 1 to 64 bytes, this one ${bytes.length}: ${name.slice(0, 80)}`,
      {
        info: {name: name.slice(0, 80)},
        hints: ['give a shorter name'],
      },
    )
  }
  return sequence(der(TAG.set, sequence(oid('2.5.4.3'), der(TAG.utf8String, bytes))))
}

/** Gives the subject of a certificate in DER form, byte for byte. Throws `REG_CERT_INVALID`. */
export function subjectOf(certificate: X509Certificate): Buffer {
  const [body] = childrenOf(readDer(certificate.raw), TAG.sequence)
  const fields = childrenOf(body, TAG.sequence)
  // version is optional; then: serial, algorithm, issuer, validity, subject
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4]
  childrenOf(subject, TAG.sequence)
  return subject?.whole ?? Buffer.of()
}

/** Writes an extension. */
export function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [TRUE] : []), octetString(value))
}

/** Writes the extension that says whether a certificate may sign others. */
export function basicConstraints(isCa: boolean, isCritical = false): Buffer {
  return extension('2.5.29.19', sequence(...(isCa ? [TRUE] : [])), isCritical)
}

/** Writes the extension that names a host in other ways. */
export function subjectAltName(names: readonly SubjectName[]): Buffer {
  return extension('2.5.29.17', generalNames(names))
}

const NETSCAPE_CERT_TYPE = '2.16.840.1.113730.1.1'
const KEY_USAGE = '2.5.29.15'
const EXTENDED_KEY_USAGE = '2.5.29.37'

/** Bits as in Netscape's certificate type and in key usage, and the number of them that is left over at the end. */
const USES = {
  host: {netscape: bits(0x40, 6), keyUsage: bits(0xa0, 5), extended: USE_IDS.host},
  user: {netscape: bits(0x80, 7), keyUsage: bits(0x80, 7), extended: USE_IDS.user},
  code: {netscape: bits(0x10, 4), keyUsage: bits(0x80, 7), extended: USE_IDS.code},
} as const

function extensionsFor({purpose, name, alternativeNames = []}: CertificateWish): readonly Buffer[] {
  if (purpose === 'ca') return [basicConstraints(true)]
  const {netscape, keyUsage, extended} = USES[purpose]
  return [
    extension(NETSCAPE_CERT_TYPE, netscape),
    extension(KEY_USAGE, keyUsage),
    extension(EXTENDED_KEY_USAGE, sequence(oid(extended))),
    basicConstraints(false),
    ...(purpose === 'host' ? [subjectAltName([dnsName(name), ...alternativeNames])] : []),
  ]
}

function bits(byte: number, unused: number): Buffer {
  return bitString(Buffer.of(byte), unused)
}

/** 128 random bits; zero would be no serial number. */
function newSerial(): Buffer {
  const bytes = randomBytes(16)
  return bytes.some((byte) => byte !== 0) ? bytes : newSerial()
}
