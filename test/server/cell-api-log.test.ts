// The words and values are those of a real cell of 2.256.0, as far as it has the method.
import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Archivers} from '../../src/server/archivers.ts'
import {type LogFollower, LogTrim} from '../../src/server/log-trim.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

/** Somebody who follows, and has what it is told to have. */
class Follower implements LogFollower {
  readonly name = '01.aha.demo.net'
  nextOffset: number | undefined = 0
  readonly waits: number[] = []
  isQuick = true

  async caughtUp(nextOffset: number, signal: AbortSignal): Promise<boolean> {
    this.waits.push(nextOffset)
    if (this.isQuick) return true
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return false
  }
}

let cell: TestCell
let root: TestSession
let follower: Follower
let followers: Follower[]
/** What was opened, and what it answers. */
let opened: string[]
let answer: Value | Error
beforeEach(async () => {
  follower = new Follower()
  followers = []
  opened = []
  answer = true
  const made = await TestCell.open()
  const {store, changeLog, parts} = made
  const open = async (url: string): Promise<TelepathProxy> => {
    opened.push(url)
    const call = async () => {
      if (answer instanceof Error) throw answer
      return answer
    }
    if (url.includes('nobody')) throw new RegistryError('REG_UNREACHABLE', 'nobody answers')
    return {call, [Symbol.asyncDispose]: async () => void opened.push('closed')} as unknown as TelepathProxy
  }
  const ports = {
    store,
    changes: changeLog,
    keeper: parts.logKeeper,
    clock: parts.clock,
    log: parts.log,
    archivers: parts.archivers as Archivers,
  }
  const logTrim = new LogTrim({...ports, followers: () => followers, open})
  cell = made
  Object.assign(parts, {logTrim})
  root = await cell.session(undefined)
  for (let count = 0; count < 10; count++) await cell.users.addRole(`role${count}`, undefined, 'test')
})

const index = () => cell.changeLog.nextOffset
const oldest = () => cell.store.firstOffset()
const changes = async () => (await cell.store.read(await oldest(), 1000)).map(({change}) => JSON.parse(change))

describe('the change log', () => {
  test('is rotated by an entry, and the next one begins the new segment', async () => {
    const before = index()
    expect(await root.call('rotateNexsLog')).toBe(before + 1)
    expect(index()).toBe(before + 1)
    expect((await changes()).at(-1)).toEqual({v: 1, kind: 'log:rotate'})
    const [entry] = await cell.store.read(before, 1)
    expect(entry?.actor).toBe('unix/root')
  })

  test('is culled up to an offset, by an entry', async () => {
    expect(await root.call('cullNexsLog', [4])).toBe(true)
    expect(await oldest()).toBe(5)
    expect((await changes()).at(-1)).toEqual({v: 1, kind: 'log:cull', offset: 4})
    const before = index()
    for (const offset of [-1, 4, before, before + 10]) expect(await root.call('cullNexsLog', [offset])).toBe(false)
    expect([index(), await oldest()]).toEqual([before, 5])
    expect(await root.call('cullNexsLog', [before - 1])).toBe(true)
    expect([index(), await oldest()]).toEqual([before + 1, before])
  })

  test('gives readers that come late what is left', async () => {
    await root.call('cullNexsLog', [4])
    const items = (await root.call('getNexusChanges', [0], {wait: false})) as unknown as readonly [number, unknown][]
    expect(items[0]?.[0]).toBe(5)
    await expect(cell.store.read(4, 1)).rejects.toMatchObject({code: 'REG_OFFSET_CULLED', info: {first: 5}})
  })

  test('is cut by administrators only', async () => {
    await cell.users.addUser({name: 'visi'}, 'test')
    const visi = await cell.session('visi')
    for (const [method, args] of [
      ['rotateNexsLog', []],
      ['cullNexsLog', [1]],
      ['trimNexsLog', []],
      ['trimLog', []],
    ] as const) {
      await expect(visi.call(method, args)).rejects.toMatchObject({telepath: 'AuthDeny'})
    }
  })
})

