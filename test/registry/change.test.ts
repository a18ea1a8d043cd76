import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {decodeChange, encodeChange} from '../../src/registry/change.ts'
import {infoWithId, readService} from '../../src/registry/service.ts'

const name = fc.string({maxLength: 30}).filter((text) => !/\p{Cc}/u.test(text))

describe('a change', () => {
  test('is the same when it is read from the log', () => {
    fc.assert(
      fc.property(
        fc.record({
          name,
          host: name,
          port: fc.nat(65_535),
          type: name,
          metadata: fc.dictionary(fc.string(), fc.jsonValue()),
        }),
        fc.integer({min: 1, max: 1000}),
        (info, ttl) => {
          const text = JSON.stringify(info)
          const service = readService({value: JSON.parse(text), text, ttl}, () => 'made')
          if ('error' in service) throw new Error(service.error)
          const change = {kind: 'register', seq: 7, service, info: infoWithId(text, service.id)} as const
          expect(decodeChange(encodeChange(change))).toEqual(change)
        },
      ),
    )
    for (const kind of ['deregister', 'expire'] as const) {
      for (const seen of [{lastHeartbeatS: 1_800_000_000, health: 'critical'} as const, undefined]) {
        const change = {kind, seq: 3, id: 'a"\\ü', seen}
        expect(decodeChange(encodeChange(change))).toEqual(change)
      }
    }
    for (const maintenance of [undefined, {reason: 'a "b"', sinceS: 1_800_000_000, by: 'unix/root'}]) {
      const change = {kind: 'maintenance', seq: 3, id: 'a"\\ü', maintenance} as const
      expect(decodeChange(encodeChange(change))).toEqual(change)
    }
  })

  test('of version 1 tells of an end without what was seen last', () => {
    const text = '{"v":1,"kind":"deregister","seq":7,"id":"cam-1"}'
    expect(decodeChange(text)).toEqual({kind: 'deregister', seq: 7, id: 'cam-1', seen: undefined})
  })

  test('is read although its id has made it larger than what is taken', () => {
    const text = JSON.stringify({name: 'a', host: 'h', port: 1, pad: ''.padEnd(65_536 - 41)})
    const service = readService({value: JSON.parse(text), text, ttl: 30}, () => 'an-id-of-its-own')
    if ('error' in service) throw new Error(service.error)
    const info = infoWithId(text, service.id)
    expect([text.length, info.length > 65_536]).toEqual([65_536, true])
    const change = {kind: 'register', seq: 7, service, info} as const
    expect(decodeChange(encodeChange(change))).toEqual(change)
  })

  test.each([
    ['{"v":3,"kind":"expire","seq":1,"id":"a"}', 'version 1 or 2'],
    ['{"v":2,"kind":"expire","seq":1,"id":"a"}', 'seen'],
    ['{"v":2,"kind":"expire","seq":1,"id":"a","seen":7,"health":"well"}', 'health'],
    ['{"v":2,"kind":"register","seq":1}', 'version 1'],
    ['{"v":1,"kind":"expire","id":"a"}', 'not a change'],
    ['[]', 'not a change'],
    ['{"v":1,"kind":"rename","seq":1,"id":"a"}', 'known kind: rename'],
    ['{"v":1,"kind":"register","seq":1}', 'known kind: register'],
    ['{"v":1,"kind":"register","seq":1,"info":{"name":"a"}}', 'host'],
    ['{"v":1,"kind":"maintenance","seq":1,"id":"a"}', 'not the maintenance'],
    ['{"v":1,"kind":"maintenance","seq":1,"id":"a","maintenance":{"reason":"x"}}', 'not the maintenance'],
    ['{"v":1,', 'JSON'],
  ])('that was written otherwise is not taken: %s', (text, reason) => {
    expect(() => decodeChange(text)).toThrow(reason)
  })
})
