import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {basename, join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {
  beginHistory,
  type HistoryReason,
  newBasePath,
  readFollowed,
  writeFollowFile,
} from '../../../src/backup/followed.ts'
import {LogArchiveWriter} from '../../../src/backup/log-archive.ts'
import {MANIFEST_FILE, type Manifest} from '../../../src/backup/manifest.ts'
import {encodeManifest} from '../../../src/backup/manifest-write.ts'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import type {ReplayEnd} from '../../../src/server/replay.ts'
import {findPoint} from '../../../src/server/restoring/followed-point.ts'
import {openSource} from '../../../src/server/restoring/restore-source.ts'
import {FIRST_PREVIOUS_HASH} from '../../../src/store/chain.ts'
import {SqliteStore} from '../../../src/store/sqlite.ts'
import type {Entry} from '../../../src/store/store.ts'
import {backUp} from '../../support/cell-backup.ts'
import {chainedEntries} from '../../support/chained-entries.ts'

const CELL = 'c'.repeat(32)
const AT = '2026-11-21T12:00:00.000Z'
/** Entry N is of that time and N ms. */
const BEGIN_MS = 1_700_000_000_000
const iso = (ms: number) => new Date(BEGIN_MS + ms).toISOString()

let dir: string
let entries: readonly Entry[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-point-'))
  entries = chainedEntries(40)
  await writeFollowFile(dir, CELL)
})
afterEach(() => rm(dir, {recursive: true}))

/** Of a log that was trimmed, unless `first` is 0. */
async function addBase(history: string, index: number, {madeMs = index, first = index} = {}): Promise<void> {
  const path = await newBasePath(history, index)
  await mkdir(path)
  const cell = {kind: 'registry', iden: CELL, type: 'registry', name: null, version: '1.0.0'} as const
  const facts = {name: 'x', madeBy: '1.0.0', how: 'base', skipped: [], directories: [], files: []} as const
  const log = {epoch: 1, index, hash: entries[index - 1]?.hash ?? FIRST_PREVIOUS_HASH}
  const manifest: Manifest = {...facts, madeAt: iso(madeMs), cell, log, census: {'log.first': first}}
  await writeFile(join(path, MANIFEST_FILE), encodeManifest(manifest))
}

async function addHistory(number: number, why: HistoryReason, from: number, to: number): Promise<string> {
  const history = await beginHistory(dir, number, why, AT)
  const start = {nextOffset: from, lastHash: entries[from - 1]?.hash ?? FIRST_PREVIOUS_HASH, epoch: 1}
  await using writer = await LogArchiveWriter.open(history, {cell: CELL, start, segmentBytes: 400})
  for (const entry of entries.slice(from, to)) await writer.append([entry])
  return history
}

/** Where a restore begins: `history-1 5` for the base of index 5. */
async function pointOf(last: ReplayEnd | undefined, place = dir): Promise<string> {
  const {history, base, doubt} = await findPoint(await readFollowed(place), last, place !== dir)
  return `${basename(history.path)} ${base.index}${doubt === undefined ? '' : ' perhaps'}`
}
const at = (ms: number) => ({timeMs: BEGIN_MS + ms})

