// An ordinary user, and nobody, on the real listeners: nothing is done that the table of methods does not allow, whatever way it is asked for.

import {once} from 'node:events'
import {readdir} from 'node:fs/promises'
import type {IncomingMessage} from 'node:http'
import {request} from 'node:https'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {HTTPS_ROUTES, type HttpsRow} from '../../src/server/https-routes.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {harmfulCalls, isForEnrolled} from '../support/harmful-calls.ts'
import {ask, basic, sessionOf} from '../support/https.ts'
import {RawClient} from '../support/raw-client.ts'
import {HOST, idenOf, NETWORK, ServedCell} from '../support/served-cell.ts'

type Headers = Readonly<Record<string, string>>

let cell: ServedCell
let https: number
let visi: string
let root: string
let all: string
let visiKey: string
beforeAll(async () => {
  const conf = {'auth:passwd': 'rootpass', 'dns:name': HOST, 'provision:listen': `ssl://127.0.0.1:0?hostname=${HOST}`}
  cell = await ServedCell.start({certificates: ['root', 'visi'], conf})
  https = (await cell.listeners()).https
  visi = await cell.addUser('visi', 'visipass')
  await cell.asRoot('addUserRule', visi, [true, ['aha', 'service', 'get', NETWORK]]) // as one who was enrolled
  await cell.asRoot('addAhaSvcProv', '00.axon', {})
  root = idenOf(await cell.asRoot('getUserDefByName', 'root'))
  all = idenOf(await cell.asRoot('getRoleDefByName', 'all'))
  visiKey = String(((await cell.asRoot('addUserApiKey', 'k', null, visi)) as Value[])[0])
})
afterAll(() => cell?.[Symbol.asyncDispose]())

/** All that a change could have altered. */
async function state(): Promise<unknown> {
  const lists = ['getUserDefs', 'getRoleDefs', 'getAuthGates', 'isCellActive', 'getAhaServers']
  const keys = [visi, root].map((iden) => cell.asRoot('listUserApiKeys', iden))
  await using session = await cell.local()
  const streams = ['getAhaSvcs', 'getAhaPools', 'getProvisions'].map((list) => Array.fromAsync(session.stream(list)))
  const files = (await readdir(cell.certs.paths[0], {recursive: true})).toSorted()
  return await Promise.all([...lists.map((list) => cell.asRoot(list)), ...keys, ...streams, files])
}

test('over Telepath, a user can call nothing that is for admins, with any arguments', async () => {
  await using session = await cell.byCertificate('visi')
  using client = new RawClient(cell.server.ports.req)
  await client.register('cam-1', {type: 'camera'})
  const before = await state()
  const done = new Set<string>()
  const calls = await harmfulCalls({user: root, role: all, network: NETWORK, service: 'cam-1'})
  expect(calls.length).toBeGreaterThan(300)
  for (const {method, isGenerator, options} of calls) {
    const limited = {...options, timeoutMs: 5000}
    const outcome = isGenerator ? Array.fromAsync(session.stream(method, limited)) : session.call(method, limited)
    await outcome.then(() => done.add(method)).catch(() => undefined)
  }
  expect([...done].filter((method) => !isForEnrolled(method))).toEqual([])
  expect(await state()).toEqual(before)
  expect(await client.ask({action: 'discover', service_type: 'camera'})).toMatchObject({success: true})
})

test('a user can set his own password, and no more of himself', async () => {
  await using session = await cell.byCertificate('visi')
  const call = (method: string, ...args: Value[]) => session.call(method, {args})
  for (const [method, ...args] of [
    ['setUserAdmin', visi, true],
    ['addUserRule', visi, [true, ['health']]],
    ['setUserRules', visi, [[true, []]]],
    ['setCellUser', root],
    ['genUserOnepass', root],
    ['addUserApiKey', 'mine', null, root],
    ['setUserPasswd', root, 'stolen'],
  ] as readonly (readonly [string, ...Value[]])[]) {
    await expect(call(method, ...args), method).rejects.toMatchObject({telepath: 'AuthDeny'})
  }
  expect(await call('allowed', ['health'])).not.toBe(true)
  await call('setUserPasswd', visi, 'visipass').catch((error: {code: string}) => {
    // His sessions end with it, and this one may before it has the answer.
    expect(error.code).toBe('REG_LINK_CLOSED')
  })
})

