/** The part of the store's contract about copies of one moment. */
import assert from 'node:assert/strict'
import {drop, intactEnd, keep, listAll, listRecords, put, type Run, type StorePlace, type Test} from './contract-kit.ts'
import type {Store} from './store.ts'

/** For engines that have a file. */
export function snapshotTests(test: Test, run: Run): void {
  test(
    'a copy is the store as it is, and a store of its own',
    run(async (store, place) => {
      await store.append([put(0), put(7), drop(0), {...keep(['user', 'a', '1']), epoch: 3}])
      const {path, open} = copyPlace(place)
      const head = await store.snapshot(path)
      await store.append([put(8)])
      await using copy = open(path)
      assert.deepEqual(await copy.open(), head)
      assert.deepEqual(
        {...head, iden: ''},
        {nextOffset: 4, epoch: 3, lastHash: head.lastHash, nextSeq: 8, iden: '', firstOffset: 0},
      )
      assert.deepEqual(await copy.read(0, 9), await store.read(0, 4))
      assert.deepEqual(await listRecords(copy), await listRecords(store))
      await copy.append([put(9)])
      assert.deepEqual(
        (await listAll(copy)).map(({seq}) => seq),
        [7, 9],
      )
      assert.deepEqual(
        (await listAll(store)).map(({seq}) => seq),
        [7, 8],
      )
    }),
  )
  test(
    'a copy made while entries are stored has those up to one of them, and none of the rest',
    run(async (store, place) => {
      const {path, open} = copyPlace(place)
      const copying = store.snapshot(path).then((head) => ({head}))
      let done: Awaited<typeof copying> | undefined
      void copying.then((result) => {
        done = result
      })
      let stored = 0
      while (done === undefined) [stored] = await store.append([put(stored), put(stored + 1)])
      const {head} = await copying
      await using copy = open(path)
      assert.deepEqual(await copy.open(), head)
      assert(head.nextOffset <= stored + 2 && head.nextOffset % 2 === 0, `${head.nextOffset} of ${stored + 2}`)
      const end = intactEnd(await copy.read(0, head.nextOffset + 1))
      assert.deepEqual(end, {nextOffset: head.nextOffset, lastHash: head.lastHash})
      assert.equal((await listAll(copy)).length, new Set((await copy.read(0, 1e6)).map(({change}) => change)).size)
    }),
  )
  endTests(test, run)
}

function endTests(test: Test, run: Run): void {
  test(
    'who aborts gets the reason, and the copy is not there',
    run(async (store, place) => {
      const {path, open} = copyPlace(place)
      const reason = new Error('enough')
      const stop = new AbortController()
      const copying = store.snapshot(path, stop.signal)
      stop.abort(reason)
      await assert.rejects(copying, reason)
      await assert.rejects(store.snapshot(path, stop.signal), reason)
      await store.append([put(0)])
      await using other = open(path)
      assert.equal((await other.open()).nextOffset, 0, 'nothing is there, so it is made')
    }),
  )
  test(
    'a copy of a closed store is refused, and a close ends one that is under way',
    run(async (store, place) => {
      const copying = store.snapshot(copyPlace(place).path)
      const failed = {code: 'REG_STORE_FAILED', message: /is closed/}
      await Promise.all([assert.rejects(copying, failed), store.close()])
      await assert.rejects(store.snapshot(copyPlace(place).path), failed)
    }),
  )
}

/** For those that have none. */
export function noSnapshotTests(test: Test, run: Run): void {
  test(
    'there is nothing to copy',
    run(async (store) => {
      await assert.rejects(store.snapshot('/nowhere'), {code: 'REG_CONFLICT'})
    }),
  )
}

function copyPlace({copy}: StorePlace): {path: string; open: (path: string) => Store} {
  assert(copy !== undefined, 'supports.snapshot needs copy')
  return copy
}
