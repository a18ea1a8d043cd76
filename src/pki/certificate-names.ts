import type {X509Certificate} from 'node:crypto'

/** Gives the common name of the subject or the issuer of a certificate; the whole name when there is not exactly one. */
export function nameIn(certificate: X509Certificate, whose: 'subject' | 'issuer'): string {
  const {CN} = certificate.toLegacyObject()[whose] ?? {}
  return typeof CN === 'string' ? CN : (certificate[whose] ?? '').replaceAll('\n', ', ')
}
