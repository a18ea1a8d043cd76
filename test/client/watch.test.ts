import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {ServiceFilter} from '../../src/client/filter.ts'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import type {ServiceWatch, WatchEvent, WatchOptions} from '../../src/client/watch.ts'
import {Recorder} from '../support/recorder.ts'
import {TestRegistry} from '../support/registry.ts'

const CAM = {name: 'cam', host: '127.0.0.1', port: 5000, type: 'camera'}

const idOf = (event: WatchEvent) => ('service' in event ? event.service.id : undefined)
const short = (event: WatchEvent) => ('service' in event ? `${event.kind} ${event.service.id}` : event.kind)

describe('a watch', () => {
  let registry: TestRegistry
  let client: RegistryClient
  const watches: ServiceWatch[] = []
  beforeEach(async () => {
    registry = await TestRegistry.start()
    client = registry.client()
  })
  afterEach(async () => {
    await Promise.all(watches.splice(0).map((watch) => watch.close()))
    await registry[Symbol.asyncDispose]()
  })

  /** Begins to watch, and waits until what is there was said and, unless there are none, events reach it. */
  async function watching(filter: ServiceFilter = {}, options: WatchOptions & {hasEvents?: boolean} = {}) {
    const watch = client.watch(filter, options)
    watches.push(watch)
    const events = new Recorder(watch)
    await events.until(({kind}) => kind === 'synced')
    if (options.hasEvents !== false) await eventsFlow(events, filter)
    const until = (text: string, from = 0) => events.until((event) => short(event) === text, from)
    return {watch, events, until, said: () => events.seen.filter((event) => idOf(event) !== 'probe').map(short)}
  }

  /** The registry takes the subscription a moment after the connection: only an event tells that it has. */
  async function eventsFlow(events: Recorder<WatchEvent>, {type = 'camera', metadata}: ServiceFilter): Promise<void> {
    const probe = {...CAM, id: 'probe', type, metadata}
    while (!events.seen.some((event) => short(event) === 'deregistered probe')) {
      await client.register(probe)
      await client.deregister('probe')
    }
  }

  test('says first what is there, then what happens, in order', async () => {
    await using brief = await TestRegistry.start({options: {'lease:grace': '0s'}})
    client = brief.client()
    await client.register({...CAM, id: 'a'})
    await client.register({...CAM, id: 'b'})
    const {said, until, watch} = await watching()
    expect(said()).toEqual(['present a', 'present b', 'synced'])
    await client.register({...CAM, id: 'c', tags: ['x']}, {ttlS: 60})
    await client.register({...CAM, id: 'c', tags: ['x'], port: 5001}, {ttlS: 60})
    await client.deregister('a')
    await until('deregistered a')
    // Only now: a lease that ends by itself would end earlier on a slow machine.
    await client.register({...CAM, id: 'b'}, {ttlS: 1})
    await until('expired b')
    expect(said().filter((text) => !text.startsWith('changed b'))).toEqual([
      ...['present a', 'present b', 'synced'],
      ...['registered c', 'changed c', 'deregistered a', 'expired b'],
    ])
    expect(watch.services).toMatchObject([{id: 'c', port: 5001, tags: ['x', 'camera'], type: 'camera'}])
  })

  test('says nothing of a renewal, and of a registration that changes nothing', async () => {
    await client.register({...CAM, id: 'a'})
    const {said, until, watch} = await watching()
    await client.renew('a')
    await client.register({...CAM, id: 'a'})
    await client.register({...CAM, id: 'end'})
    await until('registered end')
    expect(said()).toEqual(['present a', 'synced', 'registered end'])
    // The event of the second registration says less than the list did; what is known stays known.
    expect(watch.services.find(({id}) => id === 'a')?.ttlS).toBe(36_000)
  })

  test('tells what was before a change', async () => {
    await client.register({...CAM, id: 'a'})
    const {events} = await watching()
    await client.register({...CAM, id: 'a', host: '10.0.0.9'})
    const changed = await events.until(({kind}) => kind === 'changed')
    expect(changed).toMatchObject({service: {host: '10.0.0.9'}, before: {host: '127.0.0.1'}})
  })

  test('follows only what matches', async () => {
    await client.register({...CAM, id: 'a'})
    await client.register({...CAM, id: 'b', type: 'motor'})
    const {said, until} = await watching({type: 'camera', metadata: {row: '1'}})
    await client.register({...CAM, id: 'c', metadata: {row: 1}})
    await client.register({...CAM, id: 'd', metadata: {row: 2}})
    await client.register({...CAM, id: 'e', type: 'motor', metadata: {row: 1}})
    await client.register({...CAM, id: 'c', metadata: {row: 2}})
    await until('gone c')
    expect(said()).toEqual(['synced', 'registered c', 'gone c'])
  })

  test('notices that a service turned critical, and that it is back', async () => {
    await client.register({...CAM, id: 'a'}, {ttlS: 1})
    const {events, until} = await watching({}, {refreshMs: 50})
    expect(await until('changed a')).toMatchObject({service: {health: 'critical'}, before: {health: 'passing'}})
    const from = events.seen.length
    await client.renew('a')
    expect(await until('changed a', from)).toMatchObject({service: {health: 'passing'}})
  })

  test('loses a service that is critical, when only healthy ones are wanted', async () => {
    await client.register({...CAM, id: 'a'}, {ttlS: 1})
    const {until} = await watching({health: 'passing'}, {refreshMs: 50})
    await until('gone a')
  })

  test('says after a restart of the registry only what is different', async () => {
    await using durable = await TestRegistry.start({options: {backend: 'sqlite'}})
    client = durable.client()
    for (const id of ['stays', 'goes', 'changes']) await client.register({...CAM, id})
    const {events, said} = await watching()
    await durable.stop()
    await events.until(({kind}) => kind === 'disconnected')
    const from = said().indexOf('disconnected')
    await durable.elsewhere(async (other) => {
      await other.deregister('goes')
      await other.register({...CAM, id: 'changes', port: 1})
      await other.register({...CAM, id: 'new'})
    })
    await durable.start()
    await events.until(
      ({kind}) => kind === 'synced',
      events.seen.findIndex(({kind}) => kind === 'disconnected'),
    )
    expect(said().slice(from)).toEqual(['disconnected', 'gone goes', 'changed changes', 'registered new', 'synced'])
  })

  test('knows at the end what the registry knows, whatever happened', async () => {
    const {watch, until} = await watching()
    const ids = Array.from({length: 100}, (_, i) => `m-${i}`)
    await Promise.all(ids.map((id, port) => client.register({...CAM, id, port})))
    await Promise.all(ids.filter((_, i) => i % 3 === 0).map((id) => client.deregister(id)))
    await Promise.all(ids.filter((_, i) => i % 5 === 0).map((id) => client.register({...CAM, id, port: 9})))
    await client.register({...CAM, id: 'end'})
    await until('registered end')
    const sorted = (entries: readonly {id: string; port: number}[]) =>
      entries.map(({id, port}) => `${id} ${port}`).toSorted()
    expect(sorted(watch.services)).toEqual(sorted(await client.list()))
  })

  test('gets by without an event port', async () => {
    await using silent = await TestRegistry.start({options: {'zmq:pub:port': null}})
    client = silent.client()
    await client.register({...CAM, id: 'a'})
    const {until, said} = await watching({}, {hasEvents: false})
    await client.register({...CAM, id: 'b'})
    await until('registered b')
    expect(said()).toEqual(['present a', 'synced', 'registered b'])
  })

  test('ends with the error of its signal, or quietly when it is closed', async () => {
    const controller = new AbortController()
    const aborted = await watching({}, {signal: controller.signal})
    controller.abort()
    expect(await aborted.events.ended).toMatchObject({code: 'REG_CANCELLED'})
    const closed = await watching()
    await closed.watch.close()
    expect(await closed.events.ended).toBeUndefined()
  })

  test('fails at the beginning when there is no registry', async () => {
    await registry.stop()
    client = registry.client({connectMs: 200})
    expect(await new Recorder(client.watch()).ended).toMatchObject({code: 'REG_UNREACHABLE'})
  })
})
