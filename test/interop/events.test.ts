import {describe, expect, test} from 'vitest'
import type {Json} from './agent.ts'
import {ALL, againstPeer, eventually, getService, listener, openWorld} from './world.ts'

const CAMERA = {
  name: 'cam',
  host: '10.1.2.3',
  port: 5001,
  service_type: 'camera',
  metadata: {service_port: 5002},
  ttl: 60,
}
/** What the client makes of it. */
const SENT = {
  name: 'cam',
  host: '10.1.2.3',
  port: 5001,
  type: 'camera',
  metadata: {service_port: 5002},
  tags: ['camera'],
}

describe.concurrent.each(ALL.filter((one) => one.kind === 'async'))(
  'the async client of CGSE $version',
  ({version}) => {
    test('hears what others register, deregister and let expire, with the documented bodies', async ({expect}) => {
      await using world = await openWorld(version)
      await listener(world)
      const other = await world.connect('async')
      const id = (await other.call('register', CAMERA)) as string
      expect(await world.agent.event('register', (data) => data['service_id'] === id)).toEqual({
        service_id: id,
        service_info: {id, ...SENT, metadata: expect.objectContaining(SENT.metadata)},
      })

      const stored = await getService(world, other, id)
      expect(stored).toMatchObject({id})
      await other.call('deregister')
      const gone = await world.agent.event('deregister')
      expect(gone).toEqual({service_id: id, service_info: stored})

      const shortLived = (await other.call('register', {...CAMERA, ttl: 1})) as string
      const expired = await world.agent.event('expire')
      expect(expired['service_id']).toBe(shortLived)
      // The documents show it, the peer does not send it.
      if (!againstPeer)
        expect(expired['service_info']).toMatchObject({id: shortLived, name: 'cam', metadata: SENT.metadata})
      expect(await getService(world, other, shortLived)).toBeNull()
      expect(world.agent.events('deregister')).toHaveLength(1)
      expect(world.agent.events('expire')).toHaveLength(1)
    })

    test('hears of a registration that replaces another as of a registration', async ({expect}) => {
      await using world = await openWorld(version)
      await listener(world)
      const other = await world.connect('async')
      for (const port of [1, 2]) {
        const info = {id: 'cam-1', name: 'cam', host: 'h', port}
        expect(await other.request({action: 'register', service_info: info, ttl: 60})).toMatchObject({success: true})
      }
      await world.agent.event('register', ({service_info: info}) => (info as {port: number}).port === 2)
      const ports = world.agent.events('register').filter((data) => data['service_id'] === 'cam-1')
      expect(ports.map(({service_info: info}) => (info as {port: number}).port)).toEqual([1, 2])
    })
  },
)

describe.concurrent.each(ALL.filter((one) => one.kind === 'sync'))('the sync client of CGSE $version', ({version}) => {
  test('finds the events on its socket, and its calls work while events wait there', async ({expect}) => {
    await using world = await openWorld(version)
    const client = await world.connect('sync')
    await eventually('a first event', async () => {
      await client.request({action: 'register', service_info: {id: 'probe', name: 'p', host: 'h', port: 1}, ttl: 600})
      return (await client.takeEvent(50)) ?? undefined
    })
    while ((await client.takeEvent(100)) !== null) {
      // More than one probe may have been on its way.
    }
    const id = (await client.call('register', CAMERA)) as string
    // From here on an event waits on the client's socket at each call.
    for (let round = 0; round < 3; round++) {
      expect(await client.call('health_check')).toBe(true)
      expect(await getService(world, client, id)).toMatchObject({id})
    }
    expect(await client.takeEvent(5000)).toEqual({
      topic: 'register',
      body: {
        type: 'register',
        timestamp: expect.any(Number),
        data: {service_id: id, service_info: {id, ...SENT, metadata: expect.objectContaining(SENT.metadata)}},
      },
    })
  })
})

// The peer removes it at its next cleanup instead.
describe.runIf(!againstPeer)('an entry that ran out', () => {
  test('is listed as critical for the grace, and not discovered', async () => {
    await using world = await openWorld('0.25.11')
    await listener(world)
    const client = await world.connect('async')
    const id = (await client.call('register', {...CAMERA, ttl: 4})) as string
    expect(await client.call('discover_service', {service_type: 'camera'})).toMatchObject({id})
    const critical = await eventually('it is critical', async () => {
      const [service] = (await client.call('list_services', {service_type: 'camera'})) as {[key: string]: Json}[]
      return service?.['health'] === 'critical' ? service : undefined
    })
    expect(critical).toMatchObject({id, ttl: 4})
    expect(await client.call('discover_service', {service_type: 'camera'})).toBeNull()
    const expired = await world.agent.event('expire')
    expect(expired['service_id']).toBe(id)
  })
})
