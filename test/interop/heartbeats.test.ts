import {describe, test} from 'vitest'
import {Agent, type PeerClient} from './agent.ts'
import {
  CURRENT,
  eventually,
  type Generation,
  getService,
  HEARTBEATING,
  listener,
  openWorld,
  type Service,
  type World,
} from './world.ts'

const TTL_S = 3

/** A registered service whose client renews it each second, and a client to watch it with. */
async function beating(world: World, {kind}: Generation, kwargs: Readonly<Record<string, unknown>> = {}) {
  // A current client registers again, rather than renewing, when it finds that its host is not its own address.
  const host = (await world.agent.use('egse.system.get_host_ip')) ?? '127.0.0.1'
  const client = await world.connect(kind, kwargs)
  const service = {name: 'cam', host, port: 5001, service_type: 'camera', metadata: {service_port: 5002}}
  const id = (await client.call('register', {...service, ttl: TTL_S, ...kwargs})) as string
  await client.call('start_heartbeat', {interval: 1})
  return {client, id, service, observer: await world.connect('async')}
}

/** Waits until the service has lived longer than it could without heartbeats; it must be passing all the time. */
async function staysAlive(world: World, observer: PeerClient, id: string): Promise<Service> {
  const first = await getService(world, observer, id)
  if (!first) throw new Error(`${id} is not there`)
  return eventually('it is renewed again and again', async () => {
    const service = await getService(world, observer, id)
    if (service?.health !== 'passing') throw new Error(`${id} was lost: ${JSON.stringify(service)}`)
    return service.last_heartbeat >= first.last_heartbeat + TTL_S + 2 ? service : undefined
  })
}

describe.concurrent.each(HEARTBEATING)('the $kind client of CGSE $version', (generation) => {
  const {version} = generation

  test('keeps its service alive with heartbeats, and the service expires when they stop', async ({expect}) => {
    await using world = await openWorld(version)
    await listener(world)
    const {client, id, observer} = await beating(world, generation)
    await staysAlive(world, observer, id)
    expect(world.agent.events('expire')).toEqual([])
    // Renewals are no registrations.
    expect(world.agent.events('register').filter((data) => data['service_id'] !== 'probe')).toHaveLength(1)

    // `stop_heartbeat` of 0.7.3 does nothing.
    await client.call(version === '0.7.3' ? 'stop_all_tasks' : 'stop_heartbeat')
    expect(await world.agent.event('expire')).toMatchObject({service_id: id})
    expect(await getService(world, observer, id)).toBeNull()
  })
})

describe.concurrent.each(CURRENT)('the $kind client of CGSE $version', (generation) => {
  const {version} = generation

  test('registers again with the same id when somebody else has deregistered it', async ({expect}) => {
    await using world = await openWorld(version)
    await listener(world)
    const {id, service, observer} = await beating(world, generation)
    expect(await observer.call('deregister', {service_id: id})).toBe(true)
    await world.agent.event('deregister', (data) => data['service_id'] === id)
    await eventually('its second registration', async () => world.agent.events('register').filter(isOf(id))[1])
    expect(await getService(world, observer, id)).toMatchObject({
      ...{id, name: service.name, host: service.host, port: service.port, ttl: TTL_S, health: 'passing'},
      metadata: service.metadata,
    })
    await staysAlive(world, observer, id)
  })

  test('registers again with its own address when it was registered with another one', async ({expect}) => {
    await using world = await openWorld(version)
    const address = await world.agent.use('egse.system.get_host_ip')
    expect(address).toEqual(expect.any(String))
    const client = await world.connect(generation.kind)
    const id = (await client.call('register', {name: 'cam', host: '192.0.2.1', port: 1, ttl: TTL_S})) as string
    await client.call('start_heartbeat', {interval: 1})
    const observer = await world.connect('async')
    await eventually('its address', async () => {
      const service = await getService(world, observer, id)
      return service?.host === address || undefined
    })
    expect(await observer.call('list_services')).toHaveLength(1)
    await staysAlive(world, observer, id)
  })
})

describe.concurrent.each([{version: '0.10.0'}, {version: '0.7.3'}] as const)(
  'the async client of CGSE $version',
  ({version}) => {
    test('keeps its service registered for as long as its context lasts', async () => {
      await using world = await openWorld(version)
      // In a process of its own: leaving deregisters and then waits for ever, for sockets that the client forgot to close.
      await using other = await Agent.start(version)
      const client = await other.client('async', world.ports)
      await client.call('connect')
      const service = {name: 'cam', host: 'h', port: 1, ttl: TTL_S}
      const id = (await client.enter('register_context', service)) as string
      const observer = await world.connect('async')
      await staysAlive(world, observer, id)
      const left = client.leave('register_context')
      left.catch(() => undefined)
      await eventually('it is gone', async () => (await getService(world, observer, id)) === null || undefined)
    })
  },
)

const isOf = (id: string) => (data: {readonly [key: string]: unknown}) => data['service_id'] === id
