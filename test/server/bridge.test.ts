import {describe, expect, onTestFinished, test} from 'vitest'
import {systemClock} from '../../src/base/clock.ts'
import {createLog} from '../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {AhaLedger} from '../../src/server/aha-ledger.ts'
import {AhaServices, type AhaSession} from '../../src/server/aha-services.ts'
import {showInAha, showInZeromq} from '../../src/server/bridge.ts'
import {Server} from '../../src/server/server.ts'
import {Sweeper} from '../../src/server/sweeper.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import {headAt, settle, TestApi} from '../support/api.ts'
import {openMirroring} from '../support/mirroring.ts'

const NETWORK = 'loop.link'
const AXON = {leader: 'axon', iden: 'i', run: 'r', ready: true, urlinfo: {scheme: 'ssl', port: 34_243}}
const SESSION: AhaSession = {id: 's1', peer: {family: 'tls', address: '10.0.0.7', port: 1}}
const READ_ONLY = 'services of AHA are read-only here: they come and go with their sessions on AHA'

type Wish = {readonly toAha?: boolean; readonly toZeromq?: boolean}

/** Both sides, each on a store of its own, and the bridge between them as it is wished. */
class World {
  readonly zeromq: TestApi
  readonly services: AhaServices
  readonly #changes: ChangeLog

  private constructor(zeromq: TestApi, services: AhaServices, changes: ChangeLog) {
    this.zeromq = zeromq
    this.services = services
    this.#changes = changes
  }

  static async open({toAha = false, toZeromq = false}: Wish, taken: readonly string[] = []): Promise<World> {
    const zeromq = await TestApi.start({bridge: {toAha, toZeromq}})
    const {clock} = zeromq
    const store = new MemoryStore()
    await store.open()
    const changes = new ChangeLog(store, {...COMMIT_LIMITS, clock})
    const log = createLog({level: 'critical', structured: false, clock, write: () => undefined})
    const ledger = await AhaLedger.open({store, changeLog: changes, clock})
    const services = new AhaServices({ledger, log, network: NETWORK})
    if (toAha) showInAha(zeromq.catalog, services, new Set(taken))
    if (toZeromq) showInZeromq(services, zeromq.guests)
    onTestFinished(() => {
      zeromq.close()
      changes.close()
    })
    return new World(zeromq, services, changes)
  }

  addToAha(name: string, info: object = AXON, session = SESSION): Promise<void> {
    return this.services.add(this.services.place(name, NETWORK), info, session, 'test')
  }

  async endSession(id: string): Promise<void> {
    this.services.sessionClosed(id)
    await this.#changes.settled()
  }

  register(name: string, info: object = {}): Promise<Record<string, unknown>> {
    return this.zeromq.ask({action: 'register', service_info: {name, host: 'h', port: 1, ...info}})
  }

  /** What a ZeroMQ client sees. */
  async listed(more: object = {}): Promise<readonly string[]> {
    const {services} = await this.zeromq.ask({action: 'list', ...more})
    return (services as {id: string; health: string}[]).map(({id, health}) => `${id} ${health}`)
  }

  events(): readonly string[] {
    return this.zeromq.events.map(({topic, body}) => `${topic} ${JSON.parse(body).data.service_id}`)
  }

  inAha(): readonly string[] {
    return this.services.list().map(({full, info}) => `${full} ${'online' in info ? 'online' : 'offline'}`)
  }
}

describe('a ZeroMQ client that takes the names of AHA', () => {
  const NAMES = ['cortex', 'CORTEX', `axon.${NETWORK}`, `00.axon.${NETWORK}`, '00.axon', 'zmq', `aha.${NETWORK}`]

  test.each([{}, {toZeromq: true}])('changes no answer of AHA while nothing is shown there (%j)', async (wish) => {
    const world = await World.open(wish)
    await world.addToAha('00.axon')
    await world.addToAha('axon')
    const before = answers(world)
    for (const name of NAMES)
      expect(await world.register(name, {id: name, type: 'axon'})).toMatchObject({success: true})
    expect(answers(world)).toEqual(before)
  })

  test('gets a name in the zone of ZeroMQ and changes no other answer', async () => {
    const world = await World.open({toAha: true, toZeromq: true})
    await world.addToAha('00.axon')
    await world.addToAha('axon')
    const before = answers(world)
    for (const name of NAMES)
      expect(await world.register(name, {id: name, type: 'axon'})).toMatchObject({success: true})
    expect(answers(world).names).toEqual(before.names)
    expect(world.inAha()).toEqual([
      `00-axon-loop-link.zmq.${NETWORK} online`,
      `00-axon.zmq.${NETWORK} online`,
      `00.axon.${NETWORK} online`,
      `aha-loop-link.zmq.${NETWORK} online`,
      `axon.${NETWORK} online`,
      `axon-loop-link.zmq.${NETWORK} online`,
      `cortex.zmq.${NETWORK} online`,
      `zmq.zmq.${NETWORK} online`,
    ])
  })

  /** What AHA answers about each of the names, and to a question for all. */
  function answers({services}: World) {
    const asked = [...NAMES, ...NAMES.map((name) => `${name}...`), `cortex.${NETWORK}`]
    const names = asked.map((name) => {
      const entry = services.get(name)
      return [name, entry, entry && services.mirrors(entry)]
    })
    return {names, all: services.list(), byIden: services.byIden('i', true, undefined)}
  }
})

