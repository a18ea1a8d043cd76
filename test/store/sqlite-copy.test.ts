import assert from 'node:assert/strict'
import {readFileSync, statSync, truncateSync, writeFileSync} from 'node:fs'
import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {adoptStore, verifyStoreFile} from '../../src/store/adopt.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {SCHEMA_VERSION} from '../../src/store/sqlite-schema.ts'
import type {NewEntry, StoreHead} from '../../src/store/store.ts'

let folder: string
let path: string
let copy: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-store-'))
  path = join(folder, 'registry.db')
  copy = join(folder, 'copy.db')
})
afterEach(() => rm(folder, {recursive: true}))

function put(seq: number): NewEntry {
  const service = JSON.stringify({seq, filler: 'x'.repeat(500)})
  return {timeMs: 1, actor: 'test', change: service, effect: {kind: 'put', instance: {seq, service, lastHeartbeatS: 1}}}
}

const cull = (offset: number): NewEntry => ({...put(0), effect: {kind: 'cull', offset}})

async function fill(store: SqliteStore, count: number): Promise<void> {
  await store.open()
  for (let seq = 0; seq < count; seq += 1000) {
    await store.append(Array.from({length: Math.min(1000, count - seq)}, (_, index) => put(seq + index)))
  }
}

async function copied(count: number, culled?: number): Promise<StoreHead> {
  await using store = new SqliteStore(path)
  await fill(store, count)
  if (culled !== undefined) await store.append([cull(culled)])
  return await store.snapshot(copy)
}

function inCopy(sql: string): void {
  const database = new DatabaseSync(copy)
  database.exec(sql)
  database.close()
}

describe('a copy of the database file', () => {
  test('it is for the owner alone, says whose it is and its format, can be made smaller later, and has no WAL', async () => {
    await copied(10)
    assert.equal(statSync(copy).mode & 0o777, 0o600)
    const database = new DatabaseSync(copy, {readOnly: true})
    const pragma = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]
    assert.equal(pragma('application_id'), 0x72656779)
    assert.equal(pragma('user_version'), SCHEMA_VERSION)
    assert.equal(pragma('auto_vacuum'), 2, 'incremental')
    assert.equal(pragma('journal_mode'), 'delete')
    database.close()
    await using store = new SqliteStore(copy)
    await store.open()
    await store.append([put(11)])
    assert.equal(statSync(`${copy}-wal`).mode & 0o777, 0o600)
  })

  test('one that is there is replaced, and only when the new one is whole', async () => {
    writeFileSync(copy, 'old', {mode: 0o644})
    const {nextOffset} = await copied(10)
    assert.equal(nextOffset, 10)
    assert.equal(statSync(copy).mode & 0o777, 0o600)
    assert.equal(readFileSync(copy).subarray(0, 6).toString(), 'SQLite')
    assert.deepEqual((await readdir(folder)).sort(), ['copy.db', 'registry.db'])
  })

  test('what cannot be written is told, and nothing is left', async () => {
    await using store = new SqliteStore(path)
    await fill(store, 10)
    const failed = {code: 'REG_STORE_FAILED', message: /ENOENT/}
    await assert.rejects(store.snapshot(join(folder, 'missing', 'copy.db')), failed)
    await assert.rejects(store.snapshot(folder), {
      code: 'REG_STORE_FAILED',
      message: /EISDIR|ENOTDIR|EEXIST|EXDEV|EBUSY/,
    })
    assert.equal((await store.append([put(10)]))[0], 10)
    await store.close()
    assert.deepEqual(await readdir(folder), ['registry.db'])
    await rm(path)
    await assert.rejects(store.snapshot(copy), {code: 'REG_STORE_FAILED'})
  })

  test('an abort at any moment leaves the old copy or the new one, and nothing else', async () => {
    await using store = new SqliteStore(path)
    await fill(store, 5000)
    const reason = new Error('enough')
    let seen = 0
    for (let turns = 0; turns < 2000; turns = turns * 2 + 1) {
      const stop = new AbortController()
      const copying = store.snapshot(copy, stop.signal)
      for (let turn = 0; turn < turns; turn++) await store.probe()
      stop.abort(reason)
      const ended = await copying.then(
        () => 'copied',
        (error: unknown) => error,
      )
      assert(ended === 'copied' || ended === reason, `${ended}`)
      if (ended === reason) seen += 1
      const others = (await readdir(folder)).filter((name) => !name.startsWith('registry.db'))
      assert.deepEqual(others, ended === 'copied' ? ['copy.db'] : [])
      await rm(copy, {force: true})
      if (ended === 'copied') break
    }
    assert(seen > 0)
  })
})

