/** The part of the store's contract about entries of another member of the cell, and about the old end of the log. */
import assert from 'node:assert/strict'
import {chainHash, FIRST_PREVIOUS_HASH} from './chain.ts'
import {drop, instance, intactEnd, listAll, put, type Run, type Test} from './contract-kit.ts'
import type {Entry, NewEntry, Store} from './store.ts'

/** Entries that must get a certain hash, and epochs. */
export function replicaTests(test: Test, run: Run): void {
  test(
    'append gives the hash of its last entry',
    run(async (store) => {
      assert.deepEqual(await store.append([put(0), put(1)]), [0, (await store.read(1, 1))[0]?.hash])
      assert.deepEqual(await store.append([put(2)]), [2, (await store.read(2, 1))[0]?.hash])
    }),
  )
  test(
    'an entry may raise the epoch of the store, and it stays there',
    run(async (store) => {
      await store.append([put(0), {...put(1), epoch: 7}, put(2)])
      await store.append([put(3), {...put(4), epoch: 7}])
      const entries = await store.read(0, 10)
      assert.deepEqual(
        entries.map(({epoch}) => epoch),
        [1, 7, 7, 7, 7],
      )
      assert.equal(intactEnd(entries).nextOffset, 5)
    }),
  )
  test(
    'entries of another store that carry their hashes become the same log',
    run(async (store) => {
      const [first, second] = otherEntries()
      assert.deepEqual(await store.append([{...first, hash: undefined}]), [0, first.hash])
      assert.deepEqual(await store.append([second]), [1, second.hash])
    }),
  )
  test(
    'an entry that would get another hash than it must is refused with all of its call, and the store is as it was',
    run(async (store) => {
      const [first, second] = otherEntries()
      await store.append([first])
      const differs = {code: 'REG_HISTORY_DIFFERS', info: {offset: 2}}
      await assert.rejects(store.append([second, {...put(9), hash: second.hash}]), differs)
      await assert.rejects(store.append([second, {...put(9), epoch: second.epoch - 1}]), differs)
      assert.deepEqual(await listAll(store), [instance(0)])
      assert.deepEqual(await store.append([second]), [1, second.hash])
      assert.equal(intactEnd(await store.read(0, 10)).nextOffset, 2)
    }),
  )
}

/** Segments. */
export function rotateTests(test: Test, run: Run): void {
  test(
    'a rotation alters nothing that is read, at any place of a call',
    run(async (store) => {
      await store.append([rotate(), put(0), rotate(), rotate(), put(1)])
      await store.append([put(2), rotate()])
      await store.append([put(3)])
      const entries = await store.read(0, 100)
      assert.deepEqual(intactEnd(entries), {nextOffset: 8, lastHash: entries[7]?.hash})
      assert.deepEqual(await offsets(store, 1, 4), [1, 2, 3, 4])
      assert.deepEqual(
        await listAll(store),
        [0, 1, 2, 3].map((seq) => instance(seq)),
      )
      assert.equal(await store.firstOffset(), 0)
    }),
  )
}

