import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {decodeChange} from '../../src/registry/change.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {NewEntry, Store} from '../../src/store/store.ts'
import {settle, TestApi, TestPeer} from '../support/api.ts'

/** A store whose commits end when, and as, the test says. */
class HeldStore implements Pick<Store, 'append' | 'probe' | 'saveRenewals'> {
  readonly written: NewEntry[] = []
  readonly #waiting: {readonly entries: readonly NewEntry[]; readonly end: PromiseWithResolvers<number>}[] = []

  append(entries: readonly NewEntry[]): Promise<number> {
    const end = Promise.withResolvers<number>()
    this.#waiting.push({entries, end})
    return end.promise
  }

  get isWriting(): boolean {
    return this.#waiting.length > 0
  }

  async finish(isGood: boolean): Promise<void> {
    const commit = this.#waiting.shift()
    if (isGood) this.written.push(...(commit?.entries ?? []))
    if (isGood) commit?.end.resolve(0)
    else commit?.end.reject(new RegistryError('REG_STORE_FAILED', 'the disk is full'))
    await settle()
  }

  isBroken = false
  async probe(): Promise<void> {
    if (this.isBroken) throw new RegistryError('REG_STORE_FAILED', 'the disk is still full')
  }

  async saveRenewals(): Promise<void> {}
}

const register = (id: string, more: object = {}) => [
  'REQ',
  JSON.stringify({action: 'register', service_info: {id, name: id, host: 'h', port: 1, ...more}}),
]
const request = (action: string, id: string) => ['REQ', JSON.stringify({action, service_id: id})]
const send = (api: TestApi, peer: TestPeer, frames: readonly string[]) =>
  api.api.onRequest(
    peer,
    frames.map((frame) => Buffer.from(frame)),
    'envelope',
  )
const answers = (peer: TestPeer) => peer.received.map((frames) => JSON.parse(frames[1] ?? ''))

describe('a change', () => {
  test('is neither seen nor announced nor answered before it is durable', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const [writer, reader] = [new TestPeer('writer'), new TestPeer('reader')]
    send(api, writer, register('a'))
    await settle()
    send(api, reader, request('get', 'a'))
    expect(answers(reader)).toEqual([{success: false, error: 'Service not found'}])
    expect([writer.received, api.events]).toEqual([[], []])
    await store.finish(true)
    send(api, reader, request('get', 'a'))
    expect(answers(reader)[1]).toMatchObject({success: true, service: {id: 'a'}})
    expect(answers(writer)).toMatchObject([{success: true, service_id: 'a'}])
    expect(api.events).toMatchObject([{topic: 'register'}])
    api.close()
  })

  test('is announced before it is answered', async () => {
    const api = await TestApi.start()
    const order: string[] = []
    const peer = new TestPeer()
    peer.send = () => order.push('answer')
    api.events.push = () => order.push('event')
    await api.exchange(peer, register('a'))
    expect(order).toEqual(['event', 'answer'])
  })

  test('of one connection joins the commit that is waiting, and a read behind it waits for it', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, register('a'))
    send(api, peer, register('b'))
    send(api, peer, request('get', 'b'))
    send(api, peer, ['REQ', 'no json'])
    send(api, peer, request('deregister', 'a'))
    await settle()
    expect(peer.received).toEqual([])
    await store.finish(true)
    expect(store.written.map((entry) => decodeChange(entry.change).kind)).toEqual([
      'register',
      'register',
      'deregister',
    ])
    expect(answers(peer)).toMatchObject([
      {service_id: 'a'},
      {service_id: 'b'},
      {service: {id: 'b'}},
      {error: 'Invalid JSON format'},
      {message: 'Service deregistered successfully'},
    ])
    api.close()
  })

  test('without an answer still makes later reads of its connection wait', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, ['NOTIF', register('a')[1] ?? ''])
    send(api, peer, request('get', 'a'))
    await settle()
    await store.finish(true)
    expect(answers(peer)).toMatchObject([{success: true, service: {id: 'a'}}])
    api.close()
  })

  test('that the store refuses leaves no trace, nor do those that were decided on top of it', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, register('a'))
    await settle()
    send(api, peer, request('deregister', 'a'))
    await store.finish(false)
    const error = expect.stringContaining('the disk is full')
    expect(answers(peer)).toEqual([
      {success: false, error},
      {success: false, error},
    ])
    expect([api.catalog.size, api.events, store.isWriting]).toEqual([0, [], false])
    send(api, peer, register('b'))
    expect(answers(peer)[2], 'refused at once while the store is failing').toEqual({success: false, error})
    expect(api.troubles).toHaveLength(1)
    const health = await api.ask({action: 'health'})
    expect(health).toMatchObject({success: true, status: 'degraded', problem: error})
    api.close()
  })

  test('is refused once too many wait for the disk', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peers = Array.from({length: 21}, (_, index) => new TestPeer(`peer${index}`))
    send(api, peers[0] as TestPeer, register('first'))
    await settle()
    for (let count = 0; count < 10_000; count += 1) send(api, peers[count % 21] as TestPeer, register(`s${count}`))
    const late = new TestPeer('late')
    send(api, late, register('late'))
    expect(answers(late)).toEqual([{success: false, error: expect.stringContaining('too many changes wait')}])
    api.close()
  })
})

