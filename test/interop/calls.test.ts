import {describe, expect, test} from 'vitest'
import {ALL, againstPeer, CURRENT, eventually, getService, type Service, sharedWorld, uncached} from './world.ts'

const CAMERA = {
  name: 'Zürich camera',
  host: '10.1.2.3',
  port: 5001,
  service_type: 'camera',
  metadata: {service_port: 5002, nested: {list: [1, 'two', null, 3.5]}, text: '☃ "quoted"\n'},
  ttl: 45,
}

describe.each(ALL)('the $kind client of CGSE $version', ({version, kind}) => {
  const world = sharedWorld(version)

  test('registers a service and reads it back unchanged', async () => {
    const client = await world.connect(kind)
    const before = Math.floor(Date.now() / 1000)
    const id = (await client.call('register', CAMERA)) as string
    expect(id.toLowerCase()).toMatch(/^zürich[- ]camera-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

    const service = await getService(world, client, id)
    expect(service).toMatchObject({
      ...{id, name: CAMERA.name, host: CAMERA.host, port: 5001, ttl: 45, health: 'passing', tags: ['camera']},
      metadata: {...CAMERA.metadata, type: 'camera'},
    })
    expect(service?.last_heartbeat).toBeGreaterThanOrEqual(before)
    expect(service?.last_heartbeat).toBeLessThanOrEqual(Math.floor(Date.now() / 1000))
  })

  test('lists all services, and those of a type, in the order of registration', async () => {
    const client = await world.connect(kind)
    expect(await client.call('list_services')).toEqual([])
    const ids: unknown[] = []
    for (const [name, type] of Object.entries({b: 'camera', a: 'heater', c: 'camera'})) {
      ids.push(await client.call('register', {name, host: 'h', port: 1, service_type: type}))
    }
    const idsOf = async (type?: string) => {
      const listed = (await client.call('list_services', type === undefined ? {} : {service_type: type})) as
        | Service[]
        | []
      return (listed as Service[]).map((service) => service.id)
    }
    expect(await idsOf()).toEqual(ids)
    expect(await idsOf('camera')).toEqual([ids[0], ids[2]])
    expect(await idsOf('telescope')).toEqual([])
  })

  test('discovers each service of a type, and None where there is none', async () => {
    const client = await world.connect(kind)
    const ids = new Set<unknown>()
    for (const port of [1, 2]) {
      ids.add(
        await client.call('register', {name: 'cam', host: 'h', port, service_type: 'camera', metadata: {a: port}}),
      )
    }
    const discover = (type: string) => client.call('discover_service', {service_type: type, ...uncached(version)})
    const seen = new Set<unknown>()
    await eventually('both cameras discovered', async () => {
      const found = (await discover('camera')) as Service | null
      expect(found).toMatchObject({name: 'cam', host: 'h', port: found?.metadata['a'], health: 'passing'})
      return seen.add(found?.id).size === 2 || undefined
    })
    expect(seen).toEqual(ids)
    expect(await discover('heater')).toBeNull()
  })

  test('deregisters its service, and learns that a second time is wrong', async () => {
    const client = await world.connect(kind)
    const id = (await client.call('register', CAMERA)) as string
    expect(await client.call('deregister')).toBe(true)
    expect(await getService(world, client, id)).toBeNull()
    expect(await client.call('deregister')).toBe(false)
    expect(await client.request({action: 'deregister', service_id: id})).toEqual({
      success: false,
      error: 'Service not found or could not be deregistered',
    })
    expect(await client.call('list_services')).toEqual([])
  })

  test('sees that the registry is healthy', async () => {
    const client = await world.connect(kind)
    expect(await client.call('health_check')).toBe(true)
  })

  test('renews by a request of its own', async () => {
    const client = await world.connect(kind)
    const id = (await client.call('register', CAMERA)) as string
    expect(await client.request({action: 'renew', service_id: id})).toMatchObject({success: true})
    expect(await client.request({action: 'renew', service_id: 'unknown'})).toEqual({
      success: false,
      error: 'Service not found or could not be renewed',
    })
  })

  test('gets an answer to every request that is wrong, and to the next one', async () => {
    const client = await world.connect(kind)
    const id = (await client.call('register', CAMERA)) as string
    for (const [request, error] of Object.entries({
      '{}': 'Missing required field: action',
      '{"action":"fly"}': 'Unknown action: fly',
      '{"action":"get"}': 'Missing required field: service_id',
      '{"action":"get","service_id":"x"}': 'Service not found',
      '{"action":"discover"}': 'Missing required field: service_type',
      '{"action":"register","service_info":{"name":"x"}}': 'Missing required field in service_info: host',
    })) {
      expect(await client.request(JSON.parse(request))).toEqual({success: false, error})
    }
    expect(await getService(world, client, id)).toMatchObject({id})
  })

  test('works as a context manager', async () => {
    const client = await world.agent.client(kind, world.ports)
    await client.enter()
    expect(await client.call('health_check')).toBe(true)
    await client.leave()
    // The same object again: leaving has closed its sockets, entering opens new ones with the same routing id. The Python server ignores
    // these for good when it has not yet seen the end of the old ones.
    if (againstPeer) return
    await client.enter()
    expect(await client.call('health_check')).toBe(true)
    await client.leave()
  })
})

describe.each(ALL.filter((one) => one.version !== '0.7.3'))('the $kind client of CGSE $version', ({version, kind}) => {
  const world = sharedWorld(version)

  test('builds the endpoint of a service', async () => {
    const client = await world.connect(kind)
    await client.call('register', CAMERA)
    expect(await client.call('get_endpoint', {service_type: 'camera'})).toBe('tcp://10.1.2.3:5001')
    expect(await client.call('get_endpoint', {service_type: 'heater'})).toBeNull()
  })

  test('reads the state of the server', async () => {
    const client = await world.connect(kind)
    const id = await client.call('register', CAMERA)
    const {pub, hb} = world.ports
    expect(await client.call('server_status')).toMatchObject({
      ...{success: true, status: 'ok', req_port: world.server.ports.req, pub_port: pub},
      // The server of 0.10 did not say it.
      ...(againstPeer && version === '0.10.0' ? {} : {hb_port: hb}),
      services: [{id, name: CAMERA.name, health: 'passing'}],
    })
  })
})

// The asynchronous clients wait for an answer all the same.
describe.each(ALL.filter((one) => one.version !== '0.7.3' && one.kind === 'sync'))(
  'the $kind client of CGSE $version',
  ({version, kind}) => {
    const world = sharedWorld(version)

    test('has a request that wants no answer carried out, and the answer of the next is its own', async () => {
      const client = await world.connect(kind)
      const silent = {action: 'register', service_info: {id: 'silent-1', name: 'silent', host: 'h', port: 1}}
      expect(await client.request(silent, 'REQUEST_NO_REPLY')).toEqual({success: true})
      expect(await client.call('get_service', {service_id: 'silent-1'})).toMatchObject({id: 'silent-1', name: 'silent'})
    })
  },
)

describe.each(CURRENT)('the $kind client of CGSE $version', ({version, kind}) => {
  const world = sharedWorld(version)

  test('works with the patience that it has by itself', async () => {
    const client = await world.agent.client(kind, world.ports)
    await client.call('connect')
    const id = (await client.call('register', CAMERA)) as string
    expect(await getService(world, client, id)).toMatchObject({id})
  })

  test('finds the endpoint protocol that a service was registered with', async () => {
    const client = await world.connect(kind)
    const info = {name: 'cam', host: 'h', port: 1, type: 'camera', protocol: 'ipc'}
    expect(await client.request({action: 'register', service_info: info})).toMatchObject({success: true})
    // The SQLite storage of the peer forgets the field.
    const protocol = againstPeer ? 'tcp' : 'ipc'
    expect(await client.call('get_endpoint', {service_type: 'camera'})).toBe(`${protocol}://h:1`)
  })

  test('never gets the answer of another client', async () => {
    const clients = await Promise.all(Array.from({length: 20}, () => world.connect(kind)))
    const ids = await Promise.all(
      clients.map((client, port) =>
        client.call('register', {name: `cam-${port}`, host: 'h', port, service_type: 'camera'}),
      ),
    )
    for (let round = 0; round < 5; round++) {
      const found = await Promise.all(clients.map((client, at) => getService(world, client, ids[at] as string)))
      expect(found.map((service) => service?.id)).toEqual(ids)
      expect(found.map((service) => service?.port)).toEqual(clients.map((_, at) => at))
    }
  })
})
