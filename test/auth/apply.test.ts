import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {recordsOf} from '../../src/auth/apply.ts'
import {type AuthChange, decodeAuthChange, encodeAuthChange} from '../../src/auth/change.ts'
import type {Rule, Shadow, User} from '../../src/auth/model.ts'
import {decodeRecord, encodeRecord, type TextRecord} from '../../src/auth/records.ts'
import {AuthState} from '../../src/auth/state.ts'

const USERS = ['u1', 'u2', 'u3']
const ROLES = ['r1', 'r2', 'r3']
const GATES = ['g1', 'g2']
const KEYS = ['k1', 'k2', 'k3']

const user = fc.constantFrom(...USERS)
const role = fc.constantFrom(...ROLES)
const gate = fc.constantFrom(null, ...GATES)
const name = fc.constantFrom('a', 'b', 'ü"\\', '__proto__', '\ud800')
const rules = fc.array(
  fc.tuple(fc.boolean(), fc.array(fc.constantFrom('a', 'b', '__proto__'), {minLength: 1, maxLength: 2})),
  {maxLength: 2},
) as fc.Arbitrary<readonly Rule[]>
const shadow: fc.Arbitrary<Shadow> = fc.nat(5).map((number) => ({
  type: 'pbkdf2',
  hashed: `hash${number}`,
  func_params: {salt: 'c2FsdA==', iterations: 1, hash_name: 'sha256'},
}))
const onepass = fc.record({sha256: fc.constant('00'), expiresMs: fc.nat()})
const roles = fc.uniqueArray(role)
const newUser: fc.Arbitrary<User> = fc.record({
  iden: user,
  name,
  email: fc.constantFrom(null, 'a@b', 'c@d'),
  rules,
  roles,
  isAdmin: fc.boolean(),
  isLocked: fc.boolean(),
  isArchived: fc.boolean(),
})
const key = fc.record({
  iden: fc.constantFrom(...KEYS),
  name,
  user,
  createdMs: fc.nat(),
  updatedMs: fc.nat(),
  expiresMs: fc.constantFrom(undefined, 1),
})

const simple: fc.Arbitrary<AuthChange> = fc.oneof(
  fc.record({kind: fc.constant('user:add'), user: newUser, shadow: fc.option(shadow)} as const),
  fc.record({kind: fc.constant('user:del'), iden: user} as const),
  fc.record({kind: fc.constant('user:name'), iden: user, name} as const),
  fc.record({kind: fc.constant('user:email'), iden: user, email: fc.constantFrom(null, 'a@b', 'c@d')} as const),
  fc.record({kind: fc.constant('user:admin'), iden: user, isAdmin: fc.boolean(), gate} as const),
  fc.record({kind: fc.constant('user:locked'), iden: user, isLocked: fc.boolean()} as const),
  fc.record({kind: fc.constant('user:archived'), iden: user, isArchived: fc.boolean()} as const),
  fc.record({kind: fc.constant('user:rules'), iden: user, rules, gate} as const),
  fc.record({kind: fc.constant('user:roles'), iden: user, roles} as const),
  fc.record({
    kind: fc.constant('user:passwd'),
    iden: user,
    shadow: fc.option(shadow),
    keep: fc.constantFrom(null, 1, 2),
  } as const),
  fc.record({kind: fc.constant('user:onepass'), iden: user, onepass: fc.option(onepass)} as const),
  fc.record({kind: fc.constant('role:add'), role: fc.record({iden: role, name, rules})} as const),
  fc.record({kind: fc.constant('role:del'), iden: role} as const),
  fc.record({kind: fc.constant('role:name'), iden: role, name} as const),
  fc.record({kind: fc.constant('role:rules'), iden: role, rules, gate} as const),
  fc.record({kind: fc.constant('gate:add'), iden: fc.constantFrom(...GATES), type: name} as const),
  fc.record({kind: fc.constant('key:add'), key, shadow} as const),
  fc.record({kind: fc.constant('key:name'), iden: fc.constantFrom(...KEYS), name, updatedMs: fc.nat()} as const),
  fc.record({kind: fc.constant('key:del'), iden: fc.constantFrom(...KEYS)} as const),
)
const change: fc.Arbitrary<AuthChange> = fc.oneof(
  {weight: 9, arbitrary: simple},
  {weight: 1, arbitrary: fc.array(simple, {maxLength: 4}).map((changes) => ({kind: 'several', changes}) as const)},
)

