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
    expect(await member.call('demote', [], {timeout: 1})).toBe(false)
    expect(await member.call('getMirrorUrls')).toEqual([])
    expect(await errorOf(member.call('promote'))).toEqual(['BadConfValu', 'promote() called on non-mirror'])
  })

  test('tells administrators only', async () => {
    await cell.users.addUser({name: 'visi'}, 'test')
    const visi = await cell.session('visi')
    for (const method of ['getNexsIndx', 'waitNexsOffs', 'getMirrorUrls', 'promote', 'demote']) {
      const args = method === 'waitNexsOffs' ? [0] : []
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
