import {beforeEach, describe, expect, test} from 'vitest'
import {NO_POLICY} from '../../src/auth/policy.ts'
import {openUserBook, type UserBook} from '../../src/cell/user-book.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {LogReaders} from '../../src/nexus/log-reader.ts'
import {encodePoolChange} from '../../src/registry/aha-pool.ts'
import {checkLog, type LogVerdict} from '../../src/server/log-check.ts'
import type {Entry} from '../../src/store/store.ts'
import {openAhaParts, type TestAhaParts} from '../support/aha.ts'
import {FakeClock, TestApi} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

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
let api: TestApi
let users: UserBook
let aha: TestAhaParts
/** Entries and records that a new cell has. */
const [ENTRIES, RECORDS] = [2, 3]
beforeEach(async () => {
  store = new SpoiltStore()
  await store.open()
  const clock = new FakeClock()
  changes = new ChangeLog(store, {...COMMIT_LIMITS, clock})
  const log = silentLog()
  const options = {cellIden: 'c0'.repeat(16), policy: NO_POLICY, maxUsers: 0}
  users = await openUserBook({store, changeLog: changes, log, clock}, options)
  aha = await openAhaParts({store, changeLog: changes, clock, users, log})
  api = TestApi.on({store, changes, clock})
  await changes.settled()
})

/** Writes an entry that no part knows of. */
function append(change: string): Promise<void> {
  const effect = {kind: 'none'} as const
  return new Promise((resolve, failed) => {
    changes.propose({entry: {timeMs: 1, actor: 'test', change, effect}, committed: () => resolve(), failed})
  })
}

function check(): Promise<LogVerdict> {
  const entries = new LogReaders({store, changes}, {readers: 1, chunk: 2})
  return checkLog({entries, changes}, AbortSignal.timeout(150_000))
}

function register(id: string): Promise<unknown> {
  return api.ask({action: 'register', service_info: {id, name: 'cam', host: 'h', port: 1}})
}

const SAME = {first: 0, damage: undefined, differing: [], differingRecords: []}

describe('a check of the change log', () => {
  test('of a new registry finds nothing', async () => {
    const none = new MoodyStore()
    await none.open()
    const log = new ChangeLog(none, COMMIT_LIMITS)
    const entries = new LogReaders({store: none, changes: log})
    const verdict = await checkLog({entries, changes: log}, AbortSignal.timeout(150_000))
    expect(verdict).toEqual({...SAME, next: 0, services: 0, records: 0})
    expect(await check()).toEqual({...SAME, next: ENTRIES, services: 0, records: RECORDS})
  })

  test('compares services with what the log leaves', async () => {
    await register('cam-1')
    api.registrar.setMaintenance('cam-1', {reason: 'new lens', by: 'unix/root'}, 'test', () => {})
    await register('cam-1') // keeps the maintenance
    await register('cam-2')
    expect(await check()).toEqual({...SAME, next: ENTRIES + 4, services: 2, records: RECORDS})
    const instance = api.catalog.get('cam-1')
    if (instance === undefined) throw new Error('not there')
    api.catalog.setMaintenance(instance, undefined)
    expect(await check()).toMatchObject({services: 2, differing: [instance.seq]})
    api.catalog.remove(instance)
    expect(await check()).toMatchObject({services: 2, differing: [instance.seq]})
    await append('{"v":1,"kind":"expire","seq":2,"id":"cam-2"}')
    expect(await check()).toMatchObject({differing: [1, 2]})
  })

  test('compares all else that is kept with what the log leaves', async () => {
    const role = await users.addRole('ops', undefined, 'test')
    const {iden} = await users.addUser({name: 'visi', passwd: 'secret'}, 'test')
    await users.addApiKey(iden, 'key', undefined, 'test')
    await aha.pools.add('pool00.axon...', {creator: iden, actor: 'test'})
    await aha.provisioning.addService('00.axon', null, 'test')
    const whole = await check()
    expect(whole).toMatchObject({...SAME, services: 0})
    expect(whole.records).toBeGreaterThanOrEqual(RECORDS + 6)
    await append(`{"v":1,"kind":"user:name","iden":"${iden}","name":"fred"}`)
    await append(`{"v":1,"kind":"role:del","iden":"${role.iden}"}`)
    await append(encodePoolChange({kind: 'aha:pool:add', pool: 'pool01.axon', createdMs: 1, creator: iden}))
    const differingRecords = [`auth:user ${iden}`, `auth:role ${role.iden}`, 'aha:pool pool01.axon']
    expect(await check()).toMatchObject({damage: undefined, services: 0, differingRecords})
  })

  test.each([0, 1, 4])('names entry %i when it is not what was written', async (spoilt) => {
    for (let n = 0; n < 5; n += 1) await append(`{"v":1,"kind":"other:x","n":${n}}`)
    store.spoilt = spoilt
    const reason = expect.stringContaining(`the hash of entry ${spoilt} is not that of its content`)
    expect(await check()).toMatchObject({
      next: ENTRIES + 5,
      damage: {offset: spoilt, reason},
      services: undefined,
      records: undefined,
    })
  })

  test('names the first entry that is missing at the end, and one that cannot be read', async () => {
    for (let n = 0; n < 3; n += 1) await append(`{"v":1,"kind":"other:x","n":${n}}`)
    store.isCut = true
    expect(await check()).toMatchObject({damage: {offset: 2, reason: expect.stringContaining('entry 2 is missing')}})
    store.isCut = false
    await append('{"v":7,"kind":"expire"}')
    expect(await check()).toMatchObject({
      damage: {offset: ENTRIES + 3, reason: expect.stringContaining('cannot be read')},
    })
  })

  test('waits for what is written meanwhile', async () => {
    await register('cam-1')
    const checking = check()
    const more = Array.from({length: 20}, (_, n) => users.addUser({name: `user ${n}`}, 'test'))
    await Promise.all([...more, register('cam-2')])
    const verdict = await checking
    expect(verdict).toMatchObject({...SAME, services: expect.toSatisfy((count) => count >= 1)})
    expect(verdict.next).toBeGreaterThan(ENTRIES)
  })

  test('does not compare with a log whose beginning is gone', async () => {
    for (let n = 0; n < 20_001; n += 1) void append(`{"v":1,"kind":"other:x","n":${n}}`)
    await changes.settled()
    expect(await check()).toMatchObject({
      next: ENTRIES + 20_001,
      damage: undefined,
      services: undefined,
      records: undefined,
    })
  })
})
