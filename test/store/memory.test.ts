import assert from 'node:assert/strict'
import {describe, test} from 'vitest'
import {storeContract} from '../../src/store/contract.ts'
import {MemoryStore} from '../../src/store/memory.ts'

describe('MemoryStore', () => {
  const makePlace = async () => ({store: () => new MemoryStore(), dispose: async () => {}})
  storeContract({describe, test}, makePlace, {supports: {}})

  test('the log keeps at least 10 000 entries, and asking for older ones names the oldest kept', async () => {
    await using store = new MemoryStore()
    await store.open()
    const entry = {timeMs: 1, actor: 'a', change: '{}', effect: {kind: 'delete', seq: 1}} as const
    for (let batch = 0; batch < 21; batch++) await store.append(Array.from({length: 1000}, () => entry))
    await assert.rejects(store.read(0, 1), {code: 'REG_OFFSET_CULLED', info: {offset: 0, first: 11_000}})
    assert.equal((await store.read(11_000, 1))[0]?.offset, 11_000)
    assert.equal((await store.read(11_000, 20_000)).length, 10_000)
  })

  test('of large entries the log keeps fewer, the newest, and never more than 16 MB', async () => {
    await using store = new MemoryStore()
    await store.open()
    const entry = {timeMs: 1, actor: 'a', change: 'x'.repeat(60_000), effect: {kind: 'delete', seq: 1}} as const
    let kept = 0
    for (let offset = 0; offset < 1000; offset += 1) {
      await store.append([entry])
      const first = await store.read(0, 1).then(
        () => 0,
        (error: {info: {first: number}}) => error.info.first,
      )
      kept = (await store.read(first, 100_000)).length
      assert.equal(first + kept, offset + 1)
      assert(kept * 60_000 <= 16 * 1024 * 1024 && kept >= Math.min(offset + 1, 139), `${kept} of ${offset + 1}`)
    }
  })
})
