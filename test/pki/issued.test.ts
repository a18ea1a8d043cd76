import {describe, expect, test} from 'vitest'
import {certificatePem} from '../../src/pki/certificate.ts'
import {checkAuthority, checkIssued} from '../../src/pki/issued.ts'
import {freshCerts, NETWORK, NOW_MS, type TestCerts} from './certs.ts'

const HOST = `00.axon.${NETWORK}`
const YEAR_MS = 365 * 86_400_000

async function issued(certs: TestCerts) {
  const certificate = await certs.issue('host', HOST)
  const key = await certs.dir.key('host', HOST)
  const authority = await certs.dir.read('ca', NETWORK, 'crt')
  return {pem: certificatePem(certificate), wanted: {purpose: 'host', name: HOST, key} as const, authority}
}

describe('a certificate that was asked for', () => {
  test('comes back as a file has it, without what else came with it', async () => {
    const {pem, wanted, authority} = await issued(await freshCerts())
    expect(checkIssued(`of the AHA\n${pem}${authority}`, wanted, authority, NOW_MS)).toBe(pem)
    expect(checkAuthority(`of the AHA\n${authority}`, NETWORK, NOW_MS)).toBe(authority)
  })

  test('may begin to be valid by a clock that is ahead of ours, and must not have expired', async () => {
    const {pem, wanted, authority} = await issued(await freshCerts())
    expect(checkIssued(pem, wanted, authority, NOW_MS - YEAR_MS)).toBe(pem)
    expect(() => checkIssued(pem, wanted, authority, NOW_MS + 11 * YEAR_MS)).toThrow(`${HOST} expired at`)
    expect(() => checkAuthority(authority, NETWORK, NOW_MS + 11 * YEAR_MS)).toThrow('expired at')
  })

  test('has to be for this use, and of this authority', async () => {
    const {pem, wanted, authority} = await issued(await freshCerts())
    expect(() => checkIssued(pem, {...wanted, purpose: 'user'}, authority, NOW_MS)).toThrow('not for use as user')
    const other = await issued(await freshCerts())
    expect(() => checkIssued(pem, wanted, other.authority, NOW_MS)).toThrow('has not signed it')
    expect(() => checkIssued(pem, other.wanted, authority, NOW_MS)).toThrow('is for another key')
  })

  test('an authority that another has signed is none', async () => {
    const certs = await freshCerts()
    await certs.issue('ca', 'sub.demo.net', {signAs: NETWORK})
    const pem = await certs.dir.read('ca', 'sub.demo.net', 'crt')
    expect(() => checkAuthority(pem, 'sub.demo.net', NOW_MS)).toThrow('which is not known here')
  })
})
