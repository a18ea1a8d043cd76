import assert from 'node:assert/strict'
import {put, type Run, type Test} from './contract-kit.ts'

/** Tests of the contract: a freeze. */
export function freezeTests(test: Test, run: Run): void {
  test(
    'while it is frozen writes wait in their order, and reads go on',
    run(async (store) => {
      await store.append([put(0)])
      await store.freeze()
      const done: string[] = []
      const waiting = [
        store.append([put(1)]).then(([first]) => done.push(`append at ${first}`)),
        store.append([put(2)]).then(([first]) => done.push(`append at ${first}`)),
        store.saveRenewals([{seq: 0, lastHeartbeatS: 7}]).then(() => done.push('renewals')),
        store.probe().then(() => done.push('probe')),
      ]
      assert.equal((await store.read(0, 10)).length, 1)
      assert.equal(await store.firstOffset(), 0)
      assert.equal(done.length, 0)
      const thawing = store.thaw()
      const late = store.append([put(3)]).then(([first]) => done.push(`append at ${first}`))
      await Promise.all([thawing, ...waiting, late])
      assert.deepEqual(
        done.filter((one) => one.startsWith('append')),
        ['append at 1', 'append at 2', 'append at 3'],
      )
      assert.equal(done.length, 5)
      assert.equal((await store.read(0, 10)).length, 4)
    }),
  )

  test(
    'it can be frozen again and again, and a thaw of what is not frozen does nothing',
    run(async (store) => {
      await store.thaw()
      for (let seq = 0; seq < 3; seq += 1) {
        await store.freeze()
        const waiting = store.append([put(seq)])
        await store.thaw()
        await waiting
      }
      await store.append([put(3)])
      assert.equal((await store.read(0, 10)).length, 4)
    }),
  )

  test(
    'a close fails what waits',
    run(async (store) => {
      await store.freeze()
      const waiting = assert.rejects(store.append([put(0)]), {code: 'REG_STORE_FAILED'})
      await store.close()
      await waiting
    }),
  )
}
