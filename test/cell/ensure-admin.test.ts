import {afterEach, beforeEach, expect, test} from 'vitest'
import {ensureAdmin} from '../../src/cell/ensure-admin.ts'
import {TestCell} from '../support/cell.ts'

let cell: TestCell
beforeEach(async () => {
  cell = await TestCell.open({network: 'demo.net'})
})
afterEach(() => cell.changeLog.close())

const userOf = (name: string) => cell.users.userByName(name)
const offset = () => cell.changeLog.nextOffset

test('a name that nobody has becomes an administrator, who is found by his certificate', async () => {
  await ensureAdmin(cell.users, 'boss@demo.net', 'demo.net')
  expect(userOf('boss@demo.net')).toMatchObject({isAdmin: true})
  expect(cell.frame.userOfCertificate('boss@demo.net')).toBe(userOf('boss@demo.net'))
})

test('a local user of that name in the own network is the one that is meant', async () => {
  await cell.users.addUser({name: 'visi'}, 'test')
  await ensureAdmin(cell.users, 'visi@demo.net', 'demo.net')
  expect(userOf('visi')).toMatchObject({isAdmin: true})
  expect(userOf('visi@demo.net')).toBeUndefined()
})

test('in another network the full name is', async () => {
  await cell.users.addUser({name: 'visi'}, 'test')
  await ensureAdmin(cell.users, 'visi@other.net', 'demo.net')
  expect(userOf('visi')).toMatchObject({isAdmin: false})
  expect(userOf('visi@other.net')).toMatchObject({isAdmin: true})
})

test('who is one already costs no entry in the log', async () => {
  await ensureAdmin(cell.users, 'boss@demo.net', 'demo.net')
  const before = offset()
  await ensureAdmin(cell.users, 'boss@demo.net', 'demo.net')
  await ensureAdmin(cell.users, 'root@demo.net', 'demo.net')
  expect(offset()).toBe(before)
})