describe('a trim', () => {
  test('leaves the entry of the cull alone, and gives the last that is gone', async () => {
    const before = index()
    expect(await root.call('trimNexsLog')).toBe(before)
    expect([index(), await oldest()]).toEqual([before + 2, before + 1])
    expect(await root.call('trimNexsLog', [[]], {timeout: 60})).toBe(before + 2)
  })

  test('waits for members and for others who follow', async () => {
    followers = [follower]
    const before = index()
    expect(await root.call('trimNexsLog', [['aha://00.search...']])).toBe(before)
    expect([follower.waits, opened]).toEqual([[before + 1], ['aha://00.search...', 'closed']])
  })

  test('changes nothing while a member is away, or one of the others', async () => {
    follower.nextOffset = undefined
    followers = [follower]
    const before = index()
    await expect(root.call('trimNexsLog')).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      message: expect.stringMatching(/^01\.aha\.demo\.net of this cell is away: .*nothing was trimmed$/),
      info: {away: ['01.aha.demo.net']},
    })
    followers = []
    await expect(root.call('trimNexsLog', [['ssl://ok', 'ssl://nobody']])).rejects.toThrow('nobody answers')
    expect(opened.at(-1)).toBe('closed')
    expect(index()).toBe(before)
  })

  test('drops nothing when somebody does not follow in time', async () => {
    follower.isQuick = false
    followers = [follower]
    const before = index()
    await expect(root.call('trimNexsLog', [null], {timeout: 0.02})).rejects.toMatchObject({
      code: 'REG_TIMED_OUT',
      telepath: 'SynErr',
      message: 'trimNexsLog timed out waiting for consumer to write rotation offset',
      info: {offs: before, timeout: 0.02, url: '01.aha.demo.net'},
    })
    followers = []
    answer = false
    await expect(root.call('trimNexsLog', [['ssl://root:needle@h']], {timeout: 1})).rejects.toMatchObject({
      info: {offs: before + 1, url: 'ssl://root:****@h'},
    })
    expect([index(), await oldest()]).toEqual([before + 2, 0])
    expect(cell.logged.join('\n')).not.toContain('needle')
  })

  test('takes no more than a hundred others', async () => {
    const many = Array.from({length: 101}, () => 'ssl://h')
    await expect(root.call('trimNexsLog', [many])).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
  })
})

describe('a trim of ours', () => {
  const trimLog = async (more: Readonly<Record<string, Value>>) =>
    (await root.call('trimLog', [], more)) as Readonly<Record<string, unknown>>

  test('keeps the newest entries, besides the two of its own', async () => {
    const before = index()
    expect(await trimLog({keep: 4})).toMatchObject({
      trimmed: before - 5,
      before: {index: before, oldest: 0},
      after: {index: before + 2, oldest: before - 4},
      followers: [],
    })
    const now = index()
    expect(await trimLog({keep: 100})).toMatchObject({trimmed: null, after: null})
    expect(index()).toBe(now)
  })

  test('keeps what is younger', async () => {
    const clock = cell.parts.clock as unknown as {nowMs: number}
    const before = index()
    clock.nowMs += 10_000
    await cell.users.addRole('young', undefined, 'test')
    clock.nowMs += 1000
    expect(await trimLog({keepfor: 20_000, dryrun: true})).toMatchObject({trimmed: null})
    expect(await trimLog({keepfor: 5000, dryrun: true})).toMatchObject({trimmed: before - 1, after: null})
    expect(await trimLog({keepfor: 5000, keep: 3, dryrun: true})).toMatchObject({trimmed: index() - 4})
    expect(await trimLog({keepfor: 5000})).toMatchObject({trimmed: before - 1, after: {oldest: before}})
    expect(await trimLog({keepfor: 1000, dryrun: true})).toMatchObject({trimmed: null})
  })

  test('tells who follows, and cuts off who is away when it is forced', async () => {
    follower.nextOffset = 7
    const away = new Follower()
    away.nextOffset = undefined
    followers = [follower, away]
    const known = [
      {name: follower.name, index: 7},
      {name: away.name, index: null},
    ]
    expect(await trimLog({dryrun: true})).toMatchObject({followers: known, after: null})
    await expect(trimLog({})).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
    const before = index()
    expect(await trimLog({force: true})).toMatchObject({trimmed: before, followers: known})
    expect([follower.waits, away.waits]).toEqual([[before + 1], []])
  })
})

