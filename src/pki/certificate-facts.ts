import type {X509Certificate} from 'node:crypto'
import {bodyOf, childrenOf, type Der, readDer, readOid, TAG} from './der.ts'
import {plainSerial} from './peer-certificate.ts'
import {readGeneralNames, type SubjectName} from './subject-names.ts'

/** What a certificate is for. */
export type Purpose = 'ca' | 'host' | 'user' | 'code'

/** What a certificate says, as far as anything here depends on it. */
export interface CertificateFacts {
  /** Common name; the whole distinguished name when there is not exactly one. */
  readonly name: string
  readonly issuer: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
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
  const extensions = extensionsOf(certificate)
  const read = <T>(id: string, decode: (value: Der) => T): T | undefined => {
    const value = extensions.get(id)
    return value === undefined ? undefined : decode(readDer(value))
  }
  const constraints = read('2.5.29.19', readConstraints)
  return {
    name: nameIn(certificate, 'subject'),
    issuer: nameIn(certificate, 'issuer'),
    serial: plainSerial(certificate.serialNumber),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    isCa: constraints?.isCa ?? false,
    pathLength: constraints?.pathLength,
    mayDo: read('2.5.29.15', readKeyUsage),
    uses: read('2.5.29.37', (value) => childrenOf(value, TAG.sequence).map(readOid)),
    alternativeNames: read('2.5.29.17', readGeneralNames) ?? [],
  }
}

/** Gives what a certificate was made for; undefined when that cannot be told. */
export function purposeOf({isCa, uses}: CertificateFacts): Purpose | undefined {
  if (isCa) return 'ca'
  return (['host', 'user', 'code'] as const).find((purpose) => uses?.includes(USE_IDS[purpose]))
}

/** Gives the common name of the subject or the issuer; the whole name when there is not exactly one. */
function nameIn(certificate: X509Certificate, whose: 'subject' | 'issuer'): string {
  const {CN} = certificate.toLegacyObject()[whose] ?? {}
  return typeof CN === 'string' ? CN : (certificate[whose] ?? '').replaceAll('\n', ', ')
}

/** Version, serial, algorithm, issuer, validity, subject, key, and behind the tag 3 the extensions: id, maybe critical, value. */
function extensionsOf(certificate: X509Certificate): ReadonlyMap<string, Buffer> {
  const [body] = childrenOf(readDer(certificate.raw), TAG.sequence)
  const last = childrenOf(body, TAG.sequence).find(({tag}) => tag === 0xa3)
  const [list] = last === undefined ? [] : childrenOf(last, 0xa3)
  const extensions = list === undefined ? [] : childrenOf(list, TAG.sequence)
  return new Map(
    extensions.map((one) => {
      const parts = childrenOf(one, TAG.sequence)
      return [readOid(parts[0]), bodyOf(parts.at(-1), TAG.octetString)]
    }),
  )
}

function readConstraints(value: Der): {isCa: boolean; pathLength: number | undefined} {
  const parts = childrenOf(value, TAG.sequence)
  const length = parts.find(({tag}) => tag === TAG.integer)
  const isCa = parts[0]?.tag === TAG.boolean && parts[0].body[0] !== 0
  return {isCa, pathLength: length === undefined ? undefined : Number(`0x${length.body.toString('hex')}`)}
}

function readKeyUsage(value: Der): {signature: boolean; signCertificates: boolean} {
  const [, bits = 0] = bodyOf(value, TAG.bitString)
  return {signature: (bits & 0x80) !== 0, signCertificates: (bits & 0x04) !== 0}
}
