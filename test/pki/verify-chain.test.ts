import {createPublicKey, X509Certificate} from 'node:crypto'
import {BitString, Integer} from 'asn1js'
import {BasicConstraints, Certificate} from 'pkijs'
import {beforeAll, describe, expect, test} from 'vitest'
import {asn1Time} from '../../src/pki/asn1.ts'
import {
  commonName,
  extension,
  issueCertificate,
  publicKeyInfo,
  readName,
  type Signer,
} from '../../src/pki/certificate.ts'
import type {Purpose} from '../../src/pki/certificate-facts.ts'
import {makeCrl, parseCrl, type RevocationList, revokedEntry} from '../../src/pki/crl.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {signatureAlgorithm, signedDer} from '../../src/pki/signature.ts'
import {type Trust, verifyChain} from '../../src/pki/verify-chain.ts'

const NOW_MS = Date.parse('2026-11-21T12:00:00Z')
const DAY_MS = 86_400_000

interface Made {
  readonly certificate: X509Certificate
  readonly signer: Signer
}

interface Wish {
  readonly by?: Signer
  readonly fromMs?: number
  readonly toMs?: number
}

async function make(
  purpose: Purpose,
  name: string,
  {by, fromMs = NOW_MS - DAY_MS, toMs = NOW_MS + DAY_MS}: Wish = {},
): Promise<Made> {
  const key = await newPrivateKey('p256')
  const subject = commonName(name)
  const wish = {purpose, name, publicKey: createPublicKey(key), notBeforeMs: fromMs, notAfterMs: toMs}
  const certificate = await issueCertificate(wish, by ?? {subject, key})
  return {certificate, signer: {subject, key, certificate}}
}

/** An authority as others make them: with a path length and a key usage. */
async function makeLimitedCa(name: string, by: Signer, pathLength: number, keyUsage: number): Promise<Made> {
  const key = await newPrivateKey('p256')
  const content = new Certificate({
    version: 2,
    serialNumber: new Integer({value: 4711}),
    signature: signatureAlgorithm(by.key),
    issuer: readName(by.subject),
    notBefore: asn1Time(NOW_MS - DAY_MS),
    notAfter: asn1Time(NOW_MS + DAY_MS),
    subject: readName(commonName(name)),
    subjectPublicKeyInfo: publicKeyInfo(createPublicKey(key)),
    extensions: [
      extension('2.5.29.19', new BasicConstraints({cA: true, pathLenConstraint: pathLength}).toSchema(), true),
      extension('2.5.29.15', new BitString({valueHex: Uint8Array.of(keyUsage)}), true),
    ],
  })
  const certificate = new X509Certificate(await signedDer(content, by.key))
  return {certificate, signer: {subject: commonName(name), key, certificate}}
}

const crlOf = async (signer: Signer, certificate: X509Certificate): Promise<RevocationList> =>
  parseCrl(await makeCrl(signer, [revokedEntry(certificate.serialNumber, NOW_MS, 'keyCompromise')], NOW_MS))

let root: Made
let inter: Made
let user: Made
beforeAll(async () => {
  root = await make('ca', 'demo.net')
  inter = await make('ca', 'inter.net', {by: root.signer})
  user = await make('user', 'visi@demo.net', {by: inter.signer})
})

const judge = (certificate: X509Certificate, trust: Partial<Trust> = {}) =>
  verifyChain(certificate, {
    ...{cas: [root.certificate, inter.certificate], crls: [], purpose: 'user', atMs: NOW_MS},
    ...trust,
  })

