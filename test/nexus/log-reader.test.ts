import fc from 'fast-check'
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {LogReaders, type LogStep} from '../../src/nexus/log-reader.ts'
import type {Appended, Entry} from '../../src/store/store.ts'
import {FakeClock} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'

const LIMITS = {readers: 4, chunk: 3}

/** A store that keeps no entry below `first`, and can give one that is not what was written. */
class TrimmedStore extends MoodyStore {
  first = 0
  spoilt: number | undefined
  /** What is stored is acknowledged after this. */
  acknowledging: Promise<void> | undefined

  override async append(entries: Parameters<MoodyStore['append']>[0]): Promise<Appended> {
    const appended = await super.append(entries)
    await this.acknowledging
    return appended
  }

  override async read(offset: number, limit: number): Promise<readonly Entry[]> {
    const {first, spoilt} = this
    if (offset < first) throw new RegistryError('REG_OFFSET_CULLED', 'trimmed', {info: {offset, first}})
    const entries = await super.read(offset, limit)
    return entries.map((entry) => (entry.offset === spoilt ? {...entry, actor: 'mallory'} : entry))
  }
}

let store: TrimmedStore
let log: ChangeLog
let readers: LogReaders
let end: AbortController
async function open(): Promise<void> {
  store = new TrimmedStore()
  await store.open()
  log = new ChangeLog(store, {...COMMIT_LIMITS, clock: new FakeClock()})
  log.join({onReset: () => {}})
  readers = new LogReaders({store, changes: log}, LIMITS)
  end = new AbortController()
}
beforeEach(open)
afterEach(() => {
  log.close()
  end.abort()
})

/** Appends a change, and resolves with its offset, or undefined when the store refused it. */
function append(change: string): Promise<number | undefined> {
  const effect = {kind: 'records', records: []} as const
  return new Promise((resolve) => {
    const failed = () => resolve(undefined)
    log.propose({entry: {timeMs: 1, actor: 'test', change, effect}, committed: resolve, failed})
  })
}

async function appendMany(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await append(`{"n":${done}}`)
}

function shown(step: IteratorResult<LogStep, void>): unknown {
  if (step.done === true) return 'end'
  return step.value.kind === 'caught-up' ? 'caught-up' : step.value.entries.map(({offset}) => offset)
}

async function all(from: number, wish: {isRaised?: boolean} = {}): Promise<readonly unknown[]> {
  const steps: unknown[] = []
  const items = readers.read(from, {signal: end.signal, isLive: false, ...wish})
  for await (const step of items) steps.push(shown({value: step}))
  return steps
}

