// Members that get their store from another one: at first, and when they are too far behind a log that was trimmed.
import {readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {systemClock} from '../../../src/base/clock.ts'
import {createLog} from '../../../src/base/log.ts'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import {StoreCopier} from '../../../src/server/mirroring/copy-store.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../../support/mirror-pair.ts'

/** A leader that was alone for a while asks around before it takes changes. */
const QUICK = {'leader:confirm': '100ms'}

let leader: TestMember
let mirror: TestMember
beforeEach(async () => {
  leader = await newLeader()
  await leader.start(QUICK)
  await leader.call('addUser', 'before')
  await leader.stop()
  mirror = await copyOf(leader, '01.demo.net')
  await leader.start(QUICK)
})
afterEach(async () => {
  await mirror[Symbol.asyncDispose]()
  await leader[Symbol.asyncDispose]()
})

async function caughtUp(): Promise<void> {
  const next = Number(await leader.call('getNexsIndx'))
  expect(await mirror.call('waitNexsOffs', next - 1, 10)).toBe(true)
}

/** Iden of the member, as the leader knows it. */
async function memberIden(): Promise<unknown> {
  const members = (await leader.call('getMembers')) as readonly Readonly<Record<string, unknown>>[]
  return members.filter(({name}) => name === mirror.name).map(({member}) => member)
}

describe('a mirror that is too far behind', () => {
  beforeEach(async () => {
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.caught-up')
    await mirror.stop()
    await leader.call('addUser', 'away')
    const last = Number(await leader.call('getNexsIndx')) - 1
    await leader.call('rotateNexsLog')
    expect(await leader.call('cullNexsLog', last)).toBe(true)
  })

  test('copies again by itself, starts again in the same process, and is the same member', async () => {
    const before = await memberIden()
    await mirror.start({mirror: leader.url})
    await mirror.event('registry.started-again')
    await mirror.event('mirror.caught-up', 2)
    await leader.call('addUser', 'after')
    await caughtUp()
    const names = (await mirror.call('getUserDefs')) as readonly {readonly name: string}[]
    expect(names.map(({name}) => name)).toEqual(expect.arrayContaining(['before', 'away', 'after']))
    expect(await memberIden()).toEqual(before)
    const events = mirror.logged.map(({message}) => message)
    expect(events.filter((event) => /^copy\.(begun|checked|done)$/.test(event))).toEqual([
      ...['copy.begun', 'copy.checked', 'copy.done'],
    ])
    expect(events).toContain('mirror.copies-again')
    expect((await readdir(mirror.dir)).filter((name) => name.includes('part'))).toEqual([])
  })

  test('goes on with what it has while the copy cannot be made', async () => {
    await leader.stop()
    await leader.start(QUICK)
    await rm(join(leader.dir, 'tmp'), {recursive: true, force: true})
    await writeFile(join(leader.dir, 'tmp'), 'in the way')
    await mirror.start({mirror: leader.url})
    await mirror.event('copy.failed')
    expect(await mirror.call('getUserDefByName', 'before')).toMatchObject({name: 'before'})
    expect(await mirror.call('getUserDefByName', 'away')).toBeNull()
    await rm(join(leader.dir, 'tmp'))
  })
})

describe('a copy that is there when its member was promoted', () => {
  const storePath = () => join(mirror.dir, 'registry.db')

  /** Copies, and gives the event that says what became of it; `turns` are what the member says each time it is asked whether it follows. */
  async function copied(turns: boolean[]): Promise<{readonly event: string; readonly starts: number}> {
    let starts = 0
    const {promise, resolve} = Promise.withResolvers<string>()
    const write = (line: string) => {
      const {message} = JSON.parse(line) as {readonly message: string}
      if (message === 'copy.left' || message === 'copy.done' || message === 'copy.failed') resolve(message)
    }
    const log = createLog({level: 'info', structured: true, clock: systemClock, write})
    const guid = String(await leader.call('getCellIden'))
    const cellDir = {storePath: storePath(), guid, adopt: () => Promise.resolve()}
    const certs = new CertDir(join(leader.dir, 'certs'))
    const names = {dnsName: undefined, ahaName: undefined, network: NETWORK}
    const copier = new StoreCopier({cellDir, certs, log, onFailed: () => undefined}, {names, servers: []})
    copier.recopy(leader.url, {
      member: 'a'.repeat(32),
      isFollowing: () => turns.shift() ?? false,
      startAgain: async (place) => {
        starts += 1
        await place()
      },
    })
    const event = await promise
    await copier.stop()
    return {event, starts}
  }

  test.each([
    {name: 'while it came', turns: [false], starts: 0},
    {name: 'while its parts were closed', turns: [true, false], starts: 1},
  ])('$name is left, and the store stays', async ({turns, starts}) => {
    const before = await readFile(storePath())
    expect(await copied([...turns])).toEqual({event: 'copy.left', starts})
    expect((await readFile(storePath())).equals(before)).toBe(true)
    expect((await readdir(mirror.dir)).filter((name) => name.includes('part'))).toEqual([])
  })

  test('takes the place of the store of a mirror', async () => {
    expect(await copied([true, true])).toEqual({event: 'copy.done', starts: 1})
  })
})

describe('a directory without a store', () => {
  beforeEach(async () => {
    for (const name of ['registry.db', 'cell.guid']) await rm(join(mirror.dir, name), {force: true})
  })

  test('is filled when mirror is set, and becomes one of that cell', async () => {
    await mirror.start({mirror: ['ssl://127.0.0.1:1?hostname=00.demo.net', leader.url]})
    await caughtUp()
    expect(await mirror.call('getUserDefByName', 'before')).toMatchObject({name: 'before'})
    expect(await readFile(join(mirror.dir, 'cell.guid'), 'utf8')).toBe(await leader.call('getCellIden'))
  })

  test('is not filled from another cell than the one that it is to be of', async () => {
    const start = mirror.start({mirror: leader.url, 'cell:guid': 'f'.repeat(32)})
    await expect(start).rejects.toMatchObject({code: 'REG_CONFLICT', message: expect.stringContaining('another cell')})
    expect(await readdir(mirror.dir)).not.toContain('registry.db')
  })
})
