import {beforeEach, describe, expect, test} from 'vitest'
import {chainHash, FIRST_PREVIOUS_HASH} from '../../src/store/chain.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Entry} from '../../src/store/store.ts'
import {TestApi} from '../support/api.ts'

const REGISTER = `{"v":1,"kind":"register","seq":7,"ttl":30,"info":{"name":"cam","host":"h","port":1,"id":"ID"}}`

let store: MemoryStore
let api: TestApi
let lastHash: string
beforeEach(async () => {
  store = new MemoryStore()
  await store.open()
  api = TestApi.on({store, bridge: {toAha: false, toZeromq: true}})
  api.changes.setSource({kind: 'replicated', reason: 'another member leads'})
  lastHash = FIRST_PREVIOUS_HASH
})

function replicate(change: string, timeMs = 1_700_000_000_000): Promise<void> {
  const offset = api.changes.nextOffset
  const hash = chainHash(lastHash, offset, 1, timeMs, 'zmq:anon/1', change)
  lastHash = hash
  const entry: Entry = {offset, epoch: 1, hash, timeMs, actor: 'zmq:anon/1', change}
  return api.changes.replicate([entry])
}

async function storedIds(): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const chunk of store.instances()) for (const {service} of chunk) ids.push(JSON.parse(service).id)
  return ids
}

describe('a change of a service that another member decided', () => {
  test('is announced with the time at which it was decided, and begins a whole lease', async () => {
    await replicate(REGISTER.replace('ID', 'cam-1'))
    const event = JSON.parse(api.events[0]?.body ?? '')
    expect(event).toMatchObject({type: 'register', timestamp: 1_700_000_000, data: {service_id: 'cam-1'}})
    expect(api.catalog.get('cam-1')).toMatchObject({seq: 7, renewedMs: api.leaseClock.nowMs(), health: 'passing'})
  })

  test('tells of an end what was seen there; in version 1, what is known here', async () => {
    for (const [end, seen] of [
      ['"v":2,"kind":"expire","seq":7,"id":"cam-1","seen":1699999999,"health":"critical"', [1_699_999_999, 'critical']],
      ['"v":1,"kind":"deregister","seq":7,"id":"cam-1"', [1_700_000_000, 'passing']],
    ] as const) {
      await replicate(REGISTER.replace('ID', 'cam-1'))
      await replicate(`{${end}}`)
      const {service_info: info} = JSON.parse(api.events.at(-1)?.body ?? '').data
      expect([info.last_heartbeat, info.health]).toEqual(seen)
    }
    expect([api.catalog.size, await storedIds()]).toEqual([0, []])
  })

  test('is kept, and not shown, when its id belongs to AHA here', async () => {
    await replicate(REGISTER.replace('ID', 'aha:cam'))
    await replicate(
      '{"v":1,"kind":"maintenance","seq":7,"id":"aha:cam","maintenance":{"reason":"x","since":1,"by":"y"}}',
    )
    await replicate(REGISTER.replace('ID', 'aha:cam'))
    expect([api.catalog.size, api.events, await storedIds()]).toEqual([0, [], ['aha:cam']])
    for await (const [stored] of store.instances()) expect(stored?.service).toContain('"maintenance"')
    await replicate('{"v":1,"kind":"deregister","seq":7,"id":"aha:cam"}')
    expect(await storedIds()).toEqual([])
  })

  test.each([
    ['a service that is not there', '{"v":1,"kind":"deregister","seq":7,"id":"cam-2"}'],
    ['another number', '{"v":1,"kind":"deregister","seq":8,"id":"cam-1"}'],
    ['another number', REGISTER.replace('7', '8').replace('ID', 'cam-1')],
  ])('does not fit when it is about %s', async (_, change) => {
    await replicate(REGISTER.replace('ID', 'cam-1'))
    await expect(replicate(change)).rejects.toMatchObject({code: 'REG_BAD_ANSWER', info: {offset: 1}})
    expect([api.catalog.size, api.changes.nextOffset]).toEqual([1, 1])
  })

  test('gives numbers that were used there to none of its own', async () => {
    await replicate(REGISTER.replace('ID', 'cam-1'))
    api.changes.setSource({kind: 'own'})
    await api.ask({action: 'register', service_info: {id: 'cam-2', name: 'cam', host: 'h', port: 1}})
    expect(api.catalog.get('cam-2')?.seq).toBe(8)
  })

  test('is the only one that ends a lease', async () => {
    await replicate(REGISTER.replace('ID', 'cam-1'))
    const instance = api.catalog.get('cam-1')
    if (instance === undefined) throw new Error('not there')
    expect(api.registrar.expire(instance, 'registry:sweeper', () => {})).toBe(false)
    expect(instance.isExpiring).toBe(false)
  })
})
