// Members that get their store from another one: at first, and when they are too far behind a log that was trimmed.
import {readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

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
