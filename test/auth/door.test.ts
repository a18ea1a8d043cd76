import {describe, expect, test} from 'vitest'
import {authorize} from '../../src/auth/door.ts'
import type {Principal, User} from '../../src/auth/model.ts'
import type {Need} from '../../src/auth/need.ts'
import {AuthState} from '../../src/auth/state.ts'
import {RegistryError} from '../../src/base/errors.ts'

const READ: Need = {kind: 'permission', path: ['aha', 'service', 'get']}
const SELF: Need = {kind: 'permission', path: ['auth', 'self', 'set', 'passwd'], byDefault: true}
const NEEDS = {
  anyone: {kind: 'anyone'},
  login: {kind: 'login'},
  admin: {kind: 'admin'},
  read: READ,
  self: SELF,
} as const

const directory = new AuthState()
const principals: Record<string, Principal> = {
  anonymous: {kind: 'anonymous'},
  'zmq:anon': {kind: 'zmq:anon'},
  user: user('visi', {}),
  reader: user('reader', {rules: [[true, ['aha']]]}),
  denied: user('denied', {rules: [[false, ['auth']]]}),
  admin: user('root', {isAdmin: true}),
  locked: user('locked', {isAdmin: true, isLocked: true}),
  deleted: {kind: 'user', iden: 'e'.repeat(32)},
}

describe('the door', () => {
  test.each([
    ['anonymous', ['anyone']],
    ['zmq:anon', ['anyone']],
    ['user', ['anyone', 'login', 'self']],
    ['reader', ['anyone', 'login', 'read', 'self']],
    ['denied', ['anyone', 'login']],
    ['admin', ['anyone', 'login', 'admin', 'read', 'self']],
    ['locked', []],
    ['deleted', []],
  ])('lets %s in for %j only', (name, open) => {
    const found = Object.entries(NEEDS).filter(([, need]) => refusalOf(principals[name], need) === undefined)
    expect(found.map(([need]) => need)).toEqual(open)
  })

  test('says what the peer says, with its facts', () => {
    const facts = {user: 'visi'.padEnd(32, '0'), username: 'visi'}
    expect(refusalOf(principals['user'], {kind: 'admin'})).toMatchObject({
      code: 'REG_DENIED',
      telepath: 'AuthDeny',
      message: 'User is not an admin [visi]',
      info: facts,
    })
    expect(refusalOf(principals['user'], READ)).toMatchObject({
      telepath: 'AuthDeny',
      message: 'User must have permission aha.service.get',
      info: {...facts, perm: 'aha.service.get'},
      hints: ['No matching rule found.'],
    })
    expect(refusalOf(principals['locked'], {kind: 'login'})?.message).toBe('User (locked) is locked.')
    expect(refusalOf(principals['deleted'], {kind: 'login'})?.telepath).toBe('NoSuchUser')
    expect(refusalOf(principals['anonymous'], {kind: 'login'})?.telepath).toBe('AuthDeny')
  })

  test('asks the rules of the object that is touched', () => {
    const reader = principals['user']
    const users = new Map([['visi'.padEnd(32, '0'), {rules: [[true, ['view']] as const], isAdmin: false}]])
    directory.put([{table: 'gate', key: 'g', value: {iden: 'g', type: 'view', users, roles: new Map()}}])
    expect(refusalOf(reader, {kind: 'permission', path: ['view', 'read'], gate: 'g'})).toBeUndefined()
    expect(refusalOf(reader, {kind: 'permission', path: ['axon'], gate: 'g'})?.message).toBe(
      'User must have permission axon on object g (view).',
    )
  })

  test('looks the user up at each call', () => {
    const late = user('late', {isAdmin: true})
    expect(refusalOf(late, {kind: 'admin'})).toBeUndefined()
    user('late', {isAdmin: false})
    expect(refusalOf(late, {kind: 'admin'})?.message).toBe('User is not an admin [late]')
  })
})

function refusalOf(principal: Principal | undefined, need: Need): RegistryError | undefined {
  if (principal === undefined) throw new Error('no such principal')
  try {
    authorize(directory, principal, need)
    return undefined
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
}

function user(name: string, more: Partial<User>): Principal {
  const iden = name.padEnd(32, '0')
  const plain = {email: null, rules: [], roles: [], isAdmin: false, isLocked: false, isArchived: false}
  directory.put([{table: 'user', key: iden, value: {iden, name, ...plain, ...more}}])
  return {kind: 'user', iden}
}
