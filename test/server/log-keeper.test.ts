import {describe, expect, onTestFinished, test} from 'vitest'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {LogKeeper} from '../../src/server/log-keeper.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Store} from '../../src/store/store.ts'
import {FakeClock} from '../support/api.ts'

interface Member {
  readonly store: Store
  readonly changes: ChangeLog
  readonly keeper: LogKeeper
}

async function member(): Promise<Member> {
  const store = new MemoryStore()
  const head = await store.open()
  const clock = new FakeClock()
  const changes = new ChangeLog(store, {...COMMIT_LIMITS, clock, head})
  onTestFinished(() => changes.close())
  return {store, changes, keeper: new LogKeeper({store, changeLog: changes, clock})}
}

describe('rotate and cull', () => {
  test('are done again by a mirror at the same entry', async () => {
    const [leader, mirror] = [await member(), await member()]
    for (let count = 0; count < 5; count++) await leader.keeper.rotate('test')
    const entries = [...(await leader.store.read(0, 100))]
    expect(await leader.keeper.cull(2, 'test')).toBe(true)
    entries.push(...(await leader.store.read(5, 100)))
    mirror.changes.setSource({kind: 'replicated', reason: 'another one leads'})
    await expect(mirror.keeper.rotate('test')).rejects.toMatchObject({code: 'REG_NOT_LEADER'})
    await mirror.changes.replicate(entries)
    expect(mirror.changes.head).toEqual(leader.changes.head)
    expect(await mirror.store.firstOffset()).toBe(3)
    expect(await mirror.store.read(3, 100)).toEqual(await leader.store.read(3, 100))
  })

  test('are refused from another member where they make no sense', async () => {
    const mirror = await member()
    mirror.changes.setSource({kind: 'replicated', reason: 'another one leads'})
    for (const change of ['{"v":1,"kind":"log:cull","offset":0}', '{"v":2,"kind":"log:rotate"}']) {
      const entry = {offset: 0, epoch: 1, hash: '0'.repeat(64), timeMs: 1, actor: 'test', change}
      await expect(mirror.changes.replicate([entry])).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
    }
    expect(mirror.changes.nextOffset).toBe(0)
  })

  test('cannot be decided while the store refuses', async () => {
    const {changes, keeper} = await member()
    await keeper.rotate('test')
    changes.hold('disk', 'the disk is full')
    await expect(keeper.rotate('test')).rejects.toMatchObject({code: 'REG_READ_ONLY'})
    await expect(keeper.cull(0, 'test')).rejects.toMatchObject({code: 'REG_READ_ONLY'})
  })
})
