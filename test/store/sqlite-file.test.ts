import assert from 'node:assert/strict'
import {existsSync, readFileSync, statSync, truncateSync, writeFileSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {CHAIN_START, verifyChain} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {createSegment, migrate, SCHEMA_VERSION} from '../../src/store/sqlite-schema.ts'
import type {NewEntry} from '../../src/store/store.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-store-'))
  path = join(folder, 'registry.db')
})
afterEach(() => rm(folder, {recursive: true}))

function put(seq: number, filler = 'filler'): NewEntry {
  const instance = {seq, service: JSON.stringify({seq, filler}), lastHeartbeatS: 1_700_000_000}
  return {
    timeMs: 1_700_000_000_000,
    actor: 'test',
    change: JSON.stringify({seq, filler}),
    effect: {kind: 'put', instance},
  }
}

async function fill(count: number): Promise<void> {
  await using store = new SqliteStore(path)
  await store.open()
  await store.append(Array.from({length: count}, (_, seq) => put(seq)))
}

/** Works on the file as a stranger with the sqlite3 tool would. */
function tamper(sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

function inspect(sql: string): unknown {
  const database = new DatabaseSync(path, {readOnly: true})
  try {
    return Object.values(database.prepare(sql).get() ?? {})[0]
  } finally {
    database.close()
  }
}

function openFails(expected: {code: string; message?: RegExp; info?: object}): Promise<void> {
  return assert.rejects(new SqliteStore(path).open(), expected)
}

describe('the database file', () => {
  test('it is for the owner alone, and says in its header whose it is', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await store.append([put(0)])
    for (const ending of ['', '-wal', '-shm']) assert.equal(statSync(path + ending).mode & 0o777, 0o600, ending)
    assert.equal(inspect('PRAGMA application_id'), 0x72656779)
    assert.equal(inspect('PRAGMA user_version'), SCHEMA_VERSION)
    assert.equal(inspect('PRAGMA journal_mode'), 'wal')
    assert.equal(inspect('PRAGMA auto_vacuum'), 2, 'incremental')
  })

  test('the WAL stays below 8 MB and is gone after a close', async () => {
    const store = new SqliteStore(path)
    await store.open()
    let largest = 0
    for (let batch = 0; batch < 600; batch++) {
      await store.append(Array.from({length: 20}, (_, index) => put(batch * 20 + index, 'x'.repeat(1000))))
      largest = Math.max(largest, statSync(`${path}-wal`).size)
    }
    await store.close()
    assert(largest < 8_000_000, `${largest} bytes`)
    assert(statSync(path).size > 20_000_000)
    assert.equal(existsSync(`${path}-wal`), false)
  })

  test('large services and changes are read in several chunks', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    const filler = 'é'.repeat(300_000)
    await store.append(Array.from({length: 40}, (_, seq) => put(seq, filler)))
    const chunks = await Array.fromAsync(store.instances())
    assert(chunks.length > 2)
    assert.deepEqual(
      chunks.flat().map(({service}) => service.length),
      Array.from({length: 40}, (_, seq) => put(seq, filler).change.length),
    )
    const entries = await store.read(0, 1000)
    assert.equal(entries.length, 40)
    assert.equal(verifyChain(entries, CHAIN_START).kind, 'intact')
    await store.close()
    await using again = new SqliteStore(path)
    assert.equal((await again.open()).nextOffset, 40)
  })

  test('the log is read over several segments, new entries go to the newest, and a dropped one is culled', async () => {
    await fill(10)
    const rotate = (id: number, offset: number) =>
      tamper(`${createSegment(id)} INSERT INTO segments SELECT ${id}, ${offset}, last_hash FROM head`)
    rotate(2, 10)
    await using store = new SqliteStore(path)
    assert.equal((await store.open()).nextOffset, 10)
    assert.equal((await store.append([put(10), put(11)]))[0], 10)
    await store.close()
    rotate(3, 12)
    await using second = new SqliteStore(path)
    await second.open()
    assert.equal((await second.append([put(12)]))[0], 12)
    const offsets = async (offset: number, limit: number) =>
      (await second.read(offset, limit)).map((entry) => entry.offset)
    assert.deepEqual(await offsets(8, 5), [8, 9, 10, 11, 12])
    assert.deepEqual(await offsets(8, 3), [8, 9, 10])
    assert.deepEqual(await offsets(11, 9), [11, 12])
    assert.deepEqual(verifyChain(await second.read(0, 99), CHAIN_START).kind, 'intact')
    await second.close()
    tamper('DROP TABLE log_1; DELETE FROM segments WHERE id = 1')
    await using third = new SqliteStore(path)
    await third.open()
    await assert.rejects(third.read(9, 1), {code: 'REG_OFFSET_CULLED', info: {offset: 9, first: 10}})
    assert.equal((await third.read(10, 99)).length, 3)
  })

  test.each(Array.from({length: SCHEMA_VERSION}, (_, version) => version))(
    'a file of version %i is brought to the newest version',
    async (version) => {
      const schema = `SELECT group_concat(sql, ';' ORDER BY name) FROM sqlite_schema`
      const database = new DatabaseSync(path)
      if (version > 0) migrate(database, 0, version)
      database.close()
      await fill(3)
      assert.equal(inspect('PRAGMA user_version'), SCHEMA_VERSION)
      const migrated = inspect(schema)
      await rm(path)
      await fill(3)
      assert.equal(migrated, inspect(schema))
    },
  )

  test('a file of a newer version is refused and not changed', async () => {
    await fill(1)
    tamper(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
    const before = readFileSync(path)
    await openFails({
      code: 'REG_STORE_NEWER',
      message: /has format \d+, this version of the software knows formats up to/,
    })
    assert.deepEqual(readFileSync(path), before)
  })

  test('a database of something else is refused and not changed', async () => {
    tamper('CREATE TABLE mine (a)')
    const before = readFileSync(path)
    await openFails({code: 'REG_STORE_NEWER', message: /is a database, but not one of a registry/})
    assert.deepEqual(readFileSync(path), before)
  })

  test('a file that is no database is refused as damaged, and a missing directory as failed', async () => {
    writeFileSync(path, 'not a database '.repeat(1000))
    await openFails({code: 'REG_STORE_DAMAGED', message: /SQLITE_NOTADB/})
    path = join(folder, 'missing', 'registry.db')
    await openFails({code: 'REG_STORE_FAILED', message: /ENOENT/})
  })

  test('a truncated file is refused as damaged', async () => {
    await fill(1000)
    truncateSync(path, Math.floor(statSync(path).size / 2))
    await openFails({code: 'REG_STORE_DAMAGED', message: /SQLITE_CORRUPT/})
  })

  test('a page of noise within the file shows as damage, and not as something that ends the process', async () => {
    await fill(5000)
    const bytes = readFileSync(path)
    for (let page = 20; page < 200; page++) bytes.fill(page, page * 4096, (page + 1) * 4096)
    writeFileSync(path, bytes)
    await using store = new SqliteStore(path)
    const readAll = async () => {
      await store.open()
      await store.read(0, 5000)
      await Array.fromAsync(store.instances())
    }
    await assert.rejects(readAll(), {code: 'REG_STORE_DAMAGED'})
  })

  test('a flipped byte of an old entry is found by verifying the chain', async () => {
    await fill(1000)
    const bytes = readFileSync(path)
    const text = put(123).change
    const places = [bytes.indexOf(text), bytes.lastIndexOf(text)] // the service has the same text
    for (const place of places) bytes[place + text.length - 3] = 0x58
    writeFileSync(path, bytes)
    await using store = new SqliteStore(path)
    await store.open()
    const verdict = verifyChain(await store.read(0, 1000), CHAIN_START)
    assert(verdict.kind === 'damaged')
    assert.equal(verdict.offset, 123)
  })

  test.each([
    ['a changed entry', `UPDATE log_1 SET actor = 'other' WHERE offset = 990`, 990],
    ['a missing entry', 'DELETE FROM log_1 WHERE offset = 985', 985],
    ['missing entries at the end', 'DELETE FROM log_1 WHERE offset >= 997', 997],
    ['a log that is gone', 'DELETE FROM log_1', 743],
    ['another newest hash', `UPDATE head SET last_hash = replace(last_hash, '0', '1')`, 1000],
  ])('%s among the newest 256 is found at the start', async (_, sql, offset) => {
    await fill(1000)
    tamper(sql)
    await openFails({code: 'REG_STORE_DAMAGED', info: {place: path, offset}})
  })

  test.each([
    ['a missing table', 'DROP TABLE heartbeats'],
    ['a missing head', 'DELETE FROM head'],
    ['no segment', 'DELETE FROM segments'],
  ])('%s is damage', async (_, sql) => {
    await fill(1)
    tamper(sql)
    await openFails({code: 'REG_STORE_DAMAGED'})
  })

  test('a value of a wrong kind or size is damage', async () => {
    await fill(3)
    tamper(`DELETE FROM heartbeats WHERE seq = 1`)
    await using store = new SqliteStore(path)
    await store.open()
    await assert.rejects(Array.fromAsync(store.instances()), {
      code: 'REG_STORE_DAMAGED',
      message: /null stands where a number/,
    })
    tamper('REPLACE INTO heartbeats VALUES (1, 9007199254740993)')
    await assert.rejects(Array.fromAsync(store.instances()), {code: 'REG_STORE_DAMAGED'})
  })

  test('when another process wrote to the log, appends fail rather than fork the chain', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await store.append([put(0)])
    tamper('UPDATE head SET next_offset = 2')
    await assert.rejects(store.append([put(1)]), {code: 'REG_STORE_DAMAGED', message: /another process changed it/})
    assert.equal(inspect('SELECT count(*) FROM log_1'), 1)
  })
})

