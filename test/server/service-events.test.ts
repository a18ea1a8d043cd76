import {afterEach, beforeEach, expect, test} from 'vitest'
import {LogReaders} from '../../src/nexus/log-reader.ts'
import {EVENT_READERS, ServiceEvents} from '../../src/server/service-events.ts'
import type {MemoryStore} from '../../src/store/memory.ts'
import {settle, TestApi, TestPeer} from '../support/api.ts'

let store: MemoryStore
let api: TestApi
let events: ServiceEvents
beforeEach(async () => {
  store = (await TestApi.emptyStore()) as MemoryStore
  api = await TestApi.start({
    store,
    events: {answer: (since, limit) => events.answer(since, limit)},
    bridge: {toAha: false, toZeromq: true},
  })
  const {changes} = api
  events = new ServiceEvents({
    entries: new LogReaders({store, changes}, EVENT_READERS),
    changes,
    isGuest: (id) => api.registrar.isGuest(id),
  })
})
afterEach(() => api.close())

async function ask(request: object): Promise<Record<string, unknown>> {
  const peer = new TestPeer()
  api.api.onRequest(peer, [Buffer.from('REQ'), Buffer.from(JSON.stringify(request))], 'envelope')
  while (peer.received.length === 0) await settle()
  return JSON.parse(peer.received[0]?.[1] ?? '')
}

async function register(id: string, more: object = {}): Promise<void> {
  const info = {id, name: 'cam', host: 'h', port: 1, ...more}
  expect(await ask({action: 'register', service_info: info})).toMatchObject({success: true})
}

const idsOf = ({events: list}: Record<string, unknown>) =>
  (list as {data: {service_id: string}}[]).map(({data}) => data.service_id)

test('gives what the event port published, with its offset, and nothing of who did it', async () => {
  await register('a', {big: 1})
  await ask({action: 'deregister', service_id: 'a'})
  const answer = await ask({action: 'events', since: 0})
  expect(answer).toEqual({
    success: true,
    next: 2,
    end: 2,
    events: [
      {
        offset: 0,
        ...JSON.parse(api.events[0]?.body ?? ''),
      },
      {offset: 1, type: 'deregister', timestamp: expect.any(Number), data: {service_id: 'a'}},
    ],
  })
})

test('gives no more than is asked for, and where to go on', async () => {
  for (const id of ['a', 'b', 'c']) await register(id)
  const first = await ask({action: 'events', since: 0, limit: 2})
  expect([idsOf(first), first['next'], first['end']]).toEqual([['a', 'b'], 2, 3])
  expect(idsOf(await ask({action: 'events', since: 2, limit: 2}))).toEqual(['c'])
  expect(idsOf(await ask({action: 'events', since: 3}))).toEqual([])
})

test('gives at most a megabyte, and one event however long it is', async () => {
  for (let at = 0; at < 40; at += 1) await register(`id-${at}`, {filler: 'x'.repeat(60_000)})
  let since = 0
  const seen: string[] = []
  while (since < 40) {
    const page = await ask({action: 'events', since})
    expect(JSON.stringify(page).length).toBeLessThan(1.1 * 1024 * 1024)
    seen.push(...idsOf(page))
    since = Number(page['next'])
  }
  expect(seen).toEqual(Array.from({length: 40}, (_, at) => `id-${at}`))
})

test.each([
  [{}, 'Missing required field: since'],
  [{since: -1}, 'Invalid value: since must be an offset of the change log'],
  [{since: 0.5}, 'Invalid value: since must be an offset of the change log'],
  [{since: '0'}, 'Invalid value: since must be an offset of the change log'],
  [{since: 0, limit: 0}, 'Invalid value: limit must be a number from 1 on'],
  [{since: 9}, 'offset 9 is yet to come: the change log ends before 0'],
])('refuses %j', async (fields, error) => {
  expect(await ask({action: 'events', ...fields})).toMatchObject({success: false, error})
})

test('of too many who read at once some are told to ask again', async () => {
  await register('a')
  const answers = await Promise.all(Array.from({length: 20}, () => ask({action: 'events', since: 0})))
  const refused = answers.filter(({success}) => success === false)
  expect(refused.length).toBeLessThanOrEqual(20 - EVENT_READERS.readers)
  expect(new Set(refused.map(({error}) => error))).toEqual(
    new Set(['too many requests read the change log, ask again']),
  )
})
