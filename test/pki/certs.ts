// Certificates for tests: a directory of its own, keys on P-256 because they are made in no time.
import type {X509Certificate} from 'node:crypto'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {makeCrl, revokedEntry} from '../../src/pki/crl.ts'
import {DEFAULT_TTL_MS, issueInto, loadSigner, type Order} from '../../src/pki/issuer.ts'

export interface TestCerts extends AsyncDisposable {
  readonly dir: CertDir
  readonly path: string
  issue(purpose: Order['purpose'], name: string, more?: Partial<Order>): Promise<X509Certificate>
  /** Writes a list of exactly these as that of the authority. */
  revoke(ca: string, certificates: readonly X509Certificate[]): Promise<void>
}

export const NOW_MS = Date.parse('2026-11-21T12:00:00Z')
export const NETWORK = 'demo.net'

/** Makes an empty directory. */
export async function emptyCerts(): Promise<TestCerts> {
  const path = await mkdtemp(join(tmpdir(), 'registry-certs-'))
  const dir = new CertDir(path)
  return {
    dir,
    path,
    async issue(purpose, name, more = {}) {
      const signAs = purpose === 'ca' ? undefined : NETWORK
      const order = {
        purpose,
        name,
        signAs,
        nowMs: NOW_MS,
        ttlMs: DEFAULT_TTL_MS,
        keyType: 'p256',
        replace: false,
      } as const
      return (await issueInto(dir, {...order, ...more})).certificate
    },
    async revoke(ca, certificates) {
      const entries = certificates.map(({serialNumber}) => revokedEntry(serialNumber, NOW_MS, 'keyCompromise'))
      await dir.replace('crl', ca, 'crl', await makeCrl(await loadSigner(dir, ca), entries, NOW_MS))
    },
    async [Symbol.asyncDispose]() {
      await rm(path, {recursive: true})
    },
  }
}

/** Makes a directory with the authority `demo.net`. */
export async function certsWithCa(): Promise<TestCerts> {
  const certs = await emptyCerts()
  await certs.issue('ca', NETWORK)
  return certs
}

/** Makes a directory with the authority, or what `make` makes, for one test. */
export async function freshCerts(make = certsWithCa): Promise<TestCerts> {
  const certs = await make()
  onTestFinished(() => certs[Symbol.asyncDispose]())
  return certs
}
