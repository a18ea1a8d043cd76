/**
 * Calls every method of every listener with arguments that it can work with, and sees which leave an entry in the log: those that are marked in
 * the table, and no others. A new method that alters state gets `isWrite` in its row, and arguments here. What alters state and is not marked would be refused at a mirror instead of passed on to the leader.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {newGuid} from '../../src/base/ids.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {HTTPS_ROUTES, HTTPS_WEBSOCKETS} from '../../src/server/https-routes.ts'
import {allMethods} from '../../src/server/method-table.ts'
import {TELEPATH_METHODS, ZEROMQ_METHODS} from '../../src/server/methods.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestApi, TestPeer} from '../support/api.ts'
import {TestCell, type TestSession} from '../support/cell.ts'
import {ACTOR, basic, TestHttps} from '../support/https.ts'

let dir: string
let certs: CertDir

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-writes-'))
  certs = new CertDir(dir)
  const terms = {nowMs: Date.now(), ttlMs: 86_400_000, keyType: 'p256', replace: false} as const
  await issueInto(certs, {...terms, purpose: 'ca', name: AHA_NETWORK, signAs: undefined})
})
afterAll(() => rm(dir, {recursive: true}))

/** Names of a listener's rows by whether they are marked, in order. */
function named(listener: string, isWrite: boolean): readonly string[] {
  const rows = allMethods().filter((row) => row.listener === listener && row.isWrite === isWrite)
  return rows.map(({name}) => name).sort()
}

/** What there is to be altered. */
interface World {
  readonly user: string
  readonly role: string
  readonly key: string
  readonly service: string
  readonly enrolled: string
}

async function makeWorld(cell: TestCell, root: TestSession): Promise<World> {
  const {users} = cell
  const user = (await users.addUser({name: 'visi', passwd: 'secret'}, 'test')).iden
  const role = (await users.addRole('ninjas', undefined, 'test')).iden
  const [other, rule] = [(await users.addRole('others', undefined, 'test')).iden, [true, ['one']] as const]
  await users.addUserRole(user, other, undefined, 'test')
  await users.addUserRule(user, rule, undefined, undefined, 'test')
  await users.addRoleRule(role, rule, undefined, undefined, 'test')
  const key = (await users.addApiKey(user, 'k', undefined, 'test')).key.iden
  await root.call('addAhaSvc', ['axon', {urlinfo: {host: '10.0.0.1', port: 1}}, AHA_NETWORK])
  await root.call('addAhaSvc', ['cortex', {urlinfo: {host: '10.0.0.3', port: 3}}, AHA_NETWORK])
  await root.call('addAhaPool', ['pool...', {}])
  await root.call('addAhaPoolSvc', ['pool...', 'axon...', {}])
  for (const name of ['00.cortex', '01.cortex', '02.cortex']) {
    const info = {run: name, iden: 'i0', leader: 'cortex', urlinfo: {host: '10.0.0.4', port: 4}}
    await root.call('addAhaSvc', [name, info, AHA_NETWORK])
  }
  const gone = {member: 'a'.repeat(32), name: 'gone.example', urls: []}
  await cell.parts.mirroring.ledger.note(cell.parts.mirroring.self, gone, 'test')
  await root.call('fenceAhaSvc', ['02.cortex...', '01.cortex...'])
  await root.call('addAhaClone', [`02.aha.${AHA_NETWORK}`])
  const iden = (url: Value) => new URL(String(url)).pathname.slice(1)
  const service = iden(await root.call('addAhaSvcProv', ['00.axon']))
  const enrolled = iden(await root.call('addAhaUserEnroll', ['bob']))
  return {user, role, key, service, enrolled}
}

