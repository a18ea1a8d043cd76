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
import {FIRST_PREVIOUS_HASH} from './chain.ts'
import {noSnapshotTests, snapshotTests} from './contract-copy.ts'
import {freezeTests} from './contract-freeze.ts'
import {
  drop,
  instance,
  intactEnd,
  keep,
  listAll,
  listRecords,
  put,
  type Run,
  type StorePlace,
  type StoreSupport,
  type Test,
  type TestRunner,
} from './contract-kit.ts'
import {appendTests, readTests} from './contract-log.ts'
import {recordTests, renewalTests} from './contract-state.ts'
import {cullTests, durableCullTests, replicaTests, rotateTests} from './contract-trim.ts'

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
    replicaTests(test, run)
    rotateTests(test, run)
    cullTests(test, run)
    freezeTests(test, run)
    lifeTests(test, run)
    if (supports.snapshot === true) snapshotTests(test, run)
    else noSnapshotTests(test, run)
    if (supports.durable === true) {
      durableTests(test, run)
      durableCullTests(test, run)
    }
    if (supports.obstruct === true) failureTests(test, run)
  })
}

function headTests(test: Test, makePlace: () => Promise<StorePlace>): void {
  test('a new store is empty and starts at offset 0 in epoch 1', async () => {
    const place = await makePlace()
    const store = place.store()
    try {
      const {iden, ...head} = await store.open()
      assert.deepEqual(head, {nextOffset: 0, epoch: 1, lastHash: FIRST_PREVIOUS_HASH, nextSeq: 0, firstOffset: 0})
      assert.match(iden, /^[0-9a-f]{32}$/)
      assert.equal(await store.firstOffset(), 0)
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

function lifeTests(test: Test, run: Run): void {
  test(
    'close waits for what is under way, may be called twice, and after it everything fails with REG_STORE_FAILED',
    run(async (store) => {
      const appended = store.append([put(0)])
      await Promise.all([store.close(), store.close()])
      assert.equal((await appended)[0], 0)
      const closed = {code: 'REG_STORE_FAILED'}
      await assert.rejects(store.append([put(1)]), closed)
      await assert.rejects(store.read(0, 1), closed)
      await assert.rejects(store.probe(), closed)
      await assert.rejects(store.saveRenewals([{seq: 0, lastHeartbeatS: 1}]), closed)
      await assert.rejects(listAll(store), closed)
    }),
  )
}

function durableTests(test: Test, run: Run): void {
  test(
    'a closed store opens again where it was, and the chain goes on',
    run(async (store, place) => {
      await store.append([put(0), put(7), drop(0), {...put(3), epoch: 5}])
      await store.saveRenewals([{seq: 3, lastHeartbeatS: 1_700_000_500}])
      const before = await store.read(0, 10)
      await store.close()
      await using second = place.store()
      const {iden, ...head} = await second.open()
      const lastHash = before[3]?.hash
      assert.deepEqual(head, {nextOffset: 4, epoch: 5, lastHash, nextSeq: 8, firstOffset: 0})
      assert.deepEqual(await listAll(second), [{...instance(3), lastHeartbeatS: 1_700_000_500}, instance(7)])
      assert.deepEqual(await listRecords(second), [])
      assert.equal((await second.append([put(8)]))[0], 4)
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

function failureTests(test: Test, run: Run): void {
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
      assert.equal((await store.append([put(2)]))[0], 1)
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
      assert.equal((await store.append([put(2)]))[0], 0)
      assert.deepEqual(await listAll(store), [instance(2)])
    }),
  )
}