describe('a moment of what is followed', () => {
  test('is reached from the newest base that is not beyond it', async () => {
    const history = await addHistory(1, 'first', 5, 20)
    for (const index of [5, 10, 15]) await addBase(history, index)
    expect(await pointOf(undefined)).toBe('history-1 15')
    expect(await pointOf({offset: 19})).toBe('history-1 15')
    expect(await pointOf({offset: 14})).toBe('history-1 15')
    expect(await pointOf({offset: 13})).toBe('history-1 10')
    expect(await pointOf({offset: 4})).toBe('history-1 5')
    expect(await pointOf(at(14))).toBe('history-1 15')
    expect(await pointOf(at(13))).toBe('history-1 10')
    expect(await pointOf(at(5))).toBe('history-1 5')
  })

  test('is reached from the base before the first entry that is later, also where the clock of the registry went back', async () => {
    entries = chainedEntries(40, {timeMs: (offset) => BEGIN_MS + offset + (offset === 7 ? 1000 : 0)})
    const history = await addHistory(1, 'first', 5, 20)
    for (const index of [5, 10, 15]) await addBase(history, index)
    expect(await pointOf(at(12))).toBe('history-1 5')
    expect(await pointOf(at(19))).toBe('history-1 5')
    expect(await pointOf(at(6))).toBe('history-1 5')
  })

  test('before the oldest base is reached from it as long as its log is whole', async () => {
    const history = await addHistory(1, 'first', 5, 20)
    await addBase(history, 5, {first: 0})
    expect(await pointOf({offset: 0})).toBe('history-1 5')
    expect(await pointOf(at(1))).toBe('history-1 5')
  })

  test('is reached from an older history when the log was trimmed meanwhile, and not from another log', async () => {
    const other = await addHistory(1, 'first', 0, 4)
    await addBase(other, 0)
    const older = await addHistory(2, 'differs', 5, 12)
    for (const index of [5, 10]) await addBase(older, index)
    const newest = await addHistory(3, 'trimmed', 20, 30)
    for (const index of [20, 25]) await addBase(newest, index)
    expect(await pointOf({offset: 19})).toBe('history-3 20')
    expect(await pointOf({offset: 11})).toBe('history-2 10')
    expect(await pointOf({offset: 6})).toBe('history-2 5')
    expect(await pointOf(at(7))).toBe('history-2 5')
    expect(await pointOf(at(26))).toBe('history-3 25')
    expect(await pointOf({offset: 2}, other)).toBe('history-1 0')
    // In the gap between two, and in another log.
    for (const offset of [12, 18, 2]) {
      const error = await findPoint(await readFollowed(dir), {offset}, false).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        code: 'REG_OFFSET_CULLED',
        message: [
          `entry ${offset} is out of reach: history-3 has entries 19 to 29, ${iso(20)} to ${iso(29)}`,
          `history-2 has entries 4 to 11, ${iso(5)} to ${iso(11)}`,
          `history-1 has entries 0 to 3, the beginning to ${iso(3)}`,
        ].join('; '),
        hints: expect.arrayContaining([`from an older history: registry restore ${other} DIR`]),
      })
    }
    // It may be the moment of the base: nobody knows when its newest entry was made but its store.
    expect(await pointOf(at(15))).toBe('history-3 20 perhaps')
    // Who names a history means it.
    await expect(findPoint(await readFollowed(newest), {offset: 6}, true)).rejects.toMatchObject({
      code: 'REG_OFFSET_CULLED',
    })
  })

  test('is looked for in the store of the oldest base, when only that can tell', async () => {
    const cell = join(dir, '..', `${basename(dir)}-cell`)
    await mkdir(cell)
    await writeFile(join(cell, 'cell.guid'), CELL)
    {
      await using store = new SqliteStore(join(cell, 'registry.db'))
      await store.open()
      const effect = {kind: 'records', records: []} as const
      await store.append(entries.slice(0, 10).map((entry) => ({...entry, effect})))
    }
    const history = await addHistory(1, 'first', 10, 20)
    const base = await newBasePath(history, 10)
    const manifest = await backUp(cell, base, new Date(BEGIN_MS + 12))
    await writeFile(join(base, MANIFEST_FILE), encodeManifest({...manifest, census: {'log.first': 10}}))
    await rm(cell, {recursive: true})
    const {signal} = new AbortController()
    const layOut = async (ms: number) =>
      (await openSource(dir, {signal})).layOut(join(dir, `${ms}`), at(ms), {progress: NO_PROGRESS, signal})
    expect(await layOut(9)).toBeGreaterThan(0)
    await expect(layOut(8)).rejects.toMatchObject({
      code: 'REG_OFFSET_CULLED',
      message: `${iso(8)} is out of reach: history-1 has entries 9 to 19, ${iso(12)} to ${iso(19)}`,
    })
  })
})
