import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Frozen} from '../../src/server/freezer.ts'
import {Sweeper, type SweeperOptions, type SweepMode} from '../../src/server/sweeper.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended, NewEntry} from '../../src/store/store.ts'
import {TestApi} from '../support/api.ts'

/** How often the sweeper looks at the clock, at least. */
const TICK_MS = 100
const GRACE_MS = 10_000
const CLEANUP_MS = 10_000

/** A store in memory that refuses what the test wants it to refuse. */
class FailingStore extends MemoryStore {
  isFailing = false

  override async append(entries: readonly NewEntry[]): Promise<Appended> {
    this.#check()
    return super.append(entries)
  }

  override async probe(): Promise<void> {
    this.#check()
  }

  #check(): void {
    if (this.isFailing) throw new RegistryError('REG_STORE_FAILED', 'the disk is full')
  }
}

/** The server's inside with its sweeper, on a clock that moves only with `pass`, which moves the timers along. */
class World {
  readonly store: FailingStore
  readonly api: TestApi
  readonly sweeper: Sweeper
  readonly lostMs: number[] = []
  /** While changes are frozen. */
  frozen: Frozen | undefined

  static async start(options: Partial<SweeperOptions> = {}): Promise<World> {
    const store = new FailingStore()
    await store.open()
    const made: {world?: World} = {}
    const api = await TestApi.start({store, maxGapMs: 500, frozen: () => made.world?.frozen})
    made.world = new World(store, api, options)
    return made.world
  }

  /** What the member of the cell does with leases. */
  mode: SweepMode = 'remove'

  private constructor(store: FailingStore, api: TestApi, options: Partial<SweeperOptions>) {
    this.store = store
    this.api = api
    const {catalog, wheel, leaseClock, registrar} = api
    this.sweeper = new Sweeper(
      {catalog, wheel, leaseClock, registrar, mode: () => this.mode, onLostTime: (lostMs) => this.lostMs.push(lostMs)},
      {graceMs: GRACE_MS, cleanupMs: CLEANUP_MS, ...options},
    )
    this.sweeper.start()
  }

  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= TICK_MS) {
      const stepMs = Math.min(TICK_MS, leftMs)
      this.api.clock.nowMs += stepMs
      await vi.advanceTimersByTimeAsync(stepMs)
    }
  }

  register(id: string, ttl: number): Promise<void> {
    return this.registerAll([id], ttl)
  }

  async registerAll(ids: readonly string[], ttl: number): Promise<void> {
    let stored = 0
    for (const id of ids) {
      const value = {id, name: id, host: 'h', port: 1, type: 't'}
      this.api.registrar.register({value, text: JSON.stringify(value), ttl}, 'test', () => {
        stored += 1
      })
    }
    while (stored < ids.length) await vi.advanceTimersByTimeAsync(0)
  }

  health(id: string): string | undefined {
    return this.api.catalog.get(id)?.health
  }

  get expired(): string[] {
    const events = this.api.events.filter(({topic}) => topic === 'expire')
    return events.map(({body}) => JSON.parse(body).data.service_id)
  }
}

let world: World

beforeEach(() => {
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate']})
})
afterEach(() => {
  world.sweeper.stop()
  world.api.close()
  vi.useRealTimers()
})

describe('at the end of its lease an instance', () => {
  test('becomes critical, not before, and is removed with its event after the grace, not before', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.pass(2900)
    expect(world.health('a')).toBe('passing')
    await world.pass(200)
    expect([world.health('a'), world.api.catalog.pick('t', undefined, () => 0)]).toEqual(['critical', undefined])
    await world.pass(GRACE_MS - 200)
    expect([world.health('a'), world.expired]).toEqual(['critical', []])
    await world.pass(200)
    expect([world.health('a'), world.expired]).toEqual([undefined, ['a']])
  })

  test('that is renewed lives on', async () => {
    world = await World.start()
    await world.register('a', 2)
    for (let round = 0; round < 20; round += 1) {
      await world.pass(1000)
      expect(world.api.registrar.renew('a')).toBe(true)
    }
    expect([world.health('a'), world.expired]).toEqual(['passing', []])
  })

  test('comes back by a renewal while it is critical, and has its whole lease and its whole grace again', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.pass(12_000)
    expect([world.health('a'), world.api.registrar.renew('a'), world.health('a')]).toEqual([
      'critical',
      true,
      'passing',
    ])
    await world.pass(2800)
    expect(world.health('a')).toBe('passing')
    await world.pass(GRACE_MS)
    expect([world.health('a'), world.expired]).toEqual(['critical', []])
    await world.pass(400)
    expect(world.expired).toEqual(['a'])
  })

  test('goes by a grace that was set while the sweeper runs', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.pass(4000)
    world.sweeper.reload({graceMs: 1000, cleanupMs: CLEANUP_MS})
    await world.pass(2 * TICK_MS)
    expect(world.expired).toEqual(['a'])
  })
})

