import {describe, test} from 'vitest'
import {CURRENT, openWorld} from './world.ts'

const camera = (port: number) => ({name: `cam-${port}`, host: 'h', port, service_type: 'camera', ttl: 60})

describe.each(CURRENT)('the $kind client of CGSE $version', ({version, kind}) => {
  test('is refused a second service of a type where types are unique, unless it says that it belongs to a pool', async ({
    expect,
  }) => {
    await using world = await openWorld(version, {uniqueTypes: true})
    const client = await world.connect(kind)
    const first = await client.call('register', camera(1))
    expect(await client.call('register', camera(2))).toBeNull()
    const info = {name: 'cam-2', host: 'h', port: 2, type: 'camera'}
    expect(await client.request({action: 'register', service_info: info})).toEqual({
      success: false,
      error: 'duplicate_service_type',
      message: `Service type 'camera' is already registered by service_id '${first}'.`,
      service_type: 'camera',
      existing_service_id: first,
    })
    const pooled = await client.call('register', {...camera(3), allow_duplicate_service_type: true})
    expect(pooled).toEqual(expect.any(String))
    expect(await client.call('list_services')).toMatchObject([{id: first}, {id: pooled}])
    expect(await client.call('server_status')).toMatchObject({enforce_unique_service_types: true})
  })

  test('may replace its own service of a unique type, and another may follow it', async ({expect}) => {
    await using world = await openWorld(version, {uniqueTypes: true})
    const client = await world.connect(kind)
    const first = (await client.call('register', camera(1))) as string
    expect(await client.call('register', {...camera(2), service_id: first})).toBe(first)
    expect(await client.call('deregister')).toBe(true)
    expect(await client.call('register', camera(3))).toEqual(expect.any(String))
  })

  test('gets a singleton only when nobody else has the type', async ({expect}) => {
    await using world = await openWorld(version)
    const client = await world.connect(kind)
    expect(await client.call('register', {...camera(1), singleton: true})).toEqual(expect.any(String))
    expect(await client.call('register', {...camera(2), singleton: true})).toBeNull()
    // Types are not unique here, and what the first one asked for does not bind the others.
    expect(await client.call('register', camera(3))).toEqual(expect.any(String))
    expect(await client.call('list_services')).toMatchObject([{port: 1}, {port: 3}])
    await expect(
      client.call('register', {...camera(4), singleton: true, allow_duplicate_service_type: true}),
    ).rejects.toThrow('ValueError')
  })

  test('registers again after a foreign deregistration when types are unique', async ({expect}) => {
    await using world = await openWorld(version, {uniqueTypes: true})
    const client = await world.connect(kind)
    const id = (await client.call('register', camera(1))) as string
    const other = await world.connect('async')
    await other.call('deregister', {service_id: id})
    expect(await client.call('reregister')).toBe(id)
  })
})
