import {createPublicKey} from 'node:crypto'
import {beforeAll, describe, expect, test} from 'vitest'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {checkSealable, openSealed, sealFor} from '../../src/pki/sealed.ts'

const SECRET = '-----BEGIN KEY-----\nä€😀\n'.repeat(100)

describe('a sealed secret', () => {
  let mine: Awaited<ReturnType<typeof newPrivateKey>>
  let others: Awaited<ReturnType<typeof newPrivateKey>>
  beforeAll(async () => {
    ;[mine, others] = await Promise.all([newPrivateKey('rsa2048'), newPrivateKey('rsa2048')])
  })

  test.each(['', 'x', SECRET])('is read by who has the key, and is not there in clear: %#', (secret) => {
    const sealed = sealFor(createPublicKey(mine), secret)
    expect(openSealed(mine, sealed)).toBe(secret)
    expect(Buffer.from(sealed).includes('BEGIN KEY')).toBe(false)
    expect(Buffer.from(sealFor(createPublicKey(mine), secret)).equals(Buffer.from(sealed))).toBe(false)
  })

  test('is not read by anybody else', () => {
    const sealed = sealFor(createPublicKey(mine), SECRET)
    expect(() => openSealed(others, sealed)).toThrow(expect.objectContaining({code: 'REG_BAD_ANSWER'}))
  })

  test('is refused when a byte of it is another, or some are missing', () => {
    const sealed = sealFor(createPublicKey(mine), 'secret')
    for (const at of sealed.keys()) {
      const altered = Uint8Array.from(sealed)
      altered[at] = (altered[at] ?? 0) ^ 1
      expect(() => openSealed(mine, altered), `byte ${at}`).toThrow(expect.objectContaining({code: 'REG_BAD_ANSWER'}))
      expect(() => openSealed(mine, sealed.slice(0, at)), `${at} bytes`).toThrow(
        expect.objectContaining({code: 'REG_BAD_ANSWER'}),
      )
    }
  })

  test('cannot be made for a key that cannot read it', async () => {
    const key = createPublicKey(await newPrivateKey('p256'))
    expect(() => checkSealable(key)).toThrow(expect.objectContaining({code: 'REG_CERT_INVALID'}))
  })
})