describe('in maintenance an instance', () => {
  const set = (wish: {reason: string; by: string} | undefined) =>
    world.api.registrar.setMaintenance('a', wish, 'test', () => undefined)

  test('becomes critical at the end of its lease, and stays until its maintenance is over', async () => {
    world = await World.start()
    await world.register('a', 2)
    set({reason: 'new lens', by: 'test'})
    const expire = vi.spyOn(world.api.registrar, 'expire')
    await world.pass(3_600_000)
    expect([world.health('a'), world.expired]).toEqual(['critical', []])
    expect(expire, 'it is not asked for again and again').toHaveBeenCalledTimes(1)
    set(undefined)
    await world.pass(CLEANUP_MS + 3 * TICK_MS)
    expect([world.health('a'), world.expired]).toEqual([undefined, ['a']])
  })

  test('comes back to what it was by a renewal', async () => {
    world = await World.start()
    await world.register('a', 2)
    set({reason: 'new lens', by: 'test'})
    await world.pass(60_000)
    expect(world.api.registrar.renew('a')).toBe(true)
    set(undefined)
    await world.pass(2800)
    expect([world.health('a'), world.api.catalog.pick('t', undefined, () => 0)?.id]).toEqual(['passing', 'a'])
    await world.pass(GRACE_MS + 400)
    expect(world.expired).toEqual(['a'])
  })
})

describe('time that did not pass for the services', () => {
  test.each([-3_600_000, 3_600_000])('the wall clock set by %i ms ends no lease and keeps none', async (stepMs) => {
    world = await World.start()
    await world.register('a', 5)
    world.api.clock.wallStepMs = stepMs
    await world.pass(5900)
    expect([world.health('a'), world.lostMs]).toEqual(['passing', []])
    await world.pass(200)
    expect(world.health('a')).toBe('critical')
    await world.pass(GRACE_MS)
    expect(world.expired).toEqual(['a'])
  })

  test('a long start is no standstill', async () => {
    world = await World.start()
    world.sweeper.stop()
    const lostMs: number[] = []
    const {catalog, wheel, leaseClock, registrar, clock} = world.api
    const ports = {catalog, wheel, leaseClock, registrar, onLostTime: (ms: number) => lostMs.push(ms)}
    const sweeper = new Sweeper(ports, {graceMs: GRACE_MS, cleanupMs: CLEANUP_MS})
    clock.nowMs += 5000
    sweeper.start()
    sweeper.stop()
    expect(lostMs).toEqual([])
  })

  test('a standstill is given back', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.pass(1000)
    world.api.clock.nowMs += 3_600_000
    await world.pass(TICK_MS)
    expect(world.lostMs).toEqual([3_600_000 + TICK_MS - 500])
    await world.pass(1300)
    expect(world.health('a')).toBe('passing')
    await world.pass(200)
    expect(world.health('a')).toBe('critical')
  })
})

test('while changes are frozen nothing is removed nor saved, and what is overdue is removed afterwards', async () => {
  world = await World.start()
  await world.register('a', 2)
  await world.register('b', 2)
  const save = vi.spyOn(world.store, 'saveRenewals')
  world.frozen = {sinceMs: 7, restMs: 1500}
  await world.pass(60_000)
  expect([world.health('a'), world.health('b'), world.expired]).toEqual(['critical', 'critical', []])
  expect(world.api.registrar.renew('b')).toBe(true)
  await world.api.registrar.saveRenewals()
  expect(save).not.toHaveBeenCalled()
  const reason = 'frozen for 2 s more: changes wait'
  expect(world.api.registrar.problem).toEqual({reason, sinceMs: 7, isWait: true})
  world.frozen = undefined
  await world.pass(1000)
  expect([world.health('a'), world.health('b'), world.expired]).toEqual([undefined, 'passing', ['a']])
  await world.api.registrar.saveRenewals()
  expect(save).toHaveBeenCalledOnce()
})

