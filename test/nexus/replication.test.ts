import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import type {ChangeOwner, Replayed, ReplayedChange} from '../../src/nexus/replication.ts'
import type {Entry, NewEntry} from '../../src/store/store.ts'
import {FakeClock, settle} from '../support/api.ts'
import {GatedStore, refusal} from '../support/users.ts'

/** Keeps a list of words; each change adds one. */
class Words implements ChangeOwner {
  readonly visible: string[] = []
  pending: string[] = []
  /** What became of each change, in order. */
  readonly told: string[] = []

  onReset(): void {
    this.pending = [...this.visible]
    this.told.push('reset')
  }

  replay({kind, change}: ReplayedChange): Replayed | undefined {
    if (kind !== 'word:add') return undefined
    const {word} = JSON.parse(change) as {readonly word: string}
    if (word === 'bad') throw new TypeError('not a word')
    return {...this.decide(word), failed: (error) => this.told.push(`${word}: ${error.code}`)}
  }

  decide(word: string) {
    this.pending.push(word)
    const records = [{table: 'word', key: word, value: this.pending.length.toString()}]
    return {effect: {kind: 'records', records} as const, committed: () => this.visible.push(word)}
  }
}

class Member {
  readonly store = new GatedStore()
  readonly words = new Words()
  readonly commits: number[] = []
  readonly log: ChangeLog

  constructor(batchMax: number = COMMIT_LIMITS.batchMax) {
    const append = (entries: readonly NewEntry[]) => {
      this.commits.push(entries.length)
      return this.store.append(entries)
    }
    const store = {append, probe: () => this.store.probe()}
    this.log = new ChangeLog(store, {...COMMIT_LIMITS, batchMax, clock: new FakeClock()})
    this.log.join(this.words)
  }

  follow(): void {
    this.log.setSource({kind: 'replicated', reason: 'another member leads'})
  }

  add(word: string, epoch?: number): Promise<number> {
    const {effect, committed} = this.words.decide(word)
    const entry = {timeMs: 7, actor: 'test', change: `{"v":1,"kind":"word:add","word":"${word}"}`, effect, epoch}
    return new Promise((resolve, failed) => {
      const done = (offset: number) => {
        committed()
        resolve(offset)
      }
      this.log.propose({entry, committed: done, failed})
    })
  }

  entries(): Promise<readonly Entry[]> {
    return this.store.allEntries()
  }
}

let leader: Member
let mirror: Member
beforeEach(async () => {
  leader = new Member()
  mirror = new Member()
  for (const {store} of [leader, mirror]) await store.open()
  mirror.follow()
})
afterEach(() => {
  for (const {log} of [leader, mirror]) log.close()
})

