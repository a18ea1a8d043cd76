import {describe, expect, test} from 'vitest'
import {sortServices} from '../../src/cli/service-sort.ts'
import {addressOf, exactService, serviceDetails} from '../../src/cli/service-text.ts'
import {decodeEntry, type ServiceEntry} from '../../src/client/service-entry.ts'

const entry = (value: object) => decodeEntry(JSON.stringify(value)) as ServiceEntry

describe('a service', () => {
  test('is its object as it came, with the type where only the metadata has it', () => {
    expect(exactService(entry({id: 'x', metadata: {type: 'camera'}, note: 1}))).toEqual({
      id: 'x',
      metadata: {type: 'camera'},
      note: 1,
      type: 'camera',
    })
    expect(exactService(entry({id: 'x', type: 'a', metadata: {type: 'b'}}))).toMatchObject({type: 'a'})
  })

  test('has an address that can be pasted', () => {
    expect(addressOf(entry({id: 'x', host: '::1', port: 5}))).toBe('[::1]:5')
    expect(addressOf(entry({id: 'x', host: 'cam.lab', port: 5}))).toBe('cam.lab:5')
  })

  test('cannot obey the terminal through anything that it says of itself', () => {
    const text = serviceDetails(
      entry({id: '\u001b[2J', name: '\u0007', host: '\u009b', tags: ['\u202e'], metadata: {'\u001b': 1}, '\u001bx': 2}),
    )
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
  })
})

describe('services in order', () => {
  const list = [
    entry({id: 'b', name: 'x', port: 10, health: 'critical', last_heartbeat: 5}),
    entry({id: 'a', name: 'x', port: 9, type: 'm', last_heartbeat: 7, ttl: 3}),
    entry({id: 'c', name: 'A', port: 100, type: 'c', last_heartbeat: 6, ttl: 1}),
  ]
  const ids = (by: Parameters<typeof sortServices>[1]) =>
    sortServices(list, by)
      .map(({id}) => id)
      .join('')

  test('are as they came without a key, and equal ones stay as they came', () => {
    expect(ids(undefined)).toBe('bac')
    expect(ids('name')).toBe('cba')
    expect(ids('-name')).toBe('bac')
  })

  test('numbers are compared as numbers, what is missing comes first', () => {
    expect(ids('port')).toBe('abc')
    expect(ids('-port')).toBe('cba')
    expect(ids('type')).toBe('bca')
    expect(ids('ttl')).toBe('bca')
    expect(ids('renewed')).toBe('bca')
    expect(ids('health')).toBe('bac')
    expect(ids('-id')).toBe('cba')
  })
})
