import type {X509Certificate} from 'node:crypto'
import {plainSerial} from './peer-certificate.ts'

/** Which certificate it is. */
export interface CertificateIdentity {
  /** Common name; the whole distinguished name when there is not exactly one. */
  readonly name: string
  readonly issuer: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
}

/** Says which certificate it is. Unlike `factsOf`, this looks into no extension and needs no library. */
export function identityOf(certificate: X509Certificate): CertificateIdentity {
  return {
    name: nameIn(certificate, 'subject'),
    issuer: nameIn(certificate, 'issuer'),
    serial: plainSerial(certificate.serialNumber),
  }
}

function nameIn(certificate: X509Certificate, whose: 'subject' | 'issuer'): string {
  const {CN} = certificate.toLegacyObject()[whose] ?? {}
  return typeof CN === 'string' ? CN : (certificate[whose] ?? '').replaceAll('\n', ', ')
}
