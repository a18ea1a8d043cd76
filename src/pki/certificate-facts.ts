import type {X509Certificate} from 'node:crypto'
import {BitString, Integer} from 'asn1js'
import {BasicConstraints, Certificate, ExtKeyUsage, GeneralNames} from 'pkijs'
import {readAsn1, readPlain} from './asn1.ts'
import {type CertificateIdentity, identityOf} from './identity.ts'
import {readGeneralNames, type SubjectName} from './subject-names.ts'

/** What a certificate is for. */
export type Purpose = 'ca' | 'host' | 'user' | 'code'

/** What a certificate says, as far as anything here depends on it. */
export interface CertificateFacts extends CertificateIdentity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly isCa: boolean
  /** How many authorities may stand between this one and the last certificate; undefined is any number. */
  readonly pathLength: number | undefined
  /** Undefined when the certificate does not restrict what its key may do. */
  readonly mayDo: {readonly signature: boolean; readonly signCertificates: boolean} | undefined
  /** Object identifiers of what it is for; undefined when it does not restrict that. */
  readonly uses: readonly string[] | undefined
  readonly alternativeNames: readonly SubjectName[]
}

/** Object identifiers in the extended key usage. */
export const USE_IDS = {
  host: '1.3.6.1.5.5.7.3.1',
  user: '1.3.6.1.5.5.7.3.2',
  code: '1.3.6.1.5.5.7.3.3',
} as const

/** Reads a certificate. @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`) when an extension is malformed */
export function factsOf(certificate: X509Certificate): CertificateFacts {
  const {extensions = []} = readAsn1(certificate.raw, Certificate, 'the certificate')
  const read = <T>(id: string, decode: (value: Uint8Array) => T): T | undefined => {
    const extension = extensions.find(({extnID}) => extnID === id)
    return extension === undefined ? undefined : decode(new Uint8Array(extension.extnValue.getValue()))
  }
  const constraints = read('2.5.29.19', readConstraints)
  return {
    ...identityOf(certificate),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    isCa: constraints?.isCa ?? false,
    pathLength: constraints?.pathLength,
    mayDo: read('2.5.29.15', readKeyUsage),
    uses: read('2.5.29.37', (value) => readAsn1(value, ExtKeyUsage, 'the extended key usage').keyPurposes),
    alternativeNames: read('2.5.29.17', readAlternativeNames) ?? [],
  }
}

/** Gives what a certificate was made for; undefined when that cannot be told. */
export function purposeOf({isCa, uses}: CertificateFacts): Purpose | undefined {
  if (isCa) return 'ca'
  return (['host', 'user', 'code'] as const).find((purpose) => uses?.includes(USE_IDS[purpose]))
}

function readConstraints(value: Uint8Array): {isCa: boolean; pathLength: number | undefined} {
  const {cA, pathLenConstraint: length} = readAsn1(value, BasicConstraints, 'the basic constraints')
  return {isCa: cA, pathLength: length instanceof Integer ? Number(length.toBigInt()) : length}
}

function readKeyUsage(value: Uint8Array): {signature: boolean; signCertificates: boolean} {
  const [bits = 0] = readPlain(value, BitString, 'the key usage').valueBlock.valueHexView
  return {signature: (bits & 0x80) !== 0, signCertificates: (bits & 0x04) !== 0}
}

function readAlternativeNames(value: Uint8Array): readonly SubjectName[] {
  return readGeneralNames(readAsn1(value, GeneralNames, 'the list of alternative names'))
}
