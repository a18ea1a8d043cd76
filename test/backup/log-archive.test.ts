import assert from 'node:assert/strict'
import {appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {archiveEnd, type LogArchiveAbout, LogArchiveWriter, readArchive} from '../../src/backup/log-archive.ts'
import {FIRST_PREVIOUS_HASH} from '../../src/store/chain.ts'
import type {Entry} from '../../src/store/store.ts'
import {chainedEntries} from '../support/chained-entries.ts'

const CELL = 'c'.repeat(32)
const ABOUT: LogArchiveAbout = {
  cell: CELL,
  start: {nextOffset: 0, lastHash: FIRST_PREVIOUS_HASH, epoch: 1},
  segmentBytes: 2000,
}
const BEGINNING = {offset: 0, hash: FIRST_PREVIOUS_HASH}

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-archive-'))
})
afterEach(() => rm(dir, {recursive: true}))

const openArchive = (about = ABOUT) => LogArchiveWriter.open(dir, about)
const files = async () => (await readdir(join(dir, 'log'))).sort()
const fileAt = async (at: number) => join(dir, 'log', (await files()).at(at) ?? '')

async function readAll(from: {offset: number; hash: string} = BEGINNING): Promise<Entry[]> {
  return (await Array.fromAsync(readArchive(dir, from))).flat()
}

/** Writes entries in several calls. */
async function archive(entries: readonly Entry[], step = 3): Promise<void> {
  await using writer = await openArchive()
  for (let at = 0; at < entries.length; at += step) await writer.append(entries.slice(at, at + step))
}

/** Where the entry with this offset stands in its file. */
async function placeOf(entry: Entry): Promise<{file: string; start: number; end: number}> {
  for (const name of await files()) {
    const file = join(dir, 'log', name)
    const bytes = await readFile(file)
    const start = bytes.indexOf(`[${entry.offset},`)
    if (start !== -1) return {file, start, end: bytes.indexOf('\n', start)}
  }
  throw new Error(`entry ${entry.offset} is not archived`)
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(file, bytes)
}

describe('an archived log', () => {
  test('gives back what was added, in several segments, over several openings', async () => {
    const entries = chainedEntries(60)
    await archive(entries.slice(0, 25))
    await archive(entries.slice(25))
    assert.deepEqual(await readAll(), entries)
    assert((await files()).length > 3)
    assert.equal((await files())[0], '000000000000.log')
    await using again = await openArchive()
    assert.deepEqual(again.place, {nextOffset: 60, lastHash: entries[59]?.hash, epoch: 1})
    assert.equal(again.lastTimeMs, entries[59]?.timeMs)
  })

  test('is for its owner alone', async () => {
    await archive(chainedEntries(1))
    assert.equal((await stat(join(dir, 'log'))).mode & 0o777, 0o700)
    assert.equal((await stat(await fileAt(0))).mode & 0o777, 0o600)
  })

  test.each([1, 5, 24, 59, 60, 61])('is read from %i on', async (offset) => {
    const entries = chainedEntries(60)
    await archive(entries)
    const hash = entries[offset - 1]?.hash ?? 'f'.repeat(64)
    assert.deepEqual(await readAll({offset, hash}), entries.slice(offset))
  })

  test.each([1, 5, 24, 59])('refuses a base at %i of another history', async (offset) => {
    await archive(chainedEntries(60))
    await assert.rejects(readAll({offset, hash: 'f'.repeat(64)}), {code: 'REG_BACKUP_DAMAGED'})
  })

  test('refuses each base of another history also where a segment begins', async () => {
    await archive(chainedEntries(60))
    const first = Number((await files())[1]?.slice(0, 12))
    await assert.rejects(readAll({offset: first, hash: 'f'.repeat(64)}), {code: 'REG_BACKUP_DAMAGED'})
  })

  test('takes entries of a higher epoch, and none of a lower one', async () => {
    const old = chainedEntries(5)
    const previous = old[4]?.hash ?? ''
    const newer = chainedEntries(5, {from: 5, previous, epoch: 2})
    const older = chainedEntries(1, {from: 10, previous: newer[4]?.hash ?? '', epoch: 1})
    await archive([...old, ...newer])
    await using writer = await openArchive()
    assert.equal(writer.place.epoch, 2)
    await assert.rejects(writer.append(older), {code: 'REG_HISTORY_DIFFERS', info: {offset: 10}})
    assert.deepEqual(await readAll(), [...old, ...newer])
  })

  test.each([
    ['twice the same', (entries: Entry[]) => entries.slice(3, 6)],
    ['with a gap', (entries: Entry[]) => entries.slice(7, 9)],
    ['of another history', () => chainedEntries(1, {from: 6, previous: 'e'.repeat(64)})],
  ])('takes no entries %s', async (_name, some) => {
    const entries = chainedEntries(10)
    await archive(entries.slice(0, 6))
    await using writer = await openArchive()
    await assert.rejects(writer.append(some(entries)), {code: 'REG_HISTORY_DIFFERS'})
    await writer.append(entries.slice(6))
    assert.deepEqual(await readAll(), entries)
  })

  test('loses whole old segments when they are not needed any more', async () => {
    const entries = chainedEntries(60)
    await archive(entries)
    const firsts = (await files()).map((name) => Number(name.slice(0, 12)))
    const [, , third = 0] = firsts
    await using writer = await openArchive()
    await writer.removeBefore(third + 1)
    assert.deepEqual(
      await files(),
      (await files()).filter((name) => Number(name.slice(0, 12)) >= third),
    )
    assert.deepEqual(await readAll({offset: third + 1, hash: entries[third]?.hash ?? ''}), entries.slice(third + 1))
    await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'})
    await writer.removeBefore(1000)
    assert.equal((await files()).length, 1)
  })
})

