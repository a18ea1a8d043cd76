/** Requests for certificates (PKCS#10): made here, signed here or by an authority elsewhere, in any combination. */
import {createPublicKey, type KeyObject, type X509Certificate} from 'node:crypto'
import {IA5String, PrintableString, Utf8String} from 'asn1js'
import {Attribute, CertificationRequest, Extensions, type PublicKeyInfo, type RelativeDistinguishedNames} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {readAsn1, writeAsn1} from './asn1.ts'
import {badBytes} from './cert-files.ts'
import {
  basicConstraints,
  COMMON_NAME,
  commonName,
  issueCertificate,
  publicKeyInfo,
  readName,
  type Signer,
  subjectAltName,
} from './certificate.ts'
import type {Purpose} from './certificate-facts.ts'
import {periodOf, type Terms} from './issuer.ts'
import {checkPublicKey} from './keys.ts'
import {decodePem, encodePem} from './pem.ts'
import {isSigned, signedDer} from './signature.ts'
import {dnsName, type SubjectName} from './subject-names.ts'

/** What a request asks for. Whatever else it says does not count: the extensions are those of the authority. */
export interface CertificateRequest {
  /** Common name. */
  readonly name: string
  readonly publicKey: KeyObject
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
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
  const extensions = [
    basicConstraints(isCa, true),
    ...(alternativeNames.length === 0 ? [] : [subjectAltName([dnsName(name), ...alternativeNames])]),
  ]
  const content = new CertificationRequest({
    version: 0,
    subject: readName(commonName(name)),
    subjectPublicKeyInfo: publicKeyInfo(createPublicKey(key)),
    attributes: [new Attribute({type: EXTENSION_REQUEST, values: [new Extensions({extensions}).toSchema()]})],
  })
  return encodePem('CERTIFICATE REQUEST', await signedDer(content, key))
}

/**
 * Reads a request in PEM form, of whatever origin, and proves that who made it has the key.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes` when it is none) for a wrong signature, a weak key, no or several common names
 */
export function readCsr(pem: string): CertificateRequest {
  const [bytes] = decodePem(pem.slice(0, MAX_PEM_CHARACTERS), 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
  if (bytes === undefined) throw badBytes('there is no certificate request in PEM form')
  const request = readAsn1(bytes, CertificationRequest, 'the certificate request')
  const publicKey = readPublicKey(request.subjectPublicKeyInfo)
  checkPublicKey(publicKey)
  if (!isSigned(request, publicKey)) {
    throw new RegistryError('REG_CERT_INVALID', 'the certificate request is not signed with the key that it is for')
  }
  return {name: readCommonName(request.subject), publicKey}
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

function readPublicKey(info: PublicKeyInfo): KeyObject {
  try {
    return createPublicKey({key: writeAsn1(info.toSchema()), format: 'der', type: 'spki'})
  } catch (error) {
    throw badBytes('the public key of the certificate request cannot be read', error)
  }
}

function readCommonName({typesAndValues}: RelativeDistinguishedNames): string {
  const names = typesAndValues.filter(({type}) => type === COMMON_NAME)
  const value: unknown = names[0]?.value
  const isText = value instanceof Utf8String || value instanceof PrintableString || value instanceof IA5String
  if (isText && names.length === 1) return value.getValue()
  throw badBytes('the certificate request has not exactly one common name in a usable form')
}
