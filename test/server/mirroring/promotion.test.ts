import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

let one: TestMember
let two: TestMember

beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.call('addUser', 'before')
  await one.stop()
  two = await copyOf(one, '01.demo.net')
  await one.start()
  await two.start({mirror: one.url})
  await two.event('mirror.caught-up')
})
afterEach(async () => {
  await two[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
})

async function rolesOf(...members: readonly TestMember[]): Promise<readonly Value[]> {
  const lists = await Promise.all(members.map((member) => member.call('getMembers')))
  return lists.map((list) => (list as readonly {readonly role: Value}[])[0]?.role)
}

describe('a graceful promotion', () => {
  test('moves the lead to the mirror that is asked, and back', async () => {
    await two.call('promote', true)
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    await two.call('addUser', 'between')
    await one.call('promote', true)
    await two.event('mirror.attached', 2)
    expect(await rolesOf(one, two)).toEqual(['leads', 'follows'])
    await one.call('addUser', 'after')
  })
})

describe('a freeze', () => {
  const status = async (member: TestMember) => (await rolesOf(member))[0]

  test('of the mirror keeps the lead where it is, whoever wants to move it, until it ends', async () => {
    await two.call('freeze', 60)
    for (const isGraceful of [true, false]) {
      await expect(two.call('promote', isGraceful)).rejects.toMatchObject({
        telepath: 'BadState',
        message: expect.stringContaining('01.demo.net is frozen for a snapshot'),
      })
    }
    await expect
      .poll(async () => JSON.stringify(await one.call('getMembers')), {timeout: 150_000})
      .toContain('"isFrozen":true')
    expect(await one.call('demote', 20)).toBe(false)
    await one.call('addUser', 'meanwhile')
    expect([await status(one), await status(two)]).toEqual(['leads', 'follows'])
    await two.call('resume')
    await expect
      .poll(
        async () =>
          await two.call('promote', true).then(
            () => true,
            () => false,
          ),
        {timeout: 150_000},
      )
      .toBe(true)
    expect(await status(two)).toBe('leads')
  })

  test('of the leader keeps the lead where it is', async () => {
    await one.call('freeze', 60)
    const refusal = {telepath: 'BadState', message: expect.stringContaining('00.demo.net is frozen for a snapshot')}
    await expect(two.call('promote', true)).rejects.toMatchObject(refusal)
    await expect(one.call('demote', 20)).rejects.toMatchObject(refusal)
    await one.call('resume')
    expect(await status(one)).toBe('leads')
    await two.call('promote', true)
    expect(await status(two)).toBe('leads')
  })
})

describe('a forced promotion', () => {
  test('of a mirror whose leader is there fences that one at once; it follows by itself when it has nothing that the new one lacks', async () => {
    await two.call('promote', false)
    await one.event('lead.fenced')
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    await two.call('addUser', 'after')
    await one.event('lead.fence-lifted')
  })

  test('of a mirror whose leader is away: it hears of it when it is back, before it takes a change', async () => {
    await one.stop()
    await two.call('promote', false)
    await two.call('addUser', 'after')
    await one.start()
    await one.event('lead.fenced')
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    expect(one.logged.map(({message}) => message)).not.toContain('lead.confirmed')
  })

  test('of a mirror that lacks a change: the old leader stays fenced, over restarts, and says why', async () => {
    await two.stop()
    await one.stop()
    await one.start({'leader:alone': true})
    await one.call('addUser', 'only-here')
    await one.stop()
    await two.start()
    await two.call('promote', false)
    await one.start()
    const {params} = await one.event('lead.apart')
    expect(params).toMatchObject({reason: expect.stringContaining('each has entries that the other lacks')})
    expect(await rolesOf(one, two)).toEqual(['fenced', 'leads'])
    expect(await one.health('mirroring')).toMatchObject({
      status: 'failed',
      mesg: expect.stringMatching(/^01\.demo\.net took the lead, since epoch \d+; .*registry rejoin DIR$/),
    })
    await expect(one.call('addUser', 'never')).rejects.toMatchObject({
      message: expect.stringContaining('01.demo.net took the lead'),
    })
    await expect(one.call('getAhaSvcs')).rejects.toMatchObject({message: expect.stringContaining('01.demo.net')})
    const client = one.zeromq()
    await expect(client.list()).rejects.toMatchObject({
      code: 'REG_FENCED',
      message: expect.stringContaining('01.demo.net'),
    })
    expect(await client.health()).toMatchObject({status: 'degraded', problem: expect.stringContaining('01.demo.net')})
    await client.close()
    await one.stop()
    await two.stop()
    await one.start()
    expect(await rolesOf(one)).toEqual(['fenced'])
    expect(await one.info()).toMatchObject({mirroring: {role: 'fenced', leader: '01.demo.net'}})
  })

  test('that was lost for good with its machine: the one that it has fenced leads again when it is told to', async () => {
    await apart()
    const epoch = await fenceEpoch(one)
    await expect(one.call('leadAgain', epoch)).rejects.toMatchObject({
      telepath: 'BadState',
      message: expect.stringContaining('01.demo.net took the lead, and answers'),
    })
    await two.stop()
    await expect(one.call('leadAgain', epoch + 1)).rejects.toMatchObject({telepath: 'BadState'})
    await expect(one.call('promote', false)).rejects.toMatchObject({telepath: 'BadState'})
    expect(await rolesOf(one)).toEqual(['fenced'])
    await one.call('leadAgain', epoch)
    await one.event('lead.fence-lifted')
    await one.call('addUser', 'again')
    await expect(one.call('leadAgain', epoch)).rejects.toMatchObject({telepath: 'BadState'})
    expect(await rolesOf(one)).toEqual(['leads'])
    await one.stop()
    await one.start({'leader:confirm': '200ms'})
    await one.call('addUser', 'after-restart')
    // It was not gone after all: it hears of the newer lead before it takes a change.
    await two.start()
    await two.event('lead.fenced')
    await two.event('lead.apart')
    expect(await rolesOf(one, two)).toEqual(['leads', 'fenced'])
  })
})

/** Makes both have what the other lacks: the second one leads, the first one is fenced. */
async function apart(): Promise<void> {
  await two.stop()
  await one.stop()
  await one.start({'leader:alone': true})
  await one.call('addUser', 'only-here')
  await one.stop()
  await two.start()
  await two.call('promote', false)
  await one.start()
  await one.event('lead.apart')
}

async function fenceEpoch(member: TestMember): Promise<number> {
  const [self] = (await member.call('getMembers')) as readonly {readonly fenceEpoch: number}[]
  return self?.fenceEpoch ?? 0
}

describe('a member that is gone for good', () => {
  test('is forgotten: the leader does not wait for it when it starts; when it comes back it is a member again', async () => {
    for (const member of [one, two]) {
      await expect(member.call('forgetMember', '09.demo.net')).rejects.toMatchObject({telepath: 'NoSuchName'})
      for (const name of ['00.demo.net', '01.demo.net']) {
        await expect(member.call('forgetMember', name)).rejects.toMatchObject({telepath: 'BadState'})
      }
    }
    await two.stop()
    await one.stop()
    await one.start({'leader:alone': true})
    await one.call('forgetMember', '01.demo.net')
    expect(await one.call('getMembers')).toHaveLength(1)
    await one.stop()
    const confirmed = one.logged.filter(({message}) => message === 'lead.confirming').length
    await one.start()
    await one.call('addUser', 'at-once')
    expect(one.logged.filter(({message}) => message === 'lead.confirming')).toHaveLength(confirmed)
    await two.start()
    await one.event('mirroring.attached', 2)
    expect(await one.call('getMembers')).toHaveLength(2)
  })
})

describe('a leader', () => {
  test('gives the lead to its mirror when it is demoted', async () => {
    expect(await one.call('demote', 10)).toBe(true)
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    expect(await one.call('demote', 10)).toBe(false)
  })

  test('gives it to nobody who does not follow it', async () => {
    await expect(one.call('handoff', 'ssl://127.0.0.1:1', 1)).rejects.toMatchObject({telepath: 'BadArg'})
    await expect(one.call('handoff', 'ssl://127.0.0.1:1', 1, 'a'.repeat(32))).rejects.toMatchObject({
      telepath: 'BadArg',
    })
    await expect(two.call('handoff', one.url, 1)).rejects.toMatchObject({telepath: 'BadState'})
    expect(await rolesOf(one, two)).toEqual(['leads', 'follows'])
  })

  test('cannot be promoted, and says who leads only to members', async () => {
    for (const graceful of [true, false]) {
      await expect(one.call('promote', graceful)).rejects.toMatchObject({telepath: 'BadConfValu'})
    }
    await expect(one.call('fence', null)).rejects.toMatchObject({telepath: 'AuthDeny'})
  })

  test('takes no entries of Synapse, and keeps a log without being asked', async () => {
    expect(await one.call('readyToMirror')).toBeNull()
    await expect(one.call('issue', 'a'.repeat(32), 'x', [], {})).rejects.toMatchObject({
      telepath: 'FeatureNotSupported',
    })
  })

  test('that starts takes no change until a member has said that nobody else leads', async () => {
    await two.stop()
    await one.stop()
    await one.start()
    expect(await rolesOf(one)).toEqual(['confirms'])
    await two.start()
    await one.event('lead.confirmed')
    expect(await rolesOf(one)).toEqual(['leads'])
  })

  test('that nobody answers leads after a while', async () => {
    await two.stop()
    await one.stop()
    await one.start({'leader:confirm': '50ms'})
    await one.event('lead.unconfirmed')
    await one.call('addUser', 'alone')
  })
})
