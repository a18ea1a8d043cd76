import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {createLog} from '../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {decodeAhaChange} from '../../src/registry/aha-change.ts'
import {AhaDirectory} from '../../src/registry/aha-directory.ts'
import {AhaLedger} from '../../src/server/aha-ledger.ts'
import {AhaServices, type AhaSession} from '../../src/server/aha-services.ts'
import {FakeClock, headAt, settle} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'

const NETWORK = 'loop.link'
const INFO = {iden: 'i1', run: 'r1', leader: 'axon', urlinfo: {scheme: 'ssl', port: 1}, ready: true}

class World {
  readonly store = new MoodyStore()
  readonly clock = new FakeClock()
  readonly logged: string[] = []
  changeLog!: ChangeLog
  ledger!: AhaLedger
  services!: AhaServices

  static async open(): Promise<World> {
    const world = new World()
    await world.store.open()
    await world.start(0)
    return world
  }

  /** Begins again with what is in the store, as after a kill. */
  async start(nextOffset: number): Promise<void> {
    const log = createLog({
      level: 'debug',
      structured: true,
      clock: this.clock,
      write: (line) => this.logged.push(line),
    })
    this.changeLog = new ChangeLog(this.store, {...COMMIT_LIMITS, clock: this.clock, head: headAt(nextOffset)})
    this.ledger = await AhaLedger.open({store: this.store, changeLog: this.changeLog, clock: this.clock})
    this.services = new AhaServices({ledger: this.ledger, log, network: NETWORK})
    await this.services.start()
  }

  add(name: string, session: AhaSession, info: object = INFO): Promise<void> {
    return this.services.add(this.services.place(name, NETWORK), info, session, 'test')
  }

  /** What the log says that happened, oldest first. */
  async changes(): Promise<readonly string[]> {
    const entries = await this.store.read(0, 1000)
    return entries.map(({change, actor}) => {
      const decoded = decodeAhaChange(change)
      return `${actor} ${decoded.kind} ${decoded.kind === 'aha:svc:add' ? decoded.entry.full : decoded.full}`
    })
  }

  info(name: string): object | undefined {
    return this.services.get(`${name}...`)?.info
  }

  isOnline(name: string): boolean {
    return 'online' in (this.info(name) ?? {})
  }
}

function session(id: string, address = '10.0.0.7'): AhaSession {
  return {id, peer: {family: 'tls', address, port: 1}}
}

