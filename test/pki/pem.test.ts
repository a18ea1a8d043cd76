import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {decodePem, encodePem} from '../../src/pki/pem.ts'

describe('PEM', () => {
  test('gives back the bytes of each block with the label, whatever stands around them', () => {
    fc.assert(
      fc.property(fc.uint8Array({minLength: 1, maxLength: 200}), fc.uint8Array({minLength: 1}), (one, two) => {
        const text = `Subject: x\r\n${encodePem('CERTIFICATE', one)}noise\n${encodePem('X509 CRL', two)}${encodePem('CERTIFICATE', two)}`
        const blocks = decodePem(text.replaceAll('\n', '\r\n'), 'CERTIFICATE')
        expect(blocks.map((block) => block.toString('hex'))).toEqual(
          [one, two].map((b) => Buffer.from(b).toString('hex')),
        )
      }),
    )
  })

  test('refuses what is not base64', () => {
    expect(() => decodePem('-----BEGIN X-----\n$$$\n-----END X-----', 'X')).toThrow(RegistryError)
  })
})