describe('the store recovers', () => {
  test('and changes are taken again', async () => {
    const store = new HeldStore()
    store.isBroken = true
    const api = await TestApi.start({store})
    const recovered = new Promise<void>((resolve) => {
      const push = api.troubles.push.bind(api.troubles)
      api.troubles.push = (...list) => {
        if (list[0] === undefined) resolve()
        return push(...list)
      }
    })
    const peer = new TestPeer()
    send(api, peer, register('a'))
    await settle()
    await store.finish(false)
    store.isBroken = false
    await recovered
    send(api, peer, register('a'))
    await settle()
    await store.finish(true)
    expect(answers(peer)[1]).toMatchObject({success: true, service_id: 'a'})
    api.close()
  })
})

describe('an answer', () => {
  test('leaves in time even when the disk stalls, and the later commit gives no second one', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store, replyWithinMs: 20})
    const peer = new TestPeer()
    const answered = new Promise<void>((resolve) => {
      const push = peer.received.push.bind(peer.received)
      peer.received.push = (...frames) => {
        if (peer.received.length === 1) resolve()
        return push(...frames)
      }
    })
    send(api, peer, register('a'))
    send(api, peer, request('get', 'a'))
    await answered
    expect(answers(peer)).toEqual([
      {success: false, error: 'not confirmed, ask again'},
      {success: false, error: 'Service not found'},
    ])
    await store.finish(true)
    expect(peer.received).toHaveLength(2)
    expect(api.catalog.get('a')?.id).toBe('a')
    api.close()
  })

  test.each([1, 7])(
    'is refused when too many of a connection are outstanding, each in its place (%i x 1025)',
    async (times) => {
      const store = new HeldStore()
      const api = await TestApi.start({store})
      const peer = new TestPeer()
      for (let count = 0; count < 1025 * times; count += 1) {
        send(api, peer, count % 2 === 0 ? register(`s${count}`) : request('get', `s${count - 1}`))
      }
      await settle()
      while (store.isWriting) await store.finish(true)
      expect(peer.received).toHaveLength(1025 * times)
      const [taken, refused] = [answers(peer).slice(0, 1024), answers(peer).slice(1024)]
      expect(taken.map((answer) => answer.service_id ?? answer.service.id)).toEqual(
        taken.map((_, count) => `s${count - (count % 2)}`),
      )
      expect(refused).toEqual(refused.map(() => ({success: false, error: 'too many requests outstanding, ask again'})))
      expect(await api.ask({action: 'get', service_id: 's1022'}, peer)).toMatchObject({success: true})
      api.close()
    },
  )
})

