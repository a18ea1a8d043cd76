import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {ticketSecrets, unseal} from '../../src/server/ticket-secrets.ts'

const [IDEN, OTHER] = ['0f'.repeat(16), '0e'.repeat(16)]

describe('a sealed text', () => {
  test('is read with its iden, and is the same each time', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (iden, text) => {
        const sealed = ticketSecrets.seal(iden, text)
        expect([unseal(iden, sealed), ticketSecrets.seal(iden, text)]).toEqual([text.toWellFormed(), sealed])
      }),
    )
  })

  test('is read with no other, and not when it was altered', () => {
    const sealed = ticketSecrets.seal(IDEN, '{"conf":{}}')
    const bytes = Buffer.from(sealed, 'base64')
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes)
      altered[at] = (altered[at] ?? 0) ^ 1
      expect(() => unseal(IDEN, altered.toString('base64'))).toThrow('was altered')
    }
    for (const wrong of [() => unseal(OTHER, sealed), () => unseal(IDEN, ''), () => unseal(IDEN, sealed.slice(0, 8))]) {
      expect(wrong).toThrow('was altered')
    }
  })
})