describe('a trim and who archives the log', () => {
  const about = {archiver: 'a'.repeat(32), name: 'host:/srv/kept', isOnce: false}
  const trimLog = async (more: Readonly<Record<string, Value>>) =>
    (await root.call('trimLog', [], more)) as Readonly<Record<string, unknown>>

  /** Begins to archive from an entry on, until what it gives is called. */
  async function archive(from: number): Promise<() => Promise<unknown>> {
    const stream = await root.answer('archiveLog', [from, about])
    if (stream.kind !== 'stream') throw new Error('not a stream')
    const items = stream.items[Symbol.asyncIterator]()
    await items.next()
    return async () => await items.return?.(undefined)
  }
  const ack = (at: number) => root.call('archiveAck', [{archiver: about.archiver, index: at, isAll: false}])

  test('it waits until that one has all that goes', async () => {
    const end = await archive(4)
    const before = index()
    const trimming = trimLog({})
    await expect.poll(index, {timeout: 150_000}).toBe(before + 1)
    await ack(before)
    expect([index(), await oldest()]).toEqual([before + 1, 0])
    await ack(before + 1)
    expect(await trimming).toMatchObject({
      trimmed: before,
      archivers: [{name: about.name, index: 4, attached: true, lacks: true}],
    })
    await end()
  })

  test('it names that one when it is late, and drops nothing; when it is forced it drops all the same', async () => {
    const end = await archive(4)
    await expect(trimLog({timeout: 0.02})).rejects.toMatchObject({code: 'REG_TIMED_OUT', info: {url: about.name}})
    expect(await oldest()).toBe(0)
    const before = index()
    expect(await trimLog({timeout: 0.02, force: true})).toMatchObject({trimmed: before})
    expect(cell.logged.join()).toContain('changes.archiver-cut-off')
    await end()
    expect(await trimLog({dryrun: true})).toMatchObject({archivers: []})
  })

  test('it is refused while that one is away, unless that one has what goes, or it is forced', async () => {
    await (await archive(4))()
    const before = index()
    const refusal = {
      code: 'REG_UNREACHABLE',
      message: expect.stringMatching(
        /^host:\/srv\/kept, which archives the log, is away since .* has the entries below 4: /,
      ),
      info: {away: [about.name]},
    }
    await expect(root.call('trimNexsLog')).rejects.toMatchObject(refusal)
    await expect(trimLog({keep: before - 5})).rejects.toMatchObject(refusal)
    expect(index()).toBe(before)
    const has = {archivers: [{index: 4, attached: false, lacks: false}]}
    expect(await trimLog({keep: before - 4, dryrun: true})).toMatchObject(has)
    expect(await trimLog({keep: before - 4})).toMatchObject({trimmed: 3, ...has})
    expect(await trimLog({dryrun: true})).toMatchObject({archivers: [{lacks: true}]})
    expect(await trimLog({force: true})).toMatchObject({trimmed: index() - 2})
    expect(await trimLog({})).toMatchObject({archivers: []})
  })

  test('it does not wait for one that is gone for good, once somebody said so', async () => {
    await (await archive(4))()
    const forget = [about.name]
    await expect(trimLog({forget: ['nobody']})).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    expect(await trimLog({forget, dryrun: true})).toMatchObject({archivers: []})
    expect(await trimLog({dryrun: true})).toMatchObject({archivers: [{name: about.name}]})
    const before = index()
    expect(await trimLog({forget})).toMatchObject({trimmed: before, archivers: []})
  })

  test('it does not count who says that it has more than there is, or archives nothing', async () => {
    await (await archive(index() + 1))()
    await expect(ack(3)).rejects.toMatchObject({code: 'REG_CONFLICT'})
    const end = await archive(4)
    await expect(ack(index() + 1)).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
    await end()
    await expect(root.call('archiveLog', [4, {...about, name: 'a\nb'}])).rejects.toMatchObject({
      code: 'REG_BAD_REQUEST',
    })
  })
})
