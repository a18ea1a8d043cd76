import {createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {type BaseBlock, Constructed, fromBER} from 'asn1js'
import {beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {issueCertificate, type Signer, subjectOf} from '../../src/pki/certificate.ts'
import {factsOf, type Purpose, purposeOf} from '../../src/pki/certificate-facts.ts'
import {makeCrl, parseCrl, revokedEntry} from '../../src/pki/crl.ts'
import {makeCsr, readCsr, signCsr} from '../../src/pki/csr.ts'
import {DEFAULT_TTL_MS, issueInto, periodOf} from '../../src/pki/issuer.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {decodePem, encodePem} from '../../src/pki/pem.ts'
import {parseSubjectNames} from '../../src/pki/subject-names.ts'
import {emptyCerts, NOW_MS} from './certs.ts'

/** One of each kind, made by Synapse 2.256.0 (test/vectors/make-certificates.py). */
const theirs: Record<'ca' | 'intermediate' | 'host' | 'user' | 'code' | 'csr' | 'crl', string> = JSON.parse(
  readFileSync(new URL('../vectors/synapse-certificates.json', import.meta.url), 'utf8'),
)
/** Requests of OpenSSL. */
const ELSEWHERE = {
  behindOthers:
    'MIIBJDCBqwIBADAsMQswCQYDVQQGEwJTRTENMAsGA1UECgwERGVtbzEOMAwGA1UEAwwFYS5uZXQwdjAQBgcqhkjOPQIBBgUrgQQA' +
    'IgNiAASJJ1c5a8J1l3UHkTPDwhcyn0S2zsFQiPYvlbK/WO6U0rW/52kw5NdDVv/YEvZPSpYnUfaxCmSABuf8wss/tTzGFjXQY+Vo' +
    '1HSzv0czYn+C9Mmif8KcJg1w5IWOc4aAJ6igADAKBggqhkjOPQQDAwNoADBlAjEA7fqkZK95s3CBkrtnXhwJnIBzSI/HBlHaWopd' +
    'onC6j84dGxEmTyCvBF7h0TKQgjX3AjAobPoHvrTT61dfyBza1mI7x8S1L7iF4zxhH3O8QotysQrjDx4vSLNUfgymT4zQOS8=',
  inOneSet:
    'MIIBIDCBqAIBADApMQ0wCwYDVQQKDAREZW1vMRgwCAYDVQQLDAFjMAwGA1UEAwwFYy5uZXQwdjAQBgcqhkjOPQIBBgUrgQQAIgNi' +
    'AASJJ1c5a8J1l3UHkTPDwhcyn0S2zsFQiPYvlbK/WO6U0rW/52kw5NdDVv/YEvZPSpYnUfaxCmSABuf8wss/tTzGFjXQY+Vo1HSz' +
    'v0czYn+C9Mmif8KcJg1w5IWOc4aAJ6igADAKBggqhkjOPQQDAgNnADBkAjAOAjKGeWnFQ3nxz3EcrVRSUdczoeS6j82t50ovL+1U' +
    'Kq56LEulzRAPYKHN5GVku1cCMGxfJi8eUyoA7PeROynXjlrlRbUGXmSRzkUFx8S7ZzdufN9PisK9aN9qrOXaK6A/MQ==',
  twoNames:
    'MIIBJjCBrgIBADAvMQ4wDAYDVQQDDAVhLm5ldDENMAsGA1UECgwERGVtbzEOMAwGA1UEAwwFYi5uZXQwdjAQBgcqhkjOPQIBBgUr' +
    'gQQAIgNiAASJJ1c5a8J1l3UHkTPDwhcyn0S2zsFQiPYvlbK/WO6U0rW/52kw5NdDVv/YEvZPSpYnUfaxCmSABuf8wss/tTzGFjXQ' +
    'Y+Vo1HSzv0czYn+C9Mmif8KcJg1w5IWOc4aAJ6igADAKBggqhkjOPQQDAgNnADBkAjAROmSAHFKvSJacrD6IWni1cSSBFfwA0jdk' +
    'GiOVheVfdLMSBGhxzHley0zla7z5LfECMFkjlGIHsdb0ZsmMcasHNL3IL3KDLIrTwF8qb3p8dB2QIv8DtYoFe3xRMBYa2iBYIQ==',
}
const SANS = 'DNS:zz.net,DNS:bb.net,URI:https://demo.net/,email:ops@demo.net'

let key: KeyObject
let ca: Signer & {certificate: X509Certificate}
beforeAll(async () => {
  key = await newPrivateKey('rsa2048')
  const terms = periodOf({nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS})
  const self = {subject: subjectOf(new X509Certificate(theirs.ca)), key}
  const wish = {purpose: 'ca', name: 'demo.net', publicKey: createPublicKey(key), ...terms} as const
  const certificate = await issueCertificate(wish, self)
  ca = {...self, certificate}
})

const issue = (purpose: Purpose, name: string, sans?: string) =>
  issueCertificate(
    {
      ...{purpose, name, publicKey: createPublicKey(key), ...periodOf({nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS})},
      ...(sans === undefined ? {} : {alternativeNames: parseSubjectNames(sans)}),
    },
    ca,
  )

const hex = (value: BaseBlock | undefined) => Buffer.from(value?.valueBeforeDecodeView ?? []).toString('hex')

/** Gives the values in one, as its bytes are put together. */
const partsOf = (value: BaseBlock | undefined): readonly BaseBlock[] =>
  value instanceof Constructed ? value.valueBlock.value : []
const partsOfDer = (bytes: Uint8Array | undefined) => partsOf(fromBER(bytes ?? new Uint8Array()).result)

/** All that is fixed in a certificate: version, algorithm, names, how long it lives, extensions. */
function formOf(certificate: X509Certificate) {
  const [body, algorithm] = partsOfDer(certificate.raw)
  const [version, serial, inner, issuer, validity, subject, , extensions] = partsOf(body)
  const lifeMs = certificate.validToDate.getTime() - certificate.validFromDate.getTime()
  const serialBytes = serial?.lenBlock.length ?? 0
  return {
    ...{
      version: hex(version),
      algorithm: hex(algorithm),
      inner: hex(inner),
      issuer: hex(issuer),
      subject: hex(subject),
    },
    ...{extensions: hex(extensions), lifeMs, hasLongSerial: serialBytes >= 15 && serialBytes <= 17},
    timeTags: partsOf(validity).map(({idBlock}) => idBlock.tagNumber),
  }
}

describe('a certificate has the form that Synapse gives it', () => {
  test.each([
    ['ca', 'demo.net', undefined, 'ca'],
    ['ca', 'inter.demo.net', undefined, 'intermediate'],
    ['host', 'aha.demo.net', SANS, 'host'],
    ['user', 'visi@demo.net', undefined, 'user'],
    ['code', 'The Signer', undefined, 'code'],
  ] as const)('%s %s', async (purpose, name, sans, vector) => {
    expect(formOf(await issue(purpose, name, sans))).toEqual(formOf(new X509Certificate(theirs[vector])))
  })

  test('and so has a request', async () => {
    const [ours, other] = [await makeCsr('00.axon.demo.net', key, {isCa: false, alternativeNames: []}), theirs.csr].map(
      (pem) => {
        const [bytes] = decodePem(pem, 'CERTIFICATE REQUEST')
        const [body, algorithm] = partsOfDer(bytes)
        const [version, subject, , attributes] = partsOf(body)
        return [version, subject, attributes, algorithm].map(hex)
      },
    )
    expect(ours).toEqual(other)
  })

  test('and so has a revocation list', async () => {
    const serial = [...parseCrl(theirs.crl).revoked.keys()][0] ?? ''
    const [ours, other] = [await makeCrl(ca, [revokedEntry(serial, NOW_MS, 'unspecified')], NOW_MS), theirs.crl].map(
      (pem) => {
        const [bytes] = decodePem(pem, 'X509 CRL')
        const [body, algorithm] = partsOfDer(bytes)
        const fields = partsOf(body)
        const [version, inner, issuer] = fields
        const [entry] = partsOf(fields[5])
        const [number, , extensions] = partsOf(entry)
        const {madeMs, nextMs = 0} = parseCrl(pem)
        return [[version, inner, issuer, number, extensions, algorithm].map(hex), fields.length, nextMs - madeMs]
      },
    )
    expect(ours).toEqual(other)
  })
})

describe('a certificate', () => {
  test('says the same to who reads it', async () => {
    const host = factsOf(await issue('host', 'aha.demo.net', `${SANS},IP:127.0.0.1,IP:fe80::1:2,DNS:bb.net`))
    expect(host).toMatchObject({
      ...{name: 'aha.demo.net', issuer: 'demo.net', isCa: false, notBeforeMs: NOW_MS},
      ...{notAfterMs: NOW_MS + DEFAULT_TTL_MS, mayDo: {signature: true, signCertificates: false}},
    })
    expect(host.alternativeNames.map(({kind, value}) => `${kind}:${value}`)).toEqual([
      ...['DNS:aha.demo.net', 'DNS:bb.net', 'DNS:zz.net', 'email:ops@demo.net', 'URI:https://demo.net/'],
      ...['IP:127.0.0.1', 'IP:fe80::1:2'],
    ])
    for (const purpose of ['ca', 'host', 'user', 'code'] as const) {
      expect(purposeOf(factsOf(await issue(purpose, 'x.net')))).toBe(purpose)
    }
  })

  test('can begin before now, and its end stays', () => {
    const period = periodOf({nowMs: NOW_MS + 999, ttlMs: 3_600_000, backdateMs: 300_000})
    expect(period).toEqual({notBeforeMs: NOW_MS - 300_000, notAfterMs: NOW_MS + 3_600_000})
  })

  test.each(['', 'x'.repeat(65), 'é'.repeat(33)])('is not made for the name %j', async (name) => {
    await expect(issue('user', name)).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
  })

  test.each(['größe.net', 'a b.net'])('is not made for the host %s', async (name) => {
    await expect(issue('host', name)).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
  })

  test.each(['DNS', 'DNS:', 'foo:x', 'IP:300.0.0.1', 'DNS:a b', 'DNS:a,,DNS:b', 'email:é@x'])(
    'is not made with the names %s',
    (names) => {
      expect(() => parseSubjectNames(names)).toThrow(expect.objectContaining({code: 'REG_BAD_REQUEST'}))
    },
  )

  test('is not made for a weak key', async () => {
    const weak = generateKeyPairSync('rsa', {modulusLength: 1024}).publicKey
    const wish = {purpose: 'user', name: 'x', publicKey: weak, notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 1} as const
    await expect(issueCertificate(wish, ca)).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
  })

  test('of two made for one name at the same time is one, with its own key', async () => {
    const certs = await emptyCerts()
    onTestFinished(() => certs[Symbol.asyncDispose]())
    const order = {purpose: 'ca', name: 'demo.net', signAs: undefined, keyType: 'p256', replace: false} as const
    const terms = {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS}
    const made = await Promise.allSettled([1, 2, 3].map(() => issueInto(certs.dir, {...order, ...terms})))
    expect(made.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    const certificate = await certs.dir.certificate('ca', 'demo.net')
    expect(certificate.checkPrivateKey(await certs.dir.key('ca', 'demo.net'))).toBe(true)
  })

  test('that cannot be written leaves no key behind', async () => {
    const certs = await emptyCerts()
    onTestFinished(() => certs[Symbol.asyncDispose]())
    await certs.dir.create('ca', 'demo.net', 'crt', 'theirs')
    await expect(certs.issue('ca', 'demo.net')).rejects.toMatchObject({code: 'REG_FILE_EXISTS'})
    expect(await certs.dir.find('ca', 'demo.net', 'key')).toBeUndefined()
  })
})

describe('a request', () => {
  test('of Synapse gives name and key, and the certificate is for them', async () => {
    const request = readCsr(theirs.csr)
    expect(request.name).toBe('00.axon.demo.net')
    const certificate = await signCsr(request, 'host', ca, {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS})
    expect(certificate.publicKey.equals(request.publicKey)).toBe(true)
    expect(certificate.verify(ca.certificate.publicKey)).toBe(true)
  })

  test('that was signed with another key is refused', async () => {
    const [bytes = Buffer.of()] = decodePem(theirs.csr, 'CERTIFICATE REQUEST')
    const at = bytes.indexOf('00.axon')
    bytes.write('01.axon', at)
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
    expect(() => readCsr(pem)).toThrow(/not signed with the key/)
  })

  test('that is damaged anywhere is refused with our error', () => {
    const [bytes = Buffer.of()] = decodePem(theirs.csr, 'CERTIFICATE REQUEST')
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = Buffer.from(bytes)
      damaged[at] = (damaged[at] ?? 0) ^ 0x15
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${damaged.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
      expect(() => readCsr(pem)).toThrow(expect.objectContaining({code: 'REG_CERT_INVALID'}))
    }
  })

  test('for an authority elsewhere says the other names', async () => {
    const pem = await makeCsr('a.net', key, {isCa: false, alternativeNames: parseSubjectNames('DNS:b.net')})
    const [bytes = Buffer.of()] = decodePem(pem, 'CERTIFICATE REQUEST')
    expect(bytes.includes('b.net')).toBe(true)
    expect(readCsr(pem).name).toBe('a.net')
  })
  // By OpenSSL 3.0, on P-384.
  test.each([
    ['behind others', 'a.net', ELSEWHERE.behindOthers],
    ['in one set with another', 'c.net', ELSEWHERE.inOneSet],
  ])('of another program has its name %s, and the certificate is for it', async (_, name, base64) => {
    const request = readCsr(encodePem('CERTIFICATE REQUEST', Buffer.from(base64, 'base64')))
    expect(request).toMatchObject({name, publicKey: {asymmetricKeyDetails: {namedCurve: 'secp384r1'}}})
    const certificate = await signCsr(request, 'user', ca, {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS})
    expect(certificate.publicKey.equals(request.publicKey)).toBe(true)
    expect(certificate.subject).toBe(`CN=${name}`)
  })

  test('with two names is refused', () => {
    const pem = encodePem('CERTIFICATE REQUEST', Buffer.from(ELSEWHERE.twoNames, 'base64'))
    expect(() => readCsr(pem)).toThrow(/not exactly one common name/)
  })
})

describe('a time', () => {
  const SHORT = 23
  const LONG = 24

  test.each([
    ['1950-01-01T00:00:00Z', SHORT],
    ['2049-12-31T23:59:59Z', SHORT],
    ['2050-01-01T00:00:00Z', LONG],
    ['2126-11-21T05:46:17Z', LONG],
  ])('of %s is written so that everybody reads it', async (text, tag) => {
    const atMs = Date.parse(text)
    const wish = {
      purpose: 'user',
      name: 'x',
      publicKey: createPublicKey(key),
      notBeforeMs: 0,
      notAfterMs: atMs,
    } as const
    const certificate = await issueCertificate(wish, ca)
    expect(certificate.validToDate).toEqual(new Date(atMs))
    expect(formOf(certificate).timeTags[1]).toBe(tag)
    const list = parseCrl(await makeCrl(ca, [revokedEntry('1', atMs, 'superseded')], atMs))
    expect([list.madeMs, list.revoked.get('1')?.atMs]).toEqual([atMs, atMs])
  })

  test('that is none makes a revocation list unreadable', async () => {
    const [bytes = Buffer.of()] = decodePem(await makeCrl(ca, [], NOW_MS), 'X509 CRL')
    bytes.write('261121xx0000Z', bytes.indexOf('261121120000Z'))
    expect(() => parseCrl(encodePem('X509 CRL', bytes))).toThrow(/a time that cannot be read/)
  })
})

describe('a revocation list', () => {
  test('is not made longer than it could be read again', async () => {
    const entries = Array(20_001).fill(revokedEntry('1', NOW_MS, 'superseded'))
    await expect(makeCrl(ca, entries, NOW_MS)).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
  })

  test('keeps what an entry of somebody else says', async () => {
    const theirList = parseCrl(theirs.crl)
    const list = parseCrl(await makeCrl(ca, [...theirList.revoked.values()], NOW_MS))
    expect([...list.revoked.values()].map(({serial, atMs, reason}) => [serial, atMs, reason])).toEqual(
      [...theirList.revoked.values()].map(({serial, atMs, reason}) => [serial, atMs, reason]),
    )
  })
})

test('a certificate of an authority with a longer name has exactly that name as its issuer', async () => {
  const [bytes] = decodePem(encodePem('X', Buffer.from(ELSEWHERE.inOneSet, 'base64')), 'X')
  const [body] = partsOfDer(bytes)
  const subject = Buffer.from(partsOf(body)[1]?.valueBeforeDecodeView ?? [])
  const wish = {purpose: 'user', name: 'x', publicKey: createPublicKey(key), notBeforeMs: NOW_MS, notAfterMs: NOW_MS}
  const certificate = await issueCertificate({...wish, purpose: 'user'}, {...ca, subject})
  expect(certificate.issuer).toBe('O=Demo\nOU=c + CN=c.net')
  expect(certificate.raw.includes(subject)).toBe(true)
})
