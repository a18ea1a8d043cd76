/** Requests for certificates (PKCS#10): made here, signed here or by an authority elsewhere, in any combination. */
import {createPublicKey, type KeyObject, type X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import {badBytes} from './cert-files.ts'
import {basicConstraints, commonName, issueCertificate, type Signer, subjectAltName} from './certificate.ts'
import type {Purpose} from './certificate-facts.ts'
import {bodyOf, childrenOf, type Der, der, integer, oid, readDer, readOid, sequence, TAG, tagged} from './der.ts'
import {periodOf, type Terms} from './issuer.ts'
import {checkPublicKey, isSigned, signedDer} from './keys.ts'
import {decodePem, encodePem} from './pem.ts'
import {dnsName, type SubjectName} from './subject-names.ts'

/** What a request asks for. Whatever else it says does not count: the extensions are those of the authority. */
export interface CertificateRequest {
  /** Common name. */
  readonly name: string
  readonly publicKey: KeyObject
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const COMMON_NAME = '2.5.4.3'
const MAX_PEM_CHARACTERS = 64 * 1024

/** What a request asks for beside the name. Synapse gives what it gives in any case; other authorities may regard it. */
export interface RequestedExtensions {
  readonly isCa: boolean
  readonly alternativeNames: readonly SubjectName[]
}

/**
 * Makes a request in PEM form. Without alternative names it is of the form that the peers make. Throws `REG_BAD_REQUEST` for a name that is
 * too long.
 */
export async function makeCsr(name: string, key: KeyObject, requested: RequestedExtensions): Promise<string> {
  const {isCa, alternativeNames} = requested
  const extensions = sequence(
    basicConstraints(isCa, true),
    ...(alternativeNames.length === 0 ? [] : [subjectAltName([dnsName(name), ...alternativeNames])]),
  )
  const body = sequence(
    integer(0),
    commonName(name),
    createPublicKey(key).export({type: 'spki', format: 'der'}),
    tagged(0, sequence(oid(EXTENSION_REQUEST), der(TAG.set, extensions))),
  )
  return encodePem('CERTIFICATE REQUEST', await signedDer(body, key))
}

/**
 * Reads a request in PEM form, of whatever origin, and proves that who made it has the key.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes` when it is none) for a wrong signature, a weak key, no or several common names
 */
export function readCsr(pem: string): CertificateRequest {
  const [bytes] = decodePem(pem.slice(0, MAX_PEM_CHARACTERS), 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
  if (bytes === undefined) throw badBytes('there is no certificate request in PEM form')
  const parts = childrenOf(readDer(bytes), TAG.sequence)
  const [, subject, publicKeyInfo] = childrenOf(parts[0], TAG.sequence)
  const publicKey = readPublicKey(publicKeyInfo)
  checkPublicKey(publicKey)
  if (!isSigned(parts, publicKey)) {
    throw new RegistryError('REG_CERT_INVALID', 'the certificate request is not signed with the key that it is for')
  }
  return {name: readCommonName(subject), publicKey}
}

/** Makes the certificate that a request asks for. Throws as `issueCertificate`. */
export async function signCsr(
  {name, publicKey}: CertificateRequest,
  purpose: Purpose,
  signer: Signer,
  terms: Terms,
): Promise<X509Certificate> {
  const {alternativeNames} = terms
  return await issueCertificate({purpose, name, publicKey, alternativeNames, ...periodOf(terms)}, signer)
}

function readPublicKey(info: Der | undefined): KeyObject {
  childrenOf(info, TAG.sequence)
  try {
    return createPublicKey({key: info?.whole ?? Buffer.of(), format: 'der', type: 'spki'})
  } catch (error) {
    throw badBytes('the public key of the certificate request cannot be read', error)
  }
}

/** Kinds of text that a name is written in. */
const TEXT_TAGS: Readonly<Record<number, 'utf8' | 'latin1'>> = {
  [TAG.utf8String]: 'utf8',
  19: 'latin1', // PrintableString
  22: 'latin1', // IA5String
}

function readCommonName(subject: Der | undefined): string {
  const names = childrenOf(subject, TAG.sequence)
    .flatMap((set) => childrenOf(set, TAG.set))
    .map((attribute) => childrenOf(attribute, TAG.sequence))
    .filter(([id]) => readOid(id) === COMMON_NAME)
    .map(([, value]) => value)
  const [name] = names
  const encoding = TEXT_TAGS[name?.tag ?? -1]
  if (name === undefined || names.length > 1 || encoding === undefined) {
    throw badBytes('the certificate request has not exactly one common name in a usable form')
  }
  return bodyOf(name, name.tag).toString(encoding)
}
