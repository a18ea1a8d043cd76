import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {NO_POLICY} from '../../src/auth/policy.ts'
import {HTTPS_ROUTES, HTTPS_WEBSOCKETS, type HttpsRow, httpsMethods} from '../../src/server/https-routes.ts'
import {openapiDocument} from '../../src/server/openapi.ts'
import {ACTOR, basic, type Got, sessionOf, TestHttps} from '../support/https.ts'
import {TestWebsocket} from '../support/websocket.ts'

const ROWS: readonly (readonly [string, HttpsRow])[] = Object.entries(HTTPS_ROUTES)
const WHO = {nobody: {}, user: basic('visi', 'secret'), root: basic('root', 'root')}

describe('every route', () => {
  test('lets in whom its row says, and nobody else', async () => {
    await using https = await TestHttps.start()
    const visi = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
    const outcome = async (row: HttpsRow, who: keyof typeof WHO) => {
      const path = row.path.replace('{iden}', row.path.includes('role') ? 'nope' : visi.iden)
      const {status, json} = await https.ask(path, {method: row.method, headers: WHO[who], body: {}})
      const {code} = (json ?? {}) as {code?: string}
      if (status === 401) return 'not logged in'
      return status === 403 && code === 'AuthDeny' ? 'not allowed' : 'let in'
    }
    for (const [name, row] of ROWS) {
      const kind = typeof row.need === 'function' ? 'login' : row.need.kind
      const expected = {
        anyone: ['let in', 'let in', 'let in'],
        login: ['not logged in', 'let in', 'let in'],
        admin: ['not logged in', 'not allowed', 'let in'],
        permission: ['not logged in', 'not allowed', 'let in'],
      }[kind]
      const got = [await outcome(row, 'nobody'), await outcome(row, 'user'), await outcome(row, 'root')]
      expect.soft(got, name).toEqual(expected)
    }
  })

  test('is in the table of methods and in the OpenAPI document, whose references lead somewhere', () => {
    expect(httpsMethods().map(({name}) => name)).toEqual([
      ...ROWS.map(([, {method, path}]) => `${method} ${path}`),
      ...Object.values(HTTPS_WEBSOCKETS).map(({path}) => `WS ${path}`),
    ])
    const document = openapiDocument(true)
    const text = JSON.stringify(document)
    const paths = document['paths'] as Record<string, Record<string, {operationId: string}>>
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods))
    expect(operations.map(({operationId}) => operationId).sort()).toEqual(Object.keys(HTTPS_ROUTES).sort())
    const {schemas} = document['components'] as {schemas: Record<string, unknown>}
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name = '']) => name)
    expect(references.length).toBeGreaterThan(20)
    expect(references.filter((name) => !(name in schemas))).toEqual([])
  })

  test('that alters something is closed to pages from elsewhere, and open to its own and to programs', async () => {
    await using https = await TestHttps.start()
    const host = `127.0.0.1:${https.port}`
    const ways: readonly (readonly [Record<string, string>, boolean])[] = [
      [{}, true],
      [{origin: `https://${host}`}, true],
      [{origin: `HTTPS://${host}`}, true],
      [{'sec-fetch-site': 'same-origin'}, true],
      [{'sec-fetch-site': 'none'}, true],
      [{origin: 'https://evil.example'}, false],
      [{origin: `http://${host}`}, false],
      [{origin: 'https://127.0.0.1:1'}, false],
      [{origin: 'null'}, false],
      [{'sec-fetch-site': 'cross-site'}, false],
      [{'sec-fetch-site': 'same-site'}, false],
      [{origin: `https://${host}`, host: 'rebound.example'}, false],
    ]
    for (const [name, row] of ROWS.filter(([, {alters}]) => alters)) {
      for (const [headers, isOpen] of ways) {
        const got = await https.asRoot(row.path.replace('{iden}', 'nope'), {method: row.method, headers, body: {}})
        const isForeign = got.status === 403 && got.text.includes('another origin')
        expect.soft(isForeign, `${name} ${JSON.stringify(headers)}`).toBe(!isOpen)
      }
    }
    // Reading is not refused: without CORS headers the page gets nothing of it.
    const read = await https.asRoot('/api/v1/auth/users', {headers: {origin: 'https://evil.example'}})
    expect(read.status).toBe(200)
    expect(Object.keys(read.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('behind a proxy takes the host that the proxy was asked for', async () => {
    await using https = await TestHttps.start({settings: {isBehindProxy: true}})
    const headers = {origin: 'https://public.example', 'x-forwarded-host': 'public.example'}
    expect(await https.ask('/api/v1/login', {headers, body: {user: 'root', passwd: 'root'}})).toMatchObject({
      status: 200,
    })
  })
})

describe('users over HTTPS', () => {
  test('are added whole or not at all', async () => {
    await using https = await TestHttps.start({
      policy: {...NO_POLICY, complexity: {length: 8, sequences: null, classes: []}},
    })
    const before = https.users.users().length
    const add = (body: object) => https.asRoot('/api/v1/auth/adduser', {body: {name: 'new', ...body}})
    for (const body of [{passwd: 'short'}, {passwd: ''}, {rules: [[true, []]]}, {email: 'nope'}, {admin: 1}]) {
      expect.soft((await add(body)).status, JSON.stringify(body)).toBe(400)
    }
    expect(https.users.users()).toHaveLength(before)
    const made = await add({passwd: 'long enough', admin: true, email: null, rules: [[true, ['a']]], more: 'ignored'})
    expect(made).toMatchObject({status: 200, json: {result: {admin: true, email: null, rules: [[true, ['a']]]}}})
  })

  test('that are two by one name at the same time are one', async () => {
    await using https = await TestHttps.start()
    const add = () => https.asRoot('/api/v1/auth/adduser', {body: {name: 'twin'}})
    const statuses = (await Promise.all([add(), add(), add()])).map(({status}) => status).sort()
    expect(statuses).toEqual([200, 400, 400])
  })

  test('set their own password, unless that is denied to them', async () => {
    await using https = await TestHttps.start()
    const visi = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
    const set = (passwd: string, old: string) =>
      https.ask(`/api/v1/auth/password/${visi.iden}`, {body: {passwd}, headers: basic('visi', old)})
    expect(await set('other', 'secret')).toMatchObject({status: 200})
    await https.users.addUserRule(visi.iden, [false, ['auth', 'self']], undefined, undefined, ACTOR)
    expect(await set('third', 'other')).toMatchObject({
      status: 403,
      json: {mesg: 'User (visi) is denied the permission auth.self.set.passwd'},
    })
  })

  test('get rules and admin in a gate', async () => {
    await using https = await TestHttps.start()
    const visi = await https.users.addUser({name: 'visi'}, ACTOR)
    const role = await https.users.addRole('readers', undefined, ACTOR)
    await https.users.addGate('g1', 'pool', ACTOR)
    const rules = [[true, ['read']]]
    const user = await https.asRoot(`/api/v1/auth/user/${visi.iden}`, {body: {gate: 'g1', rules, admin: true}})
    expect(user.json).toMatchObject({result: {admin: false, rules: [], authgates: {g1: {rules, admin: true}}}})
    const edited = await https.asRoot(`/api/v1/auth/role/${role.iden}`, {body: {gate: 'g1', rules}})
    expect(edited.json).toMatchObject({result: {rules: [], authgates: {g1: {rules}}}})
  })

  test('are written to the change log with who asked', async () => {
    await using https = await TestHttps.start()
    const visi = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
    await https.users.setUserAdmin(visi.iden, true, undefined, ACTOR)
    await https.ask('/api/v1/auth/addrole', {body: {name: 'r'}, headers: basic('visi', 'secret')})
    const [entry] = (await https.store.read(0, 1000)).slice(-1)
    expect(entry).toMatchObject({actor: 'https/visi/127.0.0.1', change: expect.stringContaining('role:add')})
  })
})

describe('the log', () => {
  test('has a line for each answer with who asked, and no secret in any', async () => {
    await using https = await TestHttps.start()
    const planted = ['Planted-passwd-1', 'Planted-query-2', 'Planted-header-3', 'Planted-body-4', 'Planted-name-5']
    const [passwd = '', query, header = '', inBody, name = ''] = planted
    const visi = await https.users.addUser({name: 'visi', passwd}, ACTOR)
    const got: Got[] = [await https.ask('/api/v1/login', {body: {user: 'visi', passwd}})]
    const {text} = await https.users.addApiKey(visi.iden, 'k', undefined, ACTOR)
    const asks: readonly [string, object][] = [
      ['/api/v1/login', {body: {user: name, passwd: inBody}}],
      ['/api/v1/login', {body: {user: 'visi', passwd: inBody}}],
      ['/api/v1/login', {body: `{"user": "visi", "passwd": ${inBody}`}],
      ['/api/v1/login', {body: {user: 'visi', passwd: [inBody]}}],
      [`/api/v1/auth/users?archived=${query}`, {headers: basic('visi', passwd)}],
      ['/api/v1/auth/users', {headers: basic('visi', header)}],
      ['/api/v1/auth/users', {headers: {'x-api-key': text}}],
      ['/api/v1/auth/users', {headers: {'x-api-key': header}}],
      ['/api/v1/auth/users', {headers: {cookie: `sess=${header}`}}],
      [`/api/v1/auth/password/${visi.iden}`, {body: {passwd: inBody}, headers: basic('root', 'root')}],
      ['/api/v1/auth/adduser', {body: {name: 'other', passwd: inBody}, headers: basic('root', 'root')}],
      ['/api/v1/auth/onepass/issue', {body: {user: visi.iden}, headers: basic('root', 'root')}],
      [`/nothing?${query}`, {}],
    ]
    for (const [path, asked] of asks) got.push(await https.ask(path, asked))
    const [issued] = got.slice(-2)
    const {result: onepass} = (issued as Got).json as {result: string}
    const session = sessionOf(got[0] as Got)
    expect(onepass).toMatch(/^[0-9a-f]{32}$/)
    const log = https.logged.join('\n')
    const secrets = [...planted, text, onepass, session]
    const encoded = [...secrets, ...secrets.map((secret) => Buffer.from(`visi:${secret}`).toString('base64'))]
    expect(encoded.filter((secret) => log.includes(secret))).toEqual([])
    // Nor in what anybody else gets to see.
    const answers = got.map((one) => one.text).join('\n')
    expect(planted.filter((secret) => answers.includes(secret))).toEqual([])
    expect(https.logged.filter((line) => line.includes('"https.answered"'))).toHaveLength(got.length)
    const line = JSON.parse(https.logged.find((one) => one.includes('password/')) ?? '{}')
    expect(line).toMatchObject({
      message: 'https.answered',
      level: 'INFO',
      user: https.users.rootIden,
      username: 'root',
      params: {method: 'POST', uri: `/api/v1/auth/password/${visi.iden}`, http_status: '200', remoteip: '127.0.0.1'},
    })
  })

  test('says why a request failed that should not have, and the client learns nothing of it', async () => {
    const health = () => {
      throw new Error('Planted-inner-1')
    }
    await using https = await TestHttps.start({ports: {health}})
    const got = await https.asRoot('/api/v1/healthcheck')
    expect(got).toMatchObject({status: 500, json: {status: 'err', code: 'SynErr'}})
    expect(got.text).not.toContain('Planted')
    const line = https.logged.find((one) => one.includes('https.failed')) ?? ''
    expect(line).toContain('Planted-inner-1')
  })

  test('tells of refused connections now and then, not of each', async () => {
    await using https = await TestHttps.start({settings: {limits: {connections: 1}}})
    const open = await https.connect()
    for (let tries = 0; tries < 5; tries += 1) await expect(https.connect()).rejects.toThrow()
    expect(https.logged.filter((line) => line.includes('https.connection-refused'))).toHaveLength(1)
    open.destroy()
  })
})

describe('the pair', () => {
  test('is read again when asked, and a bad one changes nothing', async () => {
    await using https = await TestHttps.start()
    await writeFile(`${https.dir}/sslcert.pem`, 'nonsense')
    await expect(https.listener.reload()).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    expect(await https.ask('/api/v1/active')).toMatchObject({status: 200, json: {status: 'ok', result: {active: true}}})
  })

  test('that is broken is an error of the start, which leaves nothing listening', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'https-broken-'))
    await Promise.all(['sslcert.pem', 'sslkey.pem'].map((file) => writeFile(`${dir}/${file}`, 'nonsense')))
    await expect(TestHttps.start({dir})).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    await rm(dir, {recursive: true})
  })
})

