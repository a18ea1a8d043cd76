import assert from 'node:assert/strict'
import {randomInt} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {verifyStoreFile} from '../../src/store/adopt.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {Child} from '../support/child.ts'
import {assertModel, entryAt, type LogShape} from '../support/log-model.ts'

/** Some 4 MB of log, of which a cull takes 2 000 entries: dozens of steps. */
const SHAPE: LogShape = {segment: 700, every: 2500, kept: 900, filler: 1000, batch: 50}
const ROUNDS = 4
const LINES_AT_MOST = 120

let folder: string
let path: string
let copy: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-store-'))
  path = join(folder, 'registry.db')
  copy = join(folder, 'copy.db')
})
afterEach(() => rm(folder, {recursive: true}))

function inspect(sql: string): unknown[] {
  const database = new DatabaseSync(path, {readOnly: true})
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => Object.values(row)[0])
  } finally {
    database.close()
  }
}

async function fill(store: SqliteStore, from: number, count: number): Promise<void> {
  for (let first = from; first < from + count; first += SHAPE.batch) {
    await store.append(Array.from({length: SHAPE.batch}, (_, index) => entryAt(SHAPE, first + index)))
  }
}

async function freed(store: SqliteStore): Promise<void> {
  while ((await store.size()).isFreeing) await store.probe()
}

/** Runs a child on the store, ends it at some moment, and gives how many entries were acknowledged. */
async function runAndKill(before: number): Promise<number> {
  let acknowledged = before
  const note = (line: string) => {
    const [verb, count] = line.split(' ')
    if (verb === 'stored') acknowledged = Math.max(acknowledged, Number(count))
  }
  await using child = new Child(new URL('trim-child.ts', import.meta.url), [path, copy, JSON.stringify(SHAPE)])
  for (let lines = randomInt(LINES_AT_MOST); lines >= 0; lines--) note((await child.line()) ?? assert.fail('it ended'))
  await child.kill()
  for (let line = await child.line(); line !== undefined; line = await child.line()) note(line)
  return acknowledged
}

describe('trimming the log in a file', () => {
  test('a kill -9 in the middle of rotating, culling, freeing and copying leaves what the model says', async () => {
    let acknowledged = 0
    for (let round = 0; round < ROUNDS || acknowledged < 2 * SHAPE.every; round++) {
      acknowledged = await runAndKill(acknowledged)
      if (existsSync(copy)) {
        await using copied = new SqliteStore(copy)
        await assertModel(copied, await copied.open(), SHAPE, 0)
      }
      await rm(copy, {force: true})
      await using store = new SqliteStore(path)
      const head = await store.open()
      await assertModel(store, head, SHAPE, acknowledged)
      acknowledged = head.nextOffset
    }
    await using store = new SqliteStore(path)
    const head = await store.open()
    await freed(store)
    await assertModel(store, head, SHAPE, acknowledged)
    await store.close()
    assert.deepEqual(inspect('PRAGMA integrity_check'), ['ok'])
    await verifyStoreFile(path, head)
  })

  test('when all is freed the file has neither tables nor rows of culled entries, nor empty pages', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await fill(store, 0, 5000)
    const before = inspect('PRAGMA page_count')
    await freed(store)
    await store.close()
    assert.deepEqual(inspect('PRAGMA freelist_count'), [0])
    const [oldest] = inspect('SELECT min(first_offset) FROM segments')
    assert.equal(oldest, 4999 - SHAPE.kept + 1)
    const tables = inspect("SELECT name FROM sqlite_schema WHERE name LIKE 'log%' ORDER BY name").map(String)
    assert.equal(tables.length, inspect('SELECT id FROM segments').length)
    const rows = tables.map((name) => Number(inspect(`SELECT min(offset) FROM ${name}`)[0]))
    assert.equal(Math.min(...rows), oldest)
    assert(Number(inspect('PRAGMA page_count')[0]) < 600, `${inspect('PRAGMA page_count')} of ${before}`)
  })

  test('what a kill left unfreed is freed after the next start', async () => {
    {
      await using store = new SqliteStore(path)
      await store.open()
      await fill(store, 0, 2000)
    }
    // As if it had been ended right after the cull: no segment names these tables any more, and the oldest one begins later.
    const database = new DatabaseSync(path)
    const hash = `(SELECT hash FROM log_2 WHERE offset = 1199)`
    database.exec(
      `DELETE FROM segments WHERE id = 1; UPDATE segments SET first_offset = 1200, previous_hash = ${hash} WHERE id = 2`,
    )
    const full = database.prepare('PRAGMA page_count').get()
    database.close()
    await using store = new SqliteStore(path)
    assert.equal((await store.open()).firstOffset, 1200)
    await freed(store)
    await store.close()
    assert(Number(inspect('PRAGMA page_count')[0]) < Number(full?.['page_count']) / 2)
    assert.deepEqual(inspect(`SELECT count(*) FROM sqlite_schema WHERE name = 'log_1'`), [0])
    assert.deepEqual(inspect('SELECT min(offset) FROM log_2'), [1200])
  })

  test('what is empty stays for who only looks how much that is', async () => {
    {
      await using made = new SqliteStore(path)
      await made.open()
    }
    {
      using database = new DatabaseSync(path)
      database.exec('CREATE TABLE b (b BLOB); INSERT INTO b VALUES (zeroblob(8000000)); DROP TABLE b')
    }
    const [before] = inspect('PRAGMA freelist_count')
    assert(Number(before) > 1900)
    {
      await using looking = new SqliteStore(path, {frees: false})
      await looking.open()
      for (let asked = 0; asked < 200; asked++) assert.equal((await looking.size()).isFreeing, false)
    }
    assert.deepEqual(inspect('PRAGMA freelist_count'), [before])
    await using store = new SqliteStore(path)
    await store.open()
    await freed(store)
    assert.equal((await store.size()).freeBytes, 0)
  })

  test('while another one holds the lock, or reads an old moment, freeing waits, reads go on, and it ends afterwards', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await fill(store, 0, 2450)
    const reader = new DatabaseSync(path, {readOnly: true})
    reader.exec('BEGIN; SELECT * FROM head')
    await fill(store, 2450, 50)
    const writer = new DatabaseSync(path, {timeout: 10_000}) // waits for the step that is under way
    writer.exec('BEGIN IMMEDIATE')
    for (let round = 0; round < 50; round++) assert.equal((await store.read(2499 - SHAPE.kept + 1, 10)).length, 10)
    assert.equal((await store.size()).isFreeing, true)
    writer.exec('ROLLBACK')
    writer.close()
    for (let round = 0; round < 50; round++) await store.probe()
    assert.equal((await store.size()).isFreeing, true, 'the reader still needs the pages')
    reader.close()
    await freed(store)
    const {bytes, freeBytes} = await store.size()
    assert(bytes < 3_000_000 && freeBytes === 0, `${bytes} bytes, ${freeBytes} of them free`)
  })
})
