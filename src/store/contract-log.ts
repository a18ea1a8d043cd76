/** The part of the store's contract about the log: what goes in, what comes out. */
import assert from 'node:assert/strict'
import {drop, instance, intactEnd, listAll, put, type Run, type Test} from './contract-kit.ts'

/** Entries that are stored. */
export function appendTests(test: Test, run: Run): void {
  test(
    'entries get consecutive offsets, and append gives the first of them',
    run(async (store) => {
      assert.equal((await store.append([put(0), put(1)]))[0], 0)
      assert.equal((await store.append([put(2)]))[0], 2)
      assert.equal((await store.append([drop(1), put(3), put(0, 'again')]))[0], 3)
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
        const [offset] = await store.append([put(seq), put(seq, `second ${seq}`)])
        done.push(offset)
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
      assert.equal((await store.append([put(0)]))[0], 0)
    }),
  )
}

/** Entries that are read. */
export function readTests(test: Test, run: Run): void {
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
        const [offset] = await store.append([put(seq)])
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
