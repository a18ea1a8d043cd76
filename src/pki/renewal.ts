import type {KeyObject, X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'
import {certificatePem, type Signer, subjectOf} from './certificate.ts'
import {type CertificateFacts, factsOf, type Purpose, purposeOf} from './certificate-facts.ts'
import {withLock} from './dir-lock.ts'
import {loadSigner, signFor, type Terms} from './issuer.ts'
import {type KeyType, keyTypeOf, newPrivateKey, privateKeyPem} from './keys.ts'
import {authorityOf} from './trust.ts'

/** A certificate of a directory that is to be made anew. */
export interface RenewalOrder {
  readonly purpose: Purpose
  readonly name: string
  readonly nowMs: number
  /** As long as the old one lived, without it. */
  readonly ttlMs?: number | undefined
  readonly backdateMs?: number | undefined
  /** Of the same kind as the old one, without it. */
  readonly keyType?: KeyType | undefined
  /** Only when it is due. */
  readonly ifDue: boolean
  /** Go on with the old key. An authority always does: what it has signed has to stay valid. */
  readonly keepKey: boolean
}

/** What came of it. */
export interface Renewed {
  readonly before: CertificateFacts
  readonly after: CertificateFacts
  readonly files: readonly string[]
}

/** Gives when a certificate is due: at two thirds of its life. */
export function dueMs({notBeforeMs, notAfterMs}: CertificateFacts): number {
  return notBeforeMs + Math.floor(((notAfterMs - notBeforeMs) * 2) / 3)
}

/**
 * Makes a certificate anew, with the same name, the same alternative names, of the same authority. The old files stay as `.bak`. Gives
 * undefined when it is not due. Several processes may do this at the same time: they wait for each other.
 *
 * @throws RegistryError `REG_CERT_MISSING` (`NoCertKey`) when the key of its authority is not here; `REG_CERT_INVALID` when its authority is
 * not known here, or it is not what its folder says
 */
export async function renew(certDir: CertDir, order: RenewalOrder): Promise<Renewed | undefined> {
  return await withLock(certDir.paths[0], () => renewLocked(certDir, order))
}

async function renewLocked(certDir: CertDir, order: RenewalOrder): Promise<Renewed | undefined> {
  const {purpose, name} = order
  const old = await certDir.certificate(purpose, name)
  const before = factsOf(old)
  if (order.ifDue && order.nowMs < dueMs(before)) return undefined
  if (purposeOf(before) !== purpose) throw unfit(name, `it is not a ${purpose} certificate`)
  const oldKey = await certDir.key(purpose, name)
  const isKept = order.keepKey || purpose === 'ca'
  const key = isKept ? oldKey : await newPrivateKey(order.keyType ?? keyTypeOf(oldKey))
  const signer = await signerOf(certDir, old, key)
  const wish = {purpose, name: before.name, ...termsOf(order, before)}
  const certificate = await signFor(wish, key, signer)
  const files = [
    ...(isKept ? [] : [await certDir.replace(purpose, name, 'key', privateKeyPem(key))]),
    await certDir.replace(purpose, name, 'crt', certificatePem(certificate)),
  ]
  return {before, after: factsOf(certificate), files}
}

function termsOf({nowMs, ttlMs, backdateMs = 0}: RenewalOrder, before: CertificateFacts): Terms {
  return {
    nowMs,
    // Its whole life stays the same, the part before now included: else it would grow with each renewal.
    ttlMs: ttlMs ?? before.notAfterMs - before.notBeforeMs - backdateMs,
    backdateMs,
    alternativeNames: before.alternativeNames,
  }
}

async function signerOf(certDir: CertDir, old: X509Certificate, key: KeyObject): Promise<Signer> {
  if (old.issuer === old.subject && old.verify(old.publicKey)) return {subject: subjectOf(old), key}
  const authority = await authorityOf(certDir, old)
  const {name, issuer} = factsOf(old)
  if (authority === undefined) throw unfit(name, `its authority ${issuer} is not in this directory`)
  return await loadSigner(certDir, authority.name)
}

function unfit(name: string, reason: string): RegistryError {
  return new RegistryError('REG_CERT_INVALID', `${name} cannot be renewed here: ${reason}`, {
    info: {name},
    hints: ['make a request with `registry cert csr NAME --kind host --use-key` and have it signed by its authority'],
  })
}
