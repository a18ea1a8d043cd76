import fc from 'fast-check'
import {beforeEach, describe, expect, test} from 'vitest'
import {createLog} from '../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {type AhaPool, decodePoolChange, poolAfter} from '../../src/registry/aha-pool.ts'
import {AhaLedger} from '../../src/server/aha-ledger.ts'
import {AhaPools, type Topology} from '../../src/server/aha-pools.ts'
import {AhaServices} from '../../src/server/aha-services.ts'
import {FakeClock, headAt, settle} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'

const NETWORK = 'loop.link'
const POOL = `pool.${NETWORK}`
const AUTHOR = {creator: '0f'.repeat(16), actor: 'test'}

class World {
  readonly store = new MoodyStore()
  readonly clock = new FakeClock()
  changeLog!: ChangeLog
  services!: AhaServices
  pools!: AhaPools

  static async open(): Promise<World> {
    const world = new World()
    await world.store.open()
    await world.start(0)
    return world
  }

  /** Begins again with what is in the store, as after a kill. */
  async start(nextOffset: number): Promise<void> {
    const log = createLog({level: 'critical', structured: true, clock: this.clock, write: () => {}})
    this.changeLog = new ChangeLog(this.store, {...COMMIT_LIMITS, clock: this.clock, head: headAt(nextOffset)})
    const ports = {store: this.store, changeLog: this.changeLog, clock: this.clock}
    this.services = new AhaServices({ledger: await AhaLedger.open(ports), log, network: NETWORK})
    this.pools = await AhaPools.open({...ports, services: this.services, log})
  }

  register(name: string, network = NETWORK): Promise<void> {
    const place = this.services.place(name, network)
    const session = {id: `session of ${name}`, peer: {family: 'tls', address: '10.0.0.7', port: 1}} as const
    return this.services.add(place, {urlinfo: {}}, session, 'test')
  }

  leave(name: string): void {
    this.services.sessionClosed(`session of ${name}`)
  }

  names(): readonly string[] {
    return this.pools.list().map(({name, members}) => `${name}: ${members.map(({service}) => service).join(' ')}`)
  }
}

/** Follows a pool and keeps what it is told. */
class Follower {
  readonly stop = new AbortController()
  readonly heard: string[] = []
  readonly over: Promise<unknown>

  constructor(pools: AhaPools, name = POOL) {
    this.over = this.#run(pools.follow(name, this.stop.signal)).catch((error: unknown) => error)
  }

  async #run(topologies: AsyncIterable<Topology>): Promise<void> {
    for await (const one of topologies) {
      this.heard.push(one.kind === 'svc:add' ? `+${one.entry.full}` : `-${one.service}`)
    }
  }

  async take(): Promise<readonly string[]> {
    await settle()
    return this.heard.splice(0)
  }
}

let world: World
beforeEach(async () => {
  world = await World.open()
  for (const name of ['a', 'b', 'c']) await world.register(name)
})