const status = async (path: string, asked: Parameters<typeof ask>[2]) => (await ask(https, path, asked)).status

/** What each route would do to somebody else. */
const BODIES: Readonly<Record<string, unknown>> = {
  editUser: {admin: true, locked: true, rules: [[true, []]]},
  passwd: {passwd: 'stolen'},
  editRole: {rules: [[true, []]]},
  addUser: {name: 'eve', admin: true},
  addRole: {name: 'evil'},
  delRole: {name: 'all'},
  ahaServices: {network: NETWORK},
  provisionService: {name: '00.evil'},
}

test('over HTTPS, a user and nobody can alter nothing, and see nothing that is for admins, however they log in', async () => {
  const before = await state()
  const cookie = sessionOf(await ask(https, '/api/v1/login', {body: {user: 'visi', passwd: 'visipass'}}))
  const ways: readonly (readonly [string, Headers, object])[] = [
    ['nobody', {}, {}],
    ['a guessed cookie', {cookie: `sess=${'A'.repeat(43)}`}, {}],
    ['a cookie', {cookie: `sess=${cookie}`}, {}],
    ['a password', basic('visi', 'visipass'), {}],
    ['an API key', {'x-api-key': visiKey}, {}],
    ['a certificate', {}, await cell.keysOf('visi')],
    ['a user that a header names', {'x-remote-user': 'root', 'x-forwarded-user': 'root', 'x-user': 'root'}, {}],
  ]
  const taken: string[] = []
  for (const [name, row] of Object.entries(HTTPS_ROUTES)) {
    const {need, alters}: HttpsRow = row
    const kind = typeof need === 'function' ? 'depends' : need.kind
    if (kind === 'anyone' || (kind !== 'admin' && !alters)) continue
    const path = row.path.replace('{iden}', name === 'editRole' ? all : root)
    const body = BODIES[name] ?? {user: visi, role: all, name: 'all'}
    for (const [who, headers, tls] of ways) {
      const got = await status(path, {method: row.method, headers, body, tls})
      if (![401, 403].includes(got)) taken.push(`${row.method} ${path} by ${who}: ${got}`)
    }
  }
  expect(taken).toEqual([])
  expect(await state()).toEqual(before)
})

test('a page of another origin cannot use the cookie, the credentials or the certificate of an admin', async () => {
  const cookie = {
    cookie: `sess=${sessionOf(await ask(https, '/api/v1/login', {body: {user: 'root', passwd: 'rootpass'}}))}`,
  }
  const tls = await cell.keysOf('root')
  const before = await state()
  const foreign: readonly Headers[] = [
    {origin: 'https://evil.test'},
    {origin: `http://127.0.0.1:${https}`},
    {origin: `https://127.0.0.1:${https + 1}`},
    {origin: 'null'},
    {origin: `https://127.0.0.1:${https}.evil.test`},
    {'sec-fetch-site': 'cross-site'},
    {'sec-fetch-site': 'same-site'},
  ]
  for (const headers of foreign) {
    for (const [who, asked] of [
      ['cookie', {headers: {...headers, ...cookie}}],
      ['password', {headers: {...headers, ...basic('root', 'rootpass')}}],
      ['certificate', {headers, tls}],
    ] as const) {
      const about = `${who} ${JSON.stringify(headers)}`
      expect(await status('/api/v1/auth/adduser', {...asked, body: {name: 'eve'}}), about).toBe(403)
      expect(await status('/api/v1/auth/grant', {...asked, method: 'GET', body: {user: visi, role: all}}), about).toBe(
        403,
      )
      expect(await status('/api/v1/logout', asked), about).toBe(403)
    }
  }
  expect(await state()).toEqual(before)
  expect(await status('/api/v1/auth/users', {headers: cookie})).toBe(200)
  const own = {origin: `https://127.0.0.1:${https}`, ...cookie}
  expect(await status('/api/v1/auth/addrole', {headers: own, body: {name: 'own-page'}})).toBe(200)
})

