import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {isStart} from '../../../src/server/mirroring/copy-messages.ts'
import type {SnapshotPiece, SnapshotStart} from '../../../src/server/mirroring/snapshots.ts'
import {CopySource, HEAD} from '../../support/copy-source.ts'

const never = new AbortController().signal
const NEW = {id: undefined, offset: 0}
const MINUTE_MS = 60_000

let source: CopySource
beforeEach(async () => {
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']})
  source = await CopySource.open()
})
afterEach(async () => {
  vi.useRealTimers()
  await source[Symbol.asyncDispose]()
})

type Reader = AsyncGenerator<SnapshotStart | SnapshotPiece, void>

/** Begins to read one, and stops after what it is. */
async function begin(wish: {readonly id: string | undefined; readonly offset: number} = NEW) {
  const reader: Reader = source.snapshots.read(wish, never)
  const {value} = await reader.next()
  if (!value || !isStart(value)) throw new Error('it does not begin')
  return {start: value, reader}
}

async function piecesOf(reader: Reader): Promise<Buffer> {
  const pieces = (await Array.fromAsync(reader)) as SnapshotPiece[]
  return Buffer.concat(pieces.map(({bytes}) => bytes))
}

describe('a snapshot', () => {
  test('says what it is, and comes in pieces from any place', async () => {
    const {start, reader} = await begin()
    expect(start).toMatchObject({head: HEAD, sizeBytes: source.bytes.length, sha256: /^[0-9a-f]{64}$/})
    expect(await piecesOf(reader)).toEqual(source.bytes)
    const again = await begin({id: start.id, offset: 1_000_000})
    expect(again.start).toEqual(start)
    expect(await piecesOf(again.reader)).toEqual(source.bytes.subarray(1_000_000))
    const atEnd = await begin({id: start.id, offset: source.bytes.length})
    expect(await piecesOf(atEnd.reader)).toHaveLength(0)
    expect(source.made).toBe(1)
  })

  test('that is not there any more is another one, from its beginning', async () => {
    const {start, reader} = await begin()
    await reader.return()
    await source.snapshots.drop(start.id)
    await source.snapshots.drop(start.id)
    expect(await source.files()).toEqual([])
    const other = await begin({id: start.id, offset: 1_000_000})
    expect(other.start.id).not.toBe(start.id)
    expect(await piecesOf(other.reader)).toEqual(source.bytes)
  })

  test('goes ten minutes after it was read last', async () => {
    const {start, reader} = await begin()
    await vi.advanceTimersByTimeAsync(60 * MINUTE_MS)
    expect(await source.files()).toHaveLength(1) // it is being read
    await reader.return()
    await vi.advanceTimersByTimeAsync(9 * MINUTE_MS)
    await (await begin({id: start.id, offset: 0})).reader.return()
    await vi.advanceTimersByTimeAsync(9 * MINUTE_MS)
    expect(await source.files()).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(MINUTE_MS)
    await vi.waitFor(async () => expect(await source.files()).toEqual([]))
  })

  test('of a killed server is removed at the start, and nothing else', async () => {
    await (await begin()).reader.return()
    await writeFile(join(source.dir, 'tmp', 'other'), '')
    await writeFile(join(source.dir, 'tmp', `.snapshot-1.${'ab'.repeat(16)}.tmp`), '')
    await mkdir(join(source.dir, 'tmp', 'folder'))
    await source.restart()
    expect(await source.files()).toEqual(['folder', 'other'])
  })

  test('goes when the server stops; none is made then', async () => {
    await begin()
    await source.snapshots.close()
    expect(await source.files()).toEqual([])
    await expect(begin()).rejects.toMatchObject({code: 'REG_CANCELLED'})
  })
})

describe('at most two', () => {
  test('are read at a time: a third is refused until one is done', async () => {
    const [one] = [await begin(), await begin()]
    await expect(begin()).rejects.toMatchObject({code: 'REG_BUSY'})
    await one?.reader.return()
    await begin()
    expect(await source.files()).toHaveLength(2)
  })

  test('are kept: the one that was read longest ago goes', async () => {
    const [one, two] = [await begin(), await begin()]
    await one.reader.return()
    await two.reader.return()
    await (await begin({id: one.start.id, offset: 0})).reader.return()
    await (await begin()).reader.return()
    expect((await source.files()).join()).toContain(one.start.id)
    expect((await source.files()).join()).not.toContain(two.start.id)
  })

  test('are made, also when they are asked for at once', async () => {
    const asked = await Promise.allSettled([begin(), begin(), begin()])
    expect(asked.map(({status}) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  })
})

test('none is made that would fill the volume, which the leader needs for itself', async () => {
  const free = Math.ceil((source.bytes.length + 0.05 * 1000 * 1024 * 1024) / (1024 * 1024))
  source.room = {blocks: 1000, bavail: free - 1, bsize: 1024 * 1024}
  await expect(begin()).rejects.toMatchObject({
    code: 'REG_DISK_LOW',
    hints: [expect.stringContaining('leader'), expect.anything()],
  })
  source.room = {...source.room, bavail: free}
  await begin()
})
