import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {readInaugural} from '../../src/cell/inaugural.ts'
import {openBook} from '../support/users.ts'

const vector = readFileSync(new URL('../vectors/auth-passwords.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
  .find((row) => 'inaugural' in row)

describe('the inaugural users and roles', () => {
  test('are those that Synapse 2.256.0 makes of them, with the same idens', async () => {
    using opened = await openBook({cellIden: vector.cell, inaugural: readInaugural(vector.inaugural)})
    const users = opened.book.users().map((user) => ({
      type: 'user',
      iden: user.iden,
      name: user.name,
      rules: user.rules,
      roles: user.roles,
      admin: user.isAdmin,
      email: user.email,
      locked: user.isLocked,
      archived: user.isArchived,
      authgates: {},
    }))
    expect(users).toEqual(vector.users)
    expect(opened.book.roles().map((role) => ({type: 'role', ...role, authgates: {}}))).toEqual(vector.roles)
  })

  test('are made with root in one entry, and not again in a store that has users', async () => {
    const inaugural = readInaugural(vector.inaugural)
    using opened = await openBook({inaugural})
    expect(await opened.store.allEntries()).toHaveLength(1)
    await opened.book.delUser(opened.book.userByName('visi')?.iden ?? '', 'telepath/root')
    using again = await opened.again({inaugural})
    expect(again.book.userByName('visi')).toBeUndefined()
  })

  test.each([
    ['a list', [], 'must be an object'],
    ['an unknown member', {user: []}, 'no member "user"'],
    ['users that are no list', {users: {}}, 'must be lists'],
    ['no name', {users: [{}]}, 'must be a text'],
    ['an empty name', {roles: [{name: ''}]}, 'must not be empty'],
    ['root', {users: [{name: 'root'}]}, 'user "root" occurs twice or is built in'],
    ['the role all', {roles: [{name: 'all'}]}, 'role "all" occurs twice or is built in'],
    ['a name twice', {users: [{name: 'a'}, {name: 'a'}]}, 'user "a" occurs twice'],
    [
      'an address twice',
      {
        users: [
          {name: 'a', email: 'x@y'},
          {name: 'b', email: 'X@Y'},
        ],
      },
      'email "x@y" occurs twice',
    ],
    ['a role that it does not have', {users: [{name: 'a', roles: ['b']}]}, 'no role named "b"'],
    ['a role that is no text', {users: [{name: 'a', roles: [1]}]}, 'roles must be names'],
    ['a rule of nothing', {roles: [{name: 'a', rules: [[true, []]]}]}, 'rule 0'],
    ['a password', {users: [{name: 'a', passwd: 'x'}]}, 'no member "passwd"'],
    ['admin that is no boolean', {users: [{name: 'a', admin: 1}]}, 'admin must be'],
    ['an address that is none', {users: [{name: 'a', email: 'x'}]}, 'Email address expected'],
    ['an address that is no text', {users: [{name: 'a', email: 1}]}, 'email must be a text'],
    ['more than fits', {roles: Array.from({length: 1001}, (_, index) => ({name: `r${index}`}))}, 'more than 1000'],
  ])('are refused with %s', (_what, value, reason) => {
    expect(() => readInaugural(value)).toThrow(expect.objectContaining({code: 'REG_CONFIG_INVALID'}))
    expect(() => readInaugural(value)).toThrow(reason)
  })

  test('may be left out in part', () => {
    expect(readInaugural({})).toEqual({roles: [], users: []})
    expect(readInaugural({roles: null, users: [{name: 'a', email: null, roles: null}]}).users).toHaveLength(1)
  })
})
