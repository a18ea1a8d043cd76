import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {openTelepath} from '../../../src/client/telepath/open.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

/** Gives the names of the users of a member. */
async function userNames(member: TestMember): Promise<readonly Value[]> {
  const users = (await member.call('getUserDefs')) as readonly {readonly name: string}[]
  return users.map(({name}) => name)
}

describe('a mirror of a leader', () => {
  let leader: TestMember
  let mirror: TestMember

  beforeAll(async () => {
    leader = await newLeader()
    await leader.start()
    await leader.call('addUser', 'before')
    await leader.stop()
    mirror = await copyOf(leader, '01.demo.net')
    await leader.start()
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.caught-up')
  })

  afterAll(async () => {
    await mirror[Symbol.asyncDispose]()
    await leader[Symbol.asyncDispose]()
  })

  test('has what the leader had, and what it gets', async () => {
    await leader.call('addUser', 'after')
    await mirror.reach(leader)
    expect(await userNames(mirror)).toEqual(await userNames(leader))
    expect(await userNames(mirror)).toEqual(expect.arrayContaining(['before', 'after']))
  })

  test('has the same log, entry by entry, with the epochs, times and hashes of the leader', async () => {
    await leader.call('addRole', 'readers')
    await mirror.reach(leader)
    const logOf = async (member: TestMember) => await member.call('checkLog')
    expect(await logOf(mirror)).toEqual(await logOf(leader))
    expect((await logOf(mirror)) as object).toMatchObject({damage: null, differing: []})
  })

  test('gives the same events of services from its log as the leader', async () => {
    await using client = leader.zeromq()
    await client.register({id: 'a', name: 'a', host: 'h', port: 1})
    await client.deregister('a')
    await mirror.reach(leader)
    await using other = mirror.zeromq()
    const {events, next} = await client.events(0)
    expect(events.map(({type, id}) => `${type} ${id}`)).toEqual(['register a', 'deregister a'])
    expect(await other.events(0)).toEqual({events, next, end: next})
  })

  test('says what it is, as the peers do, and who leads', async () => {
    expect(await leader.info()).toMatchObject({
      ...{active: true, ready: true, uplink: false, mirror: null},
      mirroring: {role: 'leads', leader: '00.demo.net', mirrors: [{name: '01.demo.net', attached: true}]},
    })
    expect(await mirror.info()).toMatchObject({
      ...{active: false, ready: true, uplink: true, mirror: leader.url},
      nexus: {ready: true, 'uplink:ready': true, readonly: false},
      mirroring: {role: 'follows', leader: '00.demo.net', lag_entries: 0, problem: null},
    })
    expect([await leader.call('isCellActive'), await mirror.call('isCellActive')]).toEqual([true, false])
    expect(await mirror.health('mirroring')).toMatchObject({status: 'nominal', mesg: ''})
    expect(await leader.health('mirroring')).toMatchObject({status: 'nominal', data: {mirrors: 1, attached: 1}})
  })

  test('answers reads over ZeroMQ, and publishes the events of the leader in their order, with its times', async () => {
    await using at = leader.zeromq()
    using there = leader.events()
    using here = mirror.events()
    for (let isSynced = false; !isSynced; ) {
      const id = await at.register({name: 'first', host: 'h', port: 1})
      isSynced = (await Promise.all([there.syncedWith(id), here.syncedWith(id)])).every(Boolean)
    }
    const ids = await Promise.all(
      Array.from({length: 40}, (_, index) => at.register({name: `s${index}`, host: 'h', port: 1, type: 'web'})),
    )
    await at.deregister(ids[7] ?? '')
    const [events, mirrored] = await Promise.all([there.take(41), here.take(41)])
    expect(mirrored).toEqual(events)
    await using reader = mirror.zeromq()
    expect((await reader.list({type: 'web'})).length).toBe(39)
    expect((await reader.get(ids[3] ?? '')).name).toBe('s3')
    expect((await reader.discover('web')).name).toMatch(/^s/)
    expect((await reader.health()).status).toBe('ok')
  })

  test('shows who is online at AHA as its leader does, and both are AHA servers of the network', async () => {
    const online = async (member: TestMember) => {
      const {svcinfo} = (await member.call('getAhaSvc', '00.axon...')) as {readonly svcinfo: object}
      return 'online' in svcinfo
    }
    {
      await using axon = await openTelepath(`cell://${leader.dir}`)
      const info = {urlinfo: {scheme: 'ssl', host: '127.0.0.1', port: 4000}}
      await axon.call('addAhaSvc', {args: ['00.axon', info, 'demo.net']})
      await mirror.reach(leader)
      expect([await online(leader), await online(mirror)]).toEqual([true, true])
    }
    await leader.event('aha.service.offline')
    await mirror.event('aha.service.offline')
    expect([await online(leader), await online(mirror)]).toEqual([false, false])
    const urls = (await mirror.call('getAhaUrls')) as readonly string[]
    expect(urls.map((url) => url.replace(/:\d+/, ''))).toEqual([
      'ssl://00.demo.net?certname=root@demo.net',
      'ssl://01.demo.net?certname=root@demo.net',
    ])
    expect(urls).toEqual(await leader.call('getAhaUrls'))
  })

  test('hears of heartbeats at the leader, and tells it of its own', async () => {
    await using at = leader.zeromq()
    await using reader = mirror.zeromq()
    const [a, b] = await Promise.all([
      at.register({name: 'a', host: 'h', port: 1}, {ttlS: 60}),
      at.register({name: 'b', host: 'h', port: 2}, {ttlS: 60}),
    ])
    await mirror.reach(leader)
    for (const [id, here, there] of [
      [a, at, reader],
      [b, reader, at],
    ] as const) {
      const before = (await there.get(id)).lastHeartbeatMs
      // Times of heartbeats are told in whole seconds: one of the next second is needed.
      const heardOf = async () => {
        await here.renew(id)
        return (await there.get(id)).lastHeartbeatMs
      }
      await expect.poll(heardOf, {interval: 200}).toBeGreaterThan(before)
    }
  })
})
