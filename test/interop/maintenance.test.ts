// Maintenance is ours: the clients of the Python registry know nothing of it, and work on beside it.
import {describe, expect, test} from 'vitest'
import {runCli} from '../support/cli.ts'
import {ALL, againstPeer, eventually, getService, type Service, sharedWorld, uncached} from './world.ts'

describe.skipIf(againstPeer).each(ALL)('the $kind client of CGSE $version', ({version, kind}) => {
  const world = sharedWorld(version)

  test('lists and renews what is in maintenance, does not discover it, and discovers it afterwards', async () => {
    const client = await world.connect(kind)
    const camera = {name: 'cam', host: 'h', port: 1, service_type: 'camera', ttl: 60}
    const id = (await client.call('register', camera)) as string
    const maintain = async (...words: readonly string[]) => {
      const url = `cell://${world.server.dir}`
      const {status, stderr} = await runCli(['service', 'maintenance', ...words, '--url', url])
      expect({status, stderr}).toEqual({status: 0, stderr: ''})
    }
    const discover = () => client.call('discover_service', {service_type: 'camera', ...uncached(version)})
    await maintain('on', id, '--reason', 'new lens')
    await eventually('not discovered', async () => (await discover().catch(() => null)) === null)
    const listed = (await client.call('list_services', {service_type: 'camera'})) as unknown as Service[]
    expect(listed).toMatchObject([{id, health: 'passing', maintenance: {reason: 'new lens', by: 'unix/root'}}])
    expect(await getService(world, client, id)).toMatchObject({id, name: 'cam', ttl: 60})
    await maintain('off', id)
    await eventually('discovered', async () => ((await discover()) as Service | null)?.id === id)
  })
})
