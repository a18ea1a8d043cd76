import {createPrivateKey} from 'node:crypto'
import {readFile, rm, stat} from 'node:fs/promises'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {bootAha} from '../../src/server/aha-boot.ts'
import {emptyCerts, type TestCerts} from '../pki/certs.ts'

const NETWORK = 'demo.net'
const NAMES = {network: NETWORK, dnsName: 'aha.demo.net', admin: 'boss@demo.net'}
const OWN = [
  ['host', 'aha.demo.net', 2048],
  ['user', 'root@demo.net', 2048],
  ['user', 'boss@demo.net', 2048],
] as const

let certs: TestCerts
const made: string[] = []
const log = {info: (_event: string, facts?: object) => made.push(String((facts as {name: string}).name))}
const boot = () => bootAha({certs: certs.dir, log, nowMs: Date.now()}, NAMES)
const serials = () =>
  Promise.all(OWN.map(async ([kind, name]) => (await certs.dir.certificate(kind, name)).serialNumber))

beforeAll(async () => {
  certs = await emptyCerts()
  await boot()
})
afterAll(() => certs[Symbol.asyncDispose]())

describe('the first start of an AHA', () => {
  test('makes an authority that stock services can take over, and certificates signed by it', async () => {
    const ca = await certs.dir.certificate('ca', NETWORK)
    expect(ca.ca).toBe(true)
    expect(ca.publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096)
    for (const [kind, name, bits] of OWN) {
      const certificate = await certs.dir.certificate(kind, name)
      expect(certificate.subject).toBe(`CN=${name}`)
      expect(certificate.checkIssued(ca) && certificate.verify(ca.publicKey)).toBe(true)
      expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(bits)
      expect(certificate.checkPrivateKey(await certs.dir.key(kind, name))).toBe(true)
      expect((await stat(certs.dir.pathOf(kind, name, 'key'))).mode & 0o777).toBe(0o600)
    }
    expect(made).toEqual([NETWORK, ...OWN.map(([, name]) => name)])
  })

  test('gives the authority with its key', async () => {
    const {certificate, key} = await boot()
    expect(certificate.checkPrivateKey(createPrivateKey(key.export({type: 'pkcs8', format: 'pem'})))).toBe(true)
  })
})

describe('a later start', () => {
  test('leaves what is there', async () => {
    const before = await serials()
    made.length = 0
    await boot()
    expect(await serials()).toEqual(before)
    expect(made).toEqual([])
  })

  test('makes what a start that was cut off had not come to, with a new key', async () => {
    const [before] = await serials()
    const keyFile = certs.dir.pathOf('host', 'aha.demo.net', 'key')
    const keyBefore = await readFile(keyFile, 'utf8')
    await rm(certs.dir.pathOf('host', 'aha.demo.net', 'crt'))
    await boot()
    const [after] = await serials()
    expect(after).not.toBe(before)
    expect(await readFile(keyFile, 'utf8')).not.toBe(keyBefore)
    const certificate = await certs.dir.certificate('host', 'aha.demo.net')
    expect(certificate.checkPrivateKey(await certs.dir.key('host', 'aha.demo.net'))).toBe(true)
  })

  test('with an authority whose key is elsewhere is refused, and nothing is made in its name', async () => {
    await using other = await emptyCerts()
    await other.dir.create('ca', NETWORK, 'crt', await certs.dir.read('ca', NETWORK, 'crt'))
    const refused = bootAha({certs: other.dir, log, nowMs: Date.now()}, NAMES)
    await expect(refused).rejects.toMatchObject({code: 'REG_CERT_MISSING', telepath: 'NoCertKey'})
    expect(await other.dir.list('host', 'crt')).toEqual([])
  })
})
