import {createPublicKey} from 'node:crypto'
import type {TLSSocket} from 'node:tls'
import {describe, expect, test} from 'vitest'
import type {User} from '../../src/auth/model.ts'
import {NO_POLICY} from '../../src/auth/policy.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {certificatePem, commonName, issueCertificate, subjectOf} from '../../src/pki/certificate.ts'
import {newPrivateKey, privateKeyPem} from '../../src/pki/keys.ts'
import {clientCertificate} from '../../src/pki/peer-certificate.ts'
import {FakeClock} from '../support/api.ts'
import {ACTOR, basic, type Got, sessionOf, TestHttps, type TestHttpsOptions} from '../support/https.ts'

const USERS = '/api/v1/auth/users'

async function start(options: TestHttpsOptions = {}): Promise<TestHttps & {visi: User}> {
  const https = await TestHttps.start(options)
  const visi = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
  return Object.assign(https, {visi})
}

function login(https: TestHttps, user: string, passwd: string, headers: Record<string, string> = {}): Promise<Got> {
  return https.ask('/api/v1/login', {body: {user, passwd}, headers})
}

const NOT_LOGGED_IN = {status: 401, json: {code: 'NotAuthenticated', mesg: 'The session is not logged in.'}}

describe('a login', () => {
  test('sets a cookie that no script reads, no plain connection carries and no page from elsewhere sends', async () => {
    await using https = await start()
    const got = await login(https, 'visi', 'secret')
    expect(got.headers['set-cookie']).toEqual([
      expect.stringMatching(/^sess=[\w-]{43}; Max-Age=1209600; Path=\/; Secure; HttpOnly; SameSite=Strict$/),
    ])
    expect(await https.ask(USERS, {headers: {cookie: `a=b; sess=${sessionOf(got)}`}})).toMatchObject({status: 200})
  })

  test('is refused with one answer, whatever is wrong', async () => {
    await using https = await start()
    const locked = await https.users.addUser({name: 'locked', passwd: 'secret'}, ACTOR)
    await https.users.setUserLocked(locked.iden, true, ACTOR)
    await https.users.addUser({name: 'bare'}, ACTOR)
    const answers = [
      await login(https, 'ghost', 'secret'),
      await login(https, 'visi', 'wrong'),
      await login(https, 'locked', 'secret'),
      await login(https, 'locked', 'wrong'),
      await login(https, 'bare', 'secret'),
      await login(https, 'visi', ''),
      await login(https, '', ''),
    ].map(({status, text, headers}) => ({status, text, headers: {...headers, date: ''}}))
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(answers[0]).toMatchObject({status: 403, text: expect.stringContaining('Incorrect user name or password.')})
    expect(answers[0]?.headers['set-cookie']).toBeUndefined()
  })

  test('works while nothing can be changed, and changes are refused with the reason', async () => {
    await using https = await start()
    https.changeLog.hold('test', 'the disk is full')
    const cookie = `sess=${sessionOf(await login(https, 'root', 'root'))}`
    expect(await https.ask(USERS, {headers: {cookie}})).toMatchObject({status: 200})
    expect(await https.ask('/api/v1/auth/adduser', {headers: {cookie}, body: {name: 'x'}})).toMatchObject({
      status: 503,
      json: {status: 'err', code: 'IsReadOnly', mesg: 'the disk is full'},
    })
  })

  test('is over after a logout, which forgets the cookie', async () => {
    await using https = await start()
    const cookie = `sess=${sessionOf(await login(https, 'visi', 'secret'))}`
    const out = await https.ask('/api/v1/logout', {headers: {cookie}})
    expect(out.headers['set-cookie']).toEqual(['sess=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict'])
    expect(await https.ask(USERS, {headers: {cookie}})).toMatchObject(NOT_LOGGED_IN)
  })

  test.each<[string, (https: TestHttps, iden: string) => Promise<void>]>([
    ['is locked', (https, iden) => https.users.setUserLocked(iden, true, ACTOR)],
    ['is archived', (https, iden) => https.users.setUserArchived(iden, true, ACTOR)],
    ['is deleted', (https, iden) => https.users.delUser(iden, ACTOR)],
    ['gets a new password', (https, iden) => https.users.setUserPasswd(iden, 'other', ACTOR)],
  ])('is over when the user %s', async (_what, bar) => {
    await using https = await start()
    const cookie = `sess=${sessionOf(await login(https, 'visi', 'secret'))}`
    const other = `sess=${sessionOf(await login(https, 'root', 'root'))}`
    await bar(https, https.visi.iden)
    expect(await https.ask(USERS, {headers: {cookie}})).toMatchObject(NOT_LOGGED_IN)
    expect(await https.ask(USERS, {headers: {cookie: other}})).toMatchObject({status: 200})
  })

  test('is over after 14 days', async () => {
    const clock = new FakeClock()
    await using https = await start({clock})
    const cookie = `sess=${sessionOf(await login(https, 'visi', 'secret'))}`
    clock.nowMs += 14 * 86_400_000
    expect(await https.ask(USERS, {headers: {cookie}})).toMatchObject(NOT_LOGGED_IN)
  })

  test('that failed too often is refused before the password is looked at, right or wrong, user or not', async () => {
    const clock = new FakeClock()
    await using https = await start({clock})
    for (let failures = 0; failures < 20; failures += 1) await login(https, 'visi', 'wrong')
    for (const [name, passwd] of [
      ['visi', 'secret'],
      ['root', 'wrong'],
      ['ghost', 'x'],
    ] as const) {
      const got = await login(https, name, passwd)
      expect(got).toMatchObject({status: 429, json: {code: 'HitLimit'}, headers: {'retry-after': '3'}})
    }
    expect(await https.ask(USERS, {headers: basic('visi', 'secret')})).toMatchObject({status: 429})
    clock.nowMs += 3000
    expect(await login(https, 'visi', 'secret')).toMatchObject({status: 200})
  })

  test('of others goes on when one address guesses', async () => {
    await using https = await start({settings: {isBehindProxy: true}, clock: new FakeClock()})
    const from = (address: string) => ({'x-forwarded-for': address})
    for (let failures = 0; failures < 20; failures += 1) await login(https, 'ghost', 'x', from('198.51.100.1'))
    expect(await login(https, 'visi', 'secret', from('198.51.100.1'))).toMatchObject({status: 429})
    expect(await login(https, 'visi', 'secret', from('198.51.100.2'))).toMatchObject({status: 200})
  })

  test('is protected from guesses of many addresses', async () => {
    await using https = await start({settings: {isBehindProxy: true}, clock: new FakeClock()})
    for (let failures = 0; failures < 30; failures += 1) {
      await login(https, 'visi', 'wrong', {'x-real-ip': `198.51.100.${failures}`})
    }
    expect(await login(https, 'visi', 'secret', {'x-real-ip': '203.0.113.1'})).toMatchObject({status: 429})
    expect(await login(https, 'root', 'root', {'x-real-ip': '203.0.113.1'})).toMatchObject({status: 200})
  })

  test('locks the user where the policy says so', async () => {
    await using https = await start({policy: {...NO_POLICY, attempts: 3}})
    for (let failures = 0; failures < 3; failures += 1) await login(https, 'visi', 'wrong')
    await https.changeLog.settled()
    expect(https.users.user(https.visi.iden)?.isLocked).toBe(true)
    expect(await login(https, 'visi', 'secret')).toMatchObject({status: 403})
  })
})

