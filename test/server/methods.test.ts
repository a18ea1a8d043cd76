/**
 * Walks all rows of the table of methods with all kinds of callers, each through the real dispatch of its listener, and compares who gets
 * an answer with methods.txt. A line that changes there is a change of who may do what: look at it before it is accepted.
 */
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Need} from '../../src/auth/need.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {AHA_METHODS} from '../../src/server/cell-api-aha.ts'
import {allMethods, type MethodRow} from '../../src/server/method-table.ts'
import {TELEPATH_METHODS, ZEROMQ_METHODS} from '../../src/server/methods.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestApi, TestPeer} from '../support/api.ts'
import {TestCell} from '../support/cell.ts'
import {basic, TestHttps} from '../support/https.ts'
import {TestWebsocket} from '../support/websocket.ts'

/** `-` where there is no such caller: the plain ZeroMQ ports know nobody, and the others know no `zmq:anon`. */
type Outcome = 'yes' | 'no' | '-'
const CALLERS = ['anonymous', 'zmq:anon', 'user', 'service', 'admin', 'locked'] as const
type Caller = (typeof CALLERS)[number]
/** Whose business a call is about, where the need depends on that. */
type Whose = 'others' | 'own'

interface Target {
  addUser(user: {name: string; passwd: string}, actor: string): Promise<{iden: string}>
  addUserRule: TestCell['users']['addUserRule']
  setUserAdmin: TestCell['users']['setUserAdmin']
  setUserLocked: TestCell['users']['setUserLocked']
}

/** Makes a user of each kind; the locked one is locked later, when he has a session. */
async function addCallers(users: Target): Promise<Record<string, string>> {
  const idens: Record<string, string> = {}
  for (const name of ['user', 'service', 'admin', 'locked', 'other']) {
    idens[name] = (await users.addUser({name, passwd: 'secret'}, 'test')).iden
  }
  for (const path of [
    ['aha', 'service', 'get'],
    ['aha', 'service', 'add'],
  ]) {
    await users.addUserRule(String(idens['service']), [true, path], undefined, undefined, 'test')
  }
  await users.setUserAdmin(String(idens['admin']), true, undefined, 'test')
  return idens
}

describe('all methods, all callers', () => {
  let zeromq: TestApi
  let https: TestHttps

  beforeAll(async () => {
    zeromq = await TestApi.start()
    https = await TestHttps.start()
    const idens = await addCallers(https.users)
    await https.users.setUserLocked(String(idens['locked']), true, 'test')
  })
  afterAll(async () => {
    zeromq.close()
    await https[Symbol.asyncDispose]()
  })

  async function walk({listener, name}: MethodRow, caller: Caller, whose: Whose = 'others'): Promise<Outcome> {
    if (listener === 'zeromq') return caller === 'zmq:anon' ? askZeromq(zeromq, name) : '-'
    if (caller === 'zmq:anon') return '-'
    return listener === 'telepath' ? askTelepath(name, caller, whose) : askHttps(https, name, caller, whose)
  }

  test('who gets an answer is what was reviewed', async () => {
    const lines = [line('listener method', 'needs', CALLERS)]
    for (const row of allMethods()) {
      const outcomes: Outcome[] = []
      for (const caller of CALLERS) outcomes.push(await walk(row, caller))
      lines.push(line(`${row.listener} ${row.name}`, needText(row.need), outcomes))
      if (row.need !== undefined) continue
      const own: Outcome[] = []
      for (const caller of CALLERS) own.push(await walk(row, caller, 'own'))
      lines.push(line(`${row.listener} ${row.name}`, 'of his own', own))
    }
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('methods.txt')
  })
})

function line(name: string, need: string, outcomes: readonly string[]): string {
  return `${name.padEnd(42)} ${need.padEnd(16)} ${outcomes.map((outcome) => outcome.padEnd(10)).join('')}`.trimEnd()
}

function needText(need: Need | undefined): string {
  if (need === undefined) return 'depends'
  return need.kind === 'permission' ? need.path.join('.') : need.kind
}

async function askZeromq(api: TestApi, name: string): Promise<Outcome> {
  const peer = new TestPeer()
  const [answer] =
    name === 'heartbeat'
      ? await api.exchange(peer, ['REQ', '{"service_id":"x"}'], 'hb')
      : await api.exchange(peer, ['REQ', JSON.stringify({action: name, service_id: 'x', service_type: 'x'})])
  return answer?.join(' ').includes('A login is required.') ? 'no' : 'yes'
}

async function askTelepath(name: string, caller: Caller, whose: Whose): Promise<Outcome> {
  const cell = await TestCell.open()
  const idens = await addCallers(cell.users)
  const open = () =>
    caller === 'anonymous'
      ? cell.session(undefined, {peer: {family: 'tcp', address: '127.0.0.1', port: 1}})
      : cell.login(caller, 'secret')
  const about = whose === 'others' ? 'other' : caller
  if (name in AHA_METHODS) await addAxon(cell)
  const args = argumentsOf(name, about, await idenFor(name, cell, about, String(idens[about])))
  return isAnswered(async () => {
    const opened = await open()
    await cell.users.setUserLocked(String(idens['locked']), true, 'test')
    const answer = await opened.answer(name, args)
    if (answer.kind === 'stream') await answer.items[Symbol.asyncIterator]().return?.()
  })
}

