import type {KeyObject} from 'node:crypto'
import {dirname} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'
import {makeCrl, parseCrl, type RevocationReason, type RevokedEntry, revokedEntry} from './crl.ts'
import {withLock} from './dir-lock.ts'
import {loadSigner} from './issuer.ts'
import {plainSerial} from './peer-certificate.ts'

/** A list before and after a change. */
export interface ListChange {
  readonly path: string
  /** Serial numbers that are new in it. */
  readonly added: readonly string[]
  readonly entries: readonly RevokedEntry[]
}

/** What is to be added to the list of an authority. */
export interface Revocation {
  /** Name of the authority in the directory; its key has to be there. */
  readonly ca: string
  /** In hex. None makes a list, or signs the one that is there anew. */
  readonly serials: readonly string[]
  readonly reason: RevocationReason
  readonly nowMs: number
  /** Only say what would be. */
  readonly dryRun: boolean
}

/**
 * Adds to the list of an authority. What stands in it stays; serial numbers that are in it are not added again. Several processes may do
 * this at the same time: they wait for each other.
 *
 * @throws RegistryError `REG_CERT_MISSING`, `REG_CERT_INVALID` for the authority, or when the list that is there is not its own; `REG_CONFLICT`
 * when another process does not end its change
 */
export async function revoke(certDir: CertDir, revocation: Revocation): Promise<ListChange> {
  const {ca, serials, reason, nowMs, dryRun} = revocation
  const signer = await loadSigner(certDir, ca)
  const path = certDir.pathOf('crl', ca, 'crl')
  const change = async (): Promise<ListChange> => {
    const before = await readOwnList(certDir, ca, signer.certificate.publicKey)
    const known = new Set(before.map(({serial}) => serial))
    const added = [...new Set(serials.map(plainSerial))].filter((serial) => !known.has(serial))
    const entries = [...before, ...added.map((serial) => revokedEntry(serial, nowMs, reason))]
    if (!dryRun) await certDir.overwrite('crl', ca, 'crl', await makeCrl(signer, entries, nowMs))
    return {path, added, entries}
  }
  return dryRun ? await change() : await withLock(dirname(path), change)
}

async function readOwnList(certDir: CertDir, ca: string, publicKey: KeyObject): Promise<readonly RevokedEntry[]> {
  if ((await certDir.find('crl', ca, 'crl')) === undefined) return []
  const list = parseCrl(await certDir.read('crl', ca, 'crl'))
  if (list.isSignedBy(publicKey)) return [...list.revoked.values()]
  throw new RegistryError('REG_CERT_INVALID', `the revocation list of ${ca} is not signed by it`, {info: {ca}})
}