describe('entries of another member', () => {
  test('are stored as they are there, in commits of a bounded size, and are seen in order', async () => {
    const words = Array.from({length: 25}, (_, n) => `w${n}`)
    await Promise.all(words.map((word, n) => leader.add(word, n < 20 ? undefined : 3)))
    mirror = new Member(10)
    await mirror.store.open()
    mirror.follow()
    const entries = await leader.entries()
    const [first, second] = [mirror.log.replicate(entries.slice(0, 22)), mirror.log.replicate(entries.slice(22))]
    await first
    expect(mirror.words.visible.slice(0, 22)).toEqual(words.slice(0, 22))
    await second
    expect(await mirror.entries()).toEqual(entries)
    expect(await mirror.store.allRecords()).toEqual(await leader.store.allRecords())
    expect(mirror.words.visible).toEqual(words)
    expect(mirror.commits.every((size) => size <= 10)).toBe(true)
    expect(mirror.log.head).toEqual(leader.log.head)
    expect(mirror.log.head).toMatchObject({nextOffset: 25, epoch: 3, lastHash: entries.at(-1)?.hash})
  })

  test('are waited for until they are seen', async () => {
    await leader.add('one')
    const go = mirror.store.hold()
    let isDone = false
    const replicated = mirror.log.replicate(await leader.entries()).then(() => {
      isDone = true
    })
    await settle()
    expect([isDone, mirror.words.visible, mirror.words.pending]).toEqual([false, [], ['one']])
    go()
    await replicated
    expect(mirror.words.visible).toEqual(['one'])
  })

  test.each([
    ['that no part knows', '{"v":1,"kind":"verb:add","word":"go"}', 'no part of this server knows verb:add'],
    ['that does not fit the state', '{"v":1,"kind":"word:add","word":"bad"}', 'not a word'],
    ['that is none', 'go', 'it is not a change'],
  ])('are not taken from a change on %s', async (_, change, reason) => {
    await leader.add('one')
    await new Promise((committed, failed) => {
      const entry = {timeMs: 7, actor: 'test', change, effect: {kind: 'none'} as const}
      leader.log.propose({entry, committed, failed})
    })
    await leader.add('two')
    const error = await refusal(mirror.log.replicate(await leader.entries()))
    expect(error).toMatchObject({code: 'REG_BAD_ANSWER', info: {offset: 1}})
    expect(error.message).toContain(reason)
    expect(mirror.words.visible).toEqual(['one'])
    expect((await mirror.entries()).length).toBe(1)
  })

  test.each<[string, (entry: Entry) => Entry]>([
    ['another hash', (entry) => ({...entry, hash: '5'.repeat(64)})],
    ['another actor', (entry) => ({...entry, actor: 'nobody'})],
    ['another epoch', (entry) => ({...entry, epoch: 2})],
    ['an epoch that is over', (entry) => ({...entry, epoch: 0})],
    ['another offset', (entry) => ({...entry, offset: entry.offset + 1})],
  ])('with %s are of another history: none is merged, and the right ones are still taken', async (_, alter) => {
    for (const word of ['one', 'two', 'three']) await leader.add(word)
    const entries = await leader.entries()
    const [one, two, three] = entries
    if (one === undefined || two === undefined || three === undefined) throw new Error('not three entries')
    await mirror.log.replicate([one])
    const error = await refusal(mirror.log.replicate([alter(two), three]))
    expect(error).toMatchObject({code: 'REG_HISTORY_DIFFERS'})
    expect(error.info['offset']).toBeGreaterThanOrEqual(1)
    expect([mirror.log.trouble, mirror.words.pending, mirror.words.visible]).toEqual([undefined, ['one'], ['one']])
    await mirror.log.replicate([two, three])
    expect(await mirror.entries()).toEqual(entries)
  })

  test('are lost when the store refuses them, and are taken again when it can be written', async () => {
    for (const word of ['one', 'two']) await leader.add(word)
    mirror.store.isBroken = true
    await expect(mirror.log.replicate(await leader.entries())).rejects.toThrow('the disk is full')
    expect(mirror.words.told).toEqual(['reset', 'one: REG_STORE_FAILED', 'two: REG_STORE_FAILED'])
    await expect(mirror.log.replicate(await leader.entries())).rejects.toMatchObject({code: 'REG_READ_ONLY'})
    expect(mirror.log.trouble).toBeDefined()
    mirror.store.isBroken = false
    await expect.poll(() => mirror.log.trouble).toBeUndefined()
    await mirror.log.replicate(await leader.entries())
    expect(mirror.words.visible).toEqual(['one', 'two'])
  })

  test('are refused by a member that leads, has no leader, or is held', async () => {
    await leader.add('one')
    const entries = await leader.entries()
    mirror.log.hold('disk', 'the disk is low')
    await expect(mirror.log.replicate(entries)).rejects.toMatchObject({
      code: 'REG_READ_ONLY',
      message: 'the disk is low',
    })
    mirror.log.release('disk')
    mirror.log.setSource({kind: 'none', code: 'REG_FENCED', reason: 'another one leads'})
    await expect(mirror.log.replicate(entries)).rejects.toMatchObject({code: 'REG_FENCED'})
    mirror.log.setSource({kind: 'own'})
    await expect(mirror.log.replicate(entries)).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(mirror.log.nextOffset).toBe(0)
  })
})

