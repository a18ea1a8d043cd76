// CGSE's own programs and helper functions, which find the registry through their settings, against our server.
import {execFile} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import {describe, test} from 'vitest'
import {installedPeer, type PeerVersion, peerEnvironment} from '../../scripts/peers.ts'
import type {Ports} from '../support/server.ts'
import {settingsText} from './agent.ts'
import {againstPeer, getService, openWorld, type World} from './world.ts'

const run = promisify(execFile)
const CAMERA = {
  name: 'cam',
  host: '10.1.2.3',
  port: 5001,
  service_type: 'camera',
  metadata: {service_port: 5002},
  ttl: 60,
}

/** Runs a program of the release's environment and returns its output. */
async function program(version: PeerVersion, ports: Ports, name: string, args: readonly string[]): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'registry-program-'))
  try {
    const settings = join(home, 'settings.yaml')
    await writeFile(settings, settingsText(ports))
    const file = join(dirname(await installedPeer(version)), name)
    const env = {...peerEnvironment(home, settings), COLUMNS: '200'}
    const {stdout} = await run(file, args, {env, cwd: home, timeout: 150_000, killSignal: 'SIGKILL'})
    return stdout
  } finally {
    await rm(home, {recursive: true, force: true})
  }
}

function registryServer(version: PeerVersion, {req, pub, hb}: Ports, command: string): Promise<string> {
  const ports = ['--req-port', `${req}`, '--pub-port', `${pub}`, '--hb-port', `${hb}`]
  return program(version, {req, pub, hb, rep: null}, 'python', ['-m', 'egse.registry.server', command, ...ports])
}

async function isHealthy(world: World): Promise<unknown> {
  const client = await world.connect('sync')
  return client.call('health_check')
}

describe.each([{version: '0.25.11'}, {version: '0.10.0'}] as const)(
  'the command line of CGSE $version',
  ({version}) => {
    test('shows the status of the registry', async ({expect}) => {
      await using world = await openWorld(version)
      const client = await world.connect('async')
      await client.call('register', CAMERA)
      const text = await registryServer(version, world.ports, 'status')
      expect(text).toContain('Status: ok')
      expect(text).toContain(`Requests port: ${world.server.ports.req}`)
      expect(text).toContain(`Notifications port: ${world.ports.pub}`)
      expect(text).toContain('Registrations: (cam, passing)')
      if (version === '0.25.11') {
        expect(text).toContain(`Heartbeat port: ${world.ports.hb}`)
        expect(text).toContain('Unique service types: False')
      }
    })

    test('stops the registry where that is allowed', async ({expect}) => {
      await using world = await openWorld(version, {conf: {'zmq:allow:terminate': true}})
      expect(await isHealthy(world)).toBe(true)
      await registryServer(version, world.ports, 'stop')
      expect(await world.server.ended()).toBe(0)
    })

    if (!againstPeer) {
      test('does not stop the registry without leave', async ({expect}) => {
        await using world = await openWorld(version)
        await registryServer(version, world.ports, 'stop')
        const client = await world.connect('async')
        expect(await client.call('terminate_registry_server')).toBe(false)
        expect(await client.request({action: 'terminate'})).toEqual({success: false, error: expect.any(String)})
        expect(await isHealthy(world)).toBe(true)
      })
    }
  },
)

describe('the program `cgse` of 0.25.11', () => {
  test('lists and deregisters', async ({expect}) => {
    await using world = await openWorld('0.25.11')
    const client = await world.connect('async')
    const id = (await client.call('register', CAMERA)) as string
    const cgse = (...args: string[]) => program('0.25.11', world.ports, 'cgse', ['reg', ...args])
    const listed = await cgse('list-services')
    expect(listed).toContain(`'id': '${id}'`)
    expect(listed).toMatch(/'last_heartbeat': '\d{4}-\d\d-\d\dT/)
    expect(await cgse('deregister', 'camera')).toContain('Successfully de-registered service type camera.')
    expect(await getService(world, client, id)).toBeNull()
  })
})

describe('the helper functions of CGSE 0.25.11', () => {
  test('find the registry and what is registered there', async ({expect}) => {
    await using world = await openWorld('0.25.11')
    const {agent} = world
    expect(await agent.use('egse.registry.is_service_registry_active')).toBe(true)
    expect(await agent.use('egse.registry.async_is_service_registry_active')).toBe(true)
    expect(await agent.use('egse.registry.client.is_service_registered', ['camera'])).toBe(false)
    const client = await world.connect('sync')
    await client.call('register', CAMERA)
    expect(await agent.use('egse.registry.client.is_service_registered', ['camera'])).toBe(true)
    expect(await agent.use('egse.connect.get_endpoint', ['camera'])).toBe('tcp://10.1.2.3:5001')
    expect(await agent.use('egse.connect.get_metadata_port', ['camera', 'service_port'])).toEqual([
      'tcp',
      '10.1.2.3',
      5002,
    ])
    await world.server.stop()
    expect(await agent.use('egse.registry.is_service_registry_active')).toBe(false)
  })

  test('let one microservice find another and call it', async ({expect}) => {
    await using world = await openWorld('0.25.11')
    const script = new URL('microservice.py', import.meta.url).pathname
    const text = await program('0.25.11', world.ports, 'python', [script])
    const {found, id, answer, port} = JSON.parse(text.trim().split('\n').at(-1) ?? '')
    expect(answer).toEqual({status: 'ok', sum: 5})
    expect(found).toMatchObject({id, name: 'Adder', port, health: 'passing', metadata: {unit: 'none', pub_port: null}})
  })
})
