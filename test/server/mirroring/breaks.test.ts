import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

/** What takes more than a few reads of the log, and of the store. */
const MANY = 5000
const CLIENTS = 25
/** Leads without an answer of its mirror after a moment. */
const ALONE_SOON = {'leader:confirm': '100ms'}

async function registerMany(member: TestMember, count: number): Promise<void> {
  await using client = member.zeromq()
  for (let done = 0; done < count; done += 1) await client.register({name: 'many', host: 'h', port: 1})
}

describe('a mirror whose link breaks', () => {
  let leader: TestMember
  let mirror: TestMember
  /** A copy from before there was a mirror, which has entries of its own. */
  let stray: TestMember

  beforeAll(async () => {
    leader = await newLeader()
    await leader.start()
    await leader.stop()
    mirror = await copyOf(leader, '01.demo.net')
    stray = await copyOf(leader, '02.demo.net')
    await stray.start()
    await stray.call('addUser', 'lost')
    await stray.stop()
    await leader.start(ALONE_SOON)
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.caught-up')
  })

  afterAll(async () => {
    for (const member of [stray, mirror, leader]) await member[Symbol.asyncDispose]()
  })

  test('answers reads without its leader, says since when and why it has none, and goes on where it was', async () => {
    await using at = leader.zeromq()
    const id = await at.register({name: 'kept', host: 'h', port: 1})
    await mirror.reach(leader)
    await leader.stop()
    await mirror.event('mirror.not-linked')
    await using reader = mirror.zeromq()
    expect((await reader.get(id)).name).toBe('kept')
    expect(await mirror.info()).toMatchObject({active: false, ready: true, uplink: false})
    const health = await mirror.health('mirroring')
    expect(health?.['status']).toBe('degraded')
    expect(health?.['mesg']).toMatch(/^no link to 00\.demo\.net since 20\d\d-.+: /)
    const attached = mirror.next('mirror.attached')
    await leader.start(ALONE_SOON)
    await attached
    while (!(await leader.call('isCellActive'))) await leader.info()
    await leader.call('addUser', 'later')
    await mirror.reach(leader)
    expect(await mirror.call('getUserDefByName', 'later')).toMatchObject({name: 'later'})
    expect(await mirror.health('mirroring')).toMatchObject({status: 'nominal', mesg: ''})
  })

  test('catches up with what happened while it was away, and the leader says that it was', async () => {
    await mirror.stop()
    await expect
      .poll(() => leader.health('mirroring'))
      .toMatchObject({
        status: 'nominal',
        mesg: '01.demo.net does not follow at present',
      })
    await Promise.all(Array.from({length: CLIENTS}, () => registerMany(leader, MANY / CLIENTS)))
    await mirror.start({mirror: leader.url})
    await mirror.reach(leader)
    expect(await mirror.call('checkLog')).toEqual(await leader.call('checkLog'))
    await using reader = mirror.zeromq()
    expect((await reader.list()).length).toBeGreaterThanOrEqual(MANY)
  })

  test('with entries of its own is refused and stands still: nothing is merged, and it answers what it has', async () => {
    await stray.start({mirror: leader.url})
    await stray.event('mirror.refused')
    const before = await leader.call('getNexsIndx')
    expect(await stray.health('mirroring')).toMatchObject({
      status: 'degraded',
      mesg: expect.stringMatching(
        /^it stands still since .+: the change log of 02\.demo\.net is not a beginning of this one: entry \d+ is another one/,
      ),
    })
    expect(await stray.call('getUserDefByName', 'lost')).toMatchObject({name: 'lost'})
    expect(await leader.call('getUserDefByName', 'lost')).toBeNull()
    expect(await leader.call('getNexsIndx')).toBe(before)
  })

  test('is not mistaken for a copy of its directory that was made by hand', async () => {
    await mirror.stop()
    await using twin = await copyOf(mirror, '01.demo.net', true)
    const caughtUp = mirror.next('mirror.caught-up')
    await mirror.start({mirror: leader.url})
    await caughtUp
    await twin.start({mirror: leader.url})
    await twin.event('mirror.refused')
    expect((await twin.health('mirroring'))?.['mesg']).toMatch(/has the same member iden as 01\.demo\.net/)
    expect(await mirror.info()).toMatchObject({uplink: true})
  })
})