describe('a change of users', () => {
  test('is the same when it is read from the log', () => {
    fc.assert(
      fc.property(change, (made) => {
        expect(decodeAuthChange(encodeAuthChange(made))).toEqual(made)
      }),
      {numRuns: 500},
    )
  })

  test.each([
    ['{"v":2,"kind":"user:del","iden":"a"}', 'version 1'],
    ['{"kind":"user:del","iden":"a"}', 'version 1'],
    ['{"v":1,"kind":"user:rename","iden":"a"}', 'known kind: user:rename'],
    ['{"v":1,"kind":"register","seq":1}', 'known kind: register'],
    ['{"v":1,"kind":"user:del"}', 'iden'],
    ['{"v":1,"kind":"user:locked","iden":"a","isLocked":1}', 'isLocked'],
    ['{"v":1,"kind":"user:rules","iden":"a","gate":null,"rules":[[true,[]]]}', 'at least one'],
    ['{"v":1,"kind":"user:passwd","iden":"a","keep":null,"shadow":{"type":"plain"}}', 'object'],
    ['{"v":1,"kind":"several","changes":[{"kind":"several","changes":[]}]}', 'known kind: several'],
    ['[]', 'object'],
    ['{"v":1,', 'JSON'],
  ])('that was written otherwise is not taken: %s', (text, reason) => {
    expect(() => decodeAuthChange(text)).toThrow(reason)
  })

  test('leaves records that make the same state again, and applied from the log it is the same too', () => {
    fc.assert(
      fc.property(fc.array(change, {minLength: 30, maxLength: 60}), (changes) => {
        const state = new AuthState()
        const fromLog = new AuthState()
        const store = new Map<string, TextRecord>()
        for (const made of changes) {
          if (!fits(state, made)) continue
          const before = snapshot(state)
          const records = recordsOf(state, made)
          expect(snapshot(state)).toEqual(before)
          state.put(records)
          fromLog.put(recordsOf(fromLog, decodeAuthChange(encodeAuthChange(made))))
          for (const record of records.map(encodeRecord)) keep(store, record)
        }
        expect(snapshot(load(store))).toEqual(snapshot(state))
        expect(snapshot(fromLog)).toEqual(snapshot(state))
        expect(snapshot(state.copy())).toEqual(snapshot(state))
      }),
      {numRuns: 300},
    )
  })

  test('applied twice is the same as once', () => {
    fc.assert(
      fc.property(fc.array(change, {minLength: 10, maxLength: 30}), simple, (changes, last) => {
        fc.pre(!last.kind.endsWith(':name') && !last.kind.endsWith(':del'))
        const state = new AuthState()
        for (const made of changes) if (fits(state, made)) state.put(recordsOf(state, made))
        fc.pre(fits(state, last))
        state.put(recordsOf(state, last))
        const once = snapshot(state)
        state.put(recordsOf(state, last))
        expect(snapshot(state)).toEqual(once)
      }),
    )
  })

  test('about what does not exist is a mistake of ours', () => {
    const state = new AuthState()
    expect(() => recordsOf(state, {kind: 'user:name', iden: 'u', name: 'a'})).toThrow(TypeError)
    expect(() => recordsOf(state, {kind: 'user:admin', iden: 'u', isAdmin: true, gate: 'g'})).toThrow(TypeError)
  })
})

