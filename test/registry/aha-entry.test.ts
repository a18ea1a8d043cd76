import {describe, expect, test} from 'vitest'
import {
  type AhaEntry,
  asOffline,
  asReady,
  asRegistered,
  forUser,
  isAlias,
  readAhaInfo,
} from '../../src/registry/aha-entry.ts'

const URLINFO = {scheme: 'ssl', port: 34243, path: '', hostname: '00.axon.loop.link', ca: 'loop.link'}
const INFO = {run: '00ed', iden: '20ed', leader: 'axon', urlinfo: URLINFO, ready: true, promotable: true}

function entry(info: object, name = '00.axon'): AhaEntry {
  return {full: `${name}.loop.link`, name, network: 'loop.link', info: readAhaInfo(info)}
}

describe('what a service says of itself', () => {
  test('is kept as it is, with members that nobody here knows', () => {
    const odd = {...INFO, newer: [{a: null, b: [1.5, true]}], ['__proto__x']: 'ü\ud800'}
    expect(readAhaInfo(odd)).toEqual(odd)
    expect(readAhaInfo({urlinfo: {}})).toEqual({urlinfo: {}})
  })

  test('may have a member of an odd name, which stays a member', () => {
    const hostile = JSON.parse('{"urlinfo":{},"__proto__":{"online":"x"}}') as object
    const read = readAhaInfo(hostile)
    expect(Object.keys(read)).toEqual(['urlinfo', '__proto__'])
    expect(read['online']).toBeUndefined()
  })

  test.each([
    [null, 'info must be a map'],
    [[], 'info must be a map'],
    [{}, 'info.urlinfo must be a map'],
    [{urlinfo: 'ssl://'}, 'info.urlinfo must be a map'],
    [{urlinfo: {}, key: new Uint8Array(1)}, 'info.key is nothing that JSON knows'],
    [{urlinfo: {port: 2n ** 60n}}, 'info.urlinfo.port is nothing that JSON knows'],
    [{urlinfo: {}, list: [Number.NaN]}, 'info.list[] is nothing that JSON knows'],
    [{urlinfo: {}, map: new Map([[1, 2]])}, 'info.map is nothing that JSON knows'],
    [{urlinfo: {}, text: 'x'.repeat(20_000)}, 'must not exceed 16384 characters'],
    [nested(17), 'nested deeper than 16 levels'],
  ])('is refused: %s', (value, text) => {
    expect(() => readAhaInfo(value)).toThrow(text)
  })

  test('may be as deep and as large as the limits say', () => {
    expect(readAhaInfo(nested(16))).toEqual(nested(16))
  })
})

function nested(levels: number): object {
  let value: object = {}
  for (let level = 2; level < levels; level += 1) value = {value}
  return {urlinfo: {}, value}
}

describe('a registration', () => {
  test('gets the token, the address where it names no host, and is ready unless it says otherwise', () => {
    const {ready: _, ...unready} = INFO
    const registered = asRegistered(readAhaInfo(unready), '7557', '10.0.0.7')
    expect(registered).toEqual({...INFO, urlinfo: {...URLINFO, host: '10.0.0.7'}, ready: true, online: '7557'})
    expect(asRegistered(readAhaInfo({...INFO, ready: false}), '7557', undefined)['ready']).toBe(false)
  })

  test('keeps its own host, and no token of its own', () => {
    const info = readAhaInfo({urlinfo: {host: 'axon.example'}, online: 'mine'})
    expect(asRegistered(info, '7557', '10.0.0.7')).toEqual({
      urlinfo: {host: 'axon.example'},
      ready: true,
      online: '7557',
    })
  })
})

describe('an entry', () => {
  const online = entry({...INFO, online: '7557'})

  test('offline has no token at all, is not ready and keeps the rest', () => {
    expect(asOffline(online).info).toStrictEqual({...INFO, ready: false})
    expect(online.info['online']).toBe('7557')
  })

  test('shows a user to who asks, and to nobody else', () => {
    expect(forUser(online, 'visi').info.urlinfo).toEqual({...URLINFO, user: 'visi'})
    expect(online.info.urlinfo).toEqual(URLINFO)
  })

  test('can be made ready without anything else changing', () => {
    expect(asReady(online, false).info).toEqual({...INFO, online: '7557', ready: false})
  })

  test('is the alias when it has the name of the leader', () => {
    expect(isAlias(entry(INFO, 'axon'))).toBe(true)
    expect(isAlias(entry(INFO))).toBe(false)
    expect(isAlias(entry({urlinfo: {}}, 'aha'))).toBe(false)
  })
})