async function addAxon({parts}: TestCell): Promise<void> {
  const session = {id: 's', peer: {family: 'tls', address: '127.0.0.1', port: 1}} as const
  const place = {full: `axon.${AHA_NETWORK}`, name: 'axon', network: AHA_NETWORK}
  await parts.aha?.services.add(place, {urlinfo: {}}, session, 'test')
}

/** What `iden` means to a method: a user, or something of his. */
async function idenFor(method: string, cell: TestCell, name: string, user: string): Promise<string> {
  if (user === 'undefined') return 'newp'
  if (method === 'delUserApiKey') return (await cell.users.addApiKey(user, 'k', undefined, 'test')).key.iden
  if (method === 'kill') return cell.parts.tasks.begin('x', {iden: user, name}, 0).iden
  return user
}

const ARGUMENTS: Readonly<Record<string, Value>> = {
  perm: ['health'],
  rule: [true, ['one']],
  rules: [],
  roleiden: 'newp',
  roleidens: [],
  passwd: 'secret',
  email: null,
  locked: false,
  archived: false,
  admin: false,
  isadmin: false,
  service: 'x',
  on: false,
  key: 'newp',
  network: AHA_NETWORK,
  info: {urlinfo: {host: 'axon.example'}},
  svcinfo: {ready: true},
  poolname: 'pool00...',
  svcname: 'axon...',
  server: {host: 'aha.example'},
  host: 'aha.example',
  port: 27_492,
}

function argumentsOf(name: string, about: string, iden: string): readonly Value[] {
  if (name === 'genCaCert') return ['no network'] // the key of a new authority takes seconds
  const params = TELEPATH_METHODS.get(name)?.params ?? []
  return params.flatMap((param) => {
    if (['iden', 'useriden'].includes(param.name)) return [iden]
    if (param.name === 'name' && name in AHA_METHODS)
      return [params.some((one) => one.name === 'network') ? 'axon' : 'axon...']
    // Of a role, all users have one and nobody is in the other.
    if (param.name === 'name') return [name === 'getRoleInfo' && about !== 'other' ? 'all' : about]
    return 'byDefault' in param && !(param.name in ARGUMENTS) ? [param.byDefault] : [ARGUMENTS[param.name]]
  })
}

/** What the method makes of the call does not count, only whether it came so far. */
async function isAnswered(ask: () => Promise<unknown>): Promise<Outcome> {
  try {
    await ask()
    return 'yes'
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return error.code === 'REG_DENIED' ? 'no' : 'yes'
  }
}

async function askHttps(https: TestHttps, name: string, caller: Caller, whose: Whose): Promise<Outcome> {
  const own = https.users.userByName(caller)?.iden
  const iden = whose === 'own' && own !== undefined ? own : '0'.repeat(32)
  const [method = '', path = ''] = name.replace('{iden}', iden).split(' ')
  const headers = caller === 'anonymous' ? {} : basic(caller, 'secret')
  if (method === 'WS') return askWebsocket(https, path, headers)
  const {status} = await https.ask(path, {method, headers})
  return status === 401 || status === 403 ? 'no' : 'yes'
}

async function askWebsocket(https: TestHttps, path: string, headers: Record<string, string>): Promise<Outcome> {
  const socket = await TestWebsocket.open(await https.connect(), path, headers)
  socket.sendText('{"type":"call:init"}')
  const answer = await socket.message(0)
  socket.socket.destroy()
  return (answer as {type: string}).type === 'errx' ? 'no' : 'yes'
}

describe('a method without a row', () => {
  test('cannot be called over Telepath, nor seen', async () => {
    const cell = await TestCell.open()
    const session = await cell.session('root')
    const seen = [...session.opened.share.info.methods.keys()]
    expect(seen).toEqual([...TELEPATH_METHODS.keys()])
    for (const name of ['greet', 'info', 'call', 'newp', '', 'hasOwnProperty']) {
      await expect(session.call(name)).rejects.toMatchObject({telepath: 'NoSuchMeth'})
    }
  })

  test('is no action of ZeroMQ, and every row but that of the heartbeat is one', async () => {
    const zeromq = await TestApi.start()
    expect([...zeromq.api.actions, 'heartbeat'].sort()).toEqual(Object.keys(ZEROMQ_METHODS).sort())
    zeromq.close()
  })
})

test('a ZeroMQ action that asks for more than a connection is refused, and does nothing', async () => {
  const login: Need = {kind: 'login'}
  const api = await TestApi.start({methods: {...ZEROMQ_METHODS, register: login, info: login, heartbeat: login}})
  const info = {name: 'cam', type: 'camera', host: '127.0.0.1', port: 1, id: 'cam-1'}
  const refused = {success: false, error: 'A login is required.'}
  expect(await api.ask({action: 'register', service_info: info})).toMatchObject(refused)
  expect(await api.ask({action: 'info'})).toMatchObject(refused)
  const [beat] = await api.exchange(new TestPeer(), ['REQ', '{"service_id":"cam-1"}'], 'hb')
  expect(beat?.join(' ')).toContain('A login is required.')
  expect(await api.ask({action: 'list'})).toMatchObject({success: true, services: []})
  api.close()
})