describe('a pool', () => {
  test('is there when it is durable, not before, and after a restart', async () => {
    const added = world.pools.add('pool...', AUTHOR)
    expect(world.pools.get(POOL)).toBeUndefined()
    expect(await added).toMatchObject({name: POOL, members: []})
    const putIn = world.pools.addMember(POOL, 'a...', AUTHOR)
    expect(world.pools.get('pool...')?.members).toEqual([])
    expect(await putIn).toEqual(world.pools.get(POOL))
    await world.start(5)
    expect(world.names()).toEqual([`${POOL}: a.${NETWORK}`])
    expect(await world.pools.removeMember('pool...', `a.${NETWORK}`, 'test')).toMatchObject({members: []})
    expect(await world.pools.remove(POOL, 'test')).toMatchObject({name: POOL})
    await world.start(7)
    expect(world.names()).toEqual([])
  })

  test('is not there when the store refuses it, nor what was decided on top of it', async () => {
    world.store.isBroken = true
    const added = world.pools.add(POOL, AUTHOR)
    const putIn = world.pools.addMember(POOL, 'a...', AUTHOR)
    await expect(added).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    await expect(putIn).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    expect(world.names()).toEqual([])
    await expect(world.pools.add(POOL, AUTHOR)).rejects.toMatchObject({code: 'REG_READ_ONLY'})
    world.changeLog.close()
  })

  test('has a name that no service and no other pool has, nor one that is on its way', async () => {
    await expect(world.pools.add('a...', AUTHOR)).rejects.toMatchObject({telepath: 'DupName'})
    const [first, second] = await Promise.allSettled([world.pools.add(POOL, AUTHOR), world.pools.add(POOL, AUTHOR)])
    expect([first?.status, second?.status]).toEqual(['fulfilled', 'rejected'])
    await expect(world.pools.add('pool...', AUTHOR)).rejects.toMatchObject({
      telepath: 'DupName',
      message: `An AHA service or pool is already using the name "${POOL}".`,
    })
  })

  test('that is not there can be removed, and nothing is written', async () => {
    const before = world.changeLog.nextOffset
    expect(await world.pools.remove('newp...', 'test')).toBeUndefined()
    await world.pools.add(POOL, AUTHOR)
    await world.pools.removeMember(POOL, 'a...', 'test')
    expect(world.changeLog.nextOffset).toBe(before + 1)
  })

  test('takes a thousand services, and an AHA a thousand pools', async () => {
    await world.pools.add(POOL, AUTHOR)
    const many = Array.from({length: 1000}, (_, index) => `s${index}`)
    await Promise.all(many.map((name) => world.register(name)))
    await Promise.all(many.map((name) => world.pools.addMember(POOL, `${name}...`, AUTHOR)))
    await expect(world.pools.addMember(POOL, 'a...', AUTHOR)).rejects.toMatchObject({code: 'REG_BUSY'})
    await world.pools.addMember(POOL, 's7...', AUTHOR)
    await Promise.all(many.slice(1).map((name) => world.pools.add(`pool.${name}`, AUTHOR)))
    await expect(world.pools.add('pool.more', AUTHOR)).rejects.toMatchObject({
      code: 'REG_BUSY',
      message: 'no more than 1000 pools are taken',
    })
  })

  test('gives any member, of those who are online if there are any', async () => {
    await world.pools.add(POOL, AUTHOR)
    for (const name of ['a', 'b', 'c']) await world.pools.addMember(POOL, `${name}...`, AUTHOR)
    const picked = () => {
      const pool = world.pools.get(POOL) as AhaPool
      const names = Array.from({length: 200}, () => world.pools.pick(world.pools.members(pool))?.name)
      return [...new Set(names)].sort()
    }
    expect(picked()).toEqual(['a', 'b', 'c'])
    world.leave('a')
    expect(picked()).toEqual(['b', 'c'])
    await world.services.remove(`b.${NETWORK}`, 'test')
    expect(picked()).toEqual(['c'])
    world.leave('c')
    expect(picked()).toEqual(['a', 'c'])
  })

  test('that is damaged is named at the start', async () => {
    const effect = {kind: 'records', records: [{table: 'aha:pool', key: POOL, value: '{}'}]} as const
    await world.store.append([{timeMs: 0, actor: 'test', change: '{}', effect}])
    await expect(world.start(4)).rejects.toThrow(`the record aha:pool ${POOL} cannot be read`)
  })
})

