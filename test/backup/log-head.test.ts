import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {FollowDir} from '../../src/backup/follow-dir.ts'
import {beginHistory, newBasePath, readFollowed, writeFollowFile} from '../../src/backup/followed.ts'
import {archiveSegments, LogArchiveWriter} from '../../src/backup/log-archive.ts'
import {HEAD_FILE, readLogHead, writeLogHead} from '../../src/backup/log-head.ts'
import {MANIFEST_FILE, type Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {readShelf} from '../../src/backup/shelf.ts'
import {verifyFollowed} from '../../src/backup/verify-followed.ts'
import {FIRST_PREVIOUS_HASH} from '../../src/store/chain.ts'
import {chainedEntries} from '../support/chained-entries.ts'

const CELL = 'c'.repeat(32)
const AT = '2026-11-21T12:00:00.000Z'
const entries = chainedEntries(10)
const {signal} = new AbortController()

let shelf: string
let dir: string
let history: string
/** A base of nothing, entries 0 to 7 in segments of one each, and what follows them closed once. */
beforeEach(async () => {
  shelf = await mkdtemp(join(tmpdir(), 'registry-head-'))
  dir = join(shelf, 'kept')
  await mkdir(dir)
  await writeFollowFile(dir, CELL)
  history = await beginHistory(dir, 1, 'first', AT)
  const base = await newBasePath(history, 0)
  await mkdir(base)
  const cell = {kind: 'registry', iden: CELL, type: 'registry', name: null, version: '1.0.0'} as const
  const facts = {name: 'x', madeAt: AT, madeBy: '1.0.0', how: 'base', skipped: [], directories: [], files: []} as const
  const log = {epoch: 1, index: 0, hash: FIRST_PREVIOUS_HASH}
  const manifest: Manifest = {...facts, cell, log, census: {}}
  await writeFile(join(base, MANIFEST_FILE), encodeManifest(manifest))
  const start = {nextOffset: 0, lastHash: FIRST_PREVIOUS_HASH, epoch: 1}
  {
    await using writer = await LogArchiveWriter.open(history, {cell: CELL, start, segmentBytes: 1})
    for (const entry of entries.slice(0, 8)) await writer.append([entry])
  }
  await using _ = await FollowDir.open(dir)
})
afterEach(() => rm(shelf, {recursive: true}))

const segmentAt = async (at: number) => (await archiveSegments(history)).at(at)?.path ?? ''
const findings = async () => await verifyFollowed(await readFollowed(dir), {progress: NO_PROGRESS, signal})

describe('how far an archived log was kept', () => {
  test('is written when the entries are on the disk, and when it is closed', async () => {
    expect(await readLogHead(history)).toEqual({nextOffset: 8, segment: '000000000007.log'})
    {
      await using follow = await FollowDir.open(dir)
      await follow.append(entries.slice(8, 9))
      expect(await readLogHead(history)).toMatchObject({nextOffset: 9})
      await follow.append(entries.slice(9))
    }
    expect(await readLogHead(history)).toMatchObject({nextOffset: 10})
    expect(await findings()).toEqual([])
    expect(await readFollowed(dir)).toMatchObject({nextOffset: 10, damage: undefined})
  })

  test('tells that the last segment is gone, which nothing that is left does', async () => {
    const path = await segmentAt(-1)
    await rm(path)
    const {damage, nextOffset} = await readFollowed(dir)
    expect(nextOffset).toBe(7)
    expect(damage).toMatchObject({
      code: 'REG_BACKUP_DAMAGED',
      message: expect.stringMatching(/ends before entry 7, and entries up to 7 had been kept$/),
      info: {path, offset: 7},
    })
    expect(await findings()).toEqual([{path: 'history-1/log/000000000007.log', problem: 'missing'}])
    expect(await readShelf(shelf, {signal})).toMatchObject([{kind: 'followed', reason: damage?.message}])
    // Nothing is added where something is missing: another history begins.
    await using follow = await FollowDir.open(dir)
    expect(follow.place).toBeUndefined()
    expect(follow.damage?.message).toBe(damage?.message)
  })

  test('tells that the whole log is gone, and that a segment has lost its last lines', async () => {
    const path = await segmentAt(-1)
    const [head] = (await readFile(path, 'utf8')).split('\n')
    await writeFile(path, `${head}\n`)
    expect(await findings()).toEqual([{path: 'history-1/log/000000000007.log', problem: 'altered'}])
    await rm(join(history, 'log'), {recursive: true})
    expect(await findings()).toEqual([{path: 'history-1/log/000000000007.log', problem: 'missing'}])
  })

  test('says nothing when it is not there, and is named when it was altered', async () => {
    await rm(await segmentAt(-1))
    const path = join(history, HEAD_FILE)
    const text = await readFile(path, 'utf8')
    await rm(path)
    expect(await findings()).toEqual([])
    for (const altered of [text.replace('"nextOffset":8', '"nextOffset":9'), text.slice(9), '', '[]']) {
      await writeFile(path, altered)
      expect(await findings(), altered).toEqual([{path: 'history-1/head.json', problem: 'altered'}])
      expect(await readFollowed(dir)).toMatchObject({nextOffset: 7, damage: undefined})
    }
    await writeLogHead(history, {nextOffset: 7, segment: '000000000006.log'})
    expect(await findings()).toEqual([])
  })
})
