import {appendFile, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {readArchivedLog, readFollowed} from '../../src/backup/followed.ts'
import {RegistryError} from '../../src/base/errors.ts'
import type {Entry} from '../../src/store/store.ts'
import {FollowedCell, OLD_METHODS, TestFollower} from '../support/followed-cell.ts'

let root: string
let dir: string
let cell: FollowedCell
const followers: TestFollower[] = []

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-follow-'))
  dir = join(root, 'kept')
  cell = await FollowedCell.open()
})
afterEach(async () => {
  await Promise.allSettled(followers.splice(0).map((follower) => follower.stop()))
  await rm(root, {recursive: true})
})

function follow(
  ...[options, into = dir, of = cell]: [ConstructorParameters<typeof TestFollower>[2]?, string?, FollowedCell?]
): TestFollower {
  const follower = new TestFollower(into, of, options)
  followers.push(follower)
  return follower
}

/** What is there, besides bases that are coming. */
async function names(): Promise<readonly string[]> {
  return (await readdir(dir)).filter((name) => name !== 'coming')
}

/** Entries that are kept from a base on, the oldest one unless another is given. */
async function kept(place = dir, base = 0): Promise<readonly Entry[]> {
  const {bases} = await readFollowed(place)
  const {index, hash} = bases.at(base) ?? bases[0]
  return (await Array.fromAsync(readArchivedLog(place, {offset: index, hash}))).flat()
}

/** Waits until everything that the cell has is kept. */
async function hasAll(place = dir, of = cell): Promise<void> {
  await vi.waitFor(async () => expect((await readFollowed(place)).nextOffset).toBe(of.nextOffset), 10_000)
  const {bases} = await readFollowed(place)
  const from = bases[0].index
  expect(await kept(place)).toEqual(await of.cell.store.read(from, of.nextOffset - from + 1))
}

describe('what is followed into a new directory', () => {
  test('is a base, then every entry, and where that is', async () => {
    await cell.append(3)
    const index = cell.nextOffset
    const follower = follow()
    expect(await follower.told('following')).toEqual({event: 'following', index, behind: 0})
    await cell.append(4)
    await hasAll()
    expect(follower.events[0]).toMatchObject({event: 'base', index, removed: []})
    await vi.waitFor(() => expect(cell.noted.at(-1)).toBe(cell.nextOffset), 5000)
    expect(await follower.stop()).toEqual({index: cell.nextOffset, entries: 4})
  })

  test('is kept of an older registry too, which does not know who archives its log', async () => {
    const follower = follow({open: async () => cell.link(OLD_METHODS)})
    await follower.told('following')
    await cell.append(4)
    await hasAll()
    await vi.waitFor(() => expect(cell.noted.at(-1)).toBe(cell.nextOffset), 5000)
    expect(cell.cell.parts.archivers.known).toEqual([])
    expect(await follower.stop()).toEqual({index: cell.nextOffset, entries: 4})
  })

  test('is told up to the last change, also of those that came shortly after another one', async () => {
    const follower = follow({toldEveryMs: 300})
    await follower.told('following')
    await cell.append(1)
    await hasAll()
    await cell.append(1)
    await hasAll()
    const told = () => follower.events.findLast(({event}) => event === 'archived')
    await vi.waitFor(() => expect(told()).toMatchObject({index: cell.nextOffset}), 10_000)
  })

  test('goes on where it was, after it was stopped and after a cut link, and says so once', async () => {
    await follow().told('following')
    await cell.append(2)
    await hasAll()
    await followers[0]?.stop()
    await cell.append(600)
    const follower = follow()
    expect(await follower.told('following')).toMatchObject({behind: 600})
    await hasAll()
    cell.refusal = new RegistryError('REG_UNREACHABLE', 'nobody is there')
    cell.cutLinks()
    await follower.told('disconnected', 2)
    await cell.append(5)
    cell.refusal = undefined
    await follower.told('following', 2)
    await hasAll()
    const told = follower.events.filter(({event}) => event === 'disconnected')
    expect(told).toMatchObject([{reason: 'the link was cut'}, {reason: 'nobody is there'}])
    expect(await names()).toEqual(['follow.json', 'history-1', 'lock.db'])
  })

  test('is everything that was there, once', async () => {
    await cell.append(700)
    await follow({isOnce: true}).done
    await cell.append(700)
    const again = follow({isOnce: true})
    expect(await again.done).toEqual({index: cell.nextOffset, entries: 700})
    await hasAll()
    expect(again.events.filter(({event}) => event === 'base')).toEqual([])
    expect(cell.noted.at(-1)).toBe(cell.nextOffset)
  })

  test('is followed by one at a time', async () => {
    await follow().told('following')
    await expect(follow().done).rejects.toMatchObject({code: 'REG_DIR_LOCKED', info: {path: dir}})
  })

  test('is of one cell', async () => {
    await follow({isOnce: true}).done
    await writeFile(join(dir, 'follow.json'), `{"format":1,"cell":"${'a'.repeat(32)}"}`)
    await expect(follow().done).rejects.toMatchObject({code: 'REG_CONFLICT', info: {cell: 'a'.repeat(32)}})
  })

  test('is nothing in a directory of something else, and nothing of a service that has no such log', async () => {
    await writeFile(join(root, 'notes.txt'), 'mine')
    await expect(follow({}, root).done).rejects.toMatchObject({code: 'REG_CONFLICT'})
    const open = async () => cell.link(new Map())
    await expect(follow({open}).done).rejects.toMatchObject({telepath: 'FeatureNotSupported'})
  })
})