describe('a chain', () => {
  test('to a known root is good', () => {
    expect(judge(user.certificate)).toEqual({ok: true, chain: ['visi@demo.net', 'inter.net', 'demo.net']})
    expect(judge(root.certificate, {purpose: 'ca'})).toEqual({ok: true, chain: ['demo.net']})
  })

  test('of an authority that is not known is refused', async () => {
    const stranger = await make('ca', 'other.net')
    const eve = await make('user', 'eve@other.net', {by: stranger.signer})
    expect(judge(eve.certificate)).toMatchObject({ok: false, reason: 'unknown authority'})
    expect(judge(stranger.certificate, {purpose: 'ca'})).toMatchObject({ok: false, reason: 'unknown authority'})
    expect(judge(user.certificate, {cas: [inter.certificate]})).toMatchObject({reason: 'unknown authority'})
  })

  test('of another authority with the same name is refused for its signature', async () => {
    const impostor = await make('ca', 'demo.net')
    const eve = await make('user', 'eve@demo.net', {by: impostor.signer})
    expect(judge(eve.certificate)).toMatchObject({ok: false, reason: 'bad signature', chain: ['eve@demo.net']})
  })

  test.each([
    ['expired', NOW_MS + DAY_MS + 1000],
    ['not yet valid', NOW_MS - DAY_MS - 1000],
  ])('is refused as %s', (reason, atMs) => {
    expect(judge(user.certificate, {atMs})).toMatchObject({ok: false, reason})
  })

  test('is refused when a link above has expired', async () => {
    const old = await make('ca', 'old.net', {by: root.signer, toMs: NOW_MS - 1000})
    const fred = await make('user', 'fred@demo.net', {by: old.signer})
    expect(judge(fred.certificate, {cas: [root.certificate, old.certificate]})).toMatchObject({
      ...{ok: false, reason: 'expired', chain: ['fred@demo.net', 'old.net']},
    })
  })

  test('goes on over the renewed certificate of an authority', async () => {
    const {key, subject} = inter.signer
    const wish = {purpose: 'ca', name: 'inter.net', publicKey: createPublicKey(key)} as const
    const expired = await issueCertificate(
      {...wish, notBeforeMs: NOW_MS - 2 * DAY_MS, notAfterMs: NOW_MS - DAY_MS},
      root.signer,
    )
    expect(subject).toEqual(inter.signer.subject)
    for (const cas of [
      [expired, inter.certificate],
      [inter.certificate, expired],
    ]) {
      expect(judge(user.certificate, {cas: [root.certificate, ...cas]})).toMatchObject({ok: true})
    }
  })

  test('through a certificate that is no authority is refused', async () => {
    const host = await make('host', 'aha.demo.net', {by: root.signer})
    const eve = await make('user', 'eve@demo.net', {by: host.signer})
    const trust = {cas: [root.certificate, host.certificate]}
    expect(judge(eve.certificate, trust)).toMatchObject({ok: false, reason: 'not an authority'})
  })

  test('through an authority that may not sign certificates is refused', async () => {
    const mute = await makeLimitedCa('mute.net', root.signer, 5, 0x02)
    const eve = await make('user', 'eve@demo.net', {by: mute.signer})
    expect(judge(eve.certificate, {cas: [root.certificate, mute.certificate]})).toMatchObject({
      reason: 'not an authority',
    })
  })

  test('that is longer than an authority allows is refused', async () => {
    const tight = await makeLimitedCa('tight.net', root.signer, 0, 0x06)
    const near = await make('user', 'near@demo.net', {by: tight.signer})
    const below = await make('ca', 'below.net', {by: tight.signer})
    const far = await make('user', 'far@demo.net', {by: below.signer})
    const cas = [root.certificate, tight.certificate, below.certificate]
    expect(judge(near.certificate, {cas})).toMatchObject({ok: true})
    expect(judge(far.certificate, {cas})).toMatchObject({ok: false, reason: 'too many links'})
  })

  test('without end is refused', async () => {
    const cas = [root.certificate]
    let last = root
    for (let depth = 0; depth < 10; depth++) {
      last = await make('ca', `ca${depth}.net`, {by: last.signer})
      cas.push(last.certificate)
    }
    const deep = await make('user', 'deep@demo.net', {by: last.signer})
    expect(judge(deep.certificate, {cas})).toMatchObject({ok: false, reason: 'too many links'})
  })

  test('that leads in a circle is refused', async () => {
    const [one, two] = [await make('ca', 'one.net'), await make('ca', 'two.net')]
    const wishOf = (made: Made, name: string) => ({
      ...({purpose: 'ca', name, publicKey: createPublicKey(made.signer.key)} as const),
      ...{notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + DAY_MS},
    })
    const cas = [
      await issueCertificate(wishOf(one, 'one.net'), two.signer),
      await issueCertificate(wishOf(two, 'two.net'), one.signer),
    ]
    const eve = await make('user', 'eve@demo.net', {by: one.signer})
    expect(judge(eve.certificate, {cas})).toMatchObject({ok: false, reason: 'too many links'})
  })
})

describe('a purpose', () => {
  const uses: readonly (readonly [is: Purpose, asked: Purpose, ok: boolean])[] = (
    ['ca', 'host', 'user', 'code'] as const
  ).flatMap((is) => (['ca', 'host', 'user', 'code'] as const).map((asked) => [is, asked, is === asked] as const))

  test.each(uses)('of a %s certificate used as %s: %s', async (is, asked, ok) => {
    const {certificate} = await make(is, 'x.net', {by: root.signer})
    const verdict = judge(certificate, {cas: [root.certificate, certificate], purpose: asked})
    expect(verdict.ok ? 'good' : verdict.reason).toBe(ok ? 'good' : 'wrong purpose')
  })
})

describe('a revoked certificate', () => {
  test('is refused, and so is what it has signed', async () => {
    const ofUser = await crlOf(inter.signer, user.certificate)
    expect(judge(user.certificate, {crls: [ofUser]})).toMatchObject({ok: false, reason: 'revoked'})
    const ofInter = await crlOf(root.signer, inter.certificate)
    expect(judge(user.certificate, {crls: [ofInter]})).toMatchObject({
      ok: false,
      reason: 'revoked',
      chain: ['visi@demo.net', 'inter.net'],
    })
  })

  test('is not made by a list of somebody else', async () => {
    const impostor = await make('ca', 'inter.net')
    expect(judge(user.certificate, {crls: [await crlOf(impostor.signer, user.certificate)]})).toMatchObject({ok: true})
    expect(judge(user.certificate, {crls: [await crlOf(root.signer, user.certificate)]})).toMatchObject({ok: true})
  })
})
