/** The part of the store's contract about what entries leave behind: instances, their renewals, records. */
import assert from 'node:assert/strict'
import {drop, instance, intactEnd, keep, listAll, listRecords, put, type Run, type Test} from './contract-kit.ts'

/** Renewals. */
export function renewalTests(test: Test, run: Run): void {
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

/** Records. */
export function recordTests(test: Test, run: Run): void {
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
