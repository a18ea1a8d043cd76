import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {
  bitString,
  childrenOf,
  integer,
  octetString,
  oid,
  readDer,
  readOid,
  readTime,
  sequence,
  TAG,
  time,
} from '../../src/pki/der.ts'
import {decodePem, encodePem} from '../../src/pki/pem.ts'

const oids = fc
  .tuple(fc.constantFrom(0, 1, 2), fc.nat(39), fc.array(fc.nat(2 ** 31 - 1), {maxLength: 8}))
  .map(([first, second, rest]) => [first, second, ...rest].join('.'))

describe('DER', () => {
  test('writes what the standard gives as examples', () => {
    expect(oid('1.2.840.113549').toString('hex')).toBe('06062a864886f70d')
    expect(oid('2.16.840.1.113730.1.1').toString('hex')).toBe('0609' + '6086480186f8420101')
    expect(integer(0).toString('hex')).toBe('020100')
    expect(integer(127).toString('hex')).toBe('02017f')
    expect(integer(128).toString('hex')).toBe('02020080')
    expect(integer(Buffer.from('0000ff', 'hex')).toString('hex')).toBe('020200ff')
    expect(bitString(Buffer.of(0xa0), 5).toString('hex')).toBe('030205a0')
    expect(octetString(Buffer.alloc(200)).subarray(0, 3).toString('hex')).toBe('0481c8')
    expect(octetString(Buffer.alloc(300)).subarray(0, 4).toString('hex')).toBe('0482012c')
  })

  test.each([
    ['2026-11-21T05:46:17Z', '170d3236313132313035343631375a'],
    ['1950-01-01T00:00:00Z', '170d3530303130313030303030305a'],
    ['2049-12-31T23:59:59Z', '170d3439313233313233353935395a'],
    ['2050-01-01T00:00:00Z', '180f32303530303130313030303030305a'],
  ])('writes %s so that it can be read back', (text, hex) => {
    const written = time(Date.parse(text))
    expect(written.toString('hex')).toBe(hex)
    expect(readTime(readDer(written))).toBe(Date.parse(text))
  })

  test('reads the object identifiers that it writes', () => {
    fc.assert(
      fc.property(oids, (id) => {
        expect(readOid(readDer(oid(id)))).toBe(id)
      }),
    )
  })

  test('reads the parts of a sequence as they were put in', () => {
    const parts = fc.array(
      fc.oneof(
        fc.uint8Array({maxLength: 400}).map((bytes) => octetString(bytes)),
        oids.map(oid),
      ),
    )
    fc.assert(
      fc.property(parts, (all) => {
        const read = childrenOf(readDer(sequence(...all)), TAG.sequence)
        expect(read.map(({whole}) => whole.toString('hex'))).toEqual(all.map((one) => one.toString('hex')))
      }),
    )
  })

  test('refuses whatever is cut short', () => {
    const whole = sequence(oid('1.2.840.113549'), octetString(Buffer.alloc(300)), integer(7))
    for (let length = 0; length < whole.length; length++) {
      expect(() => readDer(whole.subarray(0, length))).toThrow(RegistryError)
    }
  })

  test.each([
    ['something behind it', '0500ff'],
    ['a padded length', '04810100'],
    ['a length without end', '30800000'],
    ['a length of five bytes', '048500000000010'],
    ['a long tag', '1f810100'],
  ])('refuses %s', (_, hex) => {
    expect(() => readDer(Buffer.from(hex, 'hex'))).toThrow(RegistryError)
  })

  test('refuses garbage with nothing but its own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 60}), (bytes) => {
        try {
          const read = readDer(Buffer.from(bytes))
          readTime(childrenOf(read, read.tag)[0])
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
        }
      }),
      {numRuns: 2000},
    )
  })
})

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