describe('adopting a copy', () => {
  test('it gets an iden of its own and is otherwise as it was', async () => {
    const head = await copied(10, 3)
    const adopted = await adoptStore(copy)
    assert.match(adopted.iden, /^[0-9a-f]{32}$/)
    assert.notEqual(adopted.iden, head.iden)
    assert.deepEqual({...adopted, iden: head.iden}, head)
    await using store = new SqliteStore(copy)
    assert.deepEqual(await store.open(), adopted)
    await using first = new SqliteStore(path)
    assert.equal((await first.open()).iden, head.iden)
    assert.deepEqual(await store.read(4, 10), await first.read(4, 10))
  })

  test('it may take the place of a store, and has the iden of that one then', async () => {
    await copied(3, 3)
    assert.equal((await adoptStore(copy, 'ab'.repeat(16))).iden, 'ab'.repeat(16))
  })

  test('what is not there, or not ours, is refused and not made', async () => {
    await assert.rejects(adoptStore(copy), {code: 'REG_STORE_FAILED', message: /ENOENT/})
    writeFileSync(copy, '')
    await assert.rejects(adoptStore(copy), {code: 'REG_STORE_DAMAGED'})
    writeFileSync(copy, 'no database '.repeat(100))
    await assert.rejects(adoptStore(copy), {code: 'REG_STORE_DAMAGED'})
    await rm(copy)
    inCopy('CREATE TABLE mine (a)')
    await assert.rejects(adoptStore(copy), {code: 'REG_STORE_NEWER'})
  })
})

describe('verifying a copy', () => {
  test.each([undefined, 0, 450])(
    'a whole one is accepted, also when the log is trimmed (%s), and is not altered',
    async (culled) => {
      const head = await copied(1000, culled)
      const before = readFileSync(copy)
      await verifyStoreFile(copy, head)
      assert(readFileSync(copy).equals(before))
    },
  )

  test.each([
    ['a changed entry', `UPDATE log_1 SET actor = 'other' WHERE offset = 500`, 500],
    ['the oldest entry that is kept changed', `UPDATE log_1 SET change = '{}' WHERE offset = 451`, 451],
    ['a missing entry', 'DELETE FROM log_1 WHERE offset = 800', 800],
    ['another newest hash', `UPDATE head SET last_hash = replace(last_hash, '0', '1')`, 1000],
    ['fewer entries', 'UPDATE head SET next_offset = 1000', 1001],
  ])('%s is damage', async (_, sql, offset) => {
    const head = await copied(1000, 450)
    inCopy(sql)
    await assert.rejects(verifyStoreFile(copy, head), {code: 'REG_STORE_DAMAGED', info: {place: copy, offset}})
  })

  test('a file that was cut, one of noise and one of newer software are refused', async () => {
    const head = await copied(1000)
    inCopy(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
    await assert.rejects(verifyStoreFile(copy, head), {code: 'REG_STORE_NEWER'})
    inCopy(`PRAGMA user_version = ${SCHEMA_VERSION}`)
    await verifyStoreFile(copy, head)
    const bytes = readFileSync(copy)
    bytes.fill(0x5a, Math.floor(bytes.length / 4096 / 2) * 4096, Math.floor(bytes.length / 4096 / 2 + 1) * 4096)
    writeFileSync(copy, bytes)
    await assert.rejects(verifyStoreFile(copy, head), {code: 'REG_STORE_DAMAGED'})
    truncateSync(copy, 8192)
    await assert.rejects(verifyStoreFile(copy, head), {code: 'REG_STORE_DAMAGED'})
  })
})
