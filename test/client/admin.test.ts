import {beforeEach, describe, expect, test} from 'vitest'
import {CellAdmin} from '../../src/client/admin.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'

let admin: CellAdmin
let calls: DirectCall
beforeEach(async () => {
  const cell = await TestCell.open()
  calls = new DirectCall(await cell.session(undefined))
  admin = new CellAdmin(calls)
})

describe('the users of a cell', () => {
  test('are added, found, changed and removed', async () => {
    const added = await admin.addUser('visi', 'Visi@Vertex.Link')
    expect(added).toMatchObject({name: 'visi', email: 'visi@vertex.link', isAdmin: false, roles: [{name: 'all'}]})
    await admin.setAdmin(added.iden, true)
    await admin.setLocked(added.iden, true)
    await admin.setEmail(added.iden, null)
    expect(await admin.user('visi')).toMatchObject({isAdmin: true, isLocked: true, isArchived: false, email: null})
    await admin.setArchived(added.iden, true)
    expect((await admin.users()).map(({name, isArchived}) => [name, isArchived])).toEqual([
      ['root', false],
      ['visi', true],
    ])
    await admin.remove('user', added.iden)
    expect(await admin.findUser('visi')).toBeUndefined()
  })

  test('that are not there are said to be so, with the nearest name', async () => {
    await admin.addUser('visi', undefined)
    await expect(admin.user('vissi')).rejects.toMatchObject({
      code: 'REG_NOT_FOUND',
      telepath: 'NoSuchUser',
      message: 'there is no user "vissi"',
      hints: ['registry user show visi', 'registry user list', 'registry user add vissi'],
    })
    await expect(admin.userIden('nobody')).rejects.toMatchObject({
      telepath: 'NoSuchUser',
      hints: ['registry user list'],
    })
  })

  test('have rules in an order, also at gates, and roles in an order', async () => {
    const {iden} = await admin.addUser('visi', undefined)
    await admin.addRule('user', iden, [true, ['axon']], 0)
    await admin.addRule('user', iden, [false, ['axon', 'del']], 0)
    expect((await admin.user('visi')).rules).toEqual([
      [false, ['axon', 'del']],
      [true, ['axon']],
    ])
    expect(await admin.isAllowed('user', iden, ['axon', 'upload'])).toBe(true)
    expect(await admin.isAllowed('user', iden, ['axon', 'del'])).toBe(false)
    const role = await admin.addRole('keepers')
    await admin.setRules('role', role.iden, [[true, ['health']]])
    await admin.grant(iden, role.iden, 0)
    expect((await admin.user('visi')).roles.map(({name}) => name)).toEqual(['keepers', 'all'])
    expect(await admin.role('keepers')).toMatchObject({rules: [[true, ['health']]]})
    await admin.revoke(iden, role.iden)
    await admin.remove('role', role.iden)
    expect((await admin.roles()).map(({name}) => name)).toEqual(['all'])
  })

  test('have API keys, whose text is given once', async () => {
    const {iden} = await admin.addUser('visi', undefined)
    const {text, key} = await admin.addKey('backup', {userIden: iden, durationMs: 60_000})
    expect(text).toMatch(/^[A-Za-z0-9_=-]{44}$/)
    expect(key).toMatchObject({name: 'backup', user: iden, expiresMs: key.createdMs + 60_000})
    expect(await admin.keys(iden)).toEqual([key])
    expect(await admin.keys()).toEqual([])
    await admin.removeKey(key.iden)
    expect(await admin.keys(iden)).toEqual([])
  })
})

test('the session is closed with it', async () => {
  await admin[Symbol.asyncDispose]()
  expect(calls.isClosed).toBe(true)
})

describe('an answer that makes no sense', () => {
  const odd = (value: Value) => new CellAdmin(Object.assign(calls, {call: async () => value}))

  test.each<[string, Value]>([
    ['no list', 'users'],
    ['no user', [5]],
    ['no name', [{iden: 'a'}]],
    ['rules that are none', [{iden: 'a', name: 'b', rules: [['yes', 'a.b']]}]],
    ['roles that are none', [{iden: 'a', name: 'b', roles: [7]}]],
  ])('is refused: %s', async (_, value) => {
    await expect(odd(value).users()).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('is refused: a key that is none', async () => {
    await expect(odd([5, {}]).addKey('a', {})).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  })
})