/** Sends a path as it stands, which URL parsers would tidy up. */
async function rawStatus(path: string, method: string, headers: Headers = {}): Promise<number> {
  const sent = request({host: '127.0.0.1', port: https, path, method, headers, rejectUnauthorized: false, agent: false})
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode ?? 0
}

test('paths and methods that are written otherwise lead nowhere', async () => {
  for (const path of [
    '//api/v1/auth/users',
    '/api/v1/auth//users',
    '/api/v1/auth/users/',
    '/API/v1/auth/users',
    '/api/v1/active/../auth/users',
    '/api/v1/active/..;/auth/users',
    '/api/v1/auth/users;/api/v1/active',
    '/api/v1/auth/%75sers',
    '/api/v1/auth%2fusers',
    '/api/v1/auth/users%00',
    '/api/v1/auth/users%20',
    '/api/v1/auth/%',
    '/api/v1/auth/user/%2e%2e%2fusers',
    `/api/v1/auth/user/${encodeURIComponent('../users')}`,
    'https://127.0.0.1/api/v1/auth/users',
  ]) {
    for (const method of ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS']) {
      expect([204, 400, 401, 404, 405], `${method} ${path}`).toContain(await rawStatus(path, method))
    }
  }
  const overrides = {'x-http-method-override': 'POST', 'x-method-override': 'POST', 'x-original-url': '/api/v1/active'}
  expect(await rawStatus('/api/v1/auth/adduser', 'GET', overrides)).toBe(405)
  expect(await rawStatus('/api/v1/auth/users', 'GET', overrides)).toBe(401)
  expect(await rawStatus('/api/v1/active', 'GET', {'x-original-url': '/api/v1/auth/users'})).toBe(200)
})

test('an admin who is one no more is told nothing more by what he has open', async () => {
  await cell.asRoot('setUserAdmin', visi, true)
  await using session = await cell.byCertificate('visi')
  const seen: Value[] = []
  const watching = (async () => {
    for await (const line of session.stream('watch', {kwargs: {last: 100}, timeoutMs: 0})) seen.push(line)
  })().catch((error: unknown) => error)
  await cell.asRoot('addRole', 'before')
  await expect.poll(() => JSON.stringify(seen)).toContain('before')
  await cell.asRoot('setUserAdmin', visi, false)
  await cell.asRoot('addRole', 'afterwards')
  expect(await watching).toMatchObject({telepath: 'AuthDeny'})
  expect(JSON.stringify(seen)).not.toContain('afterwards')
  await expect(session.call('logs')).rejects.toMatchObject({telepath: 'AuthDeny'})
})

test('ZeroMQ clients cannot set maintenance, nor anything else of the cell', async () => {
  using client = new RawClient(cell.server.ports.req)
  const maintenance = {reason: 'stolen', since: 1, by: 'root'}
  expect(await client.register('cam-2', {type: 'tube', maintenance})).toMatchObject({success: true})
  const {service} = (await client.get('cam-2')) as unknown as {readonly service: object}
  expect(JSON.stringify(service)).not.toContain('stolen')
  expect(await client.ask({action: 'discover', service_type: 'tube'})).toMatchObject({success: true})
  await cell.asRoot('setServiceMaintenance', 'cam-2', true, 'new lens')
  expect(await client.register('cam-2', {type: 'tube', maintenance: null})).toMatchObject({success: true})
  expect(await client.renew('cam-2')).toMatchObject({success: true})
  expect(await client.ask({action: 'discover', service_type: 'tube'})).toMatchObject({success: false})
  expect((await client.get('cam-2'))['service']).toMatchObject({maintenance: {reason: 'new lens', by: 'unix/root'}})
  for (const action of [
    'maintenance',
    'setServiceMaintenance',
    'addUser',
    'shutdown',
    '__proto__',
    'constructor',
    'toString',
  ]) {
    expect(await client.ask({action, service_id: 'cam-2', on: false}), action).toMatchObject({success: false})
  }
  expect(await client.ask({action: 'terminate'})).toMatchObject({success: false})
})
