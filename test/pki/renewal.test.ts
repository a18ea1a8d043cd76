import {readFile} from 'node:fs/promises'
import {describe, expect, test} from 'vitest'
import {certificatePem} from '../../src/pki/certificate.ts'
import {factsOf} from '../../src/pki/certificate-facts.ts'
import {inspectDir} from '../../src/pki/inspect.ts'
import {dueMs, type RenewalOrder, renew} from '../../src/pki/renewal.ts'
import {parseSubjectNames} from '../../src/pki/subject-names.ts'
import {freshCerts as fresh, NETWORK, NOW_MS} from './certs.ts'

const LIFE_MS = 90 * 86_400_000
const ORDER = {
  purpose: 'host',
  name: 'a.net',
  nowMs: NOW_MS,
  ifDue: true,
  keepKey: false,
} as const satisfies RenewalOrder

describe('renewing', () => {
  test('keeps all but key, serial and times, and the old files stay beside', async () => {
    const certs = await fresh()
    const alternativeNames = parseSubjectNames('DNS:b.net,IP:127.0.0.1')
    const old = await certs.issue('host', 'a.net', {alternativeNames, ttlMs: LIFE_MS})
    const renewed = await renew(certs.dir, {...ORDER, nowMs: NOW_MS + LIFE_MS})
    const {before, after} = renewed ?? {}
    expect(before).toEqual(factsOf(old))
    expect(after).toEqual({
      ...{...before, serial: after?.serial},
      ...{notBeforeMs: NOW_MS + LIFE_MS, notAfterMs: NOW_MS + 2 * LIFE_MS},
    })
    const certificate = await certs.dir.certificate('host', 'a.net')
    expect(certificate.checkPrivateKey(await certs.dir.key('host', 'a.net'))).toBe(true)
    expect(certificate.publicKey.equals(old.publicKey)).toBe(false)
    expect(await readFile(`${certs.dir.pathOf('host', 'a.net', 'crt')}.bak`, 'utf8')).toBe(certificatePem(old))
  })

  test('is due at two thirds of a life, and not before', async () => {
    const certs = await fresh()
    const facts = factsOf(await certs.issue('host', 'a.net', {ttlMs: LIFE_MS}))
    expect(dueMs(facts)).toBe(NOW_MS + 60 * 86_400_000)
    expect(await renew(certs.dir, {...ORDER, nowMs: dueMs(facts) - 1})).toBeUndefined()
    expect(await renew(certs.dir, {...ORDER, nowMs: dueMs(facts)})).toBeDefined()
  })

  test('makes no life longer', async () => {
    const certs = await fresh()
    await certs.issue('host', 'a.net', {ttlMs: LIFE_MS})
    const renewed = await renew(certs.dir, {...ORDER, ifDue: false, backdateMs: 300_000})
    expect(renewed?.after).toMatchObject({notBeforeMs: NOW_MS - 300_000, notAfterMs: NOW_MS + LIFE_MS - 300_000})
  })

  test('by several at the same time makes one new certificate', async () => {
    const certs = await fresh()
    await certs.issue('host', 'a.net', {ttlMs: LIFE_MS})
    const all = await Promise.all([1, 2, 3].map(() => renew(certs.dir, {...ORDER, nowMs: NOW_MS + LIFE_MS})))
    expect(all.filter((one) => one !== undefined)).toHaveLength(1)
  })

  test('of an authority keeps its key, so that what it signed stays valid', async () => {
    const certs = await fresh()
    const visi = await certs.issue('user', 'visi@demo.net')
    await renew(certs.dir, {...ORDER, purpose: 'ca', name: NETWORK, ifDue: false, nowMs: NOW_MS + 1000})
    const ca = await certs.dir.certificate('ca', NETWORK)
    expect(visi.verify(ca.publicKey)).toBe(true)
    const {certificates} = await inspectDir(certs.dir, {}, NOW_MS + 2000)
    expect(certificates.map(({name, verdict}) => [name, verdict.ok])).toEqual([
      [NETWORK, true],
      ['visi@demo.net', true],
    ])
  })

  test('goes by the name under which the authority has its key', async () => {
    const certs = await fresh()
    await certs.issue('host', 'a.net')
    await certs.dir.create('ca', 'again', 'crt', await certs.dir.read('ca', NETWORK, 'crt'))
    expect(await renew(certs.dir, {...ORDER, ifDue: false})).toMatchObject({after: {issuer: NETWORK}})
  })

  test('needs the key of the authority', async () => {
    const certs = await fresh()
    await certs.issue('host', 'a.net')
    await certs.dir.remove('ca', NETWORK, 'key')
    await expect(renew(certs.dir, {...ORDER, ifDue: false})).rejects.toMatchObject({telepath: 'NoCertKey'})
    await certs.dir.remove('ca', NETWORK, 'crt')
    await expect(renew(certs.dir, {...ORDER, ifDue: false})).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
  })
})