describe('behold', () => {
  const INIT = '{"type":"call:init"}'

  async function watch(https: TestHttps, headers: Record<string, string>, first = INIT): Promise<TestWebsocket> {
    const client = await TestWebsocket.open(await https.connect(), '/api/v1/behold', headers)
    client.sendText(first)
    return client
  }

  test('tells admins what happens to users and roles, in order, with the offset in the change log', async () => {
    await using https = await TestHttps.start()
    const client = await watch(https, basic('root', 'root'))
    expect(await client.message(0)).toEqual({type: 'init', data: {}})
    const user = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
    const nextOffset = (await https.store.read(0, 1000)).length
    await https.users.setUserName(user.iden, 'visitor', ACTOR)
    await https.users.setUserPasswd(user.iden, 'other', ACTOR)
    const added = await client.message(1)
    expect(added).toMatchObject({type: 'iter', data: {event: 'user:add', info: {iden: user.iden, name: 'visi'}}})
    const data = {event: 'user:name', offset: nextOffset, info: {iden: user.iden, valu: 'visitor'}}
    expect(await client.message(2)).toEqual({type: 'iter', data})
    const {data: last} = (await client.message(3)) as {data: {info: unknown}}
    expect(last.info).toEqual({iden: user.iden, name: 'passwd'})
    client.socket.destroy()
  })

  test.each([
    ['nobody', {}, INIT, {code: 'AuthDeny', mesg: 'Beholder API requires admin privs'}],
    ['a user', basic('visi', 'secret'), INIT, {code: 'AuthDeny', mesg: 'Beholder API requires admin privs'}],
    [
      'another wish',
      basic('root', 'root'),
      '{"type":"newp"}',
      {code: 'BadMesgFormat', mesg: 'Invalid initial message'},
    ],
    ['no JSON', basic('root', 'root'), 'nope', {code: 'BadJsonText', mesg: 'The message is not JSON.'}],
  ])('refuses %s', async (_who, headers, first, data) => {
    await using https = await TestHttps.start()
    await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
    const client = await watch(https, headers as Record<string, string>, first)
    expect(await client.message(0)).toEqual({type: 'errx', data})
    expect(await client.closed()).toBe(1008)
    client.socket.destroy()
  })

  test('is not opened for a page from elsewhere', async () => {
    await using https = await TestHttps.start()
    const headers = {...basic('root', 'root'), origin: 'https://evil.example'}
    await expect(TestWebsocket.open(await https.connect(), '/api/v1/behold', headers)).rejects.toThrow('403')
  })

  test.each<[string, (https: TestHttps, iden: string) => Promise<unknown>]>([
    ['is locked', (https, iden) => https.users.setUserLocked(iden, true, ACTOR)],
    ['gets a new password', (https, iden) => https.users.setUserPasswd(iden, 'x', ACTOR)],
    ['is no admin any more', (https, iden) => https.users.setUserAdmin(iden, false, undefined, ACTOR)],
  ])('ends when the admin who watches %s', async (_what, bar) => {
    await using https = await TestHttps.start()
    const boss = await https.users.addUser({name: 'boss', passwd: 'secret'}, ACTOR)
    await https.users.setUserAdmin(boss.iden, true, undefined, ACTOR)
    const client = await watch(https, basic('boss', 'secret'))
    await client.message(0)
    await bar(https, boss.iden)
    expect(await client.closed()).toBe(1008)
    client.socket.destroy()
  })

  test('ends with the session that it came by', async () => {
    await using https = await TestHttps.start()
    const got = await https.ask('/api/v1/login', {body: {user: 'root', passwd: 'root'}})
    const cookie = `sess=${sessionOf(got)}`
    const client = await watch(https, {cookie})
    await client.message(0)
    await https.ask('/api/v1/logout', {headers: {cookie}})
    expect(await client.closed()).toBe(1008)
    client.socket.destroy()
  })
})
