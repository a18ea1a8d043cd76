import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {decodeChange} from '../../src/registry/change.ts'
import {readStoredService} from '../../src/registry/service.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended, NewEntry, Store} from '../../src/store/store.ts'
import {settle, TestApi, TestPeer} from '../support/api.ts'

/** A store whose commits end when, and as, the test says. */
class HeldStore implements Pick<Store, 'append' | 'probe' | 'saveRenewals'> {
  readonly written: NewEntry[] = []
  readonly #waiting: {readonly entries: readonly NewEntry[]; readonly end: PromiseWithResolvers<Appended>}[] = []

  append(entries: readonly NewEntry[]): Promise<Appended> {
    const end = Promise.withResolvers<Appended>()
    this.#waiting.push({entries, end})
    return end.promise
  }

  get isWriting(): boolean {
    return this.#waiting.length > 0
  }

  async finish(isGood: boolean): Promise<void> {
    const commit = this.#waiting.shift()
    if (isGood) this.written.push(...(commit?.entries ?? []))
    if (isGood) commit?.end.resolve([0, '0'.repeat(64)])
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

describe('maintenance', () => {
  const WISH = {reason: 'new lens', by: 'unix/root'}
  const set = async (api: TestApi, wish: typeof WISH | undefined) => {
    const ended: unknown[] = []
    const refusal = api.registrar.setMaintenance('a', wish, 'test', (error) => ended.push(error))
    expect(ended).toEqual([])
    await api.changes.settled()
    await settle()
    expect(ended).toEqual(refusal === undefined ? [undefined] : [])
    return refusal
  }
  const info = (more: object = {}) => ({id: 'a', name: 'a', host: 'h', port: 1, type: 't', ...more})
  const ask = (api: TestApi, action: string, more: object = {service_id: 'a'}) => api.ask({action, ...more})

  test('leaves a service listed with its health, and takes it from discovery until it ends', async () => {
    const api = await TestApi.start()
    await ask(api, 'register', {service_info: info()})
    expect(await set(api, WISH)).toBeUndefined()
    const sinceS = Math.floor(api.clock.wallMs() / 1000)
    const service = {id: 'a', health: 'passing', maintenance: {reason: 'new lens', since: sinceS, by: 'unix/root'}}
    expect(await ask(api, 'get')).toMatchObject({success: true, service})
    expect(await ask(api, 'list', {service_type: 't'})).toMatchObject({services: [service]})
    expect(await ask(api, 'discover', {service_type: 't'})).toMatchObject({success: false})
    await set(api, undefined)
    expect(await ask(api, 'discover', {service_type: 't'})).toMatchObject({service: {id: 'a'}})
    expect((await ask(api, 'get'))['service']).not.toHaveProperty('maintenance')
    expect(api.events.map(({topic}) => topic)).toEqual(['register'])
  })

  test('goes on when the service registers again, also in the same commit, and ends when it is taken out', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    const peer = new TestPeer()
    send(api, peer, register('a'))
    api.registrar.setMaintenance('a', WISH, 'test', () => undefined)
    send(api, peer, register('a', {port: 2}))
    await settle()
    await store.finish(true)
    expect(api.catalog.get('a')?.maintenance).toMatchObject(WISH)
    expect(store.written.map(({effect}) => effect.kind === 'put' && /new lens/.test(effect.instance.service))).toEqual([
      false,
      true,
      true,
    ])
    send(api, peer, register('a', {port: 3}))
    await settle()
    await store.finish(true)
    expect(JSON.parse(api.catalog.get('a')?.text() ?? '')).toMatchObject({port: 3, maintenance: WISH})
    send(api, peer, request('deregister', 'a'))
    send(api, peer, register('a'))
    await settle()
    await store.finish(true)
    expect(api.catalog.get('a')?.maintenance).toBeUndefined()
    api.close()
  })

  test('keeps its time when only the reason changes', async () => {
    const api = await TestApi.start()
    await ask(api, 'register', {service_info: info()})
    await set(api, WISH)
    const sinceS = api.catalog.get('a')?.maintenance?.sinceS
    api.clock.nowMs += 60_000
    await set(api, {reason: 'it takes longer', by: 'unix/visi'})
    expect(api.catalog.get('a')?.maintenance).toEqual({reason: 'it takes longer', by: 'unix/visi', sinceS})
  })

  test('is no renewal, and is not stored as one', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    send(api, new TestPeer(), register('a'))
    await settle()
    await store.finish(true)
    const before = {...api.catalog.get('a')}
    api.clock.nowMs += 5000
    api.registrar.setMaintenance('a', WISH, 'test', () => undefined)
    await settle()
    await store.finish(true)
    const {renewedMs, lastHeartbeatS} = before
    expect(api.catalog.get('a')).toMatchObject({renewedMs, lastHeartbeatS})
    expect(store.written[1]?.effect).toMatchObject({kind: 'put', instance: {seq: 1, lastHeartbeatS}})
    api.close()
  })

  test('still holds a unique type, also at the end of the lease, which does not remove it', async () => {
    const api = await TestApi.start({uniqueTypes: true})
    await ask(api, 'register', {service_info: info()})
    await set(api, WISH)
    await api.expire('a')
    expect(api.catalog.get('a')).toMatchObject({health: 'critical', isMaintained: true})
    expect(await ask(api, 'register', {service_info: info({id: 'b'})})).toMatchObject({
      error: 'duplicate_service_type',
      existing_service_id: 'a',
    })
    await set(api, undefined)
    expect(await ask(api, 'register', {service_info: info({id: 'b'})})).toMatchObject({success: true})
    expect(api.catalog.get('a')).toBeUndefined()
  })

  test('is refused for what is not there, and without a good reason', async () => {
    const api = await TestApi.start()
    expect(await set(api, WISH)).toEqual({kind: 'not-found'})
    await ask(api, 'register', {service_info: info()})
    expect(await set(api, {reason: '', by: 'x'})).toMatchObject({kind: 'invalid'})
  })

  test('that the store did not take is not there', async () => {
    const store = new HeldStore()
    const api = await TestApi.start({store})
    send(api, new TestPeer(), register('a'))
    await settle()
    await store.finish(true)
    const errors: unknown[] = []
    api.registrar.setMaintenance('a', WISH, 'test', (error) => errors.push(error?.code))
    await settle()
    await store.finish(false)
    expect([errors, api.catalog.get('a')?.isMaintained]).toEqual([['REG_STORE_FAILED'], false])
    expect(api.registrar.setMaintenance('a', WISH, 'test', () => undefined)).toMatchObject({kind: 'store'})
    api.close()
  })
})