/** Arguments with which a method has something to do. */
async function argumentsOf(method: string, world: World, cell: TestCell): Promise<readonly Value[]> {
  const {user, role, key, service, enrolled} = world
  const other = cell.users.roleByName('others')?.iden
  const all = cell.users.roleByName('all')?.iden
  const rule = [true, ['one']]
  const csr = async (name: string) => makeCsr(name, await newPrivateKey('p256'), {isCa: false, alternativeNames: []})
  const given: Readonly<Record<string, () => readonly Value[] | Promise<readonly Value[]>>> = {
    addUser: () => ['new'],
    addRole: () => ['new'],
    addAuthRole: () => ['new'],
    delUser: () => [user],
    delAuthUser: () => [user],
    delRole: () => [role],
    delAuthRole: () => [role],
    setUserEmail: () => [user, 'visi@vertex.link'],
    setUserLocked: () => [user, true],
    setUserArchived: () => [user, true],
    setUserAdmin: () => [user, true],
    setAuthAdmin: () => ['visi', true],
    setUserPasswd: () => [user, 'another'],
    genUserOnepass: () => [user],
    addUserRule: () => [user, [true, ['two']]],
    setUserRules: () => [user, [[true, ['two']]]],
    delUserRule: () => [user, rule],
    addAuthRule: () => ['visi', [true, ['two']]],
    delAuthRule: () => ['visi', rule],
    addUserRole: () => [user, role],
    setUserRoles: () => [user, [all, role]],
    delUserRole: () => [user, other],
    addRoleRule: () => [role, [true, ['two']]],
    setRoleRules: () => [role, [[true, ['two']]]],
    delRoleRule: () => [role, rule],
    addUserApiKey: () => ['new'],
    delUserApiKey: () => [key],
    addAhaSvc: () => ['jsonstor', {urlinfo: {host: '10.0.0.2', port: 2}}, AHA_NETWORK],
    modAhaSvcInfo: () => ['axon...', {ready: true}],
    delAhaSvc: () => ['axon', AHA_NETWORK],
    addAhaPool: () => ['other...', {}],
    delAhaPool: () => ['pool...'],
    addAhaPoolSvc: () => ['pool...', 'cortex...', {}],
    delAhaPoolSvc: () => ['pool...', 'axon...'],
    addAhaServer: () => [{host: 'new.example', port: 1}],
    delAhaServer: () => [`aha.${AHA_NETWORK}`, 27_492],
    addAhaSvcProv: () => ['01.axon'],
    delAhaSvcProv: () => [service],
    addAhaUserEnroll: () => ['alice'],
    delAhaUserEnroll: () => [enrolled],
    delProvision: () => [service.slice(0, 8)],
    addAhaClone: () => [`01.aha.${AHA_NETWORK}`],
    fenceAhaSvc: () => ['00.cortex...', '01.cortex...'],
    unfenceAhaSvc: () => ['02.cortex...'],
    genCaCert: () => [`${newGuid().slice(0, 8)}.net`],
    signHostCsr: async () => [await csr(`cam.${AHA_NETWORK}`)],
    signUserCsr: async () => [await csr(`cam@${AHA_NETWORK}`)],
    setServiceMaintenance: () => ['cam-1', true, 'cleaning'],
    forgetMember: () => ['gone.example'],
    leadAgain: () => [1],
    // Reads, of what is there.
    getAhaSvc: () => ['axon...'],
    getAhaSvcMirrors: () => ['axon...'],
    getAhaPool: () => ['pool...'],
    iterPoolTopo: () => ['pool...'],
    tryUserPasswd: () => ['visi', 'secret'],
    setCellUser: () => [user],
    allowed: () => [['health']],
    isUserAllowed: () => [user, ['health']],
    isRoleAllowed: () => [role, ['health']],
    getPermDef: () => [['health']],
    callAhaPeerApi: () => ['0'.repeat(32), ['getCellIden', [], {}], 1],
    callAhaPeerGenr: () => ['0'.repeat(32), ['getTasks', [], {}], 1],
    waitNexsOffs: () => [0, 1],
  }
  const params = TELEPATH_METHODS.get(method)?.params ?? []
  const plain = () => params.filter((param) => !('byDefault' in param)).map(({name}) => PLAIN[name] ?? user)
  return await (given[method] ?? plain)()
}

const PLAIN: Readonly<Record<string, Value>> = {name: 'visi', offs: 0, host: 'aha.example', port: 1, perm: ['health']}

/** How a call ended: what it left in the log, and the error that it ended with. */
interface Outcome {
  readonly isWritten: boolean
  readonly code: string | undefined
}

async function outcomeOf(method: string, isRefused: boolean): Promise<Outcome> {
  const registered = {...(await registrarOf()), info: () => ({}), stored: () => new Map()}
  const cell = await TestCell.open({network: AHA_NETWORK}, {registry: registered}, {certs})
  const root = await cell.session('root', {auth: {user: 'root', passwd: null}})
  const world = await makeWorld(cell, root)
  const args = await argumentsOf(method, world, cell)
  const before = cell.changeLog.nextOffset + registered.written()
  if (isRefused) {
    cell.changeLog.hold('test', 'it is a mirror')
    registered.hold()
  }
  const code = await ended(root, method, args)
  await cell.changeLog.settled()
  return {isWritten: cell.changeLog.nextOffset + registered.written() > before, code}
}