describe('who follows a pool', () => {
  beforeEach(async () => {
    await world.pools.add(POOL, AUTHOR)
    await world.pools.addMember(POOL, 'a...', AUTHOR)
  })

  test('hears who is in, who comes and who goes, and the end, as all others do', async () => {
    const followers = [new Follower(world.pools), new Follower(world.pools, 'pool...'), new Follower(world.pools)]
    const heard = () => Promise.all(followers.map((follower) => follower.take()))
    const all = (...items: readonly string[]) => followers.map(() => items)
    expect(await heard()).toEqual(all(`+a.${NETWORK}`))
    await world.pools.addMember(POOL, 'b...', AUTHOR)
    await world.pools.removeMember(POOL, 'a...', 'test')
    await world.pools.removeMember(POOL, 'a...', 'test')
    await world.pools.addMember(POOL, 'b...', AUTHOR)
    expect(await heard()).toEqual(all(`+b.${NETWORK}`, `-a.${NETWORK}`, `+b.${NETWORK}`))
    await world.pools.remove(POOL, 'test')
    expect(await Promise.all(followers.map(({over}) => over))).toEqual([undefined, undefined, undefined])
  })

  test('hears nothing that is not durable', async () => {
    const follower = new Follower(world.pools)
    await follower.take()
    world.store.isBroken = true
    await expect(world.pools.addMember(POOL, 'b...', AUTHOR)).rejects.toThrow()
    await expect(world.pools.remove(POOL, 'test')).rejects.toThrow()
    expect(await follower.take()).toEqual([])
    world.changeLog.close()
  })

  test('hears of a member that registers after all, and not of others, nor of one who comes back', async () => {
    await world.pools.addMember(POOL, 'b...', AUTHOR)
    await world.services.remove(`b.${NETWORK}`, 'test')
    const follower = new Follower(world.pools)
    expect(await follower.take()).toEqual([`+a.${NETWORK}`])
    await world.register('b')
    await world.register('other')
    world.leave('a')
    await world.register('a')
    expect(await follower.take()).toEqual([`+b.${NETWORK}`])
  })

  test('of none is told so', async () => {
    expect(await new Follower(world.pools, 'newp...').over).toMatchObject({
      code: 'REG_NOT_FOUND',
      message: `There is no AHA service pool named newp.${NETWORK}.`,
    })
  })

  test('and does not read is cut off, and holds nobody up', async () => {
    const slow = world.pools.follow(POOL, new AbortController().signal)
    expect(await slow.next()).toMatchObject({value: {kind: 'svc:add'}})
    const quick = new Follower(world.pools)
    for (let round = 0; round < 11; round += 1) {
      await Promise.all(Array.from({length: 100}, () => world.pools.addMember(POOL, 'b...', AUTHOR)))
    }
    expect(await quick.take()).toHaveLength(1101)
    await expect(slow.next()).rejects.toMatchObject({code: 'REG_BUSY'})
  })

  test('and leaves is forgotten', async () => {
    const follower = new Follower(world.pools)
    await follower.take()
    follower.stop.abort(new Error('gone'))
    expect(await follower.over).toMatchObject({message: 'gone'})
    await world.pools.addMember(POOL, 'b...', AUTHOR)
    expect(await follower.take()).toEqual([])
  })
})

const service = fc.constantFrom('a...', 'b...', 'c...')
const pool = fc.constantFrom('p1', 'p2')
const step = fc.oneof(
  fc.record({do: fc.constant('add'), pool} as const),
  fc.record({do: fc.constant('del'), pool} as const),
  fc.record({do: fc.constant('in'), pool, service} as const),
  fc.record({do: fc.constant('out'), pool, service} as const),
  fc.record({do: fc.constant('wait')} as const),
)

test('whatever happens, memory, records and log tell the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 20}), async (steps) => {
      const own = await World.open()
      for (const name of ['a', 'b', 'c']) await own.register(name)
      const {pools} = own
      const under: Promise<unknown>[] = []
      for (const one of steps) {
        if (one.do === 'add') under.push(pools.add(one.pool, AUTHOR))
        if (one.do === 'del') under.push(pools.remove(one.pool, 'test'))
        if (one.do === 'in') under.push(pools.addMember(one.pool, one.service, AUTHOR))
        if (one.do === 'out') under.push(pools.removeMember(one.pool, one.service, 'test'))
        if (one.do === 'wait') await Promise.allSettled(under)
      }
      await Promise.allSettled(under)
      const inMemory = pools.list()
      const fromLog = new Map<string, AhaPool | undefined>()
      for (const {change} of await own.store.read(3, 1000)) {
        const decoded = decodePoolChange(change)
        fromLog.set(decoded.pool, poolAfter(decoded, fromLog.get(decoded.pool)))
      }
      const logged = [...fromLog.values()].filter((one) => one !== undefined)
      expect(logged.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual(inMemory)
      await own.start(own.changeLog.nextOffset)
      expect(own.pools.list()).toEqual(inMemory)
    }),
  )
})
