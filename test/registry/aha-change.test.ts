import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  type AhaChange,
  decodeAhaChange,
  decodeAhaRecord,
  encodeAhaChange,
  encodeAhaRecord,
  recordsOfAha,
} from '../../src/registry/aha-change.ts'
import type {AhaEntry, AhaInfo} from '../../src/registry/aha-entry.ts'

const full = fc.constantFrom('00.axon.net', 'axon.net', '__proto__.net', 'ü"\\.net')
const info = fc.record({
  urlinfo: fc.dictionary(fc.constantFrom('host', 'port', '__proto__', '\\'), fc.constantFrom('h', 1, null)),
  online: fc.constantFrom('t1', 't2'),
  iden: fc.constantFrom('i1', 'i2', null),
  other: fc.jsonValue({maxDepth: 2}),
}) as unknown as fc.Arbitrary<AhaInfo>
const change: fc.Arbitrary<AhaChange> = fc.oneof(
  fc.tuple(full, info).map(([name, one]) => {
    const entry: AhaEntry = {full: name, name: name.slice(0, -4), network: 'net', info: one}
    return {kind: 'aha:svc:add', entry} as const
  }),
  fc.record({kind: fc.constant('aha:svc:mod'), full, isReady: fc.boolean()} as const),
  fc.record({kind: fc.constant('aha:svc:down'), full, online: fc.constantFrom('t1', 't2')} as const),
  fc.record({kind: fc.constant('aha:svc:del'), full} as const),
)

/** What JSON makes of it: -0 is 0. */
function asJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

describe('a change of the services of AHA', () => {
  test('is the same when it is read from the log', () => {
    fc.assert(
      fc.property(change, (made) => {
        expect(asJson(decodeAhaChange(encodeAhaChange(made)))).toEqual(asJson(made))
      }),
    )
  })

  test('leaves records that are the same when they are read from the store', () => {
    fc.assert(
      fc.property(change, (made) => {
        for (const record of recordsOfAha(made, undefined)) {
          const text = encodeAhaRecord(record)
          if (text.value === null) expect(record.value).toBeUndefined()
          else expect(asJson(decodeAhaRecord(text))).toEqual(asJson(record))
        }
      }),
    )
  })

  test.each([
    ['{"v":2,"kind":"aha:svc:del","full":"a.b"}', 'not a change of version 1'],
    ['{"v":1,"kind":"aha:svc:new","full":"a.b"}', 'not a change of a known kind'],
    ['{"v":1,"kind":"aha:svc:mod","full":"a.b","ready":1}', 'not a change of a known kind'],
    ['{"v":1,"kind":"aha:svc:down","online":"t"}', 'full is not a text'],
    ['{"v":1,"kind":"aha:svc:add","full":"a.b","name":"a","network":"b","info":{}}', 'info is not that of a service'],
    ['[]', 'not an object'],
    ['{', 'JSON'],
  ])('is not made of %s', (text, reason) => {
    expect(() => decodeAhaChange(text)).toThrow(reason)
  })
})

describe('a record of another part', () => {
  test('is left alone, a damaged one of this part is not', () => {
    expect(decodeAhaRecord({table: 'auth:user', key: 'a', value: '{}'})).toBeUndefined()
    expect(() => decodeAhaRecord({table: 'aha:svc', key: 'a', value: '{}'})).toThrow('info is not that of a service')
    expect(() => decodeAhaRecord({table: 'aha:svc', key: 'a', value: null})).toThrow('has no value')
  })
})

describe('going offline', () => {
  const entry: AhaEntry = {
    full: 'axon.net',
    name: 'axon',
    network: 'net',
    info: {urlinfo: {}, ready: true, online: 'new'},
  }

  test('takes only the token that it names: the new leader has the alias already', () => {
    expect(recordsOfAha({kind: 'aha:svc:down', full: 'axon.net', online: 'old'}, entry)).toEqual([])
    expect(recordsOfAha({kind: 'aha:svc:down', full: 'axon.net', online: 'new'}, entry)).toEqual([
      {key: 'axon.net', value: {...entry, info: {urlinfo: {}, ready: false}}},
    ])
  })

  test('twice is once, and of nobody nothing', () => {
    const change = {kind: 'aha:svc:down', full: 'axon.net', online: 'new'} as const
    const [once] = recordsOfAha(change, entry)
    expect(recordsOfAha(change, once?.value)).toEqual([])
    expect(recordsOfAha(change, undefined)).toEqual([])
  })
})