describe('the caller is known', () => {
  test('by session first, then by API key, then by Basic credentials', async () => {
    await using https = await start()
    const boss = await https.users.addUser({name: 'boss', passwd: 'secret'}, ACTOR)
    const {text} = await https.users.addApiKey(boss.iden, 'k', undefined, ACTOR)
    const cookie = `sess=${sessionOf(await login(https, 'visi', 'secret'))}`
    const who = async (headers: Record<string, string>) => {
      const got = await https.ask('/api/v1/healthcheck', {headers})
      return got.status === 401 ? 'nobody' : (/\((.*)\)/.exec(got.text)?.[1] ?? 'root')
    }
    const key = {'x-api-key': text}
    expect(await who({cookie, ...key, ...basic('root', 'root')})).toBe('visi')
    expect(await who({...key, ...basic('root', 'root')})).toBe('boss')
    expect(await who(basic('root', 'root'))).toBe('root')
    // A cookie that leads nowhere counts as none; a key or a password that is wrong ends the search.
    expect(await who({cookie: 'sess=nonsense', ...key})).toBe('boss')
    expect(await who({'x-api-key': 'nonsense', ...basic('root', 'root')})).toBe('nobody')
  })

  test('not by one of many API keys that are tried', async () => {
    const clock = new FakeClock()
    await using https = await start({clock})
    const {text} = await https.users.addApiKey(https.visi.iden, 'k', undefined, ACTOR)
    const status = async (key: string) => (await https.ask(USERS, {headers: {'x-api-key': key}})).status
    for (let failures = 0; failures < 20; failures += 1) expect(await status('nonsense')).toBe(401)
    expect(await status(text)).toBe(429)
    expect(await login(https, 'visi', 'secret')).toMatchObject({status: 200})
    clock.nowMs += 3000
    expect(await status(text)).toBe(200)
  })

  test('not by an API key of before, of a locked user, expired or endless', async () => {
    const clock = new FakeClock()
    await using https = await start({clock})
    const {text, key} = await https.users.addApiKey(https.visi.iden, 'k', 1000, ACTOR)
    const status = async (value: string) => (await https.ask(USERS, {headers: {'x-api-key': value}})).status
    expect(await status(text)).toBe(200)
    clock.nowMs += 1001
    expect(await status(text)).toBe(401)
    clock.nowMs -= 1001
    await https.users.delApiKey(key.iden, ACTOR)
    expect(await status(text)).toBe(401)
    expect(await status('x'.repeat(5000))).toBe(401)
  })

  test.each([
    ['nothing', 'Basic'],
    ['what is no base64', 'Basic %%%'],
    ['a name alone', 'Basic cm9vdA=='],
    ['another scheme', 'Bearer x'],
    ['what is too long', `Basic ${'x'.repeat(5000)}`],
    ['what is no text', 'Basic /w=='],
  ])('not by credentials that are %s', async (_what, authorization) => {
    await using https = await start()
    expect(await https.ask(USERS, {headers: {authorization}})).toMatchObject(NOT_LOGGED_IN)
  })
})

