import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {ServiceFilter} from '../../src/client/filter.ts'
import type {LogWatch, LogWatchEvent} from '../../src/client/log-watch.ts'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {RawClient} from '../support/raw-client.ts'
import {Recorder} from '../support/recorder.ts'
import {TestRegistry} from '../support/registry.ts'

const CAM = {name: 'cam', host: '127.0.0.1', port: 5000, type: 'camera'}

type Logged = Extract<LogWatchEvent, {offset: number}>

const isLogged = (event: LogWatchEvent): event is Logged => 'offset' in event
const short = (event: LogWatchEvent) => (isLogged(event) ? `${event.kind} ${event.id}` : event.kind)

/** Waits until so many different changes were said. */
async function saidOf(events: Recorder<LogWatchEvent>, count: number): Promise<void> {
  const said = new Set<string>()
  await events.until((event) => isLogged(event) && said.add(short(event)).size >= count)
}

describe('a watch of the change log', () => {
  let registry: TestRegistry
  let client: RegistryClient
  const watches: LogWatch[] = []
  beforeEach(async () => {
    registry = await TestRegistry.start({options: {backend: 'sqlite', 'lease:grace': '1s'}})
    client = registry.client({connectMs: 500})
  })
  afterEach(async () => {
    await Promise.all(watches.splice(0).map((watch) => watch.close()))
    await registry[Symbol.asyncDispose]()
  })

  function watching(since: number, filter: ServiceFilter = {}) {
    const watch = client.watchLog(filter, {since})
    watches.push(watch)
    const events = new Recorder(watch)
    const until = (text: string, from = 0) => events.until((event) => short(event) === text, from)
    const said = () => events.seen.filter(isLogged).map(short)
    return {watch, events, until, said, offsets: () => events.seen.filter(isLogged).map(({offset}) => offset)}
  }

  async function asRoot(method: string, ...args: readonly Value[]): Promise<Value> {
    await using root = await openTelepath(`cell://${registry.dir}`)
    return await root.call(method, {args})
  }

  /** Registers as many as that, all at once. */
  async function flood(count: number, name: string): Promise<void> {
    using raw = new RawClient(registry.ports.req)
    const ids = Array.from({length: count}, (_, at) => `${name}-${at}`)
    const all = await Promise.all(ids.map((id) => raw.register(id)))
    expect(all.every(({success}) => success)).toBe(true)
  }

  test('says every change in order, and goes on where another one has stopped', async () => {
    await client.register({...CAM, id: 'a'}, {ttlS: 60})
    await client.register({...CAM, id: 'a', port: 5000, tags: ['night']})
    const first = watching(0)
    await first.until('synced')
    await client.register({...CAM, id: 'a', port: 5001})
    await client.deregister('a')
    await client.register({...CAM, id: 'b'}, {ttlS: 1})
    await first.until('expired b')
    expect(first.said()).toEqual([
      ...['registered a', 'registered a', 'registered a', 'deregistered a'],
      ...['registered b', 'expired b'],
    ])
    expect(first.events.seen.filter(isLogged).at(3)).toMatchObject({service: {id: 'a', port: 5001}})
    await first.watch.close()
    await client.register({...CAM, id: 'c'})
    const second = watching(first.watch.next)
    await second.until('synced')
    expect(second.said()).toEqual(['registered c'])
    expect(new Set([...first.offsets(), ...second.offsets()]).size).toBe(7)
  })

  test('gives one that registered before its beginning by its id alone, and those of other types not at all', async () => {
    await client.register({...CAM, id: 'old'})
    const next = Number(await asRoot('getNexsIndx'))
    const {until, said, events} = watching(next, {type: 'camera'})
    await client.register({...CAM, id: 'motor', type: 'motor'})
    await client.register({...CAM, id: 'turned'})
    await client.register({...CAM, id: 'turned', type: 'motor'})
    for (const id of ['motor', 'turned', 'old']) await client.deregister(id)
    await until('deregistered old')
    expect(said()).toEqual(['registered turned', 'registered turned', 'deregistered old'])
    expect(events.seen.filter(isLogged).map(({service}) => service?.type)).toEqual(['camera', 'motor', undefined])
  })

  test('tells of maintenance, and of nobody who did anything', async () => {
    await client.register({...CAM, id: 'a'})
    await asRoot('addUser', 'visi')
    await asRoot('setServiceMaintenance', 'a', true, 'lens')
    await asRoot('setServiceMaintenance', 'a', false)
    const {until, events} = watching(0)
    await until('synced')
    const [registered, begun, ended] = events.seen.filter(isLogged)
    expect(registered).toMatchObject({kind: 'registered', maintenance: undefined})
    expect(begun).toMatchObject({kind: 'maintenance', id: 'a', maintenance: {reason: 'lens'}})
    expect(ended).toMatchObject({kind: 'maintenance', maintenance: null})
    expect(JSON.stringify(events.seen)).not.toMatch(/visi|zmq:anon/)
  })

  test('leaves nothing out and says nothing twice over a restart, and what happened meanwhile', async () => {
    const {until, offsets, events} = watching(0)
    await until('synced')
    await flood(20, 'before')
    await registry.stop()
    await until('disconnected')
    await registry.elsewhere(async (other) => {
      for (let at = 0; at < 4; at += 1) await other.register({...CAM, id: `meanwhile-${at}`})
    })
    const from = events.seen.length
    await registry.start()
    await until('synced', from)
    await flood(20, 'after')
    await saidOf(events, 44)
    expect(offsets()).toEqual(offsets().toSorted((one, other) => one - other))
    expect(new Set(offsets()).size).toBe(offsets().length)
  })

  test('keeps up with a flood', async () => {
    const {until, said, offsets, events} = watching(0)
    await until('synced')
    for (let round = 0; round < 4; round += 1) await flood(300, `r${round}`)
    await saidOf(events, 1200)
    expect(new Set(said()).size).toBe(1200)
    expect(new Set(offsets()).size).toBe(offsets().length)
  })

  test('ends with the oldest offset that is kept when what comes next was trimmed away', async () => {
    await flood(5, 'cam')
    await asRoot('rotateNexsLog')
    const kept = Number(await asRoot('getNexsIndx'))
    await asRoot('cullNexsLog', kept - 1)
    const {events} = watching(2)
    expect(await events.ended).toMatchObject({code: 'REG_OFFSET_CULLED', info: {first: kept}})
    const later = watching(kept)
    await later.until('synced')
    expect(later.said()).toEqual([])
  })

  test('ends when the log is shorter than the offset: it is another one', async () => {
    const {events} = watching(1000)
    expect(await events.ended).toMatchObject({code: 'REG_CONFLICT', info: {end: expect.any(Number)}})
  })
})
