import {createSecureContext} from 'node:tls'
import {describe, expect, test} from 'vitest'
import {DEFAULT_TTL_MS, selfSignedHost} from '../../src/pki/issuer.ts'
import {parseSubjectNames} from '../../src/pki/subject-names.ts'
import {NOW_MS} from './certs.ts'

describe('a host that signs itself', () => {
  test('has key and certificate for its names', async () => {
    const names = parseSubjectNames('DNS:localhost,IP:127.0.0.1')
    const terms = {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS, alternativeNames: names}
    const {key, cert} = await selfSignedHost('ahacell', 'rsa2048', terms)
    expect(() => createSecureContext({key, cert})).not.toThrow()
  })
})