describe('a unique type', () => {
  test('is free again when the lease of its holder has ended, and the holder is announced as expired', async () => {
    const api = await TestApi.start({uniqueTypes: true})
    await api.ask({action: 'register', service_info: {id: 'a', name: 'a', host: 'h', port: 1, type: 't'}})
    const holder = api.catalog.get('a')
    if (holder !== undefined) api.catalog.setHealth(holder, 'critical')
    const answer = await api.ask({
      action: 'register',
      service_info: {id: 'b', name: 'b', host: 'h', port: 1, type: 't'},
    })
    expect(answer).toMatchObject({success: true, service_id: 'b'})
    expect(api.events.map(({topic}) => topic)).toEqual(['register', 'expire', 'register'])
  })

  test('is not free while its holder, whose lease had ended, registers again', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store, uniqueTypes: true})
    const [one, two] = [new TestPeer('one'), new TestPeer('two')]
    send(api, one, register('a', {type: 't'}))
    await settle()
    await store.finish(true)
    const holder = api.catalog.get('a')
    if (holder !== undefined) api.catalog.setHealth(holder, 'critical')
    send(api, one, register('a', {type: 't'}))
    send(api, two, register('b', {type: 't'}))
    expect(answers(two)).toMatchObject([{success: false, error: 'duplicate_service_type', existing_service_id: 'a'}])
    api.close()
  })

  test('cannot be taken by two requests of one commit', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store, uniqueTypes: true})
    const [one, two] = [new TestPeer('one'), new TestPeer('two')]
    send(api, one, register('a', {type: 't'}))
    send(api, two, register('b', {type: 't'}))
    expect(answers(two)).toMatchObject([{success: false, error: 'duplicate_service_type', existing_service_id: 'a'}])
    api.close()
  })
})

describe('a registration of a living id that waits for the disk', () => {
  test('does not take back a renewal that came meanwhile', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, register('a'))
    await settle()
    await store.finish(true)
    send(api, peer, register('a', {port: 2}))
    await settle()
    api.clock.nowMs += 5000
    expect(api.registrar.renew('a')).toBe(true)
    const renewedS = api.catalog.get('a')?.lastHeartbeatS
    await store.finish(true)
    expect(answers(peer)).toHaveLength(2)
    expect(api.catalog.get('a')).toMatchObject({renewedMs: api.leaseClock.nowMs(), lastHeartbeatS: renewedS})
    api.close()
  })
})

test('services that come and go with long leases are not kept', async () => {
  const api = await TestApi.start()
  const infos = ['a', 'b'].map((id) => ({id, name: id, host: 'h', port: 1}))
  for (let round = 0; round < 50; round += 1) {
    for (const info of infos) await api.ask({action: 'register', service_info: info, ttl: 3e8})
    await api.ask({action: 'deregister', service_id: 'a'})
  }
  expect([api.catalog.size, api.wheel.size <= 2]).toEqual([1, true])
})

describe('an id that counts as absent', () => {
  test.each(['0', '0.0', '-0', '0e7', 'null', 'false', '""'])(
    '%s is replaced in the event and in the log',
    async (id) => {
      const store = new HeldStore()
      const api = await TestApi.start({store})
      const info = `{"id":${id},"name":"a","host":"h","port":1}`
      send(api, new TestPeer(), ['REQ', `{"action":"register","service_info":${info}}`])
      await settle()
      await store.finish(true)
      const [instance] = api.catalog.all()
      expect(JSON.parse(api.events[0]?.body ?? '').data.service_info.id).toBe(instance?.id)
      expect(decodeChange(store.written[0]?.change ?? '')).toMatchObject({service: {id: instance?.id}})
      api.close()
    },
  )
})

describe('an instance that is being removed', () => {
  test('can no longer be renewed', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, register('a'))
    await settle()
    await store.finish(true)
    const instance = api.catalog.get('a')
    if (instance === undefined) throw new Error('not registered')
    api.catalog.setHealth(instance, 'critical')
    expect(api.registrar.expire(instance, 'test', () => undefined)).toBe(true)
    expect(api.registrar.renew('a')).toBe(false)
    expect(api.registrar.expire(instance, 'test', () => undefined)).toBe(false)
    api.close()
  })
})

