import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  type AhaPool,
  type AhaPoolChange,
  checkPoolName,
  decodePool,
  decodePoolChange,
  encodePool,
  encodePoolChange,
  poolAfter,
  readCreator,
} from '../../src/registry/aha-pool.ts'

const IDEN = '0f'.repeat(16)
const service = fc.constantFrom('00.axon.net', '01.axon.net', '__proto__.net', 'ü"\\.net')
const pool = fc.constant('pool.net')
const createdMs = fc.nat()
const creator = fc.constantFrom(IDEN, '1'.repeat(32))
const change: fc.Arbitrary<AhaPoolChange> = fc.oneof(
  fc.record({kind: fc.constant('aha:pool:add'), pool, createdMs, creator} as const),
  fc.record({kind: fc.constant('aha:pool:del'), pool} as const),
  fc.record({kind: fc.constant('aha:pool:svc:add'), pool, service, createdMs, creator} as const),
  fc.record({kind: fc.constant('aha:pool:svc:del'), pool, service} as const),
)

describe('a change of a pool', () => {
  test('is the same when it is read from the log', () => {
    fc.assert(
      fc.property(change, (made) => {
        expect(decodePoolChange(encodePoolChange(made))).toEqual(made)
      }),
    )
  })

  test('leaves a pool that is the same when it is read from the store, with each service once', () => {
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        let now: AhaPool | undefined
        for (const one of changes) {
          const before = JSON.stringify(now)
          const next = poolAfter(one, now)
          expect(JSON.stringify(now)).toBe(before)
          now = next
          if (now === undefined) continue
          expect(decodePool(encodePool(now))).toEqual(now)
          const services = now.members.map((member) => member.service)
          expect(new Set(services).size).toBe(services.length)
        }
      }),
    )
  })

  test('keeps the place of a service that is put in again', () => {
    const put = (name: string, atMs: number) =>
      ({kind: 'aha:pool:svc:add', pool: 'p', service: name, createdMs: atMs, creator: IDEN}) as const
    let now = poolAfter({kind: 'aha:pool:add', pool: 'p', createdMs: 1, creator: IDEN}, undefined)
    for (const one of [put('a', 1), put('b', 2), put('a', 3)]) now = poolAfter(one, now)
    expect(now?.members.map(({service: name, createdMs: atMs}) => [name, atMs])).toEqual([
      ['a', 3],
      ['b', 2],
    ])
    now = poolAfter({kind: 'aha:pool:svc:del', pool: 'p', service: 'a'}, now)
    expect(now?.members.map((member) => member.service)).toEqual(['b'])
  })

  test('of the members of a pool that is not there leaves none', () => {
    expect(poolAfter({kind: 'aha:pool:svc:del', pool: 'p', service: 'a'}, undefined)).toBeUndefined()
  })

  test.each([
    ['{"v":2,"kind":"aha:pool:del","pool":"p"}', 'not a change of version 1'],
    ['{"v":1,"kind":"aha:pool:new","pool":"p"}', 'not a change of a known kind'],
    ['{"v":1,"kind":"aha:pool:del"}', 'pool is not a text'],
    ['{"v":1,"kind":"aha:pool:add","pool":"p","createdMs":"1","creator":"i"}', 'createdMs is not a number'],
    ['7', 'not an object'],
  ])('that is none is not read: %s', (text, why) => {
    expect(() => decodePoolChange(text)).toThrow(why)
  })
})

test('a damaged pool is not read', () => {
  expect(() => decodePool('{"name":"p","createdMs":1,"creator":"i"}')).toThrow('members is not a list')
  expect(() => decodePool('{"name":"p","createdMs":1,"creator":"i","members":[7]}')).toThrow('not an object')
})

test.each([
  ['', 'must not be empty'],
  ['.net', 'empty parts'],
  ['a..net', 'empty parts'],
  ['a\u0000b.net', 'control characters'],
  ['a'.repeat(257), 'must not exceed 256 characters'],
])('the name of a pool is refused: %s', (name, why) => {
  expect(() => checkPoolName(name)).toThrow(why)
})

describe('what is said of a new pool', () => {
  test('may name who made it', () => {
    expect(readCreator({creator: IDEN})).toBe(IDEN)
    expect(readCreator({})).toBeUndefined()
    expect(readCreator({name: 'x', created: 1, services: {}, creator: IDEN})).toBe(IDEN)
  })

  test.each([
    [null, 'BadArg', 'info must be a map'],
    [{odd: 1}, 'SchemaViolation', 'info must not have odd'],
    [{creator: 'visi'}, 'SchemaViolation', 'info.creator must be the iden of a user'],
    [{creator: IDEN, odd: 1}, 'SchemaViolation', 'info must not have odd'],
  ])('is refused: %j', (info, telepath, message) => {
    expect(() => readCreator(info)).toThrow(expect.objectContaining({telepath, message}))
  })
})
