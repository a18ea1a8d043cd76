import {readFileSync} from 'node:fs'
import {BitString, Enumerated} from 'asn1js'
import fc from 'fast-check'
import {BasicConstraints, CertificateRevocationList, CertificationRequest, ExtKeyUsage, PFX} from 'pkijs'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {readAsn1, readPlain, writeAsn1} from '../../src/pki/asn1.ts'
import {parseCertificate} from '../../src/pki/cert-files.ts'
import {readName} from '../../src/pki/certificate.ts'
import {factsOf} from '../../src/pki/certificate-facts.ts'
import {parseCrl} from '../../src/pki/crl.ts'
import {readCsr} from '../../src/pki/csr.ts'
import {decodePem, encodePem} from '../../src/pki/pem.ts'

const theirs: Record<'host' | 'csr' | 'crl', string> = JSON.parse(
  readFileSync(new URL('../vectors/synapse-certificates.json', import.meta.url), 'utf8'),
)
const derOf = (pem: string, label: string): Buffer => decodePem(pem, label)[0] ?? Buffer.of()

/** Puts bytes in a value; bytes of a length that takes up to three bytes. */
function value(tag: number, body: Uint8Array): Buffer {
  const long = Buffer.alloc(3)
  long.writeUIntBE(body.length, 0, 3)
  const length = body.length < 128 ? Buffer.of(body.length) : Buffer.concat([Buffer.of(0x83), long])
  return Buffer.concat([Buffer.of(tag), length, body])
}

function nested(levels: number): Buffer {
  let bytes: Buffer = Buffer.alloc(0)
  for (let level = 0; level < levels; level++) bytes = value(0x30, bytes)
  return bytes
}

const MIB = 1024 * 1024
const HOSTILE: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.of(0x30)],
  ['more levels than the stack could take', nested(20_000)],
  ['sequences without end', Buffer.alloc(MIB, Buffer.of(0x30, 0x80))],
  ['bit strings of bit strings without end', Buffer.alloc(MIB, Buffer.of(0x23, 0x80))],
  ['octet strings of octet strings without end', Buffer.alloc(MIB, Buffer.of(0x24, 0x80))],
  ['more values than memory could take', value(0x30, Buffer.alloc(MIB, Buffer.of(5, 0)))],
  ['a length of four gigabytes', Buffer.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1)],
  ['a length of eight bytes', Buffer.from('3088ffffffffffffffff01', 'hex')],
  ['a length of 126 bytes', Buffer.concat([Buffer.of(0x30, 0xfe), Buffer.alloc(126, 0xff)])],
  ['a tag without end', Buffer.alloc(MIB, 0xbf)],
  ['zeros', Buffer.alloc(MIB)],
  ['an object identifier of one endless number', value(0x30, value(6, Buffer.alloc(MIB, 0xff)))],
  ['a time of a megabyte', value(0x30, value(0x18, Buffer.alloc(MIB, 0x31)))],
  ['a text of a megabyte', value(0x30, value(0x1e, Buffer.alloc(MIB, 0x31)))],
]

/** All that bytes from elsewhere are read as. */
const READERS: readonly ((bytes: Uint8Array) => unknown)[] = [
  (bytes) => readCsr(encodePem('CERTIFICATE REQUEST', bytes)),
  (bytes) => parseCrl(encodePem('X509 CRL', bytes)),
  (bytes) => readAsn1(bytes, PFX, 'the file'),
  (bytes) => readAsn1(bytes, BasicConstraints, 'the constraints'),
  (bytes) => readAsn1(bytes, ExtKeyUsage, 'the uses'),
  (bytes) => readPlain(bytes, BitString, 'the bits'),
  (bytes) => readPlain(bytes, Enumerated, 'the reason'),
  readName,
]

function refusesOnly(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError)
    expect(error).toMatchObject({code: 'REG_CERT_INVALID', telepath: 'BadCertBytes'})
  }
}