describe('a client certificate', () => {
  const NOW = Date.now()
  const times = {notBeforeMs: NOW - 60_000, notAfterMs: NOW + 3_600_000}

  async function authority(name: string) {
    const key = await newPrivateKey('p256')
    const publicKey = createPublicKey(key)
    const certificate = await issueCertificate(
      {purpose: 'ca', name, publicKey, ...times},
      {subject: commonName(name), key},
    )
    return {pem: certificatePem(certificate), signer: {subject: subjectOf(certificate), key, certificate}}
  }

  async function userPair(signer: Awaited<ReturnType<typeof authority>>['signer'], name: string) {
    const key = await newPrivateKey('p256')
    const publicKey = createPublicKey(key)
    const certificate = await issueCertificate({purpose: 'user', name, publicKey, ...times}, signer)
    return {key: privateKeyPem(key), cert: certificatePem(certificate)}
  }

  test('of our authority logs its user in; another, a revoked one and none do not', async () => {
    const [ours, theirs, fake] = [await authority('net'), await authority('other'), await authority('net')]
    let users: TestHttps['users'] | undefined
    let isRevoked = false
    const certificateUser = (socket: TLSSocket) => {
      const certificate = clientCertificate(socket, Date.now(), {isRevoked: () => isRevoked})
      if (certificate === undefined) return undefined
      const user = users?.userByName(certificate.name.split('@')[0] ?? '')
      if (user === undefined) throw new RegistryError('REG_DENIED', 'no such user')
      return user
    }
    await using https = await start({ports: {clientCa: async () => ours.pem, certificateUser}})
    users = https.users
    const [visi, ghost, foreign, forged] = await Promise.all([
      userPair(ours.signer, 'visi@net'),
      userPair(ours.signer, 'ghost@net'),
      userPair(theirs.signer, 'visi@net'),
      userPair(fake.signer, 'visi@net'),
    ])
    const status = async (tls?: {key: string; cert: string}) => (await https.ask(USERS, tls ? {tls} : {})).status
    expect([await status(visi), await status(ghost), await status(foreign), await status()]).toEqual([
      200, 401, 401, 401,
    ])
    // One that claims our authority may also be cut off: OpenSSL does that when the answer takes its time.
    expect(await status(forged).catch(() => 401)).toBe(401)
    // With one that does not count, other credentials do; with one that does, they come first.
    expect((await https.ask(USERS, {tls: foreign, headers: basic('visi', 'secret')})).status).toBe(200)
    expect((await https.ask(USERS, {tls: visi, headers: basic('visi', 'wrong')})).status).toBe(401)
    isRevoked = true
    expect(await status(visi)).toBe(401)
    isRevoked = false
    await https.users.setUserLocked(https.visi.iden, true, ACTOR)
    expect(await status(visi)).toBe(401)
    const reasons = https.logged.filter((line) => line.includes('https.login-failed')).join('\n')
    expect(reasons).toContain('no such user')
    expect(reasons).toContain('is revoked')
    expect(reasons).toContain('User is locked.')
  })

  test('is not asked for where no authority is configured', async () => {
    await using https = await start()
    const {signer} = await authority('net')
    expect(await https.ask(USERS, {tls: await userPair(signer, 'root@net')})).toMatchObject({status: 401})
  })
})
