import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {PeerCertificate} from '../../src/wire/telepath/share.ts'
import {TestCell, type TestSession, UNIX} from '../support/cell.ts'

const PLANTED = 'planted-9f1d'

let cell: TestCell

async function open(settings: Parameters<typeof TestCell.open>[0] = {}): Promise<void> {
  cell = await TestCell.open(settings)
  await cell.users.addUser({name: 'visi', passwd: 'visipass'}, 'test')
}

beforeEach(() => open({network: 'demo.net'}))

/** The error as a Telepath peer gets it. */
async function errorOf(work: Promise<unknown>): Promise<readonly [string, Record<string, unknown>]> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof RegistryError)) throw new Error(`no error of ours: ${String(thrown)}`)
  return [thrown.telepath, {mesg: thrown.message, ...thrown.info}]
}

function withCertificate(name: string): Promise<TestSession> {
  const certificate: PeerCertificate = {name, issuer: 'demo.net', serial: '1', fingerprint: 'ab'}
  return cell.session(undefined, {peer: {family: 'tls', address: '127.0.0.1', port: 1, certificate}})
}

async function nameOf(session: TestSession): Promise<unknown> {
  return ((await session.call('getCellUser')) as {name: string}).name
}

async function idenOf(name: string): Promise<string> {
  return cell.users.userByName(name)?.iden ?? 'missing'
}

describe('who opens a session', () => {
  test('on the UNIX socket: root, or whoever he says, without a password', async () => {
    expect(await nameOf(await cell.session(undefined))).toBe('root')
    expect(await nameOf(await cell.session('visi'))).toBe('visi')
    expect(await errorOf(cell.session('newp'))).toEqual(['NoSuchUser', {mesg: 'No such user: newp.', username: 'newp'}])
  })

  test('on the UNIX socket a locked user opens none', async () => {
    await cell.users.setUserLocked(await idenOf('visi'), true, 'test')
    expect(await errorOf(cell.session('visi'))).toMatchObject(['AuthDeny', {mesg: 'User (visi) is locked.'}])
  })

  test('with a password', async () => {
    expect(await nameOf(await cell.login('visi', 'visipass'))).toBe('visi')
    const wrong = ['AuthDeny', {mesg: 'Invalid password', username: 'visi', user: await idenOf('visi')}]
    expect(await errorOf(cell.login('visi', 'newp'))).toMatchObject(wrong)
    expect(await errorOf(cell.login('visi', null))).toMatchObject(wrong)
    expect(await errorOf(cell.login('newp', 'newp'))).toMatchObject([
      'NoSuchUser',
      {mesg: 'No such user: newp.', username: 'newp'},
    ])
    await cell.users.setUserLocked(await idenOf('visi'), true, 'test')
    expect(await errorOf(cell.login('visi', 'visipass'))).toMatchObject(wrong)
  })

  test('without a login there is none, unless an anonymous user is set', async () => {
    const nobody = {peer: {family: 'tcp', address: '127.0.0.1', port: 1}} as const
    expect(await errorOf(cell.session(undefined, nobody))).toEqual([
      'AuthDeny',
      {mesg: 'Unable to find cell user (None)'},
    ])
    await open({anonymous: 'visi'})
    expect(await nameOf(await cell.session(undefined, nobody))).toBe('visi')
    await cell.users.setUserLocked(await idenOf('visi'), true, 'test')
    expect(await errorOf(cell.session(undefined, nobody))).toMatchObject([
      'AuthDeny',
      {mesg: 'Anon user (visi) is locked.', username: 'visi'},
    ])
    await open({anonymous: 'newp'})
    expect(await errorOf(cell.session(undefined, nobody))).toMatchObject([
      'AuthDeny',
      {mesg: 'Anon user (newp) is not found.'},
    ])
  })

  test('with a certificate: the local user when it is of our network, else the user of the whole name', async () => {
    await cell.users.addUser({name: 'kim@other.net'}, 'test')
    expect(await nameOf(await withCertificate('visi@demo.net'))).toBe('visi')
    expect(await nameOf(await withCertificate('visi'))).toBe('visi')
    expect(await nameOf(await withCertificate('kim@other.net'))).toBe('kim@other.net')
    const other = ['NoSuchUser', {mesg: 'TLS client cert User not found: visi@other.net', username: 'visi@other.net'}]
    expect(await errorOf(withCertificate('visi@other.net'))).toEqual(other)
  })

  test('a user of the whole name is found when the network has no local one', async () => {
    await cell.users.addUser({name: 'enrolled@demo.net'}, 'test')
    expect(await nameOf(await withCertificate('enrolled@demo.net'))).toBe('enrolled@demo.net')
  })

  test('the certificate decides, whatever login is given with it', async () => {
    const certificate: PeerCertificate = {name: 'visi@demo.net', issuer: 'demo.net', serial: '1', fingerprint: 'ab'}
    const peer = {family: 'tls', address: '127.0.0.1', port: 1, certificate} as const
    expect(await nameOf(await cell.session(undefined, {peer, auth: {user: 'root', passwd: null}}))).toBe('visi')
    await cell.users.setUserLocked(await idenOf('visi'), true, 'test')
    expect(await errorOf(withCertificate('visi@demo.net'))).toMatchObject([
      'AuthDeny',
      {mesg: 'User (visi) is locked.', username: 'visi'},
    ])
  })

  test('guessers are stopped before a password is looked at; who comes by certificate or socket is not', async () => {
    const counted: string[] = []
    const refusal = new RegistryError('REG_BUSY', 'too many')
    const limiter = {
      assertAllowed: (address: string, name: string) => {
        if (counted.length >= 2 && name === 'visi' && address === '127.0.0.1') throw refusal
      },
      countFailure: (address: string, name: string) => counted.push(`${address} ${name}`),
    }
    cell = await TestCell.open({}, {limiter})
    await cell.users.addUser({name: 'visi', passwd: 'visipass'}, 'test')
    await cell.login('visi', 'visipass')
    await errorOf(cell.login('visi', 'newp'))
    await errorOf(cell.login('visi', 'newp'))
    expect(await errorOf(cell.login('visi', 'visipass'))).toEqual(['HitLimit', {mesg: 'too many'}])
    expect(counted).toEqual(['127.0.0.1 visi', '127.0.0.1 visi'])
    expect(await nameOf(await cell.session('visi'))).toBe('visi')
  })

  test('other names than the given ones are not shared; a path is ignored', async () => {
    await open({shareNames: ['registry']})
    expect(await nameOf(await cell.session(undefined, {name: 'registry'}))).toBe('root')
    expect(await nameOf(await cell.session(undefined, {path: ['newp']}))).toBe('root')
    expect(await errorOf(cell.session(undefined, {name: 'newp'}))).toMatchObject(['NoSuchName', {name: 'newp'}])
  })

  test('a refused login stands in the log with its reason and without the password', async () => {
    await errorOf(cell.login('visi', PLANTED))
    const line = cell.logged.find((text) => text.includes('login.refused')) ?? ''
    expect(line).toContain('Invalid password')
    expect(line).toContain('127.0.0.1')
    expect(line).not.toContain(PLANTED)
  })
})