interface Call {
  readonly action: 'register' | 'deregister' | 'renew' | 'get'
  readonly id: string
  readonly peer: number
}

const call: fc.Arbitrary<Call> = fc.record({
  action: fc.constantFrom(
    'register' as const,
    'register' as const,
    'deregister' as const,
    'renew' as const,
    'get' as const,
  ),
  id: fc.constantFrom('a', 'b', 'c'),
  peer: fc.nat(2),
})

/** What the visible catalog must be: the acknowledged changes, in the order of the log. */
function replayed(entries: readonly NewEntry[]): string[] {
  const ids = new Set<string>()
  for (const entry of entries) {
    const change = decodeChange(entry.change)
    if (change.kind === 'register') ids.add(change.service.id)
    else ids.delete(change.id)
  }
  return [...ids].sort()
}

test('whatever is asked and however commits end: what is visible is what the log says, every request is answered once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(call, fc.constant('commit' as const), fc.constant('fail' as const)), {maxLength: 40}),
      async (steps) => {
        const store = new HeldStore()
        const api = await TestApi.start({store})
        const peers = [new TestPeer('0'), new TestPeer('1'), new TestPeer('2')]
        const asked = [0, 0, 0]
        for (const step of steps) {
          if (typeof step === 'string') {
            await settle()
            if (store.isWriting) await store.finish(step === 'commit')
          } else {
            asked[step.peer] = (asked[step.peer] ?? 0) + 1
            const peer = peers[step.peer] as TestPeer
            send(api, peer, step.action === 'register' ? register(step.id) : request(step.action, step.id))
          }
          expect([...api.catalog.all()].map(({id}) => id).sort()).toEqual(replayed(store.written))
        }
        await settle()
        while (store.isWriting) await store.finish(true)
        expect([...api.catalog.all()].map(({id}) => id).sort()).toEqual(replayed(store.written))
        expect(peers.map((peer) => peer.received.length)).toEqual(asked)
        const acknowledged = peers
          .flatMap(answers)
          .filter((answer) => answer.success && /registered successfully/.test(answer.message ?? ''))
        expect(acknowledged).toHaveLength(store.written.length)
        expect(api.events).toHaveLength(store.written.length)
        api.close()
      },
    ),
    {numRuns: 60},
  )
})

test('the log of a memory store holds the actor and the change', async () => {
  const store = new MemoryStore()
  await store.open()
  const api = await TestApi.start({store})
  await api.ask({action: 'register', service_info: {id: 'a', name: 'a', host: 'h', port: 1}, ttl: 7})
  await api.ask({action: 'deregister', service_id: 'a'})
  const entries = await store.read(0, 10)
  expect(entries.map(({actor, change}) => [actor, JSON.parse(change)])).toEqual([
    ['zmq:anon/peer', {v: 1, kind: 'register', seq: 1, ttl: 7, info: {id: 'a', name: 'a', host: 'h', port: 1}}],
    ['zmq:anon/peer', {v: 1, kind: 'deregister', seq: 1, id: 'a'}],
  ])
})

test('peers are told why the store fails, not where on the disk it lives', async () => {
  const place = '/srv/registry/registry.db'
  const error = new RegistryError('REG_STORE_FAILED', `cannot write ${place}: disk full`, {info: {place}})
  const store = {append: () => Promise.reject(error), probe: () => Promise.reject(error), saveRenewals: async () => {}}
  const api = await TestApi.start({store})
  const peer = new TestPeer()
  const told = 'cannot write the database: disk full'
  const info = {id: 'a', name: 'a', host: 'h', port: 1}
  const answer = async () => (await api.ask({action: 'register', service_info: info}, peer))['error']
  expect([await answer(), await answer()]).toEqual(Array(2).fill(`Failed to register service: ${told}`))
  expect(await api.ask({action: 'health'})).toMatchObject({problem: `changes are refused: ${told}`})
  api.close()
})
