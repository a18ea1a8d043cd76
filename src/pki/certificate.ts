/**
 * Certificates as the peers make them: one common name, and per kind exactly the extensions that Synapse 2.256 gives, in its order, none of
 * them critical. Its own checks and those of OpenSSL are satisfied with that; no key identifiers, no CRL address.
 */

import assert from 'node:assert/strict'
import {type KeyObject, randomBytes, X509Certificate} from 'node:crypto'
import {BitString, Integer, Utf8String} from 'asn1js'
import {
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  PublicKeyInfo,
  RelativeDistinguishedNames,
} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {asn1Time, readAsn1, writeAsn1} from './asn1.ts'
import {type Purpose, USE_IDS} from './certificate-facts.ts'
import {checkPublicKey} from './keys.ts'
import {encodePem} from './pem.ts'
import {signatureAlgorithm, signedDer} from './signature.ts'
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
  const content = new Certificate({
    version: 2, // counted from 0
    serialNumber: newSerial(),
    signature: signatureAlgorithm(signer.key),
    issuer: readName(signer.subject),
    notBefore: asn1Time(wish.notBeforeMs),
    notAfter: asn1Time(wish.notAfterMs),
    subject: readName(commonName(wish.name)),
    subjectPublicKeyInfo: publicKeyInfo(wish.publicKey),
    extensions: [...extensionsFor(wish)],
  })
  const certificate = new X509Certificate(await signedDer(content, signer.key))
  const publicKey = signer.certificate?.publicKey ?? wish.publicKey
  assert(certificate.verify(publicKey), 'a certificate that was just signed can be verified')
  return certificate
}

/** Gives a certificate in PEM form with the end of line that text files have. */
export function certificatePem(certificate: X509Certificate): string {
  return encodePem('CERTIFICATE', certificate.raw)
}

/** Object identifier of a common name. */
export const COMMON_NAME = '2.5.4.3'
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
  const typesAndValues = [new AttributeTypeAndValue({type: COMMON_NAME, value: new Utf8String({value: name})})]
  return writeAsn1(new RelativeDistinguishedNames({typesAndValues}).toSchema())
}

/** Gives the subject of a certificate in DER form, byte for byte. Throws `REG_CERT_INVALID`. */
export function subjectOf(certificate: X509Certificate): Buffer {
  const {subject} = readAsn1(certificate.raw, Certificate, 'the certificate')
  return Buffer.from(subject.valueBeforeDecode)
}

/** Reads a distinguished name, which keeps the bytes that it has. Throws `REG_CERT_INVALID`. */
export function readName(bytes: Uint8Array): RelativeDistinguishedNames {
  return readAsn1(bytes, RelativeDistinguishedNames, 'the name')
}

/** Gives a public key as certificates and requests have it. */
export function publicKeyInfo(key: KeyObject): PublicKeyInfo {
  return readAsn1(key.export({type: 'spki', format: 'der'}), PublicKeyInfo, 'the public key')
}

/** Makes an extension; its value is what `toSchema` of a type of pkijs gives. */
export function extension(extnID: string, value: {toBER(): ArrayBuffer}, critical = false): Extension {
  return new Extension({extnID, critical, extnValue: value.toBER()})
}

/** Makes the extension that says whether a certificate may sign others. */
export function basicConstraints(isCa: boolean, isCritical = false): Extension {
  return extension('2.5.29.19', new BasicConstraints({cA: isCa}).toSchema(), isCritical)
}

/** Makes the extension that names a host in other ways. */
export function subjectAltName(names: readonly SubjectName[]): Extension {
  return extension('2.5.29.17', generalNames(names).toSchema())
}

const NETSCAPE_CERT_TYPE = '2.16.840.1.113730.1.1'
const KEY_USAGE = '2.5.29.15'
const EXTENDED_KEY_USAGE = '2.5.29.37'

/** Bits of Netscape's certificate type and of the key usage, and how many at their end do not count. */
const USES = {
  host: {netscape: [0x40, 6], keyUsage: [0xa0, 5], extended: USE_IDS.host},
  user: {netscape: [0x80, 7], keyUsage: [0x80, 7], extended: USE_IDS.user},
  code: {netscape: [0x10, 4], keyUsage: [0x80, 7], extended: USE_IDS.code},
} as const

function extensionsFor({purpose, name, alternativeNames = []}: CertificateWish): readonly Extension[] {
  if (purpose === 'ca') return [basicConstraints(true)]
  const {netscape, keyUsage, extended} = USES[purpose]
  return [
    extension(NETSCAPE_CERT_TYPE, bits(netscape)),
    extension(KEY_USAGE, bits(keyUsage)),
    extension(EXTENDED_KEY_USAGE, new ExtKeyUsage({keyPurposes: [extended]}).toSchema()),
    basicConstraints(false),
    ...(purpose === 'host' ? [subjectAltName([dnsName(name), ...alternativeNames])] : []),
  ]
}

function bits([byte, unusedBits]: readonly [byte: number, unused: number]): BitString {
  return new BitString({valueHex: Uint8Array.of(byte), unusedBits})
}

/** 128 random bits; zero would be no serial number. */
function newSerial(): Integer {
  const number = BigInt(`0x${randomBytes(16).toString('hex')}`)
  return number === 0n ? newSerial() : Integer.fromBigInt(number)
}
