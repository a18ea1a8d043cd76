import {beforeEach, describe, expect, test} from 'vitest'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {LogReaders} from '../../src/nexus/log-reader.ts'
import {checkLog, type LogVerdict} from '../../src/server/log-check.ts'
import type {Entry} from '../../src/store/store.ts'
import {MoodyStore} from '../support/moody-store.ts'

/** A store whose entry `spoilt` is not what was written, or whose end is missing. */
class SpoiltStore extends MoodyStore {
  spoilt: number | undefined
  isCut = false

  override async read(offset: number, limit: number): Promise<readonly Entry[]> {
    const entries = await super.read(offset, limit)
    const kept = this.isCut ? entries.filter((entry) => entry.offset < 2) : entries
    return kept.map((entry) => (entry.offset === this.spoilt ? {...entry, change: '{}'} : entry))
  }
}

let store: SpoiltStore
let changes: ChangeLog
let served: Map<number, string>
beforeEach(async () => {
  store = new SpoiltStore()
  await store.open()
  changes = new ChangeLog(store, COMMIT_LIMITS)
  changes.join({onReset: () => {}})
  served = new Map()
})

function append(change: string): Promise<void> {
  const effect = {kind: 'records', records: []} as const
  return new Promise((resolve, failed) => {
    changes.propose({entry: {timeMs: 1, actor: 'test', change, effect}, committed: () => resolve(), failed})
  })
}

function check(): Promise<LogVerdict> {
  const entries = new LogReaders({store, changes}, {readers: 1, chunk: 2})
  return checkLog({entries, changes, services: () => served}, AbortSignal.timeout(10_000))
}

const REGISTERED = `{"v":1,"kind":"register","seq":3,"ttl":30,"info":{"name":"cam","host":"h","port":1,"id":"cam-1"}}`
const TEXT = '{"id":"cam-1","name":"cam","host":"h","port":1,"metadata":{},"ttl":30,"tags":[]}'
const MAINTENANCE = '"maintenance": {"reason":"new lens","since":1,"by":"unix/root"}'

describe('a check of the change log', () => {
  test('of a new registry finds nothing', async () => {
    expect(await check()).toEqual({first: 0, next: 0, damage: undefined, services: 0, differing: []})
  })

  test('compares the services with what the log leaves', async () => {
    await append(REGISTERED)
    served.set(3, TEXT)
    const whole = {first: 0, next: 1, damage: undefined, services: 1, differing: []}
    expect(await check()).toEqual(whole)
    await append(`{"v":1,"kind":"maintenance","seq":3,"id":"cam-1",${MAINTENANCE}}`)
    expect(await check()).toMatchObject({next: 2, differing: [3]})
    served.set(3, `${TEXT.slice(0, -1)}, ${MAINTENANCE}}`)
    await append(REGISTERED) // keeps the maintenance
    expect(await check()).toEqual({...whole, next: 3})
    await append('{"v":1,"kind":"user:newer"}')
    await append('{"v":1,"kind":"expire","seq":3,"id":"cam-1"}')
    expect(await check()).toMatchObject({next: 5, services: 1, differing: [3]})
    served = new Map([[9, TEXT]])
    expect(await check()).toMatchObject({services: 1, differing: [9]})
  })

  test.each([0, 1, 4])('names entry %i when it is not what was written', async (spoilt) => {
    for (let n = 0; n < 5; n += 1) await append(`{"v":1,"kind":"user:x","n":${n}}`)
    store.spoilt = spoilt
    const reason = expect.stringContaining(`the hash of entry ${spoilt} is not that of its content`)
    expect(await check()).toMatchObject({next: 5, damage: {offset: spoilt, reason}, services: undefined})
  })

  test('names the first entry that is missing at the end, and one that cannot be read', async () => {
    for (let n = 0; n < 3; n += 1) await append(`{"v":1,"kind":"user:x","n":${n}}`)
    store.isCut = true
    expect(await check()).toMatchObject({damage: {offset: 2, reason: expect.stringContaining('entry 2 is missing')}})
    store.isCut = false
    await append('{"v":7,"kind":"expire"}')
    expect(await check()).toMatchObject({damage: {offset: 3, reason: expect.stringContaining('cannot be read')}})
  })

  test('waits for what is written meanwhile', async () => {
    await append(REGISTERED)
    served.set(3, TEXT)
    const checking = check()
    const more = Array.from({length: 20}, (_, n) => append(`{"v":1,"kind":"user:x","n":${n}}`))
    await Promise.all(more)
    const {next, services, differing} = await checking
    expect({services, differing}).toEqual({services: 1, differing: []})
    expect(next).toBeGreaterThan(0)
  })

  test('does not compare with a log whose beginning is gone', async () => {
    for (let n = 0; n < 20_001; n += 1) void append(`{"v":1,"kind":"user:x","n":${n}}`)
    await changes.settled()
    expect(await check()).toMatchObject({next: 20_001, damage: undefined, services: undefined, differing: []})
  })
})