describe('a reader of the change log', () => {
  test('gets what is stored in steps, hears that it is caught up, then gets what comes', async () => {
    await appendMany(5)
    const items = readers.read(1, {signal: end.signal, isLive: true})
    expect(shown(await items.next())).toEqual([1, 2, 3])
    expect(shown(await items.next())).toEqual([4])
    expect(shown(await items.next())).toBe('caught-up')
    const waiting = items.next()
    await append('{"n":5}')
    expect(shown(await waiting)).toEqual([5])
    const further = items.next()
    end.abort(new Error('gone'))
    await expect(further).rejects.toThrow('gone')
  })

  test('that does not want what comes ends when it is caught up', async () => {
    await appendMany(4)
    expect(await all(0)).toEqual([[0, 1, 2], [3], 'caught-up'])
    expect(await all(4)).toEqual(['caught-up'])
    expect(await all(9)).toEqual(['caught-up'])
  })

  test('waits for an offset beyond the end', async () => {
    await appendMany(1)
    const items = readers.read(3, {signal: end.signal, isLive: true})
    expect(shown(await items.next())).toBe('caught-up')
    const waiting = items.next()
    await appendMany(3)
    expect(shown(await waiting)).toEqual([3])
  })

  test('does not get what is stored, but not visible yet', async () => {
    await appendMany(2)
    const late = Promise.withResolvers<void>()
    store.acknowledging = late.promise
    const appended = append('{"n":2}')
    await vi.waitFor(async () => expect(await store.read(2, 1)).toHaveLength(1))
    expect(await all(0)).toEqual([[0, 1], 'caught-up'])
    late.resolve()
    await appended
    expect(await all(0)).toEqual([[0, 1, 2], 'caught-up'])
  })

  test('is refused below the first entry that is kept, or begins there', async () => {
    await appendMany(6)
    store.first = 4
    await expect(all(3)).rejects.toMatchObject({code: 'REG_OFFSET_CULLED', info: {first: 4}})
    expect(await all(3, {isRaised: true})).toEqual([[4, 5], 'caught-up'])
    expect(await all(-1, {isRaised: true})).toEqual([[4, 5], 'caught-up'])
  })

  test('is cut off when the log is trimmed before it has read on', async () => {
    await appendMany(6)
    const items = readers.read(0, {signal: end.signal, isLive: true})
    expect(shown(await items.next())).toEqual([0, 1, 2])
    store.first = 5
    await expect(items.next()).rejects.toMatchObject({code: 'REG_OFFSET_CULLED', info: {offset: 3, first: 5}})
    expect(readers.open).toBe(0)
  })

  test.each([0, 1, 4, 6])('does not get entry %i when it is not what was written', async (spoilt) => {
    await appendMany(7)
    store.spoilt = spoilt
    await expect(all(0)).rejects.toMatchObject({code: 'REG_STORE_DAMAGED', info: {offset: spoilt}})
    await expect(all(spoilt)).rejects.toMatchObject({code: 'REG_STORE_DAMAGED', info: {offset: spoilt}})
  })

  test('is refused when as many read as may', async () => {
    await appendMany(1)
    const open = Array.from({length: LIMITS.readers}, () => readers.read(0, {signal: end.signal, isLive: true}))
    for (const items of open) await items.next()
    await expect(all(0)).rejects.toMatchObject({code: 'REG_BUSY'})
    await open[0]?.return()
    expect(await all(0)).toEqual([[0], 'caught-up'])
  })
})

type Step =
  | {readonly kind: 'append'; readonly count: number}
  | {readonly kind: 'break'; readonly isBroken: boolean}
  | {readonly kind: 'pull'; readonly reader: number}
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({kind: fc.constant('append' as const), count: fc.integer({min: 1, max: 7})}),
    fc.record({kind: fc.constant('break' as const), isBroken: fc.boolean()}),
    fc.record({kind: fc.constant('pull' as const), reader: fc.nat({max: LIMITS.readers - 1})}),
  ),
  {maxLength: 40},
)

/** Pulls when it is told, one step at a time, and remembers what it got. */
class Puller {
  readonly got: string[] = []
  readonly #items: AsyncGenerator<LogStep, void>
  #caughtUp = 0
  #pending: Promise<void> | undefined

  constructor(from: number) {
    this.#items = readers.read(from, {signal: end.signal, isLive: true})
  }

  get caughtUp(): number {
    return this.#caughtUp
  }

  pull(): Promise<void> {
    this.#pending ??= this.#items.next().then(({value}) => {
      this.#pending = undefined
      if (value?.kind === 'caught-up') this.#caughtUp += 1
      for (const {offset, change} of value?.kind === 'entries' ? value.entries : [])
        this.got.push(`${offset} ${change}`)
    })
    return this.#pending
  }
}

test('readers of any speed get every committed change once, in order, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.nat({max: 12}), {minLength: 4, maxLength: 4}), async (script, starts) => {
      await open()
      const committed: string[] = []
      const pullers = starts.map((from) => new Puller(from))
      const appends: Promise<void>[] = []
      const add = (change: string) =>
        append(change).then((offset) => void (offset !== undefined && committed.push(`${offset} ${change}`)))
      for (const [index, step] of script.entries()) {
        if (step.kind === 'break') store.isBroken = step.isBroken
        else if (step.kind === 'pull') void pullers[step.reader]?.pull()
        else for (let n = 0; n < step.count; n += 1) appends.push(add(`{"at":${index},"n":${n}}`))
        if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(appends)
      store.isBroken = false
      for (let more = 0; more < 13; more += 1) await add(`{"last":${more}}`)
      for (const [index, puller] of pullers.entries()) {
        const wanted = committed.slice(starts[index])
        while (puller.got.length < wanted.length || puller.caughtUp === 0) await puller.pull()
        expect(puller.got).toEqual(wanted)
        expect(puller.caughtUp).toBe(1)
      }
      end.abort()
      log.close()
    }),
    {numRuns: 60},
  )
})