/** The registry behind a cell, with one service in it. */
async function registrarOf() {
  const api = await TestApi.start()
  await api.ask({action: 'register', service_info: {id: 'cam-1', name: 'cam', type: 'camera', host: 'h', port: 1}})
  const {RegistryDesk} = await import('../../src/server/registry-desk.ts')
  const desk = new RegistryDesk({catalog: api.catalog, registrar: api.registrar, infoMembers: () => '"x":1'})
  return {
    setMaintenance: desk.setMaintenance.bind(desk),
    written: () => api.changes.nextOffset,
    hold: () => api.changes.hold('test', 'it is a mirror'),
  }
}

async function ended(root: TestSession, method: string, args: readonly Value[]): Promise<string | undefined> {
  try {
    const answer = await root.answer(method, args)
    // The first item of a stream is enough: some have no end.
    if (answer.kind === 'stream') {
      const first = answer.items[Symbol.asyncIterator]()
      const next = first.next()
      root.leave.abort()
      await next.catch(() => undefined)
      await first.return?.()
    }
    return undefined
  } catch (error) {
    return (error as {code?: string}).code ?? String(error)
  }
}

test('of the methods of Telepath, those that are marked leave an entry in the log, and no others', async () => {
  const written: string[] = []
  for (const method of TELEPATH_METHODS.keys()) {
    if ((await outcomeOf(method, false)).isWritten) written.push(method)
  }
  expect(written.sort()).toEqual(named('telepath', true))
})

test('while no change is taken, those that are marked are refused, and no others', async () => {
  const refused: string[] = []
  for (const method of TELEPATH_METHODS.keys()) {
    const {isWritten, code} = await outcomeOf(method, true)
    expect.soft(isWritten, method).toBe(false)
    if (code === 'REG_READ_ONLY') refused.push(method)
  }
  expect(refused.sort()).toEqual(named('telepath', true))
})

test('of the routes of HTTPS, those that are marked leave an entry in the log, and no others', async () => {
  await using https = await TestHttps.start()
  const {iden: user} = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
  const {iden: role} = await https.users.addRole('ninjas', undefined, ACTOR)
  await https.users.addRole('gone', undefined, ACTOR)
  const bodies: Readonly<Record<string, {readonly body: object; readonly iden?: string}>> = {
    login: {body: {user: 'visi', passwd: 'secret'}},
    user: {body: {}, iden: user},
    editUser: {body: {email: 'visi@vertex.link'}, iden: user},
    passwd: {body: {passwd: 'another'}, iden: user},
    role: {body: {}, iden: role},
    editRole: {body: {rules: [[true, ['one']]]}, iden: role},
    addUser: {body: {name: 'new'}},
    addRole: {body: {name: 'new'}},
    delRole: {body: {name: 'gone'}},
    grant: {body: {user, role}},
    revoke: {body: {user, role}},
    grantByGet: {body: {user, role}},
    revokeByGet: {body: {user, role}},
    onepass: {body: {user}},
    provisionService: {body: {name: '00.axon'}},
  }
  const written: string[] = []
  // What one of them takes away another one has given before.
  const order = ['grant', 'revoke', 'grantByGet', 'revokeByGet']
  const rows = Object.entries(HTTPS_ROUTES).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
  for (const [name, {method, path}] of rows) {
    const {body, iden = ''} = bodies[name] ?? {body: undefined}
    const before = https.changeLog.nextOffset
    const got = await https.asRoot(path.replace('{iden}', iden), {method, body, headers: basic('root', 'root')})
    expect.soft([name, got.status]).toEqual([name, 200])
    if (https.changeLog.nextOffset > before) written.push(`${method} ${path}`)
  }
  expect(written.sort()).toEqual(named('https', true))
  const sockets = Object.values(HTTPS_WEBSOCKETS).map(({path}) => `WS ${path}`)
  expect(named('https', false)).toEqual(expect.arrayContaining(sockets))
})

test('of the actions of ZeroMQ, those that are marked leave an entry in the log, and no others', async () => {
  const written: string[] = []
  for (const action of Object.keys(ZEROMQ_METHODS)) {
    const api = await TestApi.start()
    const info = {id: 'cam-1', name: 'cam', type: 'camera', host: 'h', port: 1}
    await api.ask({action: 'register', service_info: info})
    const before = api.changes.nextOffset
    const request = {action, service_id: 'cam-1', service_type: 'camera', service_info: {...info, id: 'cam-2'}}
    const port = action === 'heartbeat' ? 'hb' : 'envelope'
    await api.exchange(new TestPeer(), ['REQ', JSON.stringify(request)], port)
    if (api.changes.nextOffset > before) written.push(action)
    api.close()
  }
  expect(written.sort()).toEqual(named('zeromq', true))
})
