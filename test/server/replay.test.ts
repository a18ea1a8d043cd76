import {mkdtempSync} from 'node:fs'
import {rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {entriesOf, type ReplayOptions, replayInto} from '../../src/server/replay.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {Entry} from '../../src/store/store.ts'
import {chunksOf, loggedHistory, stateAfter, stateOf} from '../support/replayed-log.ts'

const history = loggedHistory(7, 40)
const home = mkdtempSync(join(tmpdir(), 'registry-replay-'))
let made = 0

const newPath = (): string => join(home, `${++made}.db`)

afterAll(() => rm(home, {recursive: true}))

async function replayed(entries: readonly Entry[], last?: ReplayOptions['last'], path = newPath()) {
  const head = await replayInto(path, chunksOf(entries, 64), {last, signal: new AbortController().signal})
  await using store = new SqliteStore(path)
  expect(await store.open()).toMatchObject(head)
  return {path, head, state: await stateOf(store)}
}

test('a store that a log is replayed into has what the server had that wrote it, at any of its offsets', async () => {
  const {entries} = await history
  const offsets = [0, 17, entries.length - 2]
  for (const offset of offsets) {
    const {head, state} = await replayed(entries, {offset})
    expect(head).toMatchObject({nextOffset: offset + 1, lastHash: entries[offset]?.hash, firstOffset: 0})
    expect(state).toEqual(await stateAfter(await history, offset + 1))
  }
})

test('a replay goes on where the store is', async () => {
  const {entries} = await history
  const half = Math.floor(entries.length / 2)
  const {path} = await replayed(entries, {offset: half})
  const {head, state} = await replayed(entries.slice(half + 1), undefined, path)
  expect(head).toMatchObject({nextOffset: entries.length, lastHash: entries.at(-1)?.hash})
  expect(state).toEqual(await stateAfter(await history, entries.length))
})

test('a replay to a moment ends before the first entry that is later', async () => {
  const {entries} = await history
  const timeMs = entries[20]?.timeMs ?? 0
  const end = entries.findIndex((entry) => entry.timeMs > timeMs)
  const {head} = await replayed(entries, {timeMs})
  expect(head.nextOffset).toBe(end)
})

test('the log of a store can be read as one to replay', async () => {
  const {entries} = await history
  const {path} = await replayed(entries)
  await using store = new SqliteStore(path)
  await store.open()
  expect((await Array.fromAsync(entriesOf(store))).flat()).toEqual(entries)
})

test('an entry that was altered, or does not fit, ends a replay as damage of what was archived', async () => {
  const {entries} = await history
  const altered = entries.map((entry) => (entry.offset === 5 ? {...entry, actor: 'somebody else'} : entry))
  await expect(replayed(altered)).rejects.toMatchObject({code: 'REG_BACKUP_DAMAGED'})
  const gap = entries.filter(({offset}) => offset !== 9)
  await expect(replayed(gap)).rejects.toMatchObject({code: 'REG_BACKUP_DAMAGED', info: {offset: 10}})
  const unknown = entries.map((entry) => (entry.offset === 3 ? {...entry, change: '{"v":1,"kind":"zoo:open"}'} : entry))
  await expect(replayed(unknown)).rejects.toMatchObject({code: 'REG_BACKUP_DAMAGED', info: {offset: 3}})
})

test('a replay that is stopped rejects with the reason', async () => {
  const {entries} = await history
  const reason = new Error('enough')
  await expect(replayInto(newPath(), chunksOf(entries, 8), {signal: AbortSignal.abort(reason)})).rejects.toBe(reason)
})
