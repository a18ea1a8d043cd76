import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

let cell: TestCell
let root: TestSession
beforeEach(async () => {
  cell = await TestCell.open()
  root = await cell.session(undefined)
})

async function errorOf(call: Promise<Value>): Promise<unknown> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof RegistryError ? [error.telepath, error.message] : error
}

describe('a cell that leads and has no mirrors', () => {
  // What a real AHA and a real cell of 2.256.0 answer, neither of them a service of an AHA.
  test.each<[string, readonly Value[], Record<string, Value>, string, string]>([
    ['promote', [], {}, 'BadConfValu', 'promote() called on non-mirror'],
    ['promote', [], {graceful: true}, 'BadConfValu', 'promote() called on non-mirror'],
    ['demote', [], {}, 'NeedConfValu', 'AHA is not configured on this service.'],
    ['demote', [], {timeout: 1}, 'NeedConfValu', 'AHA is not configured on this service.'],
    ['getMirrorUrls', [], {}, 'BadConfValu', 'Enumerating mirror URLs is only supported when AHA is configured'],
  ])('answers %s as the peer does', async (method, args, kwargs, name, text) => {
    expect(await errorOf(root.call(method, args, kwargs))).toEqual([name, text])
  })

  test('that is a service of an AHA has nobody to give the lead to', async () => {
    const member = await (await TestCell.open({}, {isMember: true})).session(undefined)
    expect(await member.call('demote', [], {timeout: 60})).toBe(false)
    expect(await member.call('getMirrorUrls')).toEqual([])
    expect(await errorOf(member.call('promote'))).toEqual(['BadConfValu', 'promote() called on non-mirror'])
  })

  test('tells administrators only', async () => {
    await cell.users.addUser({name: 'visi'}, 'test')
    const visi = await cell.session('visi')
    for (const method of ['getNexsIndx', 'waitNexsOffs', 'getNexusChanges', 'getMirrorUrls', 'promote', 'demote']) {
      const args = ['waitNexsOffs', 'getNexusChanges'].includes(method) ? [0] : []
      expect(await errorOf(visi.call(method, args))).toEqual(['AuthDeny', 'User is not an admin [visi]'])
    }
    expect(await visi.call('isCellActive')).toBe(true)
  })
})

describe('the offset', () => {
  test('that is next rises with every change', async () => {
    const before = Number(await root.call('getNexsIndx'))
    expect(before).toBe(cell.changeLog.nextOffset)
    await cell.users.addRole('one', undefined, 'test')
    expect(await root.call('getNexsIndx')).toBe(cell.changeLog.nextOffset)
    expect(cell.changeLog.nextOffset).toBeGreaterThan(before)
  })

  test('is waited for until it is written', async () => {
    const next = cell.changeLog.nextOffset
    expect(await root.call('waitNexsOffs', [next - 1])).toBe(true)
    expect(await root.call('waitNexsOffs', [-1])).toBe(true)
    const waiting = root.call('waitNexsOffs', [next])
    const further = root.call('waitNexsOffs', [next + 1], {timeout: 60})
    await cell.users.addRole('one', undefined, 'test')
    expect(await waiting).toBe(true)
    await cell.users.addRole('two', undefined, 'test')
    expect(await further).toBe(true)
  })

  test('that does not come in time is told as false', async () => {
    expect(await root.call('waitNexsOffs', [1000], {timeout: 0.01})).toBe(false)
    expect(await root.call('waitNexsOffs', [1000, 0])).toBe(false)
  })

  test('is not waited for any more when the caller has left', async () => {
    const waiting = root.call('waitNexsOffs', [1000])
    root.leave.abort(new Error('gone'))
    expect(await waiting).toBe(false)
  })

  test('must be a number', async () => {
    for (const offset of ['x', null, 1.5]) {
      expect(await errorOf(root.call('waitNexsOffs', [offset]))).toMatchObject([
        'BadArg',
        expect.stringMatching(/^offs must be an integer/),
      ])
    }
  })
})

describe('the change log', () => {
  /** Gives the offsets of the items, and null where the caller is told that he is caught up. */
  async function offsets(kwargs: Record<string, Value>): Promise<readonly Value[]> {
    const items = (await root.call('getNexusChanges', [], kwargs)) as readonly ([number, Value] | null)[]
    return items.map((item) => (item === null ? null : item[0]))
  }

  function upTo(next: number, from = 0): readonly number[] {
    return Array.from({length: next - from}, (_, index) => from + index)
  }

  // As a real cell of 2.256.0 was seen to answer.
  test('is read from an offset to its end', async () => {
    const next = cell.changeLog.nextOffset
    expect(await offsets({offs: 0, wait: false})).toEqual(upTo(next))
    expect(await offsets({offs: 0, wait: false, tellready: true})).toEqual([...upTo(next), null])
    expect(await offsets({offs: -2, wait: false})).toEqual(upTo(next))
    expect(await offsets({offs: 1, wait: false})).toEqual(upTo(next, 1))
    expect(await offsets({offs: next, wait: false})).toEqual([])
    expect(await offsets({offs: next + 3, wait: false, tellready: true})).toEqual([null])
  })

  test('goes on with what comes, from an offset that is yet to come too', async () => {
    const next = cell.changeLog.nextOffset
    const answer = await root.answer('getNexusChanges', [next + 1], {tellready: true})
    if (answer.kind !== 'stream') throw new Error('no stream')
    const items = answer.items[Symbol.asyncIterator]()
    expect((await items.next()).value).toBeNull()
    const waiting = items.next()
    for (const name of ['one', 'two']) await cell.users.addRole(name, undefined, 'telepath/visi')
    expect((await waiting).value).toMatchObject([
      next + 1,
      [
        cell.parts.cellIden,
        'role:add',
        [{kind: 'role:add', role: {name: 'two'}}],
        {},
        {epoch: 1, actor: 'telepath/visi', hash: expect.stringMatching(/^[0-9a-f]{64}$/)},
      ],
    ])
    const further = items.next()
    root.leave.abort(new Error('gone'))
    await expect(further).rejects.toThrow('getNexusChanges was killed')
  })

  test('tells no secret, and no one-time URL', async () => {
    const {users} = cell
    const {iden} = await users.addUser({name: 'visi', passwd: 'planted-passwd'}, 'test')
    const onepass = await users.genUserOnepass(iden, 60_000, 'test')
    const [key] = (await root.call('addUserApiKey', ['k', null, iden])) as readonly [string]
    const provinfo = {conf: {'auth:passwd': 'planted-conf'}}
    const urls = [
      await root.call('addAhaSvcProv', ['00.axon'], {provinfo}),
      await root.call('addAhaUserEnroll', ['kim']),
    ]
    const idens = urls.map((url) => /[0-9a-f]{32}/.exec(String(url))?.[0] ?? '')
    await root.call('delAhaSvcProv', [idens[0] ?? ''])
    const text = JSON.stringify(await root.call('getNexusChanges', [0], {wait: false}))
    expect(text).toContain('ticket:add')
    expect(text).toContain('ticket:del')
    for (const secret of ['planted-passwd', onepass, key, 'planted-conf', ...idens]) {
      expect(secret).not.toBe('')
      expect(text).not.toContain(secret)
    }
  })
})