describe('a ZeroMQ service in AHA', () => {
  test('is there from its registration on, offline while it is critical, and gone when it has ended', async () => {
    const world = await World.open({toAha: true})
    await world.register('Cam', {id: 'c'})
    expect(world.services.get('cam.zmq...')?.info.urlinfo).toEqual({scheme: 'zmq', host: 'h', port: 1, path: ''})
    const instance = world.zeromq.catalog.get('c')
    if (instance === undefined) throw new Error('it is not registered')
    world.zeromq.catalog.setHealth(instance, 'critical')
    expect(world.inAha()).toEqual([`cam.zmq.${NETWORK} offline`])
    await world.zeromq.ask({action: 'renew', service_id: 'c'})
    expect(world.inAha()).toEqual([`cam.zmq.${NETWORK} online`])
    await world.zeromq.expire('c')
    expect(world.inAha()).toEqual([])
  })

  test('cannot be altered there, and no service of AHA can take a name of the zone', async () => {
    const world = await World.open({toAha: true})
    await world.register('cam')
    const kept = {
      code: 'REG_CONFLICT',
      telepath: 'BadArg',
      message: expect.stringContaining('kept for services of ZeroMQ'),
    }
    await expect(world.addToAha('cam.zmq')).rejects.toMatchObject(kept)
    await expect(world.addToAha('other.zmq')).rejects.toMatchObject(kept)
    await expect(world.services.remove(`cam.zmq.${NETWORK}`, 'test')).rejects.toMatchObject(kept)
    await world.services.remove(`other.zmq.${NETWORK}`, 'test')
    expect(await world.services.setReady('cam.zmq...', false, 'test')).toBe(false)
    expect(world.inAha()).toEqual([`cam.zmq.${NETWORK} online`])
  })

  test('never has a name that a service of AHA was provisioned with, be it registered yet or not', async () => {
    const world = await World.open({toAha: true}, [`00.zmq.${NETWORK}`])
    await world.register('00')
    expect(world.inAha()).toEqual([])
    await world.addToAha('00.zmq')
    expect(world.services.get('00.zmq...')?.info).toMatchObject({leader: 'axon'})
    expect(world.inAha()).toEqual([`00.zmq.${NETWORK} online`])
  })

  test('is listed with its network only', async () => {
    const world = await World.open({toAha: true})
    await world.register('cam')
    expect(world.services.list(NETWORK)).toHaveLength(1)
    expect(world.services.list('other.net')).toEqual([])
  })
})

