/** What a directory holds, and what is wrong with it: for lists and checks. */
import type {X509Certificate} from 'node:crypto'
import {stat} from 'node:fs/promises'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'
import {type CertificateFacts, factsOf, type Purpose, purposeOf} from './certificate-facts.ts'
import {keyText} from './keys.ts'
import {readAuthorities, readCrls} from './trust.ts'
import {type Trust, type Verdict, verifyChain} from './verify-chain.ts'

/** A certificate with all that is known of it. */
export interface Inspected {
  /** Undefined when the certificate itself does not say. */
  readonly kind: Purpose | undefined
  /** Of its files; of a file from elsewhere, its common name. */
  readonly name: string
  readonly facts: CertificateFacts
  /** SHA-256 of the DER form, lower-case hex: what a URL pins with `certhash`. */
  readonly fingerprint: string
  /** Of its public key: `RSA 2048`. */
  readonly keyText: string
  readonly path: string
  readonly key: KeyState
  readonly verdict: Verdict
}

/**
 * The private key beside a certificate. `exposed`: others than its owner may read it; `other`: it is that of another certificate; `unusable`: it
 * is none, or needs a passphrase.
 */
export type KeyState = 'private' | 'exposed' | 'other' | 'unusable' | 'missing'

/** What a directory holds. */
export interface Inspection {
  readonly certificates: readonly Inspected[]
  /** Files that should be certificates and are none. */
  readonly unreadable: readonly {readonly path: string; readonly reason: string}[]
}

const KINDS: readonly Purpose[] = ['ca', 'host', 'user', 'code']

/** Reads what certificates of a directory are judged by. */
async function trustOf(certDir: CertDir, atMs: number): Promise<Omit<Trust, 'purpose'>> {
  const cas = (await readAuthorities(certDir)).map(({certificate}) => certificate)
  return {cas, crls: await readCrls(certDir), atMs}
}

/** Inspects all certificates of a directory, or those of a kind and name. Throws for authorities and lists that cannot be read. */
export async function inspectDir(
  certDir: CertDir,
  {kind, name}: {readonly kind?: Purpose | undefined; readonly name?: string | undefined},
  nowMs: number,
): Promise<Inspection> {
  const trust = await trustOf(certDir, nowMs)
  const listed = (kind === undefined ? KINDS : [kind]).map(async (one) =>
    (await certDir.list(one, 'crt')).map((file) => ({kind: one, ...file})),
  )
  const files = (await Promise.all(listed)).flat().filter((file) => name === undefined || file.name === name)
  const certificates: Inspected[] = []
  const unreadable: {path: string; reason: string}[] = []
  for (const file of files) {
    try {
      certificates.push(await inspectOne(certDir, file.kind, file, trust))
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      unreadable.push({path: file.path, reason: error.message})
    }
  }
  return {certificates, unreadable}
}

/** Inspects a certificate from elsewhere by what a directory trusts. */
export async function inspectFile(
  certDir: CertDir,
  {
    path,
    certificate,
    kind,
  }: {readonly path: string; readonly certificate: X509Certificate; readonly kind: Purpose | undefined},
  nowMs: number,
): Promise<Inspected> {
  const described = describe(certificate)
  const own = kind ?? purposeOf(described.facts)
  const verdict = verifyChain(certificate, {...(await trustOf(certDir, nowMs)), purpose: own})
  return {...described, kind: own, name: described.facts.name, path, key: 'missing', verdict}
}

async function inspectOne(
  certDir: CertDir,
  kind: Purpose,
  file: {readonly name: string; readonly path: string},
  trust: Omit<Trust, 'purpose'>,
): Promise<Inspected> {
  const certificate = await certDir.certificate(kind, file.name)
  const verdict = verifyChain(certificate, {...trust, purpose: kind})
  return {...describe(certificate), ...file, kind, verdict, key: await keyState(certDir, kind, file.name, certificate)}
}

function describe(certificate: X509Certificate): Pick<Inspected, 'facts' | 'fingerprint' | 'keyText'> {
  return {
    facts: factsOf(certificate),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    keyText: keyText(certificate.publicKey),
  }
}

async function keyState(
  certDir: CertDir,
  kind: Purpose,
  name: string,
  certificate: X509Certificate,
): Promise<KeyState> {
  const path = await certDir.find(kind, name, 'key')
  if (path === undefined) return 'missing'
  const key = await certDir.key(kind, name).catch(() => undefined)
  if (key === undefined) return 'unusable'
  if (!certificate.checkPrivateKey(key)) return 'other'
  return ((await stat(path)).mode & 0o077) === 0 ? 'private' : 'exposed'
}
