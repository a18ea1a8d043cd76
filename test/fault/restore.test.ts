// Restores that are killed anywhere, and to any entry: a directory is as it was or as restored, and what was restored is what the log says.
import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {randomInt} from 'node:crypto'
import {once} from 'node:events'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {beginHistory, newBasePath, writeFollowFile} from '../../src/backup/followed.ts'
import {LogArchiveWriter} from '../../src/backup/log-archive.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {mendRestore} from '../../src/cell/restore-swap.ts'
import {replayInto} from '../../src/server/replay.ts'
import {Restoring} from '../../src/server/restoring/restore.ts'
import {openSource} from '../../src/server/restoring/restore-source.ts'
import {CHAIN_START} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {backUp} from '../support/cell-backup.ts'
import {chunksOf, type LoggedHistory, loggedHistory, stateAfter, stateOf} from '../support/replayed-log.ts'
import {IS_LONG} from './rounds.ts'

const KILLS = IS_LONG ? 30 : 3
const OFFSETS = IS_LONG ? 100 : 3
const CELL = 'ab'.repeat(16)
const BIN = join(import.meta.dirname, '../../bin/registry')
const {signal} = new AbortController()
let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-restore-fault-'))
})
afterAll(() => rm(home, {recursive: true}))

/** A stopped registry that has the first entries of a history. */
async function cellWith({entries}: LoggedHistory, count: number): Promise<string> {
  const dir = join(home, `cell-${count}`)
  await mkdir(dir)
  await writeFile(join(dir, 'cell.guid'), CELL)
  await replayInto(join(dir, 'registry.db'), chunksOf(entries.slice(0, count), 500), {signal})
  return dir
}

/** What `backup follow` would keep: two bases, and all entries. */
async function followedOf(history: LoggedHistory): Promise<string> {
  const {entries} = history
  const dir = join(home, 'followed')
  await mkdir(dir)
  await writeFollowFile(dir, CELL)
  const path = await beginHistory(dir, 1, 'first', '2026-11-21T12:00:00.000Z')
  for (const count of [Math.floor(entries.length / 4), Math.floor(entries.length / 2)]) {
    await backUp(await cellWith(history, count), await newBasePath(path, count))
  }
  const start = {...CHAIN_START, epoch: 1}
  await using writer = await LogArchiveWriter.open(path, {cell: CELL, start, segmentBytes: 10_000})
  await writer.append(entries)
  return dir
}

test(`what backup follow keeps can be restored to any entry: ${OFFSETS} of them`, async () => {
  const history = await loggedHistory(11, 60)
  const {entries} = history
  const followed = await followedOf(history)
  for (let round = 0; round < OFFSETS; round++) {
    const offset = round === 0 ? entries.length - 1 : randomInt(entries.length)
    const dir = join(home, 'restored')
    const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})
    const source = await openSource(followed, {signal})
    const last = round === 0 ? undefined : {offset}
    {
      const wish = {source, dir, last, progress: NO_PROGRESS, signal, wallMs: () => Date.now(), readConf}
      await using restoring = await Restoring.open(wish)
      const {history: restored} = await restoring.prepare()
      await restoring.swap()
      assert.equal(restored?.lastOffset, offset)
    }
    await using store = new SqliteStore(join(dir, 'registry.db'))
    const {nextOffset, firstOffset} = await store.open()
    assert.equal(nextOffset, offset + 2)
    assert.deepEqual(await store.read(firstOffset, offset + 1 - firstOffset), entries.slice(firstOffset, offset + 1))
    const {instances, records} = await stateOf(store)
    const own = records.filter(({table}) => table !== 'lead')
    assert.deepEqual({instances, records: own}, await stateAfter(history, offset + 1), `at entry ${offset}`)
    await rm(dir, {recursive: true})
  }
}, 1_200_000)

test(`a restore that is killed leaves the directory as it was, or as restored: ${KILLS} times`, async () => {
  const history = await loggedHistory(13, 30)
  const {entries} = history
  const backup = join(home, 'backup')
  const source = await cellWith(history, entries.length)
  await writeFile(join(source, 'large'), Buffer.alloc(40_000_000, 'large'))
  await backUp(source, backup)
  const dir = join(home, 'target')
  await mkdir(dir)
  await writeFile(join(dir, 'cell.guid'), CELL)
  await replayInto(join(dir, 'registry.db'), chunksOf(entries.slice(0, 5), 500), {signal})
  await writeFile(join(dir, 'mark'), 'before')
  const began = performance.now()
  assert.equal(await restoreUntil(backup, join(home, 'undisturbed'), undefined), 0)
  const wholeMs = performance.now() - began
  for (let round = 0; round < KILLS; round++) {
    await restoreUntil(backup, dir, Math.round(wholeMs * (0.3 + 0.8 * Math.random())))
    await mendRestore(dir)
    const isRestored = existsSync(join(dir, 'large'))
    expect([isRestored, existsSync(join(dir, 'mark'))]).toEqual([isRestored, !isRestored])
    expect(await readFile(join(dir, 'cell.guid'), 'utf8')).toBe(CELL)
    await using store = new SqliteStore(join(dir, 'registry.db'))
    expect((await store.open()).nextOffset).toBe(isRestored ? entries.length + 1 : 5)
    if (!isRestored) continue
    // Begins again with the old one, which was kept.
    await store.close()
    await rm(dir, {recursive: true})
    const kept = (await readdir(home)).filter((name) => name.startsWith('target.before-restore-'))
    for (const name of kept) await rename(join(home, name), dir)
    expect(existsSync(join(dir, 'mark'))).toBe(true)
  }
}, 1_200_000)

async function restoreUntil(backup: string, dir: string, killAfterMs: number | undefined): Promise<number | null> {
  const child = spawn(BIN, ['restore', backup, dir, '--yes', '--json'], {stdio: 'ignore'})
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  const [status] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  return status
}
