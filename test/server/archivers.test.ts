import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {Archivers} from '../../src/server/archivers.ts'
import {FakeClock} from '../support/api.ts'

const DAY_MS = 86_400_000
const KEPT = {archiver: 'a'.repeat(32), name: 'host:/srv/kept', isOnce: false}
const OTHER = {archiver: 'b'.repeat(32), name: 'other:/srv/kept', isOnce: true}

let dir: string
let clock: FakeClock
let nextOffset: number
let archivers: Archivers
let warned: string[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-archivers-'))
  clock = new FakeClock()
  nextOffset = 10
  warned = []
  archivers = await open()
})
afterEach(async () => {
  await archivers.close()
  await rm(dir, {recursive: true})
})

function open(): Promise<Archivers> {
  const log = {info: () => undefined, warning: (event: string) => void warned.push(event)}
  return Archivers.open({dir, clock, log, nextOffset: () => nextOffset})
}

const known = () => archivers.known.map(({name, index, attachedMs}) => [name, index, attachedMs !== null])
const never = () => new AbortController().signal

describe('who archives the log', () => {
  test('is known while it is there, with what it said last, and when it is away', () => {
    const attached = archivers.attach(KEPT, 's1', 4)
    expect(known()).toEqual([[KEPT.name, 4, true]])
    archivers.ack(KEPT.archiver, 's1', 7)
    expect(known()).toEqual([[KEPT.name, 7, true]])
    attached[Symbol.dispose]()
    expect(known()).toEqual([[KEPT.name, 7, false]])
  })

  test('is remembered over a restart, never further than it was', async () => {
    archivers.attach(KEPT, 's1', 4)
    archivers.ack(KEPT.archiver, 's1', 7)
    archivers = await reopen()
    expect(known()).toEqual([[KEPT.name, 7, false]])
    await writeFile(join(dir, 'archivers.state.json'), '{"archivers": [{"archiver": 7}]}')
    expect((await open()).known).toEqual([])
  })

  test('is remembered also when the server is killed after it came', async () => {
    archivers.attach(KEPT, 's1', 4)
    const wasThere = async () => (await open()).known.length === 1
    await expect.poll(wasThere, {timeout: 150_000}).toBe(true)
  })

  test('keeps the place of its newest link: an older one that ends late says nothing', () => {
    const old = archivers.attach(KEPT, 's1', 4)
    archivers.attach(KEPT, 's2', 6)
    old[Symbol.dispose]()
    expect(known()).toEqual([[KEPT.name, 6, true]])
    expect(() => archivers.ack(KEPT.archiver, 's1', 9)).toThrow('archives no log')
  })

  test('is told of when it comes back with less than it had', () => {
    archivers.attach(KEPT, 's1', 4)[Symbol.dispose]()
    archivers.attach(KEPT, 's2', 4)[Symbol.dispose]()
    expect(warned).toEqual([])
    archivers.attach(KEPT, 's3', 3)
    expect(warned).toEqual(['archiver.lost-entries'])
  })

  test('gets on, or has all: since when it does not is told', () => {
    archivers.attach(KEPT, 's1', 4)
    const began = archivers.known[0]?.movedMs ?? 0
    clock.nowMs += 5000
    archivers.ack(KEPT.archiver, 's1', 4)
    expect(archivers.known[0]?.movedMs).toBe(began)
    nextOffset = 4
    archivers.ack(KEPT.archiver, 's1', 4)
    expect(archivers.known[0]?.movedMs).toBe(began + 5000)
  })

  test('is one of 64 at most: the one that is away longest makes room, and nobody else', () => {
    const about = (number: number) => ({...KEPT, archiver: number.toString(16).padStart(32, '0'), name: `n${number}`})
    archivers.attach(OTHER, 's', 1)[Symbol.dispose]()
    for (let number = 0; number < 64; number += 1) archivers.attach(about(number), `s${number}`, 1)
    expect(archivers.known.some(({name}) => name === OTHER.name)).toBe(false)
    expect(() => archivers.attach(about(64), 's64', 1)).toThrow('64 archive the log already')
  })
})

describe('who is away', () => {
  beforeEach(() => archivers.attach(KEPT, 's1', 4)[Symbol.dispose]())

  test('is forgotten a month after it was last heard of', () => {
    clock.nowMs += 30 * DAY_MS
    expect(known()).toHaveLength(1)
    clock.nowMs += 1
    expect(known()).toEqual([])
  })

  test('is forgotten when a trim cut it off, and not before', () => {
    archivers.noteCulled(3)
    expect(known()).toHaveLength(1)
    archivers.noteCulled(4)
    expect(known()).toEqual([])
  })

  test('is forgotten when it was cut off while it was there', () => {
    const attached = archivers.attach(KEPT, 's1', 4)
    archivers.noteCulled(4)
    expect(known()).toHaveLength(1)
    attached[Symbol.dispose]()
    expect(known()).toEqual([])
  })

  test('is forgotten when somebody says so, but not while it is there', async () => {
    const attached = archivers.attach(KEPT, 's1', 4)
    expect(() => archivers.forget(KEPT.name)).toThrow('at present')
    attached[Symbol.dispose]()
    expect(archivers.forget('nobody')).toBe(false)
    expect(archivers.forget(KEPT.name)).toBe(true)
    archivers = await reopen()
    expect(known()).toEqual([])
  })
})

describe('a wait', () => {
  test('ends when it has all, over a break of its link', async () => {
    const attached = archivers.attach(KEPT, 's1', 4)
    const waiting = archivers.caughtUp(KEPT.archiver, 6, never())
    archivers.ack(KEPT.archiver, 's1', 5)
    attached[Symbol.dispose]()
    archivers.attach(KEPT, 's2', 5)
    archivers.ack(KEPT.archiver, 's2', 6)
    expect(await waiting).toBe(true)
    expect(await archivers.caughtUp(KEPT.archiver, 6, never())).toBe(true)
  })

  test('is over when the signal says so, and for one that is forgotten', async () => {
    archivers.attach(KEPT, 's1', 4)[Symbol.dispose]()
    expect(await archivers.caughtUp(KEPT.archiver, 6, AbortSignal.abort())).toBe(false)
    const waiting = archivers.caughtUp(KEPT.archiver, 6, never())
    archivers.forget(KEPT.name)
    expect(await waiting).toBe(true)
  })
})

describe('who archives the log at a mirror', () => {
  const at = (index: number) => ({...KEPT, index})

  test('is known as the mirror tells, and away when the mirror is, or says nothing of it any more', () => {
    archivers.noteMember('m1', [at(4)])
    expect(known()).toEqual([[KEPT.name, 4, true]])
    expect(archivers.here).toEqual([])
    archivers.noteMember('m1', [])
    expect(known()).toEqual([[KEPT.name, 4, false]])
    archivers.noteMember('m1', [at(6)])
    archivers.noteMemberLost('m1')
    expect(known()).toEqual([[KEPT.name, 6, false]])
  })

  test('may move: the link that got on counts', () => {
    archivers.noteMember('m1', [at(4)])
    const attached = archivers.attach(KEPT, 's1', 5)
    archivers.noteMember('m1', [at(4)])
    expect(archivers.here).toEqual([at(5)])
    archivers.noteMember('m2', [at(6)])
    archivers.noteMember('m1', [])
    attached[Symbol.dispose]()
    expect(known()).toEqual([[KEPT.name, 6, true]])
    expect(archivers.here).toEqual([])
  })
})

async function reopen(): Promise<Archivers> {
  await archivers.close()
  return await open()
}
