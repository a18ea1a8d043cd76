import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {randomInt} from 'node:crypto'
import {existsSync} from 'node:fs'
import {copyFile, mkdir, mkdtemp, rm, stat, truncate} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {afterAll, beforeAll, describe, test} from 'vitest'
import {verifyStoreFile} from '../../src/store/adopt.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {Child} from '../support/child.ts'
import {type DiskCall, DiskImage, type Fate, recordCalls} from '../support/disk-recorder.ts'
import {assertModel, type LogShape} from '../support/log-model.ts'
import {IS_LONG} from './rounds.ts'

const SHAPE: LogShape = {segment: 40, every: 100, kept: 30, filler: 300, batch: 5}
const ENTRIES = 300
/** Nothing is moved from the WAL into the file: what is in the WAL is nowhere else, and may be lost. */
const UNTRIMMED: LogShape = {...SHAPE, every: Number.MAX_SAFE_INTEGER}
/** In the short form one of so many prefixes is opened. */
const STRIDE = IS_LONG ? 1 : 100
const CUTS = IS_LONG ? 1500 : 15
/** Where a sync costs nothing: what is opened here is thrown away. */
const ROOT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Where strace is installed and allowed. */
const TRACERS = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0 ? ['strace'] : []
/** Of a WAL: its header, and a page with a header. */
const WAL_HEADER = 32
const FRAME = 24 + 4096

const isWritten: Fate = (bytes) => bytes

/** What was acknowledged in the first `count` calls. */
function acknowledged(calls: readonly DiskCall[], count: number): {stored: number; copied: number} {
  const said = {stored: 0, copied: 0}
  for (const call of calls.slice(0, count)) {
    if (call.kind !== 'said') continue
    const [verb, entries] = call.line.split(' ')
    if (verb === 'stored' || verb === 'copied') said[verb] = Math.max(said[verb], Number(entries))
  }
  return said
}

describe.each(TRACERS)('a power cut, by %s, while the store appends, rotates, culls, frees and is copied', () => {
  let recorded: string
  let folder: string
  let calls: readonly DiskCall[]
  /** So many had been made when the last one was opened. */
  let checkedCopies = 0

  beforeAll(async () => {
    recorded = await mkdtemp(join(tmpdir(), 'registry-power-'))
    folder = join(await mkdtemp(join(ROOT, 'registry-power-')), 'disk')
    const child = new URL('../store/trim-child.ts', import.meta.url)
    const files = [join(recorded, 'registry.db'), join(recorded, 'copy.db')]
    calls = await recordCalls(recorded, child, [...files, JSON.stringify(SHAPE), `${ENTRIES}`])
  })
  afterAll(async () => {
    await rm(recorded, {recursive: true})
    await rm(join(folder, '..'), {recursive: true})
  })

  /** Opens what is there after a cut and compares it with the model. */
  async function check(count: number, fate: Fate): Promise<void> {
    const image = DiskImage.after(calls, count, fate)
    const {stored, copied} = acknowledged(calls, count)
    await image.writeTo(folder)
    await using store = new SqliteStore(join(folder, 'registry.db'))
    await assertModel(store, await store.open(), SHAPE, stored)
    const copies = calls.slice(0, count).filter(({kind}) => kind === 'rename').length
    assert.equal(image.has('copy.db'), copies > 0)
    if (copies === checkedCopies && fate === isWritten) return
    checkedCopies = copies
    if (copies === 0) {
      assert.equal(copied, 0, 'an acknowledged copy is there')
      return
    }
    const path = join(folder, 'copy.db')
    await using copy = new SqliteStore(path)
    const head = await copy.open()
    await assertModel(copy, head, SHAPE, copied)
    await copy.close()
    await verifyStoreFile(path, head)
  }

  test('it was all recorded: every kind of call, and every entry', () => {
    const kinds = new Set(calls.map(({kind}) => kind))
    assert.deepEqual([...kinds].sort(), ['cut', 'remove', 'rename', 'said', 'sync', 'write'])
    assert.equal(acknowledged(calls, calls.length).stored, ENTRIES)
    assert(acknowledged(calls, calls.length).copied > 0)
    assert(calls.length > 1000, `only ${calls.length} calls`)
  })

  test('every prefix of what was written opens as the model says', {timeout: 900_000}, async () => {
    for (let count = calls.length; count >= 0; count -= STRIDE) {
      await check(count, isWritten).catch((error: unknown) => {
        throw new Error(`after ${count} of ${calls.length} calls`, {cause: error})
      })
    }
  })

  test('so does what is left when writes that were not synced are lost, or are there in part', {
    timeout: 900_000,
  }, async () => {
    const fates = fc.infiniteStream(fc.constantFrom(0, 0.5, 1))
    await fc.assert(
      fc.asyncProperty(fc.integer({min: 0, max: calls.length}), fates, async (count, stream) => {
        await check(count, (bytes) => bytes * (stream.next().value ?? 1))
      }),
      {numRuns: CUTS},
    )
  })
})

describe('a write-ahead log that a power cut left short', () => {
  test('at any length the store opens with the whole appends that are in it', {timeout: 300_000}, async () => {
    const root = await mkdtemp(join(ROOT, 'registry-power-'))
    try {
      const made = join(root, 'made.db')
      const args = [made, join(root, 'copy.db'), JSON.stringify(UNTRIMMED), `${ENTRIES}`, 'stay']
      await using child = new Child(new URL('../store/trim-child.ts', import.meta.url), args)
      for (let line = await child.line(); line !== `stored ${ENTRIES}`; line = await child.line())
        assert(line !== undefined)
      await child.kill()
      const whole = (await stat(`${made}-wal`)).size
      assert(whole > 100 * FRAME, `${whole} bytes`)
      for (let cut = 0; cut < CUTS; cut++) {
        // At the end of a frame, and anywhere.
        const length = cut % 2 === 0 ? WAL_HEADER + randomInt(Math.floor(whole / FRAME)) * FRAME : randomInt(whole)
        const folder = join(root, 'cut')
        await mkdir(folder)
        const path = join(folder, 'registry.db')
        await copyFile(made, path)
        await copyFile(`${made}-wal`, `${path}-wal`)
        await truncate(`${path}-wal`, length)
        await using store = new SqliteStore(path)
        const head = store.open()
        await head
          .then((opened) => assertModel(store, opened, UNTRIMMED, 0))
          .catch((error: unknown) => {
            throw new Error(`cut to ${length} of ${whole} bytes`, {cause: error})
          })
        await store.close()
        await rm(folder, {recursive: true})
      }
    } finally {
      await rm(root, {recursive: true})
    }
  })
})