describe('another history', () => {
  test('is begun where the log was trimmed beyond what is there; the old one goes when there are bases enough', async () => {
    await follow({isOnce: true}).done
    await cell.append(5)
    await cell.trim()
    const follower = follow({keepBases: 1})
    expect(await follower.told('history')).toMatchObject({why: 'trimmed'})
    await follower.told('following')
    await cell.append(2)
    await hasAll()
    expect(await names()).toEqual(['follow.json', 'history-2', 'lock.db'])
    expect(follower.events.find(({event}) => event === 'base')).toMatchObject({removed: [join(dir, 'history-1')]})
  })

  test('is begun for a server whose log is another one, and the old one is left', async () => {
    await cell.append(5)
    await follow({isOnce: true}).done
    await cell.append(5)
    await follow({isOnce: true}).done
    const before = await kept()
    const other = await FollowedCell.open()
    await other.append(30, 'other')
    const follower = follow({keepBases: 1}, dir, other)
    expect(await follower.told('history')).toMatchObject({why: 'differs'})
    await follower.told('following')
    await other.append(3)
    await hasAll(dir, other)
    expect(await kept(join(dir, 'history-1'))).toEqual(before)
    expect((await readFollowed(dir)).why).toBe('differs')
  })

  test('is begun for a shorter log that is another one, and not for one that is behind', async () => {
    await cell.append(5)
    await follow({isOnce: true}).done
    await cell.append(5)
    await follow({isOnce: true}).done
    const behind = await FollowedCell.open()
    const entries = await cell.cell.store.read(0, 7)
    await behind.append(1, 'other')
    const other = follow({isOnce: true}, dir, behind)
    await expect(other.done).rejects.toMatchObject({code: 'REG_NOT_LEADER'}) // shorter than the oldest base: nobody knows
    await behind.append(6, 'other')
    const differing = follow({isOnce: true}, dir, behind)
    await differing.done
    expect(differing.events[0]).toMatchObject({event: 'history', why: 'differs'})
    expect(entries).toHaveLength(7)
  })

  test('is begun where the archive is damaged; the entry is named', async () => {
    await follow({isOnce: true}).done
    await cell.append(5)
    await follow({isOnce: true}).done
    const log = join(dir, 'history-1', 'log')
    const [name = ''] = await readdir(log)
    await writeFile(join(log, name), (await readFile(join(log, name), 'utf8')).replace('anon', 'root'))
    const follower = follow()
    expect(await follower.told('history')).toMatchObject({why: 'damaged', reason: expect.stringContaining(name)})
    await follower.told('following')
    await hasAll()
    expect(await readdir(dir)).toContain('history-1')
  })

  test('is not begun for what a crash left at the end', async () => {
    await follow({isOnce: true}).done
    await cell.append(5)
    await follow({isOnce: true}).done
    const log = join(dir, 'history-1', 'log')
    const [name = ''] = await readdir(log)
    await appendFile(join(log, name), '[12,1,"half')
    const follower = follow()
    await follower.told('following')
    await cell.append(1)
    await hasAll()
    expect(await readdir(dir)).not.toContain('history-2')
  })
})

describe('bases', () => {
  test('are taken again and again while the log goes on, and the oldest go with the log before them', async () => {
    const follower = follow({baseEveryMs: 1, keepBases: 2})
    await follower.told('following')
    for (let count = 2; count < 4; count += 1) {
      await cell.append(3)
      await follower.told('base', count)
    }
    await hasAll()
    const {bases} = await readFollowed(dir)
    expect(bases).toHaveLength(2)
    const history = join(dir, 'history-1')
    expect((await readdir(history)).filter((name) => name.startsWith('base'))).toHaveLength(2)
    expect(await kept(dir, 1)).toEqual((await kept()).slice((bases[1]?.index ?? 0) - bases[0].index))
  })

  test('of another log than the one that is archived begin another history', async () => {
    const follower = follow({baseEveryMs: 1})
    await follower.told('following')
    cell.lie = {hash: 'f'.repeat(64)}
    await cell.append(1)
    const told = await follower.told('history')
    cell.lie = {}
    expect(told).toMatchObject({why: 'differs'})
  })

  test('that cannot be taken are told, and the log goes on', async () => {
    let isBroken = false
    const takeBase = async (_: unknown, path: string) => {
      if (isBroken) throw new RegistryError('REG_DISK_LOW', 'no room')
      return cell.takeBase(path)
    }
    const follower = follow({baseEveryMs: 1, takeBase})
    await follower.told('following')
    isBroken = true
    expect(await follower.told('base-failed')).toMatchObject({reason: 'no room'})
    await cell.append(3)
    await hasAll()
  })

  test('that were not finished are gone at the next start, and so is what was half removed', async () => {
    await follow({isOnce: true}).done
    await cell.takeBase(join(dir, 'coming'))
    const half = join(dir, 'history-1', 'base-000000000000')
    await cell.takeBase(half)
    await follow({isOnce: true}).done
    expect(await readdir(dir)).toEqual(['follow.json', 'history-1', 'lock.db'])
    expect(await readdir(join(dir, 'history-1'))).not.toContain('base-000000000000')
  })
})
