import {createPublicKey, type KeyObject, type X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import {type Authority, loadAuthority} from './authority.ts'
import type {CertDir, CertFileEnding, CertKind} from './cert-dir.ts'
import {isFile} from './cert-files.ts'
import {certificatePem, commonName, issueCertificate, type Signer, subjectOf} from './certificate.ts'
import type {Purpose} from './certificate-facts.ts'
import {type KeyType, newPrivateKey, privateKeyPem} from './keys.ts'
import type {SubjectName} from './subject-names.ts'

/** Life of a certificate unless another is asked for: ten years of 365 days, as the peers have it. */
export const DEFAULT_TTL_MS = 3650 * 86_400_000

/** How long a certificate is valid, from when on, and what else it says. */
export interface Terms {
  readonly nowMs: number
  readonly ttlMs: number
  /**
   * How much earlier than now it begins to be valid. The peers do not do this; it helps where clocks differ, because a verifier that is behind
   * would refuse a certificate for as long.
   */
  readonly backdateMs?: number | undefined
  /** Beside the name itself; of hosts only. */
  readonly alternativeNames?: readonly SubjectName[] | undefined
}

/** A certificate to be made, with a new key, in a directory. */
export interface Order extends Terms {
  readonly purpose: Purpose
  readonly name: string
  /** Name of the authority that signs; without it, the certificate is signed by itself. */
  readonly signAs: string | undefined
  readonly keyType: KeyType
  /** Replace what is there, keeping it as `.bak`. */
  readonly replace: boolean
}

/** What was made. */
export interface Issued {
  readonly certificate: X509Certificate
  /** Paths, in the order of writing. */
  readonly files: readonly string[]
}

/**
 * Makes a key and a certificate and writes both. Of two that do this for one name at the same time, one is refused and nothing is mixed.
 *
 * @throws RegistryError `REG_FILE_EXISTS`; `REG_CERT_MISSING` for the authority; `REG_CERT_INVALID`; `REG_BAD_REQUEST` for the name
 */
export async function issueInto(certDir: CertDir, order: Order): Promise<Issued> {
  const {purpose, name, replace} = order
  commonName(name)
  if (!replace) await refuseExisting(certDir, purpose, name, ['key', 'crt'])
  const signer = order.signAs === undefined ? undefined : await loadSigner(certDir, order.signAs)
  const key = await newPrivateKey(order.keyType)
  const certificate = await signFor(order, key, signer ?? {subject: commonName(name), key})
  return {certificate, files: await savePair(certDir, order, key, certificate)}
}

/** Refuses when one of the files is there. @throws RegistryError `REG_FILE_EXISTS` */
export async function refuseExisting(
  certDir: CertDir,
  kind: CertKind,
  name: string,
  endings: readonly CertFileEnding[],
): Promise<void> {
  for (const ending of endings) {
    const path = certDir.pathOf(kind, name, ending)
    if (await isFile(path)) {
      throw new RegistryError('REG_FILE_EXISTS', `${name}.${ending} is there already: ${path}`, {info: {path}})
    }
  }
}

async function savePair(
  certDir: CertDir,
  {purpose, name, replace}: Order,
  key: KeyObject,
  certificate: X509Certificate,
): Promise<readonly string[]> {
  const [keyPem, certPem] = [privateKeyPem(key), certificatePem(certificate)]
  if (replace) {
    return [await certDir.replace(purpose, name, 'key', keyPem), await certDir.replace(purpose, name, 'crt', certPem)]
  }
  const keyFile = await certDir.create(purpose, name, 'key', keyPem)
  try {
    return [keyFile, await certDir.create(purpose, name, 'crt', certPem)]
  } catch (error) {
    await certDir.remove(purpose, name, 'key') // it is ours: nobody else could have made it
    throw error
  }
}

/** Loads an authority that is to sign. Throws as `loadAuthority`. */
export async function loadSigner(certDir: CertDir, name: string): Promise<Signer & Authority> {
  return signerOf(await loadAuthority(certDir, name))
}

/** Gives an authority in the form in which it signs. Throws `REG_CERT_INVALID` for a certificate that cannot be read. */
export function signerOf({certificate, key}: Authority): Signer & Authority {
  return {subject: subjectOf(certificate), key, certificate}
}

/** A key and a certificate that it has signed itself, in PEM form. */
export interface SelfSigned {
  readonly key: string
  readonly cert: string
}

/** Makes a host's certificate that is signed by its own key, as HTTPS listeners start with. Throws as `issueInto`; writes nothing. */
export async function selfSignedHost(name: string, keyType: KeyType, terms: Terms): Promise<SelfSigned> {
  const key = await newPrivateKey(keyType)
  const certificate = await signFor({...terms, purpose: 'host', name}, key, {subject: commonName(name), key})
  return {key: privateKeyPem(key), cert: certificatePem(certificate)}
}

/** Gives when a certificate begins and ends to be valid, in whole seconds. */
export function periodOf({nowMs, ttlMs, backdateMs = 0}: Terms): {notBeforeMs: number; notAfterMs: number} {
  const nowS = Math.floor(nowMs / 1000)
  return {notBeforeMs: nowS * 1000 - backdateMs, notAfterMs: nowS * 1000 + ttlMs}
}

/** Signs a certificate for a private key under the given terms. Throws as `issueCertificate`. */
export async function signFor(
  wish: Terms & {readonly purpose: Purpose; readonly name: string},
  key: KeyObject,
  signer: Signer,
): Promise<X509Certificate> {
  return await issueCertificate({...wish, ...periodOf(wish), publicKey: createPublicKey(key)}, signer)
}