describe('what a session is told', () => {
  test('the classes, features and name that the clients of the peer look for', async () => {
    await open({ahaName: '00.aha.demo.net'})
    const {opened} = await cell.session(undefined)
    expect(opened.share.info.classes).toEqual([
      'synapse.lib.aha.AhaApi',
      'synapse.lib.cell.CellApi',
      'synapse.lib.base.Base',
    ])
    expect(opened.features).toEqual({tasks: 1, shutdowndrain: 1, callpeers: 1, getAhaSvcsByIden: 1})
    expect(opened.ahaInfo).toEqual({name: '00.aha.demo.net'})
    expect(opened.user).toEqual({iden: cell.users.rootIden, name: 'root'})
  })

  test('generators are marked', async () => {
    const {opened} = await cell.session(undefined)
    const {methods} = opened.share.info
    expect(
      [...methods]
        .filter(([, {isGenerator}]) => isGenerator)
        .map(([name]) => name)
        .sort(),
    ).toEqual([
      'archiveLog',
      'callAhaPeerApi',
      'callAhaPeerGenr',
      'followLog',
      'getAhaPools',
      'getAhaSvcs',
      'getAhaSvcsByIden',
      'getHistory',
      'getNexusChanges',
      'getProvisions',
      'getTasks',
      'iterBackupArchive',
      'iterNewBackupArchive',
      'iterPoolTopo',
      'iterSnapshot',
      'streamBackup',
      'watch',
    ])
  })

  test('what is not there answers NoSuchMeth', async () => {
    const session = await cell.session(undefined)
    for (const name of ['runBackups', 'toString', '__proto__', 'constructor']) {
      expect(await errorOf(session.call(name))).toEqual(['NoSuchMeth', {mesg: `AhaApi has no method: ${name}.`, name}])
    }
  })
})

