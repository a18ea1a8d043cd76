import {mkdtempSync} from 'node:fs'
import {rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {encodeLeadChange, type LeadChange} from '../../src/registry/lead.ts'
import {beginNewEpoch, readStoreMember} from '../../src/server/new-epoch.ts'
import {replayInto} from '../../src/server/replay.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {chunksOf} from '../support/replayed-log.ts'

const home = mkdtempSync(join(tmpdir(), 'registry-epoch-'))
const signal = new AbortController().signal
let made = 0

afterAll(() => rm(home, {recursive: true}))

/** A store with a log that says this of who leads. `self` stands for the iden of the store. */
async function storeWith(changes: (self: string) => readonly LeadChange[]): Promise<{path: string; self: string}> {
  const path = join(home, `${++made}.db`)
  await using store = new SqliteStore(path)
  const {iden: self} = await store.open()
  const log = new MemoryStore()
  await log.open()
  const texts = changes(self).map((change) => ({change, text: encodeLeadChange(change)}))
  for (const {change, text} of texts) {
    const epoch = change.kind === 'lead:take' ? change.epoch : undefined
    await log.append([{timeMs: 1, actor: 'test', change: text, effect: {kind: 'none'}, epoch}])
  }
  const entries = texts.length === 0 ? [] : await log.read(0, 100)
  await store.close()
  await replayInto(path, chunksOf(entries, 10), {signal})
  return {path, self}
}

const OTHER = {member: '0b'.repeat(16), name: '01.reg', urls: ['ssl://01:1']}

test('a store that led leads again: under its name, as another member, from a higher epoch on', async () => {
  const {path, self} = await storeWith((member) => [
    {kind: 'lead:take', member, name: '00.reg', urls: ['ssl://00:1'], epoch: 4, how: 'founded', from: null},
    {kind: 'lead:member', ...OTHER},
  ])
  const head = await beginNewEpoch(path, {heirOf: self, above: 0})
  expect(head.iden).not.toBe(self)
  expect(head).toMatchObject({epoch: 5, nextOffset: 3})
  const {state, isLeading, others, head: stored} = await readStoreMember(path)
  expect(stored).toEqual(head)
  expect(isLeading).toBe(true)
  const lead = {member: head.iden, name: '00.reg', urls: ['ssl://00:1'], epoch: 5, how: 'restored', from: self}
  expect(state.lead).toEqual(lead)
  expect(others).toEqual([OTHER])
})

test('the new epoch is above the one of the history that is given up too', async () => {
  const {path, self} = await storeWith(() => [])
  expect(await beginNewEpoch(path, {heirOf: self, above: 9})).toMatchObject({epoch: 10, nextOffset: 1})
  const {state} = await readStoreMember(path)
  expect(state.lead).toMatchObject({how: 'restored', from: self, urls: []})
})

test('the store of a mirror takes the lead from the one that it followed', async () => {
  const {path, self} = await storeWith((member) => [
    {kind: 'lead:take', ...OTHER, epoch: 2, how: 'founded', from: null},
    {kind: 'lead:member', member, name: '02.reg', urls: []},
  ])
  expect((await readStoreMember(path)).isLeading).toBe(false)
  await beginNewEpoch(path, {heirOf: self, above: 0})
  expect((await readStoreMember(path)).state.lead).toMatchObject({name: '02.reg', from: OTHER.member, epoch: 3})
})