describe('what changes do', () => {
  test('deleting a role takes it from all users and gates at once', () => {
    const state = populated()
    state.put(recordsOf(state, {kind: 'role:del', iden: 'r1'}))
    expect(state.users().map((one) => one.roles)).toEqual([['r2'], ['r2']])
    expect(state.gate('g1')?.roles.size).toBe(0)
    expect(state.roleByName('one')).toBeUndefined()
  })

  test('deleting a user takes his keys, his password and what he has in gates', () => {
    const state = populated()
    state.put(recordsOf(state, {kind: 'user:del', iden: 'u1'}))
    expect([...state.records()].map((record) => record.key)).toEqual(['r1', 'r2', 'u2', 'g1', 'k2'])
    expect(state.gate('g1')?.users.size).toBe(0)
    expect([state.userByName('a'), state.userByEmail('a@b'), state.apiKeysOf('u1')]).toEqual([undefined, undefined, []])
    expect(state.apiKeysOf('u2')).toHaveLength(1)
  })

  test('what a user has in a gate vanishes when it is empty', () => {
    const state = populated()
    const put = (made: AuthChange) => state.put(recordsOf(state, made))
    put({kind: 'user:admin', iden: 'u1', isAdmin: true, gate: 'g1'})
    put({kind: 'user:rules', iden: 'u1', rules: [], gate: 'g1'})
    expect([...(state.gate('g1')?.users ?? [])]).toEqual([['u1', {rules: [], isAdmin: true}]])
    put({kind: 'user:admin', iden: 'u1', isAdmin: false, gate: 'g1'})
    expect(state.gate('g1')?.users.size).toBe(0)
  })

  test('archiving locks, and taking it back leaves the lock', () => {
    const state = populated()
    state.put(recordsOf(state, {kind: 'user:archived', iden: 'u1', isArchived: true}))
    expect(state.user('u1')).toMatchObject({isArchived: true, isLocked: true})
    state.put(recordsOf(state, {kind: 'user:archived', iden: 'u1', isArchived: false}))
    expect(state.user('u1')).toMatchObject({isArchived: false, isLocked: true})
  })

  test('as many passwords are remembered as the policy wants, the newest first', () => {
    const state = populated()
    for (const hashed of ['1', '2', '3']) {
      state.put(recordsOf(state, {kind: 'user:passwd', iden: 'u1', shadow: shadowOf(hashed), keep: 2}))
    }
    expect(state.credentials('u1').previous.map((one) => one.hashed)).toEqual(['3', '2'])
    state.put(recordsOf(state, {kind: 'user:passwd', iden: 'u1', shadow: null, keep: null}))
    expect(state.credentials('u1')).toMatchObject({shadow: null, previous: [{hashed: '3'}, {hashed: '2'}]})
  })

  test('a name that was given up is free, and stays with its next owner', () => {
    const state = populated()
    state.put(recordsOf(state, {kind: 'user:name', iden: 'u1', name: 'z'}))
    state.put(recordsOf(state, {kind: 'user:name', iden: 'u2', name: 'a'}))
    state.put(recordsOf(state, {kind: 'user:del', iden: 'u1'}))
    expect(state.userByName('a')?.iden).toBe('u2')
    expect(state.userByName('b')).toBeUndefined()
  })
})

describe('a record', () => {
  test('of another part of the server is left alone, and one that is damaged is not taken', () => {
    expect(decodeRecord({table: 'ticket', key: 'a', value: '{'})).toBeUndefined()
    expect(() => decodeRecord({table: 'auth:user', key: 'a', value: '{"iden":"a"}'})).toThrow(TypeError)
    expect(() => decodeRecord({table: 'auth:user', key: 'a', value: '{'})).toThrow(SyntaxError)
    expect(() => decodeRecord({table: 'auth:user', key: 'a', value: null})).toThrow('no value')
    expect(() => decodeRecord({table: 'auth:grant', key: 'a', value: '{}'})).toThrow('auth:grant')
  })
})