describe('a service of AHA over ZeroMQ', () => {
  test('is there with its events as long as it is online', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('00.axon')
    await world.addToAha('axon')
    const {service} = await world.zeromq.ask({action: 'get', service_id: `aha:00.axon.${NETWORK}`})
    expect(service).toMatchObject({host: '10.0.0.7', port: 34_243, type: 'axon', protocol: 'ssl', health: 'passing'})
    expect(await world.listed({service_type: 'axon'})).toEqual([
      `aha:00.axon.${NETWORK} passing`,
      `aha:axon.${NETWORK} passing`,
    ])
    expect(await world.zeromq.ask({action: 'discover', service_type: 'axon'})).toMatchObject({success: true})
    await world.endSession('s1')
    expect(await world.listed()).toEqual([])
    expect(world.events()).toEqual([
      `register aha:00.axon.${NETWORK}`,
      `register aha:axon.${NETWORK}`,
      `deregister aha:00.axon.${NETWORK}`,
      `deregister aha:axon.${NETWORK}`,
    ])
  })

  test('is listed as critical and not discovered while it takes no calls', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('01.axon', {...AXON, ready: false})
    expect(await world.listed()).toEqual([`aha:01.axon.${NETWORK} critical`])
    expect(await world.zeromq.ask({action: 'discover', service_type: 'axon'})).toMatchObject({success: false})
    await world.services.setReady('01.axon...', true, 'test')
    expect(await world.listed()).toEqual([`aha:01.axon.${NETWORK} passing`])
    expect(world.events()).toEqual([`register aha:01.axon.${NETWORK}`])
  })

  test('moves when another takes its name, and the end of the first does not count then', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('axon')
    await world.addToAha('axon', {...AXON, urlinfo: {scheme: 'ssl', port: 2}}, {...SESSION, id: 's2'})
    await world.endSession('s1')
    const {service} = await world.zeromq.ask({action: 'get', service_id: `aha:axon.${NETWORK}`})
    expect(service).toMatchObject({port: 2})
    expect(world.events()).toEqual([`register aha:axon.${NETWORK}`, `register aha:axon.${NETWORK}`])
  })

  test('is gone when AHA forgets it, and is not there without an address', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('00.axon')
    await world.services.remove(`00.axon.${NETWORK}`, 'test')
    await world.addToAha('odd', {urlinfo: {scheme: 'unix'}})
    await world.addToAha('wide', {urlinfo: {port: 65_536}})
    expect(await world.listed()).toEqual([])
  })

  test('cannot be altered there: nobody registers, renews or deregisters under such an id, there or not', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('00.axon')
    const before = await world.zeromq.ask({action: 'list'})
    for (const id of [`aha:00.axon.${NETWORK}`, 'aha:none', 'aha:']) {
      const refused = {success: false, error: READ_ONLY}
      expect(await world.register('x', {id})).toEqual(refused)
      expect(await world.zeromq.ask({action: 'renew', service_id: id})).toEqual(refused)
      expect(await world.zeromq.ask({action: 'deregister', service_id: id})).toEqual(refused)
      const maintained = world.zeromq.registrar.setMaintenance(id, {reason: 'r', by: 'b'}, 'test', () => undefined)
      expect(maintained).toEqual({kind: 'read-only'})
    }
    expect(await world.zeromq.ask({action: 'list'})).toEqual(before)
    expect(world.events()).toEqual([`register aha:00.axon.${NETWORK}`])
  })

  test('keeps no ZeroMQ service from taking its type for itself', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('00.axon')
    expect(await world.register('mine', {type: 'axon', singleton: true})).toMatchObject({success: true})
    expect(await world.register('other', {type: 'axon', singleton: true})).toMatchObject({success: false})
  })

  test('has no lease: it does not end by itself, whether it is ready or not', async () => {
    const world = await World.open({toZeromq: true})
    await world.addToAha('00.axon')
    await world.addToAha('01.axon', {...AXON, ready: false})
    const {catalog, wheel, leaseClock, registrar, clock} = world.zeromq
    clock.nowMs += 3_600_000
    const sweeper = new Sweeper(
      {catalog, wheel, leaseClock, registrar, onLostTime: () => undefined},
      {graceMs: 0, cleanupMs: 0},
    )
    for (const _ of ['what is over is noticed', 'and removed']) {
      sweeper.start()
      await settle()
      clock.nowMs += 1000
    }
    sweeper.stop()
    await world.zeromq.changes.settled()
    expect(await world.listed()).toEqual([`aha:00.axon.${NETWORK} passing`, `aha:01.axon.${NETWORK} critical`])
  })

  test('does not come back to AHA over the other direction', async () => {
    const world = await World.open({toAha: true, toZeromq: true})
    await world.addToAha('00.axon')
    expect(world.inAha()).toEqual([`00.axon.${NETWORK} online`])
    await world.register('cam')
    expect(await world.listed()).toHaveLength(2)
    expect(world.inAha()).toEqual([`00.axon.${NETWORK} online`, `cam.zmq.${NETWORK} online`])
  })
})

test('without the bridge an id may begin with aha: as with anything else', async () => {
  const world = await World.open({toAha: true})
  expect(await world.register('x', {id: 'aha:00.axon'})).toMatchObject({success: true})
  expect(await world.zeromq.ask({action: 'renew', service_id: 'aha:00.axon'})).toMatchObject({success: true})
  expect(await world.zeromq.ask({action: 'deregister', service_id: 'aha:00.axon'})).toMatchObject({success: true})
})

test('an id that passes for one of AHA is not shown while the bridge is on, and stays in the store', async () => {
  const store = new MemoryStore()
  await store.open()
  const service = '{"id":"aha:00.axon","name":"x","host":"h","port":1,"metadata":{},"ttl":30,"tags":[]}'
  const effect = {kind: 'put', instance: {seq: 1, service, lastHeartbeatS: 0}} as const
  await store.append([{timeMs: 0, actor: 'test', change: '{}', effect}])
  const sizes: number[] = []
  for (const toZeromq of [true, false]) sizes.push(await sizeOf(store, toZeromq))
  expect(sizes).toEqual([0, 1])
})

/** How many services a server has that starts with what is in the store. */
async function sizeOf(store: MemoryStore, toZeromq: boolean): Promise<number> {
  const changes = new ChangeLog(store, {...COMMIT_LIMITS, head: headAt(1)})
  const settings = {
    bind: '127.0.0.1',
    ports: {req: null, pub: null, hb: null, rep: null},
    limits: {messageBytes: 1000, hwm: 10, handshakeMs: 1000, connections: 10},
    pubHwm: 10,
    uniqueTypes: false,
    bridge: {toAha: false, toZeromq},
    strategy: 'random',
    graceMs: 10_000,
    cleanupMs: 10_000,
    replyWithinMs: 400,
    messagesPerS: 100,
    allowTerminate: false,
    onTerminate: () => undefined,
    onFatal: () => undefined,
  } as const
  const head = {nextOffset: 1, nextSeq: 2, epoch: 1, lastHash: '0'.repeat(64), iden: '5'.repeat(32), firstOffset: 0}
  const log = createLog({level: 'critical', structured: false, clock: systemClock, write: () => undefined})
  const mirroring = await openMirroring({store, head, changes, log, clock: systemClock})
  await using server = await Server.start({store, head, changes, mirroring}, settings, log)
  changes.close()
  return server.size
}
