import {rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import type {RegistryError} from '../../src/base/errors.ts'
import {factsOf} from '../../src/pki/certificate-facts.ts'
import {type CertificateId, Revocations} from '../../src/pki/revocation.ts'
import {certsWithCa, NETWORK, type TestCerts} from './certs.ts'

interface Opened {
  readonly certs: TestCerts
  readonly revocations: Revocations
  readonly problems: RegistryError[]
  /** Resolves with what is told next. */
  next(): Promise<readonly CertificateId[]>
}

async function open(certs: TestCerts, pollMs = 3_600_000): Promise<Opened> {
  const problems: RegistryError[] = []
  const revocations = await Revocations.open(certs.dir, {onProblem: (error) => problems.push(error), pollMs})
  onTestFinished(() => revocations[Symbol.asyncDispose]())
  const next = () =>
    new Promise<readonly CertificateId[]>((resolve) => {
      const stop = revocations.onRevoked((revoked) => {
        stop()
        resolve(revoked)
      })
    })
  return {certs, revocations, problems, next}
}

async function freshCerts(): Promise<TestCerts> {
  const certs = await certsWithCa()
  onTestFinished(() => certs[Symbol.asyncDispose]())
  return certs
}

describe('the revoked certificates of a directory', () => {
  test('are known from the start', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    const fred = await certs.issue('user', 'fred@demo.net')
    await certs.revoke(NETWORK, [visi])
    const {revocations} = await open(certs)
    expect(revocations.isRevoked(factsOf(visi))).toBe(true)
    expect(revocations.isRevoked(factsOf(fred))).toBe(false)
    expect(revocations.isRevoked({...factsOf(visi), issuer: 'other.net'})).toBe(false)
  })

  test('are noticed as soon as the system tells of a changed list', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    const fred = await certs.issue('user', 'fred@demo.net')
    await certs.revoke(NETWORK, [visi])
    const {revocations, next} = await open(certs)
    const told = next()
    await certs.revoke(NETWORK, [visi, fred])
    expect(await told).toEqual([{issuer: NETWORK, serial: factsOf(fred).serial}])
    expect(revocations.isRevoked(factsOf(fred))).toBe(true)
  })

  test('are noticed by looking in time where there was no folder to watch', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    const {next} = await open(certs, 20)
    const told = next()
    await certs.revoke(NETWORK, [visi])
    expect(await told).toEqual([{issuer: NETWORK, serial: factsOf(visi).serial}])
  })

  test('stay known while a list cannot be read, and the reason is told once', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    await certs.revoke(NETWORK, [visi])
    const {revocations, problems} = await open(certs)
    // In one step: an empty file, seen in between, would be another thing to tell.
    const path = certs.dir.pathOf('crl', NETWORK, 'crl')
    await writeFile(`${path}.new`, '-----BEGIN X509 CRL-----\nMIIB')
    await rename(`${path}.new`, path)
    await revocations.reload()
    await revocations.reload()
    expect(revocations.isRevoked(factsOf(visi))).toBe(true)
    expect(problems.map(({message}) => message)).toEqual([expect.stringContaining('no revocation list in PEM form')])
  })

  test('include all that a revoked authority has issued, unless it was renewed', async () => {
    const certs = await freshCerts()
    const inter = await certs.issue('ca', 'inter.net', {signAs: NETWORK})
    const visi = await certs.issue('user', 'visi@demo.net', {signAs: 'inter.net'})
    await certs.revoke(NETWORK, [inter])
    const {revocations} = await open(certs)
    expect(revocations.isRevoked(factsOf(visi))).toBe(true)
    await rename(certs.dir.pathOf('ca', 'inter.net', 'crt'), certs.dir.pathOf('ca', 'inter.net.old', 'crt'))
    await rm(certs.dir.pathOf('ca', 'inter.net', 'key'))
    await certs.issue('ca', 'inter.net', {signAs: NETWORK})
    await revocations.reload()
    expect(revocations.isRevoked(factsOf(visi))).toBe(false)
  })
})

describe('a revocation list', () => {
  test('keeps a listener from opening when it cannot be read', async () => {
    const certs = await freshCerts()
    await certs.revoke(NETWORK, [])
    await writeFile(certs.dir.pathOf('crl', NETWORK, 'crl'), 'rubbish')
    await expect(open(certs)).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
  })

  test('that no known authority has signed revokes nothing, and is told', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    const other = await freshCerts()
    await other.revoke(NETWORK, [visi])
    await certs.dir.create('crl', NETWORK, 'crl', await other.dir.read('crl', NETWORK, 'crl'))
    const {revocations, problems} = await open(certs)
    expect(revocations.isRevoked(factsOf(visi))).toBe(false)
    expect(problems.map(({message}) => message)).toEqual([expect.stringContaining('no known authority has signed it')])
  })

  test('that was forgotten gives its certificates back', async () => {
    const certs = await freshCerts()
    const visi = await certs.issue('user', 'visi@demo.net')
    await certs.revoke(NETWORK, [visi])
    const {revocations} = await open(certs)
    await rm(join(certs.path, 'crls', `${NETWORK}.crl`))
    await revocations.reload()
    expect(revocations.isRevoked(factsOf(visi))).toBe(false)
  })
})