describe('a service that registers', () => {
  test('is there when it is durable, not before, with the address of the peer and a token of its session', async () => {
    const world = await World.open()
    const added = world.add('00.axon', session('s1'))
    expect(world.info('00.axon')).toBeUndefined()
    await added
    expect(world.info('00.axon')).toEqual({
      ...INFO,
      urlinfo: {...INFO.urlinfo, host: '10.0.0.7'},
      online: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(await world.changes()).toEqual(['test aha:svc:add 00.axon.loop.link'])
  })

  test('gives nothing of its session away, and all its names have one token', async () => {
    const world = await World.open()
    const id = 'aabbccddeeff00112233445566778899'
    await Promise.all([
      world.add('00.axon', session(id)),
      world.add('axon', session(id)),
      world.add('x', session('s2')),
    ])
    const tokens = ['00.axon', 'axon', 'x'].map((name) => (world.info(name) as {online: string}).online)
    expect(tokens[0]).toBe(tokens[1])
    expect(tokens[0]).not.toBe(tokens[2])
    expect(tokens).not.toContain(id)
  })

  test('on the UNIX socket has to say where it is', async () => {
    const world = await World.open()
    const unix: AhaSession = {id: 's1', peer: {family: 'unix', address: '/cell/sock', port: null}}
    await expect(world.add('00.axon', unix)).rejects.toThrow('info.urlinfo needs a host')
    await world.add('00.axon', unix, {urlinfo: {host: 'axon.example'}})
    expect(world.info('00.axon')).toMatchObject({urlinfo: {host: 'axon.example'}})
  })

  test('leaves no trace when it says the same again through the same session', async () => {
    const world = await World.open()
    await Promise.all([world.add('00.axon', session('s1')), world.add('00.axon', session('s1'))])
    await world.add('00.axon', session('s1'))
    expect(await world.changes()).toHaveLength(2) // the first was under way when the second came
    await world.add('00.axon', session('s1'), {...INFO, ready: false})
    await world.add('00.axon', session('s2'), {...INFO, ready: false})
    expect(await world.changes()).toHaveLength(4)
    world.services.sessionClosed('s2')
    await world.changeLog.settled()
    await world.add('00.axon', session('s3'), {...INFO, ready: false})
    expect([await world.changes(), world.isOnline('00.axon')]).toEqual([expect.objectContaining({length: 6}), true])
  })

  test('is not there when the store refuses it', async () => {
    const world = await World.open()
    world.store.isBroken = true
    await expect(world.add('00.axon', session('s1'))).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    expect(world.info('00.axon')).toBeUndefined()
    expect(world.services.standing('00.axon...')).toBeUndefined()
    await expect(world.add('00.axon', session('s1'))).rejects.toMatchObject({code: 'REG_READ_ONLY'})
    world.changeLog.close()
  })
})

describe('a name of another network', () => {
  test('stays cut where the first cut it, so that one permission counts for it', async () => {
    const {services} = await World.open()
    expect(services.place('00', 'axon.other.net')).toMatchObject({name: '00', network: 'axon.other.net'})
    await services.add(services.place('00.axon', 'other.net'), INFO, session('s1'), 'test')
    expect(services.place('00', 'axon.other.net')).toMatchObject({name: '00.axon', network: 'other.net'})
    expect(services.place('00.axon.other.net', undefined)).toMatchObject({name: '00.axon', network: 'other.net'})
  })
})

describe('the end of a session', () => {
  test('takes all that registered through it offline, at once and for good', async () => {
    const world = await World.open()
    await Promise.all([
      world.add('00.axon', session('s1')),
      world.add('axon', session('s1')),
      world.add('x', session('s2')),
    ])
    world.services.sessionClosed('s1')
    expect(['00.axon', 'axon', 'x'].map((name) => world.isOnline(name))).toEqual([false, false, true])
    await world.changeLog.settled()
    expect(world.info('axon')).toStrictEqual({...INFO, urlinfo: {...INFO.urlinfo, host: '10.0.0.7'}, ready: false})
    expect((await world.changes()).slice(3)).toEqual([
      'aha aha:svc:down 00.axon.loop.link',
      'aha aha:svc:down axon.loop.link',
    ])
  })

  test('does not touch an alias that the new leader has taken', async () => {
    const world = await World.open()
    await Promise.all([world.add('00.axon', session('s1')), world.add('axon', session('s1'))])
    const taken = world.add('axon', session('s2'), {...INFO, run: 'r2'})
    world.services.sessionClosed('s1')
    await taken
    await world.changeLog.settled()
    expect(world.isOnline('00.axon')).toBe(false)
    expect(world.info('axon')).toMatchObject({run: 'r2', ready: true, online: expect.any(String)})
  })

  test('gives an alias back to the newest of those who claimed it and are there', async () => {
    const world = await World.open()
    const claim = (id: string, run: string) => world.add('axon', session(id), {...INFO, run})
    await claim('s1', 'r1')
    await claim('s2', 'r2')
    await claim('s3', 'r3')
    world.services.sessionClosed('s2')
    world.services.sessionClosed('s3')
    expect(world.info('axon')).toMatchObject({run: 'r1', ready: true, online: expect.any(String)})
    expect(world.services.byIden('i1', true, undefined)).toHaveLength(1)
    await world.changeLog.settled()
    expect((await world.changes()).slice(3)).toEqual(['aha aha:svc:add axon.loop.link'])
    world.services.sessionClosed('s1')
    await world.changeLog.settled()
    expect(world.info('axon')).toMatchObject({run: 'r1', ready: false})
    expect(world.isOnline('axon')).toBe(false)
    expect((await world.changes()).slice(4)).toEqual(['aha aha:svc:down axon.loop.link'])
  })

  test('gives an alias back also when that cannot be written at once', async () => {
    const world = await World.open()
    await world.add('axon', session('s1'), {...INFO, run: 'r1'})
    await world.add('axon', session('s2'), {...INFO, run: 'r2'})
    world.changeLog.hold('disk', 'the disk is full')
    world.services.sessionClosed('s2')
    expect(world.info('axon')).toMatchObject({run: 'r1', online: expect.any(String)})
    await settle()
    world.changeLog.release('disk')
    await world.changeLog.settled()
    expect(world.ledger.visible.get('axon.loop.link')?.info).toMatchObject({run: 'r1', online: expect.any(String)})
  })

  test.each<[string, (world: World) => Promise<void> | void]>([
    ['comes in another session under its own name', (world) => world.add('00.axon', session('s9'), INFO)],
    [
      'claims it through another session that ends too',
      async (world) => {
        await world.add('axon', session('s9'), INFO)
        await world.add('axon', session('s2'), {...INFO, run: 'r2'})
        world.services.sessionClosed('s9')
      },
    ],
    [
      'was removed with all that it has',
      async (world) => {
        await world.services.remove('axon.loop.link', 'test')
        await world.add('axon', session('s2'), {...INFO, run: 'r2'})
      },
    ],
  ])('does not give an alias back to a start of a service that %s', async (_, happen) => {
    const world = await World.open()
    await world.add('axon', session('s1'), INFO)
    await world.add('axon', session('s2'), {...INFO, run: 'r2'})
    await happen(world)
    world.services.sessionClosed('s2')
    await world.changeLog.settled()
    expect(world.isOnline('axon')).toBe(false)
  })

  test('does not give an alias to who could not claim it', async () => {
    const world = await World.open()
    await world.add('axon', session('s2'), {...INFO, run: 'r2'})
    world.store.isBroken = true
    await expect(world.add('axon', session('s1'), INFO)).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    world.services.sessionClosed('s2')
    expect(world.isOnline('axon')).toBe(false)
    world.changeLog.close()
  })

  test('reaches a registration that is not durable yet', async () => {
    const world = await World.open()
    const added = world.add('00.axon', session('s1'))
    world.services.sessionClosed('s1')
    await added
    expect(world.isOnline('00.axon')).toBe(false)
    await world.changeLog.settled()
    expect(await world.changes()).toEqual(['test aha:svc:add 00.axon.loop.link', 'aha aha:svc:down 00.axon.loop.link'])
  })

  test('is seen even when it cannot be written, and a start writes it', async () => {
    const world = await World.open()
    await world.add('00.axon', session('s1'))
    world.store.isBroken = true
    world.services.sessionClosed('s1')
    await world.changeLog.settled()
    expect(world.isOnline('00.axon')).toBe(false)
    expect(world.services.list().map(({info}) => info['ready'])).toEqual([false])
    expect(world.services.byIden('i1', true, undefined)).toEqual([])
    await settle()
    expect(world.logged.at(-1)).toContain('aha.service.offline-not-saved')
    expect(await world.changes()).toHaveLength(1)
    world.changeLog.close()
    world.store.isBroken = false
    await world.start(1)
    expect((await world.changes()).slice(1)).toEqual(['aha aha:svc:down 00.axon.loop.link'])
  })

  test('that could not be written is written when changes are taken again, unless the service is there again', async () => {
    const world = await World.open()
    await Promise.all([world.add('00.axon', session('s1')), world.add('01.axon', session('s2'))])
    world.changeLog.hold('disk', 'the disk is full')
    for (const id of ['s1', 's2']) world.services.sessionClosed(id)
    await settle()
    expect(world.logged.filter((line) => line.includes('aha.service.offline-not-saved'))).toHaveLength(2)
    world.changeLog.release('disk')
    const back = world.add('01.axon', session('s3'))
    await back
    await world.changeLog.settled()
    expect((await world.changes()).slice(2)).toEqual([
      'aha aha:svc:down 00.axon.loop.link',
      'aha aha:svc:down 01.axon.loop.link',
      'test aha:svc:add 01.axon.loop.link',
    ])
    expect([world.isOnline('00.axon'), world.isOnline('01.axon')]).toEqual([false, true])
    world.changeLog.hold('disk', 'the disk is full')
    world.changeLog.release('disk')
    await world.changeLog.settled()
    expect(await world.changes()).toHaveLength(5)
  })

  test('of nobody, and twice, is nothing', async () => {
    const world = await World.open()
    await world.add('00.axon', session('s1'))
    for (const id of ['newp', 's1', 's1']) world.services.sessionClosed(id)
    await world.changeLog.settled()
    expect(await world.changes()).toHaveLength(2)
  })
})

describe('a start after a kill', () => {
  test('shows nobody online, keeps what services said, and takes them again', async () => {
    const world = await World.open()
    await world.add('00.axon', session('s1'))
    await world.add('off', session('s2'))
    world.services.sessionClosed('s2')
    await world.changeLog.settled()
    await world.start(3)
    expect(world.info('00.axon')).toStrictEqual({...INFO, urlinfo: {...INFO.urlinfo, host: '10.0.0.7'}, ready: false})
    expect((await world.changes()).slice(3)).toEqual(['aha aha:svc:down 00.axon.loop.link'])
    await world.add('00.axon', session('s3'))
    expect(world.isOnline('00.axon')).toBe(true)
  })

  test('writes nothing when all are offline', async () => {
    const world = await World.open()
    await world.start(0)
    expect(await world.changes()).toEqual([])
  })

  test('that cannot write shows nobody online either', async () => {
    const world = await World.open()
    await world.add('00.axon', session('s1'))
    world.store.isBroken = true
    await world.start(1)
    expect(world.isOnline('00.axon')).toBe(false)
    world.changeLog.close()
  })

  test('says which record is damaged', async () => {
    const world = await World.open()
    const effect = {kind: 'records', records: [{table: 'aha:svc', key: 'a.b', value: '{}'}]} as const
    await world.store.append([{timeMs: 0, actor: 'test', change: '{}', effect}])
    await expect(world.start(1)).rejects.toThrow('the record aha:svc a.b cannot be read')
  })
})

describe('mirrors', () => {
  async function pair(): Promise<World> {
    const world = await World.open()
    await world.add('00.axon', session('s0'), {...INFO, run: 'r0'})
    await world.add('axon', session('s0'), {...INFO, run: 'r0'})
    await world.add('01.axon', session('s1'), {...INFO, run: 'r1'})
    return world
  }
  const named = (entries: readonly {readonly full: string}[]) => entries.map(({full}) => full)

  test('are found by the name of any of them, and one stands in for the leader', async () => {
    const {services} = await pair()
    for (const name of ['axon...', '00.axon...', '01.axon...']) {
      const entry = services.get(name)
      if (entry === undefined) throw new Error(name)
      expect(named(services.mirrors(entry))).toEqual(['01.axon.loop.link'])
      expect(services.mirrorOf(entry).full).toBe('01.axon.loop.link')
    }
  })

  test('that are gone do not stand in', async () => {
    const {services} = await pair()
    services.sessionClosed('s1')
    const entry = services.get('axon...')
    expect(entry && services.mirrorOf(entry)).toBe(entry)
  })

  test('without an iden are nobody', async () => {
    const world = await World.open()
    await world.add('x', session('s0'), {urlinfo: {}})
    await world.add('y', session('s1'), {urlinfo: {}})
    const entry = world.services.get('x...')
    expect(entry && world.services.mirrors(entry)).toEqual([])
  })

  test('are told apart by their starts', async () => {
    const {services} = await pair()
    expect(named(services.byIden('i1', true, undefined))).toEqual(['00.axon.loop.link', '01.axon.loop.link'])
    expect(named(services.byIden('i1', true, 'r0'))).toEqual(['01.axon.loop.link'])
    services.sessionClosed('s1')
    expect(named(services.byIden('i1', true, undefined))).toEqual(['00.axon.loop.link'])
    expect(named(services.byIden('i1', false, undefined))).toEqual(['00.axon.loop.link', '01.axon.loop.link'])
    expect(services.byIden('newp', false, undefined)).toEqual([])
  })
})

const ids = fc.constantFrom('s1', 's2', 's3')
const names = fc.constantFrom('00.axon', '01.axon', 'axon')
const step = fc.oneof(
  fc.record({do: fc.constant('add'), name: names, id: ids, run: fc.constantFrom('r1', 'r2')} as const),
  fc.record({do: fc.constant('ready'), name: names, isReady: fc.boolean()} as const),
  fc.record({do: fc.constant('remove'), name: names} as const),
  fc.record({do: fc.constant('close'), id: ids} as const),
  fc.record({do: fc.constant('wait')} as const),
)

test('whatever happens, memory, records and log tell the same, and nobody is online without a session', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 20}), async (steps) => {
      const world = await World.open()
      const under: Promise<unknown>[] = []
      const open = new Map<string, AhaSession>()
      for (const one of steps) {
        if (one.do === 'add') {
          const at = open.get(one.id) ?? session(`${one.id}-${under.length}`)
          open.set(one.id, at)
          under.push(world.add(one.name, at, {...INFO, run: one.run}))
        }
        if (one.do === 'ready') under.push(world.services.setReady(`${one.name}...`, one.isReady, 'test'))
        if (one.do === 'remove') under.push(world.services.remove(`${one.name}.${NETWORK}`, 'test'))
        if (one.do === 'close') {
          world.services.sessionClosed(open.get(one.id)?.id ?? '')
          open.delete(one.id)
        }
        if (one.do === 'wait') await Promise.all(under)
      }
      await Promise.all(under)
      await world.changeLog.settled()

      const inMemory = world.ledger.visible.list()
      expect(world.ledger.pending.list()).toEqual(inMemory)
      expect(world.services.list()).toEqual(inMemory)
      const fromRecords = await AhaLedger.open({store: world.store, changeLog: world.changeLog, clock: world.clock})
      expect(fromRecords.visible.list()).toEqual(inMemory)
      const fromLog = new AhaDirectory()
      for (const {change} of await world.store.read(0, 1000)) fromLog.put(fromLog.recordsOf(decodeAhaChange(change)))
      expect(fromLog.list()).toEqual(inMemory)

      for (const {id} of open.values()) world.services.sessionClosed(id)
      expect(world.services.list().filter(({info}) => 'online' in info)).toEqual([])
    }),
  )
})