describe('the end that a crash leaves', () => {
  const entries = chainedEntries(20)

  test('is cut off wherever it was cut, and the rest is added again', async () => {
    await archive(entries)
    const path = await fileAt(-1)
    const whole = await readFile(path)
    for (let length = whole.length; length >= 0; length -= 13) {
      await writeFile(path, whole.subarray(0, length))
      const kept = await readAll()
      assert.deepEqual(kept, entries.slice(0, kept.length))
      if (length % 3 !== 0) continue
      await using writer = await openArchive()
      assert.equal(writer.nextOffset, kept.length)
      await writer.append(entries.slice(kept.length))
      assert.deepEqual(await readAll(), entries)
    }
  })

  test('may have zeros where nothing was written', async () => {
    await archive(entries)
    const {file, start, end} = await placeOf(entries[18] as Entry)
    const bytes = await readFile(file)
    bytes.fill(0, start, end + 20)
    await writeFile(file, bytes)
    assert.deepEqual(await readAll(), entries.slice(0, 18))
    assert.equal((await archiveEnd(dir))?.isTorn, true)
    await archive(entries.slice(18))
    assert.deepEqual(await readAll(), entries)
  })

  test.each([
    ['the first line', 0],
    ['an entry', 12],
    ['the last but one', 18],
  ])(
    'is none where entries follow: zeros in %s are damage, and nothing is cut off or removed',
    async (what, offset) => {
      await archive(entries)
      const {file, start} = await placeOf(entries[offset] as Entry)
      const bytes = await readFile(file)
      const at = what === 'the first line' ? 4 : start + 4
      bytes.fill(0, at, at + 1)
      // All of it in one segment, which is the last.
      for (const name of await files()) if (join(dir, 'log', name) > file) await rm(join(dir, 'log', name))
      await writeFile(file, bytes)
      await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'})
      await assert.rejects(openArchive(), {code: 'REG_BACKUP_DAMAGED'})
      assert.deepEqual(await readFile(file), bytes)
    },
  )

  test('is not there after a clean end', async () => {
    await archive(entries)
    const end = await archiveEnd(dir)
    assert.equal(end?.isTorn, false)
    assert.equal(end.place.nextOffset, 20)
  })

  test('is never what is damaged: an altered byte of a line is named, also in the last one', async () => {
    await archive(entries)
    for (const offset of [0, 7, 18, 19]) {
      const {file, start, end} = await placeOf(entries[offset] as Entry)
      for (let at = start; at <= end; at += 9) {
        await flip(file, at)
        await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'}, `entry ${offset}, byte ${at}`)
        await flip(file, at)
      }
      await flip(file, end)
      await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'}, `the end of entry ${offset}`)
      await flip(file, end)
    }
    assert.deepEqual(await readAll(), entries)
  })

  test('is damage in a segment that is not the last', async () => {
    await archive(entries)
    const path = await fileAt(0)
    await truncate(path, (await stat(path)).size - 5)
    await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'})
  })

  test('a missing segment and a first line of another cell are named, a foreign file is none', async () => {
    await archive(chainedEntries(60))
    await writeFile(join(dir, 'log', 'notes.txt'), 'not a segment')
    assert.equal((await readAll()).length, 60)
    await assert.rejects(LogArchiveWriter.open(dir, {...ABOUT, cell: 'd'.repeat(32)}), /of the cell c{32}/)
    await rm(await fileAt(1))
    await assert.rejects(readAll(), {code: 'REG_BACKUP_DAMAGED'})
  })

  test('a segment that the system does not read is no damage', async () => {
    await archive(entries)
    const path = await fileAt(-1)
    await rm(path)
    await mkdir(path)
    await assert.rejects(readAll(), {code: 'REG_BACKUP_SOURCE', message: `cannot read ${path}: EISDIR`})
  })

  test('the error says which file, which byte and which entry', async () => {
    await archive(entries)
    const {file, start} = await placeOf(entries[7] as Entry)
    await flip(file, start + 12)
    await assert.rejects(readAll(), (error: {info: object}) => {
      assert.partialDeepStrictEqual(error.info, {path: file, at: start, offset: 7})
      return true
    })
  })

  test('a line that has no end and no place is no entry', async () => {
    await archive(entries)
    await appendFile(await fileAt(-1), '[20,1,"')
    assert.deepEqual(await readAll(), entries)
  })
})
