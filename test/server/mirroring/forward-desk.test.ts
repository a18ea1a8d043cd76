import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {encodeCall} from '../../../src/server/mirroring/forwarded-call.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import type {Peer} from '../../../src/wire/telepath/share.ts'
import {AHA_NETWORK} from '../../support/aha.ts'
import {TestCell} from '../../support/cell.ts'
import {MirrorCell} from '../../support/mirror-cell.ts'

const VISI: Peer = {family: 'tcp', address: '10.0.0.7', port: 40_000}
const ROOT_CERTIFICATE = {name: `root@${AHA_NETWORK}`, issuer: AHA_NETWORK, serial: '1', fingerprint: '00'}

async function addAdmin({users}: TestCell, name = 'visi'): Promise<string> {
  const {iden} = await users.addUser({name, passwd: 'secret'}, 'test')
  await users.setUserAdmin(iden, true, undefined, 'test')
  return iden
}

async function lastEntry({changeLog, store}: TestCell) {
  const [entry] = await store.read(changeLog.nextOffset - 1, 1)
  return entry
}

describe('at a mirror', () => {
  test('a change is made by the leader, for the user who asked, from where he is', async () => {
    const {leader, mirror} = await MirrorCell.open()
    await addAdmin(leader)
    const visi = await mirror.login('visi', 'secret', VISI)
    await visi.call('addRole', ['ninjas'])
    expect(leader.users.roleByName('ninjas')).toBeDefined()
    const entry = await lastEntry(leader)
    expect([entry?.actor, entry?.change]).toEqual(['telepath/visi/10.0.0.7', expect.stringContaining('ninjas')])
    const called = leader.logged.findLast((line) => line.includes('api.called')) ?? '{}'
    expect(JSON.parse(called)).toMatchObject({username: 'visi', params: {api: 'CellApi.addRole', via: '01.aha'}})
  })

  test('who acts as another user does so at the leader', async () => {
    const {leader, mirror} = await MirrorCell.open()
    await addAdmin(leader)
    const root = await mirror.session('root')
    await root.call('setCellUser', [leader.users.userByName('visi')?.iden])
    await root.call('addRole', ['ninjas'])
    expect((await lastEntry(leader))?.actor).toBe('unix/visi')
  })

  test('a read asks nobody', async () => {
    const mirrored = await MirrorCell.open()
    const root = await mirrored.mirror.session('root')
    await root.call('getUserDefs')
    await root.call('getAhaSvcs')
    expect(mirrored.asked).toBe(0)
  })

  test('an error is the one of the leader', async () => {
    const {leader, mirror} = await MirrorCell.open()
    await addAdmin(leader)
    const there = await leader.session('root')
    const here = await mirror.session('root')
    for (const [method, args] of [
      ['addUser', ['visi']],
      ['setUserEmail', ['0'.repeat(32), 'x']],
      ['addUserRole', ['0'.repeat(32), '0'.repeat(32)]],
      ['setUserPasswd', [leader.users.rootIden, '']],
      ['addAhaPoolSvc', ['no...', 'no...', {}]],
      ['addUser', ['x', 7]],
    ] as const) {
      const expected: unknown = await there.call(method, args).catch((error: unknown) => error)
      const {code, telepath, message, info, hints} = expected as Record<string, unknown>
      await expect(here.call(method, args), method).rejects.toMatchObject({code, telepath, message, info, hints})
    }
  })

  test('the leader has the last word on who may', async () => {
    const {leader, mirror} = await MirrorCell.open()
    await addAdmin(leader)
    const visi = await mirror.login('visi', 'secret', VISI)
    await leader.users.setUserAdmin(String(leader.users.userByName('visi')?.iden), false, undefined, 'test')
    await expect(visi.call('addRole', ['ninjas'])).rejects.toMatchObject({telepath: 'AuthDeny'})
  })

  test('what the leader becomes meanwhile is done here', async () => {
    const {mirror, role, leader} = await MirrorCell.open()
    role.set('closing')
    const root = await mirror.session('root')
    const answer = root.call('addRole', ['ninjas'])
    role.set('leads')
    await answer
    expect((await lastEntry(leader))?.actor).toBe('unix/root')
  })
})

