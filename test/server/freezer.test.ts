import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {Freezer, type Frozen} from '../../src/server/freezer.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import {TestCell} from '../support/cell.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

const LIMITS = {withinMs: 50_000, maxMs: 60_000}
const ALREADY = {code: 'REG_CONFLICT', telepath: 'BadState', message: 'The service is already frozen.'}
const NOT = {code: 'REG_CONFLICT', telepath: 'BadState', message: 'The service is not frozen.'}

/** A store whose freeze fails or never ends, as long as the test wants it. */
class SlowStore extends MemoryStore {
  mood: 'good' | 'busy' | 'silent' | 'failing' = 'good'
  attempts = 0

  override async freeze(): Promise<void> {
    this.attempts += 1
    if (this.mood === 'busy') throw new RegistryError('REG_BUSY', 'somebody reads')
    if (this.mood === 'failing') throw new RegistryError('REG_STORE_FAILED', 'the disk is gone')
    await super.freeze()
    if (this.mood === 'silent') await new Promise(() => {})
  }
}

let store: SlowStore
let freezer: Freezer
let lines: string[]
const append = () => store.append([{timeMs: 0, actor: 'test', change: '{"v":1,"kind":"x"}', effect: {kind: 'none'}}])
/** Whether a change waits; it is not waited for. */
async function isWaiting(): Promise<boolean> {
  let isDone = false
  void append().then(() => {
    isDone = true
  })
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  return !isDone
}

beforeEach(async () => {
  store = new SlowStore()
  await store.open()
  lines = []
  const clock = {wallMs: () => Date.now(), monotonicMs: () => performance.now()}
  freezer = new Freezer({store, clock, log: silentLog(lines)})
})
afterEach(() => vi.useRealTimers())

describe('a freeze', () => {
  test('has changes wait until it is resumed, and both can be done once', async () => {
    await expect(freezer.resume('me')).rejects.toMatchObject(NOT)
    await freezer.freeze(LIMITS, 'me')
    expect(freezer.frozen).toMatchObject<Frozen>({sinceMs: expect.any(Number), restMs: expect.any(Number)})
    expect(await isWaiting()).toBe(true)
    await expect(freezer.freeze(LIMITS, 'me')).rejects.toMatchObject(ALREADY)
    await freezer.resume('me')
    expect(freezer.frozen).toBeUndefined()
    expect(await isWaiting()).toBe(false)
    expect(await store.read(0, 9)).toHaveLength(2)
    await expect(freezer.resume('me')).rejects.toMatchObject(NOT)
  })

  test('ends by itself, and says so', async () => {
    vi.useFakeTimers()
    await freezer.freeze(LIMITS, 'me')
    await vi.advanceTimersByTimeAsync(LIMITS.maxMs - 1)
    expect(freezer.frozen).toBeDefined()
    await vi.advanceTimersByTimeAsync(1)
    expect(freezer.frozen).toBeUndefined()
    expect(lines.filter((line) => line.includes('store.resumed-by-itself'))).toHaveLength(1)
    vi.useRealTimers()
    expect(await isWaiting()).toBe(false)
  })

  test('that was resumed does not end a later one', async () => {
    vi.useFakeTimers()
    await freezer.freeze(LIMITS, 'me')
    await vi.advanceTimersByTimeAsync(LIMITS.maxMs / 2)
    await freezer.resume('me')
    await freezer.freeze(LIMITS, 'me')
    await vi.advanceTimersByTimeAsync(LIMITS.maxMs / 2)
    expect(freezer.frozen).toBeDefined()
    await freezer.end()
  })

  test.each(['busy', 'silent'] as const)(
    'is given up in time when the store is %s, and nothing waits then',
    async (mood) => {
      store.mood = mood
      const refused = expect(freezer.freeze({...LIMITS, withinMs: 120}, 'me')).rejects
      await refused.toMatchObject({code: 'REG_TIMED_OUT', telepath: 'TimeOut'})
      if (mood === 'busy') expect(store.attempts).toBeGreaterThan(1)
      expect(freezer.frozen).toBeUndefined()
      expect(await isWaiting()).toBe(false)
      store.mood = 'good'
      await freezer.freeze(LIMITS, 'me')
      await freezer.end()
    },
  )

  test('that fails leaves nothing frozen', async () => {
    store.mood = 'failing'
    await expect(freezer.freeze(LIMITS, 'me')).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    expect([freezer.frozen, await isWaiting()]).toEqual([undefined, false])
  })

  test('ends with the server, also while it begins', async () => {
    store.mood = 'silent'
    const begun = expect(freezer.freeze({...LIMITS, withinMs: 500}, 'me')).rejects.toBeInstanceOf(RegistryError)
    await expect(freezer.freeze(LIMITS, 'me')).rejects.toMatchObject(ALREADY)
    await expect(freezer.resume('me')).rejects.toMatchObject(NOT)
    await freezer.end()
    expect(await isWaiting()).toBe(false)
    await begun
  })
})

describe('the methods', () => {
  test('freeze and resume as those of the peer do, in its words', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    expect(await root.call('freeze', [], {timeout: 120})).toBeNull()
    await expect(root.call('freeze')).rejects.toMatchObject(ALREADY)
    expect(await root.call('resume')).toBeNull()
    await expect(root.call('resume')).rejects.toMatchObject(NOT)
  })

  test.each([[0], [0.5], [3601], ['x']])('take no freeze of %j s', async (max) => {
    const root = await (await TestCell.open()).session('root')
    await expect(root.call('freeze', [], {max})).rejects.toMatchObject({telepath: 'BadArg'})
  })
})
