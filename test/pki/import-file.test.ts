import {readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {Secret} from '../../src/base/secret.ts'
import {certificatePem} from '../../src/pki/certificate.ts'
import {readCsr, signCsr} from '../../src/pki/csr.ts'
import {type ImportOrder, importFile} from '../../src/pki/import-file.ts'
import {DEFAULT_TTL_MS, loadSigner} from '../../src/pki/issuer.ts'
import {makeP12} from '../../src/pki/p12.ts'
import {requestInto} from '../../src/pki/request.ts'
import {emptyCerts, freshCerts as fresh, NETWORK, NOW_MS, type TestCerts} from './certs.ts'

describe('importing', () => {
  const order = {purpose: undefined, name: undefined, replace: false} as const satisfies Partial<ImportOrder>

  async function fileOf(certs: TestCerts, name: string, ...texts: readonly string[]): Promise<string> {
    const file = join(certs.path, name)
    await writeFile(file, texts.join(''))
    return file
  }

  test('takes the answer of an authority to a request, and only with the right key', async () => {
    const [here, there] = [await fresh(emptyCerts), await fresh()]
    const wish = {
      purpose: 'host',
      name: 'a.net',
      useKey: false,
      keyType: 'p256',
      alternativeNames: [],
      replace: false,
    } as const
    const {request} = await requestInto(here.dir, wish)
    const terms = {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS}
    const answer = await signCsr(
      readCsr(await readFile(request, 'utf8')),
      'host',
      await loadSigner(there.dir, NETWORK),
      terms,
    )
    const stranger = await there.issue('host', 'a.net')
    const wrong = importFile(here.dir, {...order, file: await fileOf(here, 'wrong.pem', certificatePem(stranger))})
    await expect(wrong).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    const file = await fileOf(here, 'answer.pem', certificatePem(answer), await there.dir.read('ca', NETWORK, 'crt'))
    expect(await importFile(here.dir, {...order, file})).toMatchObject({kind: 'host', name: 'a.net', answered: request})
    expect(await here.dir.find('host', 'a.net', 'csr')).toBeUndefined()
    expect((await here.dir.read('host', 'a.net', 'crt')).match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
  })

  test('takes certificate and key from one file, and makes the key private', async () => {
    const [here, there] = [await fresh(emptyCerts), await fresh()]
    await there.issue('user', 'visi@demo.net')
    const [cert, key] = [
      await there.dir.read('user', 'visi@demo.net', 'crt'),
      await there.dir.read('user', 'visi@demo.net', 'key'),
    ]
    await importFile(here.dir, {...order, file: await fileOf(here, 'both.pem', key, cert)})
    expect(await here.dir.read('user', 'visi@demo.net', 'key')).toBe(key)
    expect((await stat(here.dir.pathOf('user', 'visi@demo.net', 'key'))).mode & 0o777).toBe(0o600)
  })

  test('takes a revocation list of an authority that is here', async () => {
    const [here, there] = [await fresh(emptyCerts), await fresh()]
    await there.revoke(NETWORK, [])
    const file = there.dir.pathOf('crl', NETWORK, 'crl')
    await expect(importFile(here.dir, {...order, file})).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    await importFile(here.dir, {...order, file: there.dir.pathOf('ca', NETWORK, 'crt')})
    expect(await importFile(here.dir, {...order, file})).toMatchObject({kind: 'crl', name: NETWORK})
  })

  test('asks what a bare key belongs to, and takes no authority for a user', async () => {
    const [here, there] = [await fresh(emptyCerts), await fresh()]
    const file = there.dir.pathOf('ca', NETWORK, 'key')
    await expect(importFile(here.dir, {...order, file})).rejects.toMatchObject({code: 'REG_USAGE'})
    const cert = there.dir.pathOf('ca', NETWORK, 'crt')
    await expect(importFile(here.dir, {...order, file: cert, purpose: 'user'})).rejects.toMatchObject({
      code: 'REG_CERT_INVALID',
    })
    expect(await importFile(here.dir, {...order, file, purpose: 'ca'})).toMatchObject({kind: 'ca', name: NETWORK})
  })

  test('copies a PKCS#12 file as it is, and nothing else that is called so', async () => {
    const certs = await fresh()
    const certificate = await certs.issue('user', 'visi@demo.net')
    const key = await certs.dir.key('user', 'visi@demo.net')
    const pack = await makeP12({name: 'visi', key, certificate, cas: [], passphrase: new Secret('secret')})
    const file = join(certs.path, 'visi.p12')
    await writeFile(file, pack)
    const {files} = await importFile(certs.dir, {...order, file})
    expect(await readFile(files[0] ?? '')).toEqual(pack)
    await writeFile(file, certificate.raw)
    await expect(importFile(certs.dir, {...order, file, replace: true})).rejects.toMatchObject({
      code: 'REG_CERT_INVALID',
    })
  })

  test.each(['nonsense', ''])('refuses %j', async (text) => {
    const here = await fresh(emptyCerts)
    const file = await fileOf(here, 'x.pem', text)
    await expect(importFile(here.dir, {...order, file})).rejects.toMatchObject({telepath: 'BadCertBytes'})
  })
})