describe('while the lead moves', () => {
  /** From the next change on no more are taken, for a moment. */
  function leadMovesAfterNext({changeLog}: TestCell): void {
    const propose = changeLog.propose.bind(changeLog)
    changeLog.propose = (proposal) => {
      changeLog.propose = propose
      propose(proposal)
      changeLog.setSource({kind: 'none', code: 'REG_NOT_LEADER', reason: 'the lead moves'})
      setTimeout(() => changeLog.setSource({kind: 'own'}), 30)
    }
  }

  test.each([
    ['addAhaUserEnroll', ['bob']],
    ['addAhaSvcProv', ['00.axon', {conf: {'aha:user': 'axon'}}]],
  ])('%s is not begun again when a part of it was done: it is not confirmed', async (method, args) => {
    const mirrored = await MirrorCell.open()
    const root = await mirrored.mirror.session('root')
    leadMovesAfterNext(mirrored.leader)
    const before = mirrored.leader.changeLog.nextOffset
    await expect(root.call(method, args)).rejects.toMatchObject({code: 'REG_NOT_CONFIRMED'})
    expect(mirrored.asked).toBe(1)
    expect(mirrored.leader.changeLog.nextOffset).toBe(before + 1)
  })

  test.each([
    ['addAhaUserEnroll', ['bob'], 1, 'REG_NOT_CONFIRMED'],
    ['addAhaUserEnroll', ['bob'], 0, 'REG_NOT_LEADER'],
  ])('%s, asked of the leader itself, says whether a part of it was done', async (method, args, done, code) => {
    const forwarder = {isNeeded: false, run: () => Promise.reject(new Error('it was passed on'))}
    const leader = await TestCell.open({network: AHA_NETWORK}, {forwarder})
    const root = await leader.session('root')
    const before = leader.changeLog.nextOffset
    if (done > 0) leadMovesAfterNext(leader)
    else leader.changeLog.setSource({kind: 'none', code: 'REG_NOT_LEADER', reason: 'the lead moves'})
    await expect(root.call(method, args)).rejects.toMatchObject({code})
    expect(leader.changeLog.nextOffset).toBe(before + done)
  })

  test('what was refused before its first change is asked again', async () => {
    const mirrored = await MirrorCell.open()
    const {changeLog, users} = mirrored.leader
    const root = await mirrored.mirror.session('root')
    changeLog.setSource({kind: 'none', code: 'REG_NOT_LEADER', reason: 'the lead moves'})
    setTimeout(() => changeLog.setSource({kind: 'own'}), 30)
    await root.call('addRole', ['ninjas'])
    expect(mirrored.asked).toBe(2)
    expect(users.roleByName('ninjas')).toBeDefined()
  })
})

describe('the method forward', () => {
  const desk = {take: () => Promise.reject(new Error('it came through'))}

  test('is for members of the cell only, whatever is sent to it', async () => {
    const cell = await TestCell.open({network: AHA_NETWORK}, {forwards: desk, memberName: ROOT_CERTIFICATE.name})
    await addAdmin(cell)
    const call = encodeCall({via: 'lock', user: cell.users.rootIden, actor: 'x'})
    const sessions = [
      await cell.session('root'),
      await cell.login('visi', 'secret', VISI),
      await cell.session(undefined, {
        peer: {...VISI, family: 'tls', certificate: {...ROOT_CERTIFICATE, name: `visi@${AHA_NETWORK}`}},
      }),
    ]
    const any = fc.oneof(
      fc.constant(call),
      fc.jsonValue(),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    )
    await fc.assert(
      fc.asyncProperty(any, fc.constantFrom(...sessions), async (value, session) => {
        await expect(session.call('forward', [value as Value])).rejects.toMatchObject({code: 'REG_DENIED'})
        await expect(session.call('redeem', [JSON.stringify(value), 'x', 'tls'])).rejects.toMatchObject({
          code: 'REG_DENIED',
        })
      }),
    )
    const member = await cell.session(undefined, {peer: {...VISI, family: 'tls', certificate: ROOT_CERTIFICATE}})
    await expect(member.call('forward', [call])).rejects.toThrow('it came through')
  })

  test('does nothing that no mirror passes on', async () => {
    const {forwarder} = await MirrorCell.open()
    const session = {id: 's', peer: VISI}
    const here = () => Promise.reject(new Error('it is not done here'))
    for (const method of ['getUserDefs', 'shutdown', 'setCellUser', 'forward', 'watch', 'newp']) {
      const call = {via: 'telepath', method, args: [], kwargs: {}, user: 'x', session} as const
      await expect(forwarder.run(call, here), method).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
    }
    for (const route of ['login', 'logout', 'users', '__proto__', 'newp']) {
      const call = {via: 'https', route, params: {}, body: '{}', user: 'x', address: '10.0.0.7'} as const
      await expect(forwarder.run(call, here), route).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
    }
  })
})
