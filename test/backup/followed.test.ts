import assert from 'node:assert/strict'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {
  beginHistory,
  isFollowed,
  newBasePath,
  readArchivedLog,
  readFollowed,
  readHistories,
  writeFollowFile,
} from '../../src/backup/followed.ts'
import {LogArchiveWriter} from '../../src/backup/log-archive.ts'
import {MANIFEST_FILE, type Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {openSource} from '../../src/server/restoring/restore-source.ts'
import {FIRST_PREVIOUS_HASH} from '../../src/store/chain.ts'
import type {Entry} from '../../src/store/store.ts'
import {chainedEntries} from '../support/chained-entries.ts'

const CELL = 'c'.repeat(32)
const AT = '2026-11-21T12:00:00.000Z'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-followed-'))
})
afterEach(() => rm(dir, {recursive: true}))

function manifest(index: number, hash: string): Manifest {
  const cell = {kind: 'registry', iden: CELL, type: 'registry', name: null, version: '1.0.0'} as const
  const facts = {name: 'x', madeAt: AT, madeBy: '1.0.0', how: 'base', skipped: [], directories: [], files: []} as const
  return {...facts, cell, log: {epoch: 1, index, hash}, census: {}}
}

async function addBase(history: string, index: number, hash: string): Promise<string> {
  const path = await newBasePath(history, index)
  await mkdir(path)
  await writeFile(join(path, MANIFEST_FILE), encodeManifest(manifest(index, hash)))
  return path
}

async function addEntries(history: string, entries: readonly Entry[]): Promise<void> {
  const start = {nextOffset: entries[0]?.offset ?? 0, lastHash: FIRST_PREVIOUS_HASH, epoch: 1}
  await using writer = await LogArchiveWriter.open(history, {cell: CELL, start})
  await writer.append(entries)
}