describe('a member whose changes are not taken', () => {
  test('refuses its own, with the reason, but not one of the lead', async () => {
    expect(mirror.log.refusal()).toEqual({code: 'REG_NOT_LEADER', reason: 'another member leads'})
    expect(() => mirror.log.assertOpen()).toThrow('another member leads')
    await expect(mirror.add('one')).rejects.toMatchObject({code: 'REG_NOT_LEADER'})
    mirror.log.setSource({kind: 'none', code: 'REG_FENCED', reason: 'fenced'})
    expect(mirror.log.refusal()).toEqual({code: 'REG_FENCED', reason: 'fenced'})
    const entry = {
      timeMs: 7,
      actor: 'test',
      change: '{"v":1,"kind":"lead:take"}',
      effect: {kind: 'none'},
      epoch: 9,
    } as const
    await new Promise((committed, failed) => mirror.log.proposeLead({entry, committed, failed}))
    expect(mirror.log.head).toMatchObject({nextOffset: 1, epoch: 9})
  })

  test('hears when they are taken again', () => {
    let opened = 0
    mirror.log.join({onReset: () => {}, onOpen: () => opened++})
    mirror.log.setSource({kind: 'none', code: 'REG_NOT_LEADER', reason: 'closing'})
    expect(opened).toBe(0)
    mirror.log.setSource({kind: 'own'})
    expect(opened).toBe(1)
  })

  test('finishes what was under way', async () => {
    const go = leader.store.hold()
    const added = leader.add('one')
    leader.log.setSource({kind: 'none', code: 'REG_NOT_LEADER', reason: 'closing'})
    go()
    expect(await added).toBe(0)
  })
})

describe('what is abandoned', () => {
  const fenced = new RegistryError('REG_FENCED', 'another member leads')

  test('fails at once; what the store had in hand becomes visible, and is told to nobody', async () => {
    const go = leader.store.hold()
    const written = leader.add('one')
    await settle()
    const waiting = leader.add('two')
    leader.log.abandon(fenced)
    await expect(written).rejects.toBe(fenced)
    await expect(waiting).rejects.toBe(fenced)
    expect(leader.words.pending).toEqual([])
    expect(leader.log.refusal()).toMatchObject({reason: 'what was abandoned is still being written'})
    go()
    await leader.log.settled()
    expect([leader.words.visible, leader.words.pending]).toEqual([['one'], ['one']])
    expect(leader.log.refusal()).toBeUndefined()
    expect(await leader.add('three')).toBe(1)
  })

  test('is told once that it failed, when a yet better leader is heard of before the store is done', async () => {
    const entries = await leader.add('one').then(() => leader.entries())
    const go = mirror.store.hold()
    const replicated = mirror.log.replicate(entries)
    await settle()
    mirror.log.abandon(fenced)
    mirror.log.abandon(fenced)
    go()
    await expect(replicated).rejects.toBe(fenced)
    await mirror.log.settled()
    expect(mirror.words.told.filter((text) => text !== 'reset')).toEqual(['one: REG_FENCED'])
    expect(mirror.words.visible).toEqual(['one'])
  })

  test('is told once that it failed, when the store refuses it too', async () => {
    const entries = await leader.add('one').then(() => leader.entries())
    const go = mirror.store.hold()
    const replicated = mirror.log.replicate(entries)
    await settle()
    mirror.log.abandon(fenced)
    mirror.store.isBroken = true
    go()
    await expect(replicated).rejects.toBe(fenced)
    await mirror.log.settled()
    expect(mirror.words.told.filter((text) => text !== 'reset')).toEqual(['one: REG_FENCED'])
    expect([mirror.words.visible, mirror.words.pending]).toEqual([[], []])
  })
})
