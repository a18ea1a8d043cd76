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
})