describe('while the store refuses changes', () => {
  test('nothing is lost and nothing announced; the removal is made up for afterwards, once', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.register('b', 2)
    world.store.isFailing = true
    await world.pass(60_000)
    expect([world.health('a'), world.health('b'), world.expired]).toEqual(['critical', 'critical', []])
    expect(world.api.registrar.renew('b')).toBe(true)
    world.store.isFailing = false
    await world.pass(1000)
    expect(world.api.registrar.problem).toBeUndefined()
    await world.pass(CLEANUP_MS)
    expect([world.health('a'), world.expired]).toEqual([undefined, ['a']])
  })

  test('what waits for its removal is kept once, however long that lasts', async () => {
    world = await World.start({cleanupMs: 1000})
    await world.registerAll(['a', 'b', 'c'], 2)
    world.store.isFailing = true
    await world.pass(300_000)
    const expire = vi.spyOn(world.api.registrar, 'expire')
    world.store.isFailing = false
    await world.pass(3000)
    expect(world.expired.sort()).toEqual(['a', 'b', 'c'])
    expect(expire).toHaveBeenCalledTimes(3)
  })
})

test('the full pass finds leases that nothing watches', async () => {
  world = await World.start()
  await world.register('a', 2)
  // As if a mistake had lost it: the wheel gives the instance away and nobody takes it.
  world.api.wheel.advance(world.api.clock.nowMs + 3_600_000, 100)
  await world.pass(13_000)
  expect(world.health('a')).toBe('passing')
  await world.pass(CLEANUP_MS)
  expect(world.expired).toEqual(['a'])
})

test('many that end together are all removed, none twice, whatever the order of their renewals', async () => {
  world = await World.start()
  const ids = Array.from({length: 2500}, (_, index) => `s${index}`)
  await world.registerAll(ids, 2)
  await world.pass(14_000)
  expect(world.expired.sort()).toEqual(ids.sort())
  expect(world.api.catalog.size).toBe(0)
})

test('once stopped it removes nothing more', async () => {
  world = await World.start()
  const ids = Array.from({length: 2500}, (_, index) => `s${index}`)
  await world.registerAll(ids, 2)
  await world.pass(2900)
  const push = world.api.events.push.bind(world.api.events)
  world.api.events.push = (...events) => {
    world.sweeper.stop()
    return push(...events)
  }
  await world.pass(GRACE_MS + 200)
  expect(world.expired.length).toBeGreaterThan(0)
  expect(world.expired.length, 'what was under way, and no further removals').toBeLessThanOrEqual(600)
})

describe('a mirror', () => {
  test('ends leases and removes nothing; the leader does', async () => {
    world = await World.start()
    await world.register('a', 2)
    world.mode = 'end'
    await world.pass(GRACE_MS + CLEANUP_MS + 20_000)
    expect([world.health('a'), world.expired]).toEqual(['critical', []])
  })

  test('lets time stand still for leases while it has no leader, and goes on where it was', async () => {
    world = await World.start()
    await world.register('a', 2)
    await world.pass(1000)
    world.mode = 'stand'
    await world.pass(3_600_000)
    expect([world.health('a'), world.expired]).toEqual(['passing', []])
    world.mode = 'end'
    await world.pass(1000)
    expect(world.health('a')).toBe('passing')
    await world.pass(2000)
    expect([world.health('a'), world.lostMs]).toEqual(['critical', []])
  })

  test('that begins to lead gives every lease its full time, and what is critical its grace', async () => {
    world = await World.start()
    await world.registerAll(['a', 'b'], 5)
    world.mode = 'end'
    await world.pass(3000)
    world.api.registrar.renew('b')
    await world.pass(4000)
    expect([world.health('a'), world.health('b')]).toEqual(['critical', 'passing'])
    world.mode = 'remove'
    world.api.registrar.grantAnew()
    await world.pass(4500)
    expect([world.health('a'), world.health('b')]).toEqual(['critical', 'passing'])
    await world.pass(GRACE_MS - 5000)
    expect(world.expired).toEqual([])
    await world.pass(CLEANUP_MS * 3)
    expect(world.expired.toSorted()).toEqual(['a', 'b'])
  })
})
