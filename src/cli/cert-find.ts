import type {X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {parseCertificate, readCertFile} from '../pki/cert-files.ts'
import type {Purpose} from '../pki/certificate-facts.ts'
import {type Inspected, type Inspection, inspectDir, inspectFile} from '../pki/inspect.ts'

/** What a user named: a certificate of the directory, or a file. */
export interface Target {
  readonly target: string
  readonly kind: Purpose | undefined
}

const KINDS: readonly Purpose[] = ['ca', 'host', 'user', 'code']

/** Tells whether a word names a file, not a certificate of the directory. */
function isFileName(word: string): boolean {
  return word.includes('/') || /\.(crt|pem|cer)$/.test(word)
}

/** Inspects what was named; of a name, all kinds that have it. Throws `REG_CERT_MISSING` when there is none. */
export async function inspectTarget(certDir: CertDir, {target, kind}: Target, nowMs: number): Promise<Inspection> {
  if (isFileName(target)) {
    const certificate = parseCertificate(await readCertFile(target), target)
    const inspected = await inspectFile(certDir, {path: target, certificate, kind}, nowMs)
    return {certificates: [inspected], unreadable: []}
  }
  const found = await inspectDir(certDir, {kind, name: target}, nowMs)
  if (found.certificates.length + found.unreadable.length > 0) return found
  throw missing(certDir, target)
}

/** Inspects the one certificate that was named. Throws `REG_USAGE` when several kinds have the name. */
export async function inspectOneTarget(certDir: CertDir, target: Target, nowMs: number): Promise<Inspected> {
  const {certificates, unreadable} = await inspectTarget(certDir, target, nowMs)
  const [one, other] = certificates
  const [broken] = unreadable
  if (one === undefined)
    throw new RegistryError('REG_CERT_INVALID', broken?.reason ?? target.target, {telepath: 'BadCertBytes'})
  if (other === undefined) return one
  throw severalKinds(
    target.target,
    certificates.map((found) => found.kind ?? 'user'),
  )
}

/** Loads the one certificate that was named, as `inspectOneTarget` finds it, without judging it. */
export async function loadTarget(certDir: CertDir, {target, kind}: Target): Promise<X509Certificate> {
  if (isFileName(target)) return parseCertificate(await readCertFile(target), target)
  const kinds: Purpose[] = []
  for (const one of kind === undefined ? KINDS : [kind]) {
    if ((await certDir.find(one, target, 'crt')) !== undefined) kinds.push(one)
  }
  const [only] = kinds
  if (only === undefined) throw missing(certDir, target)
  if (kinds.length > 1) throw severalKinds(target, kinds)
  return await certDir.certificate(only, target)
}

function missing(certDir: CertDir, name: string): RegistryError {
  return new RegistryError('REG_CERT_MISSING', `there is no certificate ${name} in ${certDir.paths[0]}`, {
    info: {name, directories: certDir.paths},
  })
}

function severalKinds(name: string, kinds: readonly Purpose[]): RegistryError {
  return new RegistryError('REG_USAGE', `${name} is the name of several certificates: ${kinds.join(', ')}`, {
    hints: kinds.map((kind) => `give --kind ${kind}`),
  })
}