interface Call {
  readonly action: 'register' | 'deregister' | 'renew' | 'get' | 'maintain' | 'operate'
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
    'maintain' as const,
    'operate' as const,
  ),
  id: fc.constantFrom('a', 'b', 'c'),
  peer: fc.nat(2),
})

/** What the visible catalog must be: the acknowledged changes, in the order of the log. */
function replayed(entries: readonly NewEntry[]): string[] {
  const services = new Map<string, boolean>()
  for (const entry of entries) {
    const change = decodeChange(entry.change)
    if (change.kind === 'register') services.set(change.service.id, services.get(change.service.id) ?? false)
    else if (change.kind === 'maintenance') services.set(change.id, change.maintenance !== undefined)
    else services.delete(change.id)
  }
  return [...services].map(([id, isMaintained]) => `${id} ${isMaintained}`).sort()
}

/** The same of what is stored beside the log. */
function stored(entries: readonly NewEntry[]): string[] {
  const services = new Map<number, string>()
  for (const {effect} of entries) {
    if (effect.kind === 'put') {
      const {id, maintenance} = readStoredService(effect.instance.service)
      services.set(effect.instance.seq, `${id} ${maintenance !== undefined}`)
    } else if (effect.kind === 'delete') services.delete(effect.seq)
  }
  return [...services.values()].sort()
}

const visible = (api: TestApi) => [...api.catalog.all()].map(({id, isMaintained}) => `${id} ${isMaintained}`).sort()

test('whatever is asked and however commits end: what is visible is what the log says, every request is answered once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(call, fc.constant('commit' as const), fc.constant('fail' as const)), {maxLength: 40}),
      async (steps) => {
        const store = new HeldStore()
        const api = await TestApi.start({store})
        const peers = [new TestPeer('0'), new TestPeer('1'), new TestPeer('2')]
        const asked = [0, 0, 0]
        const maintained: unknown[] = []
        for (const step of steps) {
          if (typeof step === 'string') {
            await settle()
            if (store.isWriting) await store.finish(step === 'commit')
          } else if (step.action === 'maintain' || step.action === 'operate') {
            const wish = step.action === 'maintain' ? {reason: 'x', by: 'y'} : undefined
            api.registrar.setMaintenance(step.id, wish, 'test', (error) => maintained.push(error))
          } else {
            asked[step.peer] = (asked[step.peer] ?? 0) + 1
            const peer = peers[step.peer] as TestPeer
            send(api, peer, step.action === 'register' ? register(step.id) : request(step.action, step.id))
          }
          expect(visible(api)).toEqual(replayed(store.written))
        }
        await settle()
        while (store.isWriting) await store.finish(true)
        expect(visible(api)).toEqual(replayed(store.written))
        expect(stored(store.written)).toEqual(replayed(store.written))
        expect(peers.map((peer) => peer.received.length)).toEqual(asked)
        const acknowledged = peers
          .flatMap(answers)
          .filter((answer) => answer.success && /registered successfully/.test(answer.message ?? ''))
        const changes = store.written.length - maintained.filter((error) => error === undefined).length
        expect(acknowledged).toHaveLength(changes)
        expect(api.events).toHaveLength(changes)
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
    ['zmq:anon/peer', {v: 2, kind: 'deregister', seq: 1, id: 'a', seen: 1_800_000_000, health: 'passing'}],
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
