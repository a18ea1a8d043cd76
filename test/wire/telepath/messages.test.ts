import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {decode} from '../../../src/wire/msgpack/decode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {
  errorMessage,
  itemMessage,
  readMessage,
  readSyn,
  readTodo,
  sentOften,
} from '../../../src/wire/telepath/messages.ts'

describe('a greeting', () => {
  test.each<[Value, string, readonly string[]]>([
    [undefined, '*', []],
    [null, '*', []],
    ['', '*', []],
    ['cortex', 'cortex', []],
    ['cortex/', 'cortex', []],
    ['cortex/layer/iden', 'cortex', ['layer', 'iden']],
    ['cortex/layer/', 'cortex', ['layer', '']],
    ['/layer', '', ['layer']],
  ])('for %j asks for the share %j with the path %j', (name, share, path) => {
    expect(readSyn({vers: [3, 0], name})).toEqual({name: share, path, auth: undefined})
  })

  test('carries a login, with or without a password', () => {
    expect(readSyn({vers: [3, 9], auth: ['visi', {passwd: 'x'}]}).auth).toEqual({user: 'visi', passwd: 'x'})
    expect(readSyn({vers: [3, 0], auth: ['visi', {passwd: null}]}).auth).toEqual({user: 'visi', passwd: null})
    expect(readSyn({vers: [3, 0], auth: ['visi']}).auth).toEqual({user: 'visi', passwd: null})
  })

  test.each<[Value]>([[undefined], [null], [3], [[]], [['3']], [[4, 0]]])('of version %j is refused', (vers) => {
    expect(() => readSyn({vers})).toThrow(expect.objectContaining({telepath: 'BadMesgVers'}))
  })
})

describe('a message', () => {
  test('may have other keys than names beside those that count', () => {
    const message = readMessage([
      't2:init',
      new Map<Value, Value>([
        [1, 2],
        ['sess', 'abc'],
      ]),
    ])
    expect(message).toEqual({kind: 'call', body: {sess: 'abc'}})
  })

  test.each<[Value]>([[['t2:init', Buffer.of(1)]], [['t2:init', [1]]], [['t2:init', 'text']]])(
    'whose body is no map has none: %j',
    (message) => {
      expect(readMessage(message)).toEqual({kind: 'call', body: undefined})
    },
  )
})

test.each<[Value]>([
  [undefined],
  ['add'],
  [['add', []]],
  [['add', [], {}, 1]],
  [[5, [], {}]],
  [['', [], {}]],
  [['add', 'x', {}]],
  [['add', [], null]],
  [['add', [], []]],
])('the call %j is malformed', (todo) => {
  expect(() => readTodo(todo)).toThrow(expect.objectContaining({telepath: 'BadMesgFormat'}))
})

test('an error whose facts cannot be sent is sent without them', () => {
  let deep: unknown = 1
  for (let level = 0; level < 2000; level++) deep = [deep]
  const error = new RegistryError('REG_CONFLICT', 'stands in the way', {info: {deep, odd: Symbol('odd')}})
  const [, {retn}] = decode(errorMessage(error)) as [string, {retn: [boolean, [string, Record<string, Value>]]}]
  expect(retn[0]).toBe(false)
  expect(retn[1]).toMatchObject(['BadState', {mesg: 'stands in the way'}])
})

describe('an item that is sent often', () => {
  test('is encoded once, to the bytes that it would have anyway', () => {
    const item = () => ({name: '00.axon', list: [1, null, {a: 'é'}]})
    const plain = itemMessage(item())
    const often = sentOften(item())
    const first = itemMessage(often)
    const bytes = Buffer.from(first)
    for (let i = 0; i < 1000; i++) itemMessage({other: i}) // what is written after it leaves it alone
    expect(first).toEqual(bytes)
    expect(first).toEqual(plain)
    expect(itemMessage(often)).toBe(first)
    expect(itemMessage(item())).not.toBe(plain)
  })
})
