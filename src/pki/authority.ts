import type {KeyObject, X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'

/** An authority with its key. `signerOf` (issuer.ts) makes it sign. */
export interface Authority {
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

/**
 * Loads an authority with its key.
 *
 * @throws RegistryError `REG_CERT_MISSING` (`NoSuchCert`, `NoCertKey`); `REG_CERT_INVALID` when it is no authority or the key is another's
 */
export async function loadAuthority(certDir: CertDir, name: string): Promise<Authority> {
  const certificate = await certDir.certificate('ca', name)
  const key = await certDir.key('ca', name)
  if (!certificate.ca) throw unfit(name, 'it is not one that may sign certificates')
  if (!certificate.checkPrivateKey(key)) throw unfit(name, 'its key is not that of its certificate')
  return {certificate, key}
}

function unfit(name: string, reason: string): RegistryError {
  return new RegistryError('REG_CERT_INVALID', `authority ${name}: ${reason}`, {info: {name}})
}
