import {createSecureContext} from 'node:tls'
import {describe, expect, test} from 'vitest'
import {Secret} from '../../src/base/secret.ts'
import {makeP12} from '../../src/pki/p12.ts'
import {freshCerts as fresh} from './certs.ts'

describe('a PKCS#12 file', () => {
  test('opens with its passphrase only, and has key and certificate in it', async () => {
    const certs = await fresh()
    const certificate = await certs.issue('user', 'visi@demo.net')
    const key = await certs.dir.key('user', 'visi@demo.net')
    const passphrase = new Secret('pässwörd€')
    const pfx = await makeP12({name: 'visi@demo.net', key, certificate, cas: [], passphrase})
    expect(() => createSecureContext({pfx, passphrase: 'pässwörd€'})).not.toThrow()
    expect(() => createSecureContext({pfx, passphrase: 'passwort'})).toThrow(/mac verify failure/i)
    expect(pfx.includes('visi')).toBe(false)
    expect(pfx.includes(certificate.raw.subarray(100, 200))).toBe(false)
  })
})