/** Whether the book would make this change: what it is about exists, and names, addresses and owners are what it makes sure of. */
function fits(state: AuthState, made: AuthChange): boolean {
  if (made.kind === 'several') {
    const later = state.copy()
    return made.changes.every((one) => {
      if (!fits(later, one)) return false
      later.put(recordsOf(later, one))
      return true
    })
  }
  if ('gate' in made && made.gate !== null && state.gate(made.gate) === undefined) return false
  switch (made.kind) {
    case 'user:add':
      return isFree(state, made.user.name, made.user.email) && state.user(made.user.iden) === undefined
    case 'user:name':
      return state.user(made.iden) !== undefined && state.userByName(made.name) === undefined
    case 'user:email':
      return state.user(made.iden) !== undefined && isFree(state, '', made.email)
    case 'role:add':
      return state.roleByName(made.role.name) === undefined && state.role(made.role.iden) === undefined
    case 'role:name':
      return state.role(made.iden) !== undefined && state.roleByName(made.name) === undefined
    case 'gate:add':
      return state.gate(made.iden) === undefined
    case 'key:add':
      return state.user(made.key.user) !== undefined && state.apiKey(made.key.iden) === undefined
    case 'key:name':
    case 'key:del':
      return state.apiKey(made.iden) !== undefined
    case 'role:del':
    case 'role:rules':
      return state.role(made.iden) !== undefined
    default:
      return state.user(made.iden) !== undefined
  }
}

function isFree(state: AuthState, userName: string, email: string | null): boolean {
  return state.userByName(userName) === undefined && (email === null || state.userByEmail(email) === undefined)
}

/** All that can be asked of a state, indexes included; independent of the order in which it came to be. */
function snapshot(state: AuthState) {
  const records = [...state.records()].map((record) => {
    const {table, key: id, value} = encodeRecord(record)
    return [`${table}/${id}`, value] as const
  })
  return {
    records: new Map(records.sort(([one], [other]) => (one < other ? -1 : 1))),
    counts: [state.userCount, state.roleCount, state.gateCount],
    users: state.users().map((one) => [state.userByName(one.name)?.iden, state.credentials(one.iden)]),
    emails: ['a@b', 'c@d'].map((email) => state.userByEmail(email)?.iden),
    names: ['a', 'b', 'ü"\\', '__proto__', '\ud800'].map((one) => [state.userByName(one), state.roleByName(one)]),
    roles: state.roles(),
    keys: USERS.map((one) => state.apiKeysOf(one)),
  }
}

function keep(store: Map<string, TextRecord>, record: TextRecord): void {
  const id = `${record.table}/${record.key}`
  if (record.value === null) store.delete(id)
  else store.set(id, record)
}

function load(store: ReadonlyMap<string, TextRecord>): AuthState {
  const state = new AuthState()
  for (const record of store.values()) {
    const read = decodeRecord(record)
    if (read !== undefined) state.put([read])
  }
  return state
}

function populated(): AuthState {
  const state = new AuthState()
  const plain = {rules: [], roles: ['r1', 'r2'], isAdmin: false, isLocked: false, isArchived: false}
  const newKey = {name: 'k', createdMs: 1, updatedMs: 1, expiresMs: undefined}
  const changes: AuthChange[] = [
    {kind: 'role:add', role: {iden: 'r1', name: 'one', rules: []}},
    {kind: 'role:add', role: {iden: 'r2', name: 'two', rules: []}},
    {kind: 'user:add', user: {...plain, iden: 'u1', name: 'a', email: 'a@b'}, shadow: shadowOf('0')},
    {kind: 'user:add', user: {...plain, iden: 'u2', name: 'b', email: null}, shadow: null},
    {kind: 'gate:add', iden: 'g1', type: 'view'},
    {kind: 'user:rules', iden: 'u1', rules: [[true, ['a']]], gate: 'g1'},
    {kind: 'role:rules', iden: 'r1', rules: [[true, ['a']]], gate: 'g1'},
    {kind: 'key:add', key: {...newKey, iden: 'k1', user: 'u1'}, shadow: shadowOf('k')},
    {kind: 'key:add', key: {...newKey, iden: 'k2', user: 'u2'}, shadow: shadowOf('k')},
  ]
  state.put(recordsOf(state, {kind: 'several', changes}))
  return state
}

function shadowOf(hashed: string): Shadow {
  return {type: 'pbkdf2', hashed, func_params: {salt: 'c2FsdA==', iterations: 1, hash_name: 'sha256'}}
}
