import {describe, expect, test} from 'vitest'
import {CrlReader} from '../../src/pki/crl-reader.ts'
import {identityOf} from '../../src/pki/identity.ts'
import {encodePem} from '../../src/pki/pem.ts'
import {freshCerts, NETWORK} from './certs.ts'

describe('the thread that reads revocation lists', () => {
  test('gives what is revoked, and which authority says so', async () => {
    const [certs, strangers] = [await freshCerts(), await freshCerts()]
    const visi = await certs.issue('user', 'visi@demo.net')
    const ca = await certs.dir.certificate('ca', NETWORK)
    const stranger = await strangers.dir.certificate('ca', NETWORK)
    await certs.revoke(NETWORK, [visi])
    const pem = await certs.dir.read('crl', NETWORK, 'crl')
    await using reader = new CrlReader([stranger, ca])
    expect(await reader.read(pem)).toEqual({signer: ca, serials: [identityOf(visi).serial]})
    await using other = new CrlReader([stranger])
    expect(await other.read(pem)).toMatchObject({signer: undefined})
  })

  test('goes on after a list that it cannot read', async () => {
    const certs = await freshCerts()
    await certs.revoke(NETWORK, [])
    await using reader = new CrlReader([])
    const tooMuch = encodePem(
      'X509 CRL',
      Buffer.concat([Buffer.from('3083100000', 'hex'), Buffer.alloc(2 ** 20, '0500', 'hex')]),
    )
    await expect(reader.read('rubbish')).rejects.toMatchObject({code: 'REG_CERT_INVALID', telepath: 'BadCertBytes'})
    await expect(reader.read(tooMuch)).rejects.toMatchObject({code: 'REG_CERT_INVALID', telepath: 'BadCertBytes'})
    expect(await reader.read(await certs.dir.read('crl', NETWORK, 'crl'))).toMatchObject({serials: []})
  })

  test('refuses to read when it has ended', async () => {
    const reader = new CrlReader([])
    await reader[Symbol.asyncDispose]()
    await expect(reader.read('')).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
  })
})
