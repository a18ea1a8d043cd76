/**
 * The contract that every engine of the Store port keeps, as a suite of tests for any runner that has `describe` and `test`:
 *
 *     import {describe, test} from 'node:test'
 *     import {storeContract} from '@devops-registry/cli/store-contract'
 *
 *     storeContract({describe, test}, async () => ({
 *       store: () => new MyStore(url),
 *       dispose: async () => {},
 *     }), {supports: {durable: true}})
 */
import assert from 'node:assert/strict'
import {CHAIN_START, FIRST_PREVIOUS_HASH, verifyChain} from './chain.ts'
import type {Entry, NewEntry, Store, StoredInstance, StoredRecord} from './store.ts'

/** What the suite needs of a test runner. */
export interface TestRunner {
  describe(name: string, body: () => void): void
  test(name: string, body: () => Promise<void>): void
}

/** One place where state may live, empty when made; every test makes its own. */
export interface StorePlace {
  /** Gives a store on this place, not opened. Called again after a close, to open the same place once more. */
  store(): Store
  /**
   * Makes every write fail for real (a lock held by another connection, a network that is cut) until the function it gives is called.
   * Only with `supports.obstruct`.
   */
  obstruct?(): Promise<() => Promise<void>>
  /** Removes everything. Called when the stores are closed. */
  dispose(): Promise<void>
}

export interface StoreSupport {
  /** What was acknowledged is there after a close and a new open. */
  readonly durable?: boolean
  /** The place has `obstruct`. */
  readonly obstruct?: boolean
}

type Run = (body: (store: Store, place: StorePlace) => Promise<void>) => () => Promise<void>

/** Declares the tests of the contract for the engine that `makePlace` gives. */
export function storeContract(
  {describe, test}: TestRunner,
  makePlace: () => Promise<StorePlace>,
  {supports}: {readonly supports: StoreSupport},
): void {
  const run: Run = (body) => async () => {
    const place = await makePlace()
    const store = place.store()
    try {
      await store.open()
      await body(store, place)
    } finally {
      await store.close()
      await place.dispose()
    }
  }
  describe('store contract', () => {
    headTests(test, makePlace)
    appendTests(test, run)
    readTests(test, run)
    renewalTests(test, run)
    recordTests(test, run)
    lifeTests(test, run)
    if (supports.durable === true) durableTests(test, run)
    if (supports.obstruct === true) failureTests(test, run)
  })
}

function headTests(test: TestRunner['test'], makePlace: () => Promise<StorePlace>): void {
  test('a new store is empty and starts at offset 0 in epoch 1', async () => {
    const place = await makePlace()
    const store = place.store()
    try {
      assert.deepEqual(await store.open(), {nextOffset: 0, epoch: 1, lastHash: FIRST_PREVIOUS_HASH, nextSeq: 0})
      assert.deepEqual(await listAll(store), [])
      assert.deepEqual(await store.read(0, 10), [])
      await store.probe()
      assert.deepEqual(await store.read(0, 10), [], 'a probe leaves nothing in the log')
    } finally {
      await store.close()
      await place.dispose()
    }
  })
}

