import {describe, expect, test} from 'vitest'
import {matches} from '../../src/client/filter.ts'
import {decodeEntry, entryOfEvent, isSameService, type ServiceEntry} from '../../src/client/service-entry.ts'

const entry = (value: object) => decodeEntry(JSON.stringify(value)) as ServiceEntry

describe('a service object of an answer', () => {
  test('is read in full, with its text', () => {
    const raw =
      '{"id":"cam-1","name":"cam","host":"10.0.0.7","port":5000,"type":"camera","metadata":{"serial":1152921504606846977},' +
      '"ttl":45,"tags":["a"],"protocol":"tcp","last_heartbeat":1700000000,"health":"critical"}'
    expect(decodeEntry(raw)).toEqual({
      id: 'cam-1',
      name: 'cam',
      host: '10.0.0.7',
      port: 5000,
      type: 'camera',
      tags: ['a'],
      metadata: {serial: 2 ** 60},
      ttlS: 45,
      lastHeartbeatMs: 1_700_000_000_000,
      health: 'critical',
      extra: {protocol: 'tcp'},
      raw,
    })
  })

  test('has its type in the metadata where the server keeps it only there', () => {
    expect(entry({id: 'x', metadata: {type: 'camera'}}).type).toBe('camera')
    expect(entry({id: 'x', type: 'a', metadata: {type: 'b'}}).type).toBe('a')
    expect(entry({id: 'x', metadata: {type: 5}}).type).toBeUndefined()
  })

  test('is not hidden by values that make no sense', () => {
    expect(entry({id: 7, name: 5, port: 'http', tags: 'a', metadata: null, ttl: 'abc', health: 'ok'})).toMatchObject({
      id: '7',
      name: '5',
      host: '',
      port: 0,
      tags: [],
      metadata: {},
      ttlS: undefined,
      lastHeartbeatMs: 0,
      health: 'passing',
    })
    expect(entry({id: 'x', port: '8080', ttl: '45'})).toMatchObject({port: 8080, ttlS: 45})
  })

  test.each(['{"name":"x"}', '{"id":null}', '[]', 'null', '"x"'])('is none: %s', (raw) => {
    expect(decodeEntry(raw)).toBeUndefined()
  })

  test('may have keys that mean something to JavaScript', () => {
    const read = decodeEntry('{"id":"x","__proto__":{"a":1},"metadata":{"__proto__":2}}')
    expect(Object.keys(read?.metadata ?? {})).toEqual(['__proto__'])
    expect(Object.keys(read?.extra ?? {})).toEqual(['__proto__'])
  })
})

describe('the entry that a register event makes', () => {
  test('is completed as the registry does it', () => {
    const info =
      '{"name":"cam","host":"h","port":5000,"type":"camera","tags":["a"],"metadata":{"n":1.50},"protocol":"tcp"}'
    const made = entryOfEvent(info, 'cam-1', 1_700_000_000)
    expect(made).toMatchObject({
      id: 'cam-1',
      type: 'camera',
      tags: ['a', 'camera'],
      metadata: {n: 1.5, type: 'camera'},
      extra: {protocol: 'tcp'},
      ttlS: undefined,
      health: 'passing',
      lastHeartbeatMs: 1_700_000_000_000,
    })
    expect(made?.raw).toContain('1.50')
    expect(decodeEntry(made?.raw ?? '')).toEqual(made)
  })

  test('is made of what another registry took and ours would refuse', () => {
    expect(entryOfEvent('{"name":"x","host":"h","port":"http"}', 'x-1', 1)).toMatchObject({id: 'x-1', port: 0})
  })

  test('is the same service as the listed one, as far as the event tells', () => {
    const made = entryOfEvent('{"name":"x","host":"h","port":1,"type":"t","protocol":"tcp"}', 'x-1', 5)
    const listed = entry({id: 'x-1', name: 'x', host: 'h', port: 1, tags: ['t'], metadata: {type: 't'}, ttl: 9})
    expect(made && isSameService(made, listed, true)).toBe(true)
    expect(made && isSameService(made, listed, false)).toBe(false)
    expect(made && isSameService(made, {...listed, health: 'critical'}, true)).toBe(false)
    expect(isSameService(listed, {...listed, lastHeartbeatMs: 99}, false)).toBe(true)
  })
})

describe('a filter', () => {
  const cam = entry({
    id: 'cam-1',
    name: 'cam',
    type: 'camera',
    tags: ['night'],
    metadata: {n: 5, text: '5', 'a.b': 1, position: {row: 2, list: [1]}, none: null},
    health: 'critical',
  })

  test.each([
    [{}, true],
    [{type: 'camera'}, true],
    [{type: 'night'}, true],
    [{type: 'cam'}, false],
    [{name: 'cam', tag: 'night'}, true],
    [{tag: 'camera'}, false],
    [{health: 'passing'} as const, false],
    [{metadata: {n: '5', text: '5', 'a.b': '1', 'position.row': '2', 'position.list': '[1]', none: 'null'}}, true],
    [{metadata: {n: true, 'position.row': true} as const}, true],
    [{metadata: {n: '6'}}, false],
    [{metadata: {m: true} as const}, false],
    [{metadata: {'position.column': true, n: '5'} as const}, false],
    [{metadata: {toString: true} as const}, false],
  ])('%j', (filter, expected) => {
    expect(matches(cam, filter)).toBe(expected)
  })
})

describe('maintenance', () => {
  const maintenance = {reason: 'new lens', since: 1_800_000_000, by: 'unix/root'}
  const raw = JSON.stringify({
    id: 'a',
    name: 'a',
    host: 'h',
    port: 1,
    last_heartbeat: 1,
    health: 'passing',
    maintenance,
  })
  const before = decodeEntry(raw)

  test('is read, and is no field that the service said of itself', () => {
    expect(before).toMatchObject({
      maintenance: {reason: 'new lens', sinceMs: 1_800_000_000_000, by: 'unix/root'},
      extra: {},
    })
  })

  test('goes on through a register event, which does not tell of it', () => {
    const info = '{"name":"a","host":"h","port":2,"maintenance":{"reason":"mine","since":1,"by":"me"}}'
    expect(entryOfEvent(info, 'a', 5)?.maintenance).toBeUndefined()
    const entry = entryOfEvent(info, 'a', 5, before)
    expect(entry).toMatchObject({port: 2, maintenance: before?.maintenance})
    expect(JSON.parse(entry?.raw ?? '')).toMatchObject({maintenance})
  })

  test('makes an entry another one when it begins', () => {
    const {maintenance: _, ...rest} = JSON.parse(raw)
    const other = decodeEntry(JSON.stringify(rest))
    if (before === undefined || other === undefined) throw new Error('no entry')
    expect([isSameService(before, other, true), isSameService(before, before, false)]).toEqual([false, true])
  })
})