describe('what is followed', () => {
  test('is bases and the log from the oldest of them on', async () => {
    const entries = chainedEntries(10)
    await writeFollowFile(dir, CELL)
    const history = await beginHistory(dir, 1, 'first', AT)
    const first = await addBase(history, 0, FIRST_PREVIOUS_HASH)
    const second = await addBase(history, 4, entries[3]?.hash ?? '')
    const third = await addBase(history, 4, entries[3]?.hash ?? '')
    await addEntries(history, entries)
    await mkdir(join(history, 'base-000000000006')) // no manifest: a base that was not finished
    await mkdir(join(history, '.base.partial-12345678'))
    const followed = await readFollowed(dir)
    const {bases, ...rest} = followed
    assert.deepEqual(
      bases.map(({path, index}) => ({path, index})),
      [
        {path: first, index: 0},
        {path: second, index: 4},
        {path: third, index: 4},
      ],
    )
    assert.deepEqual(rest, {
      ...{dir, path: history, cell: CELL, why: 'first', others: [], isTorn: false, damage: undefined},
      ...{firstOffset: 0, nextOffset: 10, lastHash: entries[9]?.hash, lastOffset: 9, lastTimeMs: entries[9]?.timeMs},
    })
    const from = {offset: 4, hash: bases[1]?.hash ?? ''}
    assert.deepEqual((await Array.fromAsync(readArchivedLog(dir, from))).flat(), entries.slice(4))
  })

  test('has newer bases of an index behind older ones, also when the oldest is gone', async () => {
    await writeFollowFile(dir, CELL)
    const history = await beginHistory(dir, 1, 'first', AT)
    const first = await addBase(history, 7, 'a'.repeat(64))
    const second = await addBase(history, 7, 'a'.repeat(64))
    await rm(first, {recursive: true})
    const third = await addBase(history, 7, 'a'.repeat(64))
    assert.deepEqual(
      (await readFollowed(dir)).bases.map(({path}) => path),
      [second, third],
    )
  })

  test('ends with its newest entry, also when a crash left a segment that was just begun', async () => {
    const entries = chainedEntries(4)
    await writeFollowFile(dir, CELL)
    const history = await beginHistory(dir, 1, 'first', AT)
    await addBase(history, 0, FIRST_PREVIOUS_HASH)
    await addEntries(history, entries)
    const {hash: previous, epoch, timeMs} = entries[3] as Entry
    const header = JSON.stringify({format: 1, cell: CELL, first: 4, previous, epoch})
    for (const left of ['', header.slice(0, 9), `${header}\n`, `${header}\n[4,1,"`]) {
      await writeFile(join(history, 'log', '000000000004.log'), left)
      const {nextOffset, lastHash, lastOffset, lastTimeMs} = await readFollowed(dir)
      assert.deepEqual([nextOffset, lastHash, lastOffset, lastTimeMs], [4, previous, 3, timeMs], left)
    }
  })

  test('may be a base alone', async () => {
    await writeFollowFile(dir, CELL)
    await addBase(await beginHistory(dir, 1, 'first', AT), 7, 'a'.repeat(64))
    const {firstOffset, nextOffset, lastOffset, lastTimeMs} = await readFollowed(dir)
    assert.deepEqual([firstOffset, nextOffset, lastOffset, lastTimeMs], [7, 7, null, null])
    assert.deepEqual(await Array.fromAsync(readArchivedLog(dir, {offset: 7, hash: 'a'.repeat(64)})), [])
  })

  test('is the newest history that has a base; an older one is read at its own path', async () => {
    const entries = chainedEntries(4)
    await writeFollowFile(dir, CELL)
    const one = await beginHistory(dir, 1, 'first', AT)
    await addBase(one, 0, FIRST_PREVIOUS_HASH)
    await addEntries(one, entries)
    const two = await beginHistory(dir, 2, 'differs', AT)
    assert.equal((await readFollowed(dir)).path, one)
    await addBase(two, 2, 'b'.repeat(64))
    const newest = await readFollowed(dir)
    assert.deepEqual([newest.path, newest.why, newest.others], [two, 'differs', [one]])
    const older = await readFollowed(one)
    assert.deepEqual([older.path, older.why, older.nextOffset, older.others], [one, 'first', 4, [two]])
    const from = {offset: 0, hash: FIRST_PREVIOUS_HASH}
    assert.deepEqual((await Array.fromAsync(readArchivedLog(one, from))).flat(), entries)
    assert.deepEqual(
      (await readHistories(dir)).map(({number, why}) => [number, why]),
      [
        [1, 'first'],
        [2, 'differs'],
      ],
    )
  })

  test('is what comes before damage: that can be restored, the rest is refused by its name', async () => {
    const entries = chainedEntries(10)
    await writeFollowFile(dir, CELL)
    const history = await beginHistory(dir, 1, 'first', AT)
    await addBase(history, 0, FIRST_PREVIOUS_HASH)
    await addEntries(history, entries)
    const segment = join(history, 'log', '000000000000.log')
    const lines = (await readFile(segment, 'utf8')).split('\n')
    lines[7] = `${lines[7]}`.replace('[6,', '[7,') // behind the header: entry 6
    await writeFile(segment, lines.join('\n'))
    const {damage, nextOffset, lastOffset, lastHash, lastTimeMs} = await readFollowed(dir)
    const last = entries[5]
    assert.deepEqual([nextOffset, lastOffset, lastHash, lastTimeMs], [6, 5, last?.hash, last?.timeMs])
    assert.equal(damage?.code, 'REG_BACKUP_DAMAGED')
    assert.equal(damage.info['offset'], 6)
    const read: number[] = []
    const all = async () => {
      for await (const some of readArchivedLog(dir, {offset: 2, hash: entries[1]?.hash ?? ''}))
        read.push(...some.map(({offset}) => offset))
    }
    await assert.rejects(all, {code: 'REG_BACKUP_DAMAGED'})
    assert.deepEqual(read, [2, 3, 4, 5])
    const source = await openSource(dir, {signal: new AbortController().signal})
    assert.equal(source.end.nextOffset, 6)
    const {signal} = new AbortController()
    const lost = source.layOut(join(dir, 'x'), undefined, {signal, progress: NO_PROGRESS})
    const hints = [
      `restore what comes before: registry restore ${dir} DIR --to-offset 5`,
      `registry backup verify ${dir}`,
    ]
    await assert.rejects(lost, {code: 'REG_BACKUP_DAMAGED', hints})
  })

  test('is nothing else', async () => {
    assert.equal(await isFollowed(dir), false)
    await assert.rejects(readFollowed(dir), {code: 'REG_BACKUP_INVALID'})
    await assert.rejects(readFollowed(join(dir, 'missing')), {code: 'REG_BACKUP_INVALID'})
    await writeFollowFile(dir, CELL)
    assert.equal(await isFollowed(dir), true)
    await assert.rejects(readFollowed(dir), /no complete base/)
    await writeFile(join(dir, 'follow.json'), '{"format":2}')
    await addBase(await beginHistory(dir, 1, 'first', AT), 0, FIRST_PREVIOUS_HASH)
    await assert.rejects(readFollowed(dir), /its format is 2/)
  })
})
