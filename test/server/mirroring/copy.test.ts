import {mkdir, open, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {assertCell, type CopyPorts, fetchCopy, placeCopy} from '../../../src/server/mirroring/copy.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {CELL, CopySource, HEAD} from '../../support/copy-source.ts'
import {silentLog} from '../../wire/telepath/silent-log.ts'

/** Items of a copy of 4.5 pieces: what it is, and its pieces. */
const ITEMS = 6
const never = new AbortController().signal

let source: CopySource
let path: string
let lines: string[]
/** Heads of the copies that were made stores of their own. */
let owned: unknown[]
beforeEach(async () => {
  source = await CopySource.open()
  const dir = join(source.dir, 'member')
  await mkdir(dir)
  path = join(dir, 'registry.db')
  lines = []
  owned = []
})
afterEach(() => source[Symbol.asyncDispose]())

function ports(more: Partial<CopyPorts> = {}): CopyPorts {
  const own: CopyPorts['own'] = async (part, head) => {
    owned.push(head)
    const file = await open(part, 'r+')
    await file.write('own!', 0)
    await file.close()
  }
  const acceptCell = async (iden: string) => assertCell(iden, CELL)
  return {open: source.connect, path, acceptCell, own, log: silentLog(lines), pauseMs: 0, ...more}
}

const files = () => readdir(join(path, '..'))

async function copied(more: Partial<CopyPorts> = {}): Promise<Buffer> {
  expect(await fetchCopy(ports(more), never)).toEqual({nextOffset: 42, sizeBytes: source.bytes.length})
  await placeCopy(path)
  expect(await files()).toEqual(['registry.db'])
  return await readFile(path)
}

/** What the store of the leader becomes in its new place. */
const expected = () => Buffer.concat([Buffer.from('own!'), source.bytes.subarray(4)])
const refused = (more: Partial<CopyPorts> = {}) => fetchCopy(ports(more), never).catch((error: RegistryError) => error)

/** Fetches until the link is cut before an item, and is killed then. */
async function killedBefore(item: number): Promise<void> {
  const killed = new AbortController()
  source.cuts = [item]
  const log = {info: () => {}, warning: () => killed.abort(new Error('killed'))}
  await expect(fetchCopy(ports({pauseMs: 60_000, log}), killed.signal)).rejects.toThrow('killed')
}

describe('a copy', () => {
  test('is the store of the leader, checked and made one of its own, and goes at the leader', async () => {
    expect(await copied()).toEqual(expected())
    expect(owned).toEqual([{nextOffset: HEAD.nextOffset, lastHash: HEAD.lastHash}])
    expect(await source.files()).toEqual([])
    expect(lines.join('\n')).toMatch(/copy\.begun.*\n(.*copy\.progress.*\n)+.*copy\.checked/)
  })

  test('may be of nothing', async () => {
    source.bytes = Buffer.alloc(0)
    expect((await copied()).toString()).toBe('own!')
  })

  test.each(Array.from({length: ITEMS}, (_, at) => at))(
    'goes on after a cut before item %i, sending nothing twice',
    async (at) => {
      source.cuts = [at]
      expect(await copied()).toEqual(expected())
      expect(source.sent).toBe(source.bytes.length)
      expect(source.made).toBe(at === 0 ? 2 : 1) // it did not hear of the first one
    },
  )

  test('goes on after many cuts, as long as each attempt brings something', async () => {
    source.cuts = [2, 2, 2, 2]
    expect(await copied()).toEqual(expected())
    expect(source.sent).toBe(source.bytes.length)
  })

  test.each([1, 3, 5])('goes on after a kill before item %i', async (at) => {
    await killedBefore(at)
    expect(await copied()).toEqual(expected())
    expect(source.sent).toBe(source.bytes.length)
    expect(lines.join()).toContain('copy.resumed')
  })

  test('is only put in its place after a kill when it was checked', async () => {
    await fetchCopy(ports(), never)
    source.alter = () => {
      throw new Error('nothing more is to be fetched')
    }
    expect(await copied()).toEqual(expected())
  })

  test('is made anew when the leader has it no more', async () => {
    source.cuts = [3]
    const restarted = async () => {
      if (source.made === 1) {
        await source.restart()
        source.bytes = Buffer.concat([source.bytes, Buffer.from('more')])
      }
      return await source.connect()
    }
    expect(await copied({open: restarted})).toEqual(expected())
    expect(source.made).toBe(2)
  })

  test('is fetched anew when what was on disk is not what was written', async () => {
    await killedBefore(3)
    const part = await open(`${path}.part`, 'r+')
    await part.write('torn', 1000)
    await part.close()
    expect(await copied()).toEqual(expected())
    expect(lines.join()).toContain('copy.begun-anew')
  })

  test.each(['', 'x', '{}', '{"version":1,"id":"x"}'])('begins anew with a note that reads %j', async (note) => {
    await killedBefore(3)
    await writeFile(`${path}.part.json`, note)
    expect(await copied()).toEqual(expected())
  })

  test('replaces the store that is there, and a journal of that one', async () => {
    for (const ending of ['', '-wal', '-shm']) await writeFile(`${path}${ending}`, 'old')
    expect(await copied()).toEqual(expected())
  })
})

describe('a copy that cannot be made leaves the directory as it was', () => {
  beforeEach(() => writeFile(path, 'old'))
  afterEach(async () => {
    expect(await files()).toEqual(['registry.db'])
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  test.each<[string, Readonly<Record<string, Value>>, number]>([
    ['other bytes', {bytes: Buffer.alloc(256 * 1024)}, 2],
    ['another hash', {sha256: '00'.repeat(32)}, 0],
    ['a hash that is none', {sha256: 'x'}, 0],
    ['a size that is none', {size: -1}, 0],
    ['a piece from elsewhere', {at: 1}, 2],
    ['too long a piece', {bytes: Buffer.alloc(256 * 1024)}, 5],
    ['no bytes', {bytes: 'text'}, 2],
  ])('because of %s', async (_what, fields, at) => {
    let count = 0
    source.alter = (item) => (count++ === at ? {...(item as Record<string, Value>), ...fields} : item)
    expect(await refused()).toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('because it begins twice', async () => {
    let first: Value
    source.alter = (item) => {
      first ??= item
      return first
    }
    expect(await refused()).toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('because it ends early', async () => {
    const {snapshots} = source
    const read = snapshots.read.bind(snapshots)
    snapshots.read = async function* (...args) {
      let count = 0
      for await (const item of read(...args)) if (count++ < 3) yield item
    }
    expect(await refused()).toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('because it is of another cell', async () => {
    source.cellIden = 'f'.repeat(32)
    expect(await refused()).toMatchObject({code: 'REG_CONFLICT', message: expect.stringContaining('another cell')})
  })

  test('because it is not whole', async () => {
    const damaged = new RegistryError('REG_STORE_DAMAGED', 'entry 7 does not follow')
    expect(await refused({own: () => Promise.reject(damaged)})).toBe(damaged)
  })

  test('because there is no room, which is found out before', async () => {
    const statfs = async () => ({bavail: 1, bsize: source.bytes.length - 1})
    expect(await refused({files: {statfs}})).toMatchObject({code: 'REG_DISK_LOW', info: {bytes: source.bytes.length}})
  })

  test.each([
    ['ENOSPC', 'REG_DISK_LOW'],
    ['EDQUOT', 'REG_DISK_LOW'],
    ['EIO', 'REG_DIR_UNUSABLE'],
  ])('because of %s while it is written', async (code, expectedCode) => {
    let room = 600_000
    const moody: NonNullable<NonNullable<CopyPorts['files']>['open']> = async (name, flags, mode) => {
      const file = await open(name, flags, mode)
      const write = async (bytes: Uint8Array, from: number, length: number, at: number) => {
        if (room === 0) throw Object.assign(new Error(code), {code})
        const taken = Math.min(length, room)
        room -= taken
        return await file.write(bytes, from, taken, at)
      }
      return {write, sync: () => file.sync(), close: () => file.close()}
    }
    expect(await refused({files: {open: moody}})).toMatchObject({code: expectedCode})
  })

  test('because the leader has no room for one', async () => {
    source.room = {...source.room, bavail: 0}
    expect(await refused()).toMatchObject({code: 'REG_DISK_LOW'})
  })
})

describe('a leader that does not answer', () => {
  test('is asked again some times, and what has come stays for the next start', async () => {
    let attempts = 0
    const dead = async () => {
      attempts += 1
      if (attempts === 1) return await source.connect()
      throw new RegistryError('REG_UNREACHABLE', 'nobody')
    }
    source.cuts = [3]
    expect(await refused({open: dead})).toMatchObject({code: 'REG_UNREACHABLE'})
    expect(attempts).toBe(6)
    expect(await files()).toEqual(['registry.db.part', 'registry.db.part.json'])
    expect(await copied()).toEqual(expected())
    expect(source.sent).toBe(source.bytes.length)
  })

  test('is left at once when the server stops', async () => {
    const stop = new AbortController()
    const hanging = async (signal: AbortSignal) => {
      stop.abort(new RegistryError('REG_CANCELLED', 'stop'))
      signal.throwIfAborted()
      return await source.connect()
    }
    await expect(fetchCopy(ports({open: hanging}), stop.signal)).rejects.toMatchObject({code: 'REG_CANCELLED'})
  })
})