function appendTests(test: TestRunner['test'], run: Run): void {
  test(
    'entries get consecutive offsets, and append gives the first of them',
    run(async (store) => {
      assert.equal(await store.append([put(0), put(1)]), 0)
      assert.equal(await store.append([put(2)]), 2)
      assert.equal(await store.append([drop(1), put(3), put(0, 'again')]), 3)
      const entries = await store.read(0, 100)
      assert.deepEqual(
        entries.map(({offset}) => offset),
        [0, 1, 2, 3, 4, 5],
      )
    }),
  )
  test(
    'an entry comes back as it was given, with its epoch and hash',
    run(async (store) => {
      const change = '{"a":"\\u0000 é 🛰 \\n","b":1e400}'
      await store.append([{timeMs: 1_700_000_000_123, actor: 'zmq:anon/\u0000é\n"', change, effect: drop(9).effect}])
      const [entry] = await store.read(0, 1)
      const {hash, ...rest} = entry ?? assert.fail('no entry')
      assert.deepEqual(rest, {offset: 0, epoch: 1, timeMs: 1_700_000_000_123, actor: 'zmq:anon/\u0000é\n"', change})
      assert.match(hash, /^[0-9a-f]{64}$/)
    }),
  )
  test(
    'effects are applied in order: put adds or replaces, delete removes, a delete of what is gone does nothing',
    run(async (store) => {
      await store.append([put(0), put(1), put(2), drop(1), put(2, 'second')])
      await store.append([drop(1), drop(77), put(0, 'third')])
      assert.deepEqual(await listAll(store), [instance(0, 'third'), instance(2, 'second')])
    }),
  )
  test(
    'appends that are called at once are done in the order of the calls',
    run(async (store) => {
      const done: number[] = []
      const calls = Array.from({length: 50}, async (_, seq) => {
        done.push(await store.append([put(seq), put(seq, `second ${seq}`)]))
      })
      await Promise.all(calls)
      assert.deepEqual(
        done,
        Array.from({length: 50}, (_, index) => 2 * index),
      )
      assert.deepEqual((await store.read(7, 1))[0]?.change, put(3, 'second 3').change)
    }),
  )
  test(
    'a batch of 5000 is stored whole',
    run(async (store) => {
      await store.append(Array.from({length: 5000}, (_, seq) => put(seq)))
      const all = await listAll(store)
      assert.equal(all.length, 5000)
      assert.deepEqual(all[4999], instance(4999))
      assert.equal(intactEnd(await store.read(0, 10_000)).nextOffset, 5000)
    }),
  )
  test(
    'what is wrong in the call itself is refused and stores nothing',
    run(async (store) => {
      await assert.rejects(store.append([]), assert.AssertionError)
      await assert.rejects(store.append([put(0), {...put(1), timeMs: 0.5}]), assert.AssertionError)
      assert.equal(await store.append([put(0)]), 0)
    }),
  )
}

function readTests(test: TestRunner['test'], run: Run): void {
  test(
    'every entry carries the hash of the one before it, over all batches',
    run(async (store) => {
      await store.append([put(0), put(1)])
      await store.append([drop(0)])
      const entries = await store.read(0, 10)
      assert.deepEqual(intactEnd(entries), {nextOffset: 3, lastHash: entries[2]?.hash})
    }),
  )
  test(
    'read gives the range asked for, fewer at the end and none beyond it',
    run(async (store) => {
      await store.append(Array.from({length: 10}, (_, seq) => put(seq)))
      const offsets = async (offset: number, limit: number) =>
        (await store.read(offset, limit)).map((entry) => entry.offset)
      assert.deepEqual(await offsets(3, 4), [3, 4, 5, 6])
      assert.deepEqual(await offsets(8, 100), [8, 9])
      assert.deepEqual(await offsets(9, 1), [9])
      assert.deepEqual(await offsets(10, 5), [])
      assert.deepEqual(await offsets(1000, 5), [])
      assert.deepEqual(await offsets(0, 0), [])
    }),
  )
  test(
    'reads see what was acknowledged',
    run(async (store) => {
      for (let seq = 0; seq < 5; seq++) {
        const offset = await store.append([put(seq)])
        assert.deepEqual((await store.read(offset, 1))[0]?.change, put(seq).change)
        assert.deepEqual((await listAll(store)).at(-1), instance(seq))
      }
    }),
  )
  test(
    'instances come in order of seq, also when they were stored in another one',
    run(async (store) => {
      await store.append([put(5), put(2), put(9), put(2, 'second')])
      assert.deepEqual(
        (await listAll(store)).map(({seq}) => seq),
        [2, 5, 9],
      )
    }),
  )
}