describe('bytes from elsewhere', () => {
  test.each(HOSTILE)('are refused when they are %s', (_, bytes) => {
    for (const read of READERS) expect(() => read(bytes)).toThrow(expect.objectContaining({code: 'REG_CERT_INVALID'}))
  })

  test('are read to 30 levels, and not deeper', () => {
    const wrapped = (levels: number) => () => readAsn1(nested(levels), class {}, 'the value')
    expect(wrapped(31)).not.toThrow()
    expect(wrapped(32)).toThrow(/nesting depth exceeded/)
  })

  test('are read to the number of values that is asked for, and no further', () => {
    const nulls = value(0x30, Buffer.alloc(2 * 99, Buffer.of(5, 0)))
    expect(() => readAsn1(nulls, class {}, 'the value', 100)).not.toThrow()
    expect(() => readAsn1(nulls, class {}, 'the value', 99)).toThrow(/node count exceeded/)
  })

  test('are refused when something stands behind them', () => {
    const bytes = Buffer.concat([derOf(theirs.crl, 'X509 CRL'), Buffer.of(0)])
    expect(() => readAsn1(bytes, CertificateRevocationList, 'the list')).toThrow(
      'the list has something behind its end',
    )
  })

  test.each([
    ['csr', 'CERTIFICATE REQUEST', (bytes: Buffer) => readAsn1(bytes, CertificationRequest, 'it')],
    ['crl', 'X509 CRL', (bytes: Buffer) => readAsn1(bytes, CertificateRevocationList, 'it')],
  ] as const)('are refused wherever they are cut short: %s', (name, label, read) => {
    const whole = derOf(theirs[name], label)
    expect(() => read(whole)).not.toThrow()
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length))).toThrow(RegistryError)
    }
  })

  test('make no other error than ours when they are garbage', () => {
    const bytes = fc.oneof(
      fc.uint8Array({maxLength: 80}),
      fc.tuple(fc.nat(255), fc.uint8Array({maxLength: 80})).map(([tag, body]) => value(tag, body)),
    )
    fc.assert(
      fc.property(bytes, (garbage) => {
        for (const read of READERS) refusesOnly(() => read(garbage))
      }),
      {numRuns: 1000},
    )
  })

  test('make no other error than ours when some of them are changed', () => {
    const [crl, csr, host] = [
      derOf(theirs.crl, 'X509 CRL'),
      derOf(theirs.csr, 'CERTIFICATE REQUEST'),
      derOf(theirs.host, 'CERTIFICATE'),
    ]
    const changes = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), {minLength: 1, maxLength: 4})
    const changed = (whole: Buffer, list: readonly (readonly [number, number])[]) => {
      const bytes = Buffer.from(whole)
      for (const [at, byte] of list) bytes[at % whole.length] = byte
      return bytes
    }
    fc.assert(
      fc.property(changes, (list) => {
        refusesOnly(() => parseCrl(encodePem('X509 CRL', changed(crl, list))))
        refusesOnly(() => readAsn1(changed(csr, list), CertificationRequest, 'the request'))
        refusesOnly(() => factsOf(parseCertificate(changed(host, list), 'it')))
      }),
      {numRuns: 500},
    )
  })
})

test('a certificate whose public key cannot be read is refused, and nothing of it is looked at', () => {
  const bytes = derOf(theirs.host, 'CERTIFICATE')
  const rsa = Buffer.from('06092a864886f70d010101', 'hex')
  bytes[bytes.indexOf(rsa) + 5] = 0
  expect(() => parseCertificate(bytes, 'it')).toThrow(expect.objectContaining({telepath: 'BadCertBytes'}))
})

describe('a distinguished name', () => {
  const COMMON_NAME = Buffer.from('0603550403', 'hex')
  const texts = fc
    .tuple(fc.constantFrom(12, 18, 19, 20, 22, 26, 28, 30), fc.uint8Array({maxLength: 12}))
    .map(([tag, body]) => value(0x30, Buffer.concat([COMMON_NAME, value(tag, body)])))
  const names = fc
    .array(
      fc.array(texts, {minLength: 1, maxLength: 2}).map((set) => value(0x31, Buffer.concat(set))),
      {maxLength: 3},
    )
    .map((sets) => value(0x30, Buffer.concat(sets)))

  test('is written as it was read, byte for byte, or refused', () => {
    let written = 0
    fc.assert(
      fc.property(names, (bytes) => {
        refusesOnly(() => {
          const name = readName(bytes)
          expect(writeAsn1(name.toSchema()).toString('hex')).toBe(bytes.toString('hex'))
          written++
        })
      }),
      {numRuns: 1000},
    )
    expect(written).toBeGreaterThan(100)
  })
})
