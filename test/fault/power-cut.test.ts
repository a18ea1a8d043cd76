import assert from 'node:assert/strict'
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
import {DirectStore} from '../support/direct-store.ts'
import {DiskCuts, FATES, fateByChance} from '../support/disk-cuts.ts'
import {type Recording, recordCalls, TRACERS} from '../support/disk-recorder.ts'
import {assertModel, type LogShape} from '../support/log-model.ts'
import {openCuts} from '../support/open-cuts.ts'
import {IS_LONG} from './rounds.ts'

const SHAPE: LogShape = {segment: 40, every: 100, kept: 30, filler: 300, batch: 5}
const ENTRIES = 300
/** Nothing is moved from the WAL into the file: what is in the WAL is nowhere else, and may be lost. */
const UNTRIMMED: LogShape = {...SHAPE, every: Number.MAX_SAFE_INTEGER}
/** In the short form one of so many prefixes is opened. */
const STRIDE = IS_LONG ? 1 : 100
/** A thread takes a hundred times as long to start as a file takes to open. */
const THREAD_STRIDE = IS_LONG ? 10 : 200
const CUTS = IS_LONG ? 1500 : 15
/** Where a sync costs nothing: what is opened here is thrown away. */
const ROOT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Of a WAL: its header, and a page with a header. */
const WAL_HEADER = 32
const FRAME = 24 + 4096

const IN_ORDER = {'all is there': FATES['all is there']}

/** What is in a directory after a cut. */
interface Found {
  readonly stored: number
  /** Undefined when there is no copy. */
  readonly copied: number | undefined
}

/** Asserts that what is there is what the model says, before and after what was culled is freed. */
async function look(folder: string): Promise<Found> {
  using store = new DirectStore(join(folder, 'registry.db'))
  await assertModel(store, store.head, SHAPE, 0)
  store.freeAll()
  await assertModel(store, store.head, SHAPE, 0)
  const path = join(folder, 'copy.db')
  if (!existsSync(path)) return {stored: store.head.nextOffset, copied: undefined}
  using copy = new DirectStore(path)
  await assertModel(copy, copy.head, SHAPE, 0)
  return {stored: store.head.nextOffset, copied: copy.head.nextOffset}
}

/** As a registry opens it, by a thread. */
async function lookByThread(folder: string): Promise<Found> {
  const path = join(folder, 'copy.db')
  const copied = existsSync(path) ? await openAndVerify(path) : undefined
  await using store = new SqliteStore(join(folder, 'registry.db'))
  const head = await store.open()
  await assertModel(store, head, SHAPE, 0)
  return {stored: head.nextOffset, copied}
}

async function openAndVerify(path: string): Promise<number> {
  await using copy = new SqliteStore(path)
  const head = await copy.open()
  await copy.close()
  await verifyStoreFile(path, head)
  return head.nextOffset
}

function judge({stored, copied}: Found, said: readonly string[]): void {
  const most = (verb: string) =>
    Math.max(0, ...said.filter((line) => line.startsWith(verb)).map((line) => Number(line.split(' ')[1])))
  assert(stored >= most('stored'), `acknowledged ${most('stored')}, there ${stored}`)
  assert((copied ?? 0) >= most('copied'), `acknowledged a copy of ${most('copied')}, there ${copied ?? 'none'}`)
}

describe.each(TRACERS)('a power cut, by %s, while the store appends, rotates, culls, frees and is copied', () => {
  let recorded: string
  let folder: string
  let recording: Recording

  beforeAll(async () => {
    recorded = await mkdtemp(join(tmpdir(), 'registry-power-'))
    folder = join(await mkdtemp(join(ROOT, 'registry-power-')), 'disk')
    const child = new URL('../store/trim-child.ts', import.meta.url)
    const files = [join(recorded, 'registry.db'), join(recorded, 'copy.db')]
    recording = await recordCalls(recorded, child, [...files, JSON.stringify(SHAPE), `${ENTRIES}`])
  })
  afterAll(async () => {
    await rm(recorded, {recursive: true})
    await rm(join(folder, '..'), {recursive: true})
  })

  test('it was all recorded: every kind of call, and every entry', () => {
    const {calls} = recording
    assert.deepEqual([...new Set(calls.map(({kind}) => kind))].sort(), ['cut', 'names', 'said', 'sync', 'write'])
    const lines = calls.flatMap((call) => (call.kind === 'said' ? [call.line] : []))
    assert(lines.includes(`stored ${ENTRIES}`))
    assert(lines.some((line) => line.startsWith('copied')))
    assert(calls.length > 1000, `only ${calls.length} calls`)
  })

  test('every prefix of what was written opens as the model says', {timeout: 900_000}, async () => {
    const start = randomInt(STRIDE)
    const isChosen = ({count}: DiskCuts) => count % STRIDE === start
    const {cuts} = await openCuts(new DiskCuts(recording), IN_ORDER, {folder, look, judge}, isChosen)
    assert(cuts > recording.calls.length / STRIDE - 1, `only ${cuts} cuts`)
  })

  test('a registry opens it too, by its thread', {timeout: 900_000}, async () => {
    const start = randomInt(THREAD_STRIDE)
    const isChosen = ({count}: DiskCuts) => count % THREAD_STRIDE === start
    await openCuts(new DiskCuts(recording), IN_ORDER, {folder, look: lookByThread, judge}, isChosen)
  })

  test('so does what is left when what was not synced is lost, torn or there in another order', {
    timeout: 900_000,
  }, async () => {
    const start = randomInt(STRIDE)
    await openCuts(new DiskCuts(recording), FATES, {folder, look, judge}, ({count}) => count % STRIDE === start)
  })

  test('and when it is there by chance', {timeout: 900_000}, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({min: 0, max: recording.calls.length}), fateByChance(), async (count, fate) => {
        const cuts = new DiskCuts(recording)
        while (cuts.count < count) cuts.next()
        await cuts.cut(fate).writeTo(folder)
        judge(await look(folder), cuts.said)
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