/** What is gone after a cull, and what is there. */
export function cullTests(test: Test, run: Run): void {
  const cases: readonly (readonly [what: string, culled: number])[] = [
    ['a whole segment', 9],
    ['a part of the first segment', 4],
    ['a segment and a part of the next', 14],
    ['two segments', 20],
    ['two segments and a part of the newest', 22],
    ['the first entry alone', 0],
    ['all entries but the one that does it', 23],
    ['more than there is, which leaves the entry that does it', 1000],
  ]
  for (const [what, culled] of cases) {
    test(
      `what was culled is gone at once, and the rest is whole: ${what}`,
      run(async (store) => {
        await fill(store)
        const all = await store.read(0, 100)
        await store.append([cull(culled)])
        await assertFirst(store, Math.min(culled + 1, 24), all)
        await store.append([put(90), cull(culled), put(91)])
        await assertFirst(store, culled === 1000 ? 26 : culled + 1, all)
        assert.deepEqual((await listAll(store)).at(-1), instance(91))
      }),
    )
  }
  test(
    'to cull what is gone already does nothing',
    run(async (store) => {
      await fill(store)
      const all = await store.read(0, 100)
      await store.append([cull(14)])
      await store.append([cull(14), cull(3), cull(0)])
      await assertFirst(store, 15, all)
    }),
  )
  test(
    'rotate and cull within one call, and a call that is refused undoes both',
    run(async (store) => {
      await store.append([put(0), rotate(), put(1)])
      const refused = [put(2), rotate(), put(3), cull(3), {...put(4), hash: '0'.repeat(64)}]
      await assert.rejects(store.append(refused), {code: 'REG_HISTORY_DIFFERS'})
      assert.deepEqual(await offsets(store, 0, 100), [0, 1, 2])
      assert.equal(await store.firstOffset(), 0)
      await store.append([put(2), rotate(), put(3), cull(3), put(4)])
      assert.equal(await store.firstOffset(), 4)
      assert.deepEqual(await offsets(store, 4, 100), [4, 5, 6, 7])
      await store.append([rotate(), cull(8)])
      assert.deepEqual(await offsets(store, 9, 100), [9])
    }),
  )
  test(
    'the space of what was culled is given back, while entries are stored',
    run(async (store) => {
      await store.append(Array.from({length: 3000}, (_, index) => drop(index)))
      await store.append([rotate()])
      await store.append([cull(2999)])
      for (let seq = 0; (await store.size()).isFreeing; seq++) await store.append([put(seq)])
      const {bytes, freeBytes} = await store.size()
      assert(bytes < 250_000 && freeBytes < 50_000, `${bytes} bytes, ${freeBytes} of them free`)
      assert.equal(await store.firstOffset(), 3000)
    }),
  )
}

/** What of it is there after a new open. */
export function durableCullTests(test: Test, run: Run): void {
  for (const culled of [4, 9, 14, 22]) {
    test(
      `a log that begins after entry ${culled} opens again so, and is verified from there`,
      run(async (store, place) => {
        await fill(store)
        const all = await store.read(0, 100)
        await store.append([cull(culled)])
        await store.close()
        await using second = place.store()
        assert.equal((await second.open()).firstOffset, culled + 1)
        await assertFirst(second, culled + 1, all)
        await second.append([put(50), rotate(), put(51)])
        await assertFirst(second, culled + 1, all)
      }),
    )
  }
}

/** Stores 24 entries in segments that begin at 0, 10 and 21. */
async function fill(store: Store): Promise<void> {
  await store.append([...Array.from({length: 9}, (_, seq) => put(seq)), rotate()])
  await store.append([...Array.from({length: 10}, (_, seq) => put(seq)), rotate()])
  await store.append([put(20), drop(20), drop(19)])
}

/** Asserts that the log is whole from `first` on, and gone before it. */
async function assertFirst(store: Store, first: number, before: readonly Entry[]): Promise<void> {
  assert.equal(await store.firstOffset(), first)
  for (const offset of [0, first - 1]) {
    await assert.rejects(store.read(offset, 5), {code: 'REG_OFFSET_CULLED', info: {offset, first}})
  }
  const entries = await store.read(first, 100)
  assert.equal(entries[0]?.offset, first)
  assert.deepEqual(
    entries.filter(({offset}) => offset < before.length),
    before.slice(first),
  )
  const [head, ...rest] = entries
  intactEnd(rest, {nextOffset: first + 1, lastHash: head?.hash ?? ''})
}

async function offsets(store: Store, offset: number, limit: number): Promise<number[]> {
  return (await store.read(offset, limit)).map((entry) => entry.offset)
}

/** Two entries as another store has them, the second one in a new epoch. */
function otherEntries(): [NewEntry & {hash: string}, NewEntry & {hash: string; epoch: number}] {
  const [zero, one] = [put(0), put(1)]
  const hash = chainHash(FIRST_PREVIOUS_HASH, 0, 1, zero.timeMs, zero.actor, zero.change)
  return [
    {...zero, hash},
    {...one, epoch: 4, hash: chainHash(hash, 1, 4, one.timeMs, one.actor, one.change)},
  ]
}

function rotate(): NewEntry {
  return {timeMs: 1_700_000_000_003, actor: 'contract', change: '{"kind":"rotate"}', effect: {kind: 'rotate'}}
}

function cull(offset: number): NewEntry {
  const change = `{"kind":"cull","offset":${offset}}`
  return {timeMs: 1_700_000_000_004, actor: 'contract', change, effect: {kind: 'cull', offset}}
}