describe('a call', () => {
  test('is refused as soon as the user is locked or gone', async () => {
    const session = await cell.login('visi', 'visipass')
    const iden = await idenOf('visi')
    await session.call('getCellUser')
    await cell.users.setUserLocked(iden, true, 'test')
    expect(await errorOf(session.call('getCellUser'))).toMatchObject(['AuthDeny', {mesg: 'User (visi) is locked.'}])
    await cell.users.setUserLocked(iden, false, 'test')
    await session.call('getCellUser')
    await cell.users.delUser(iden, 'test')
    expect(await errorOf(session.call('getCellUser'))).toMatchObject(['NoSuchUser', {user: iden}])
  })

  test('with a rule for the passwords and keys of others does not reach those of an administrator', async () => {
    const cell = await TestCell.open()
    const {users} = cell
    const helper = await users.addUser({name: 'helper'}, 'test')
    const other = await users.addUser({name: 'other'}, 'test')
    await users.setUserRules(helper.iden, [[true, ['auth', 'user', 'set']]], undefined, 'test')
    const session = await cell.session('helper')
    expect(await session.call('setUserPasswd', [other.iden, 'secret-1'])).toBeNull()
    await users.setUserAdmin(other.iden, true, undefined, 'test')
    const refused = {telepath: 'AuthDeny'}
    await expect(session.call('setUserPasswd', [other.iden, 'secret-2'])).rejects.toMatchObject(refused)
    await expect(session.call('addUserApiKey', ['key'], {useriden: users.rootIden})).rejects.toMatchObject(refused)
    await expect(session.call('listUserApiKeys', [], {useriden: users.rootIden})).rejects.toMatchObject(refused)
  })

  test('of an admin method is logged with its arguments by name, and no secret among them', async () => {
    const session = await cell.session(undefined)
    await session.call('addUser', ['bob', PLANTED], {email: 'bob@demo.net'})
    await session.call('setUserPasswd', [await idenOf('bob'), `${PLANTED}2`])
    const calls = cell.logged.filter((text) => text.includes('api.called')).map((text) => JSON.parse(text))
    expect(calls[0]).toMatchObject({
      message: 'api.called',
      username: 'root',
      params: {api: 'CellApi.addUser', args: {name: 'bob', passwd: '***', email: 'bob@demo.net'}},
    })
    expect(calls[1]).toMatchObject({params: {api: 'CellApi.setUserPasswd'}})
    expect(cell.logged.join('\n')).not.toContain(PLANTED)
  })

  test('says who asked in the log of changes', async () => {
    await (await cell.session('root')).call('addRole', ['one'])
    expect(await lastActor()).toBe('unix/root')
    await cell.users.setUserAdmin(await idenOf('visi'), true, undefined, 'test')
    await (await cell.login('visi', 'visipass')).call('addRole', ['two'])
    expect(await lastActor()).toBe('telepath/visi/127.0.0.1')
  })

  test('of a method that was replaced is warned about once', async () => {
    const session = await cell.session(undefined)
    await session.call('getAuthInfo', ['visi'])
    await session.call('getAuthInfo', ['visi'])
    const warnings = cell.logged.filter((text) => text.includes('api.deprecated'))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('getUserDefByName')
  })

  test.each([
    ['addUser', [5], 'name must be a text'],
    ['addUser', ['x'.repeat(4097)], 'name must not be longer than 4096 characters'],
    ['setUserLocked', ['x', 1], 'locked must be true or false'],
    ['setUserRoles', ['x', 'all'], 'roleidens must be a list of texts'],
    ['logs', [1.5], 'last must be an integer from 0 to 1000'],
    ['logs', [1001], 'last must be an integer from 0 to 1000'],
    ['shutdown', ['soon'], 'timeout must be a number of seconds from 0 to 86400'],
    ['shutdown', [-1], 'timeout must be a number of seconds from 0 to 86400'],
    ['genUserOnepass', ['x', 0], 'duration must be an integer from 1 to 604800000'],
  ] as const)('%s(%j) is refused: %s', async (method, args, mesg) => {
    const session = await cell.session(undefined)
    expect(await errorOf(session.call(method, args))).toMatchObject(['BadArg', {mesg}])
    expect(cell.stops).toBe(0)
  })
})

async function lastActor(): Promise<string | undefined> {
  return (await cell.store.read(0, 1000)).at(-1)?.actor
}

describe('being another user', () => {
  test('holds for the whole session, in what he may and in the list of sessions', async () => {
    const session = await cell.session(undefined)
    await session.call('setCellUser', [await idenOf('visi')])
    expect(await nameOf(session)).toBe('visi')
    expect(await errorOf(session.call('getUserDefs'))).toMatchObject([
      'AuthDeny',
      {mesg: 'User is not an admin [visi]'},
    ])
    const other = await cell.session(undefined)
    expect(await other.call('getDmonSessions')).toMatchObject([{user: {name: 'visi'}}, {user: {name: 'root'}}])
  })

  test('ends with either of the two', async () => {
    await cell.users.addUser({name: 'kim'}, 'test')
    const [kim, visi] = [await idenOf('kim'), await idenOf('visi')]
    await cell.users.setUserAdmin(kim, true, undefined, 'test')
    const session = await cell.session('kim')
    await session.call('setCellUser', [visi])
    expect(cell.frame.sessionsOf(kim)).toEqual([session.id])
    expect(cell.frame.sessionsOf(visi)).toEqual([session.id])
    session.opened.closed?.()
    expect(cell.frame.sessionsOf(visi)).toEqual([])
  })
})

describe('getDmonSessions', () => {
  test('shows where sessions come from, until they are closed', async () => {
    const session = await cell.session(undefined)
    const remote = await cell.login('visi', 'visipass', {family: 'tls', address: '::1', port: 7})
    const items = new Map([[null, 'synapse.lib.aha.AhaApi']])
    expect(await session.call('getDmonSessions')).toEqual([
      {items, conninfo: {family: 'unix', addr: UNIX.address}, user: {iden: cell.users.rootIden, name: 'root'}},
      {
        items,
        conninfo: {family: 'tls', addr: ['::1', 7], ipver: 'ipv6'},
        user: {iden: await idenOf('visi'), name: 'visi'},
      },
    ])
    remote.opened.closed?.()
    expect(await session.call('getDmonSessions')).toHaveLength(1)
  })
})