describe('a frozen file', () => {
  test('is whole without its WAL, and alters no byte until it is thawed', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    for (let seq = 0; seq < 50; seq += 1) await store.append([put(seq, 'x'.repeat(5000))])
    await store.freeze()
    const [file, wal] = [readFileSync(path), statSync(`${path}-wal`).size]
    const waiting = [store.append([put(50)]), store.saveRenewals([{seq: 0, lastHeartbeatS: 9}])]
    assert.equal((await store.read(0, 100)).length, 50)
    const copy = join(folder, 'copy.db')
    writeFileSync(copy, readFileSync(path))
    assert.deepEqual([wal, readFileSync(path).equals(file)], [0, true])
    await store.thaw()
    await Promise.all(waiting)
    await using second = new SqliteStore(copy)
    assert.equal((await second.open()).nextOffset, 50)
    assert.equal((await second.read(0, 100)).length, 50)
  })

  test('frees the space of what was culled afterwards only', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    for (let seq = 0; seq < 400; seq += 1) await store.append([drop(seq, 'x'.repeat(5000))])
    await store.append([{...drop(0), effect: {kind: 'rotate'}}])
    const culled = store.append([{...drop(0), effect: {kind: 'cull', offset: 399}}])
    const frozen = store.freeze()
    await Promise.all([culled, frozen])
    const {bytes} = await store.size()
    const file = readFileSync(path)
    for (let time = 0; time < 20; time += 1) await store.read(400, 1)
    assert.deepEqual([readFileSync(path).equals(file), statSync(`${path}-wal`).size], [true, 0])
    await store.thaw()
    while ((await store.size()).isFreeing) await new Promise((resolve) => setImmediate(resolve))
    assert.ok((await store.size()).bytes < bytes / 2)
  })

  test('is not to be had while another process reads an older state', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await store.append([put(0)])
    const other = new DatabaseSync(path)
    other.exec('BEGIN; SELECT count(*) FROM instances')
    await store.append([put(1)])
    await assert.rejects(store.freeze(), {code: 'REG_BUSY'})
    await store.append([put(2)])
    other.close()
    await store.freeze()
    await store.thaw()
  })
})

function drop(seq: number, filler = ''): NewEntry {
  return {...put(seq, filler), effect: {kind: 'delete', seq}}
}