function renewalTests(test: TestRunner['test'], run: Run): void {
  test(
    'renewals change the last heartbeat only, and those of instances that are gone are ignored',
    run(async (store) => {
      await store.append([put(0), put(1), drop(0)])
      await store.saveRenewals([
        {seq: 0, lastHeartbeatS: 1_700_000_100},
        {seq: 1, lastHeartbeatS: 1_700_000_101},
        {seq: 42, lastHeartbeatS: 1_700_000_142},
      ])
      await store.saveRenewals([])
      assert.deepEqual(await listAll(store), [{...instance(1), lastHeartbeatS: 1_700_000_101}])
      assert.equal((await store.read(0, 10)).length, 3, 'renewals are not in the log')
    }),
  )
  test(
    'a put after a renewal sets the heartbeat that it names',
    run(async (store) => {
      await store.append([put(0)])
      await store.saveRenewals([{seq: 0, lastHeartbeatS: 1_800_000_000}])
      await store.append([put(0, 'second')])
      assert.deepEqual(await listAll(store), [instance(0, 'second')])
    }),
  )
}

function recordTests(test: TestRunner['test'], run: Run): void {
  test(
    'records are put, replaced and deleted in order, several by one entry, and listed by table and key',
    run(async (store) => {
      await store.append([keep(['user', 'b', '1'], ['user', 'a', '2'], ['role', 'z', 'é "\\u0000'])])
      await store.append([put(0), keep(['user', 'b', '3']), keep(['user', 'a', null], ['user', 'gone', null])])
      assert.deepEqual(await listRecords(store), [
        {table: 'role', key: 'z', value: 'é "\\u0000'},
        {table: 'user', key: 'b', value: '3'},
      ])
      assert.deepEqual(await listAll(store), [instance(0)])
      assert.equal(intactEnd(await store.read(0, 10)).nextOffset, 4)
    }),
  )
  test(
    'many records come whole, each once',
    run(async (store) => {
      const keys = Array.from({length: 5000}, (_, index) => `key-${String(index).padStart(4, '0')}`)
      await store.append(keys.map((key) => keep(['user', key, key], ['role', key, key])))
      const records = await listRecords(store)
      assert.deepEqual(
        records.map(({table, key}) => `${table} ${key}`),
        ['role', 'user'].flatMap((table) => keys.map((key) => `${table} ${key}`)),
      )
      for (const table of ['role', 'user', 'none', 'r', 'roles']) {
        const ofOne = (await Array.fromAsync(store.records(table))).flat()
        const expected = records.filter((record) => record.table === table)
        assert.deepEqual(ofOne, expected)
      }
    }),
  )
}

function lifeTests(test: TestRunner['test'], run: Run): void {
  test(
    'close waits for what is under way, may be called twice, and after it everything fails with REG_STORE_FAILED',
    run(async (store) => {
      const appended = store.append([put(0)])
      await Promise.all([store.close(), store.close()])
      assert.equal(await appended, 0)
      const closed = {code: 'REG_STORE_FAILED'}
      await assert.rejects(store.append([put(1)]), closed)
      await assert.rejects(store.read(0, 1), closed)
      await assert.rejects(store.probe(), closed)
      await assert.rejects(store.saveRenewals([{seq: 0, lastHeartbeatS: 1}]), closed)
      await assert.rejects(listAll(store), closed)
    }),
  )
}

function durableTests(test: TestRunner['test'], run: Run): void {
  test(
    'a closed store opens again where it was, and the chain goes on',
    run(async (store, place) => {
      await store.append([put(0), put(7), drop(0), put(3)])
      await store.saveRenewals([{seq: 3, lastHeartbeatS: 1_700_000_500}])
      const before = await store.read(0, 10)
      await store.close()
      await using second = place.store()
      assert.deepEqual(await second.open(), {nextOffset: 4, epoch: 1, lastHash: before[3]?.hash, nextSeq: 8})
      assert.deepEqual(await listAll(second), [{...instance(3), lastHeartbeatS: 1_700_000_500}, instance(7)])
      assert.deepEqual(await listRecords(second), [])
      assert.equal(await second.append([put(8)]), 4)
      const after = await second.read(0, 10)
      assert.deepEqual(after.slice(0, 4), before)
      assert.equal(intactEnd(after).nextOffset, 5)
    }),
  )
  test(
    'records are there after a new open',
    run(async (store, place) => {
      await store.append([keep(['user', 'a', '1'], ['user', 'b', '2'])])
      await store.append([keep(['user', 'a', null])])
      await store.close()
      await using second = place.store()
      await second.open()
      assert.deepEqual(await listRecords(second), [{table: 'user', key: 'b', value: '2'}])
    }),
  )
  test(
    'nextSeq does not fall when the newest instances are gone',
    run(async (store, place) => {
      await store.append([put(0), put(5)])
      await store.append([drop(0), drop(5)])
      await store.close()
      await using second = place.store()
      assert.equal((await second.open()).nextSeq, 6)
    }),
  )
}

