import assert from 'node:assert/strict'
import {readFileSync, writeFileSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import fc from 'fast-check'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {storeCensus} from '../../src/store/census.ts'
import {drop, keep, put} from '../../src/store/contract-kit.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {censusOf} from '../../src/store/sqlite-census.ts'
import {migrate, SCHEMA_VERSION} from '../../src/store/sqlite-schema.ts'
import type {NewEntry} from '../../src/store/store.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-census-'))
  path = join(folder, 'registry.db')
})
afterEach(() => rm(folder, {recursive: true}))

async function filled(at: string, batches: readonly (readonly NewEntry[])[]): Promise<SqliteStore> {
  const store = new SqliteStore(at)
  await store.open()
  for (const entries of batches) await store.append(entries)
  return store
}

/** Of a database in memory, without a thread. */
function stateHash(records: readonly (readonly [string, string, string])[]): unknown {
  const database = new DatabaseSync(':memory:')
  migrate(database, 0)
  database.exec("UPDATE head SET iden = ''")
  for (const row of records) database.prepare('INSERT INTO records (kind, key, value) VALUES (?, ?, ?)').run(...row)
  const census = censusOf(database, ':memory:', SCHEMA_VERSION)
  database.close()
  return census['state.sha256']
}

const SOME = [put(0), put(7), drop(0), keep(['user', 'a', '1'], ['user', 'b', '2'], ['aha:x', 'a', '3'])]

describe('the census of a store', () => {
  test('counts what is there, and says where the log stands', async () => {
    await using _store = await filled(path, [SOME])
    const census = await storeCensus(path)
    const counts = Object.entries(census).filter(([name]) => !name.endsWith('sha256') && name !== 'log.hash')
    assert.deepEqual(Object.fromEntries(counts), {
      services: 1,
      records: 3,
      'records.aha:x': 1,
      'records.user': 2,
      'log.first': 0,
      'log.entries': 4,
      'log.index': 4,
      'log.epoch': 1,
    })
  })

  test('is that of a copy, and is not altered by renewals', async () => {
    await using store = await filled(path, [SOME])
    const before = await storeCensus(path)
    await store.saveRenewals([{seq: 7, lastHeartbeatS: 42}])
    const copy = join(folder, 'copy.db')
    await store.snapshot(copy)
    assert.deepEqual(await storeCensus(copy), before)
    assert.deepEqual(await storeCensus(path), before)
  })

  test('does not alter the file', async () => {
    const copy = join(folder, 'copy.db')
    await using store = await filled(path, [SOME])
    await store.snapshot(copy)
    const bytes = readFileSync(copy)
    await storeCensus(copy)
    assert(bytes.equals(readFileSync(copy)))
  })

  test('tells two states apart exactly when they differ, however they came to be', () => {
    const rows = fc.uniqueArray(
      fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y', 'x1'), fc.constantFrom('1', '11')),
      {selector: ([table, key]) => `${table} ${key}`},
    )
    fc.assert(
      fc.property(rows, rows, (one, other) => {
        const canonical = (records: typeof one) => JSON.stringify([...records].sort())
        assert.equal(stateHash(one) === stateHash(other), canonical(one) === canonical(other))
      }),
      {examples: [[[['a', 'x', '11']], [['a', 'x1', '1']]]]},
    )
  })

  test('knows segments and what was cut off', async () => {
    const step = (effect: NewEntry['effect']): NewEntry => ({...put(0), effect})
    await using _store = await filled(path, [
      [put(0), put(1), step({kind: 'rotate'})],
      [put(2), put(3)],
      [step({kind: 'cull', offset: 3})],
    ])
    const census = await storeCensus(path)
    assert.equal(census['log.first'], 4)
    assert.equal(census['log.entries'], 2)
    assert.equal(census['log.index'], 6)
    assert.equal(census['services'], 4)
  })

  test('takes in every row of a long table', async () => {
    const services = Array.from({length: 2000}, (_, seq) => put(seq, 'x'.repeat(200)))
    await using store = await filled(path, [services])
    const {services: count, 'services.sha256': hash} = await storeCensus(path)
    assert.equal(count, 2000)
    for (const seq of [0, 1000, 1999]) {
      await store.append([put(seq, 'y')])
      assert.notEqual((await storeCensus(path))['services.sha256'], hash)
      await store.append([put(seq, 'x'.repeat(200))])
    }
    assert.equal((await storeCensus(path))['services.sha256'], hash)
  })

  test('of what is no store says so, and an abort ends it', async () => {
    await assert.rejects(storeCensus(join(folder, 'none.db')), {code: 'REG_STORE_FAILED'})
    writeFileSync(join(folder, 'other.db'), 'no database at all, but long enough to look like one'.repeat(20))
    await assert.rejects(storeCensus(join(folder, 'other.db')), {code: 'REG_STORE_DAMAGED'})
    writeFileSync(join(folder, 'empty.db'), '')
    await assert.rejects(storeCensus(join(folder, 'empty.db')), {code: 'REG_STORE_DAMAGED'})
    const reason = new Error('enough')
    await assert.rejects(storeCensus(path, AbortSignal.abort(reason)), reason)
  })
})