function failureTests(test: TestRunner['test'], run: Run): void {
  test(
    'a failed append leaves no trace, and the next one succeeds when the obstacle is gone',
    run(async (store, place) => {
      assert(place.obstruct !== undefined, 'supports.obstruct needs obstruct')
      await store.append([put(0)])
      const clear = await place.obstruct()
      const failed = {code: 'REG_STORE_FAILED'}
      try {
        await assert.rejects(store.append([put(1), put(0, 'lost'), keep(['user', 'lost', '1'])]), failed)
        await assert.rejects(store.probe(), failed)
        await assert.rejects(store.saveRenewals([{seq: 0, lastHeartbeatS: 1_900_000_000}]), failed)
      } finally {
        await clear()
      }
      await store.probe()
      assert.deepEqual(await listRecords(store), [])
      assert.deepEqual(await listAll(store), [instance(0)])
      assert.equal(await store.append([put(2)]), 1)
      const entries = await store.read(0, 10)
      assert.equal(intactEnd(entries).nextOffset, 2)
      assert.equal(entries[1]?.change, put(2).change)
    }),
  )
  test(
    'appends that were waiting when the obstacle came fail one by one, and none of them is stored later',
    run(async (store, place) => {
      assert(place.obstruct !== undefined, 'supports.obstruct needs obstruct')
      const clear = await place.obstruct()
      try {
        const results = await Promise.allSettled([store.append([put(0)]), store.append([put(1)])])
        assert.deepEqual(
          results.map(({status}) => status),
          ['rejected', 'rejected'],
        )
      } finally {
        await clear()
      }
      assert.equal(await store.append([put(2)]), 0)
      assert.deepEqual(await listAll(store), [instance(2)])
    }),
  )
}

function instance(seq: number, note = 'first'): StoredInstance {
  return {seq, service: `{"id":"cam-${seq}","note":"${note} é"}`, lastHeartbeatS: 1_700_000_000 + seq}
}

function put(seq: number, note = 'first'): NewEntry {
  const change = `{"kind":"register","seq":${seq},"note":"${note}"}`
  return {timeMs: 1_700_000_000_000, actor: 'contract', change, effect: {kind: 'put', instance: instance(seq, note)}}
}

function drop(seq: number): NewEntry {
  const change = `{"kind":"deregister","seq":${seq}}`
  return {timeMs: 1_700_000_000_001, actor: 'contract', change, effect: {kind: 'delete', seq}}
}

function keep(...rows: readonly (readonly [table: string, key: string, value: string | null])[]): NewEntry {
  const records = rows.map(([table, key, value]) => ({table, key, value}))
  return {timeMs: 1_700_000_000_002, actor: 'contract', change: '{"kind":"keep"}', effect: {kind: 'records', records}}
}

async function listRecords(store: Store): Promise<StoredRecord[]> {
  return (await Array.fromAsync(store.records())).flat()
}

async function listAll(store: Store): Promise<StoredInstance[]> {
  return (await Array.fromAsync(store.instances())).flat()
}

function intactEnd(entries: readonly Entry[]): {nextOffset: number; lastHash: string} {
  const verdict = verifyChain(entries, CHAIN_START)
  assert(verdict.kind === 'intact', verdict.kind === 'damaged' ? verdict.reason : '')
  return verdict.end
}
