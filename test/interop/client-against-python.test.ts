// Our client and commands against the registry servers of the CGSE releases.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest'
import {PEER_VERSIONS} from '../../scripts/peers.ts'
import {RegistryClient} from '../../src/client/registry-client.ts'
import type {WatchEvent} from '../../src/client/watch.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {startPeerServer} from '../support/peer-server.ts'
import {Recorder} from '../support/recorder.ts'
import type {TestServer} from '../support/server.ts'

const CAM = {name: 'cam', host: '10.0.0.7', port: 5000, type: 'camera'}

describe.each(PEER_VERSIONS)('the server of %s', (version) => {
  let server: TestServer
  let client: RegistryClient
  beforeAll(async () => {
    server = await startPeerServer(version)
    client = await RegistryClient.connect(`zmq://127.0.0.1:${server.ports.req}`)
  })
  afterAll(async () => {
    await client.close()
    await server[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    for (const {id} of await client.list()) await client.deregister(id)
  })

  test('takes, gives, renews and forgets a service', async () => {
    const id = await client.register({...CAM, id: 'cam-1', tags: ['night'], metadata: {row: 1}}, {ttlS: 45})
    const entry = await client.get(id)
    expect(entry).toMatchObject({...CAM, id: 'cam-1', ttlS: 45, health: 'passing', metadata: {row: 1, type: 'camera'}})
    expect(entry.tags.toSorted()).toEqual(['camera', 'night'])
    expect(await client.list({type: 'camera', name: 'cam', tag: 'night', metadata: {row: '1'}})).toEqual([entry])
    expect(await client.list({name: 'other'})).toEqual([])
    expect(await client.discover('camera')).toEqual(entry)
    expect(await client.discover('camera', {tag: 'night'})).toEqual(entry)
    await client.renew(id)
    await client.deregister(id)
    expect(await client.list()).toEqual([])
  })

  test('says no in words that are understood', async () => {
    await expect(client.get('nope')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    await expect(client.renew('nope')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    await expect(client.deregister('nope')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    await expect(client.discover('nope')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    await expect(client.register({...CAM, host: null as never})).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
  })

  test('is told about, as far as it tells', async () => {
    await client.register(CAM)
    const info = await client.info({services: false})
    expect(info).toMatchObject({status: 'ok', server: undefined, services: [{name: 'cam'}]})
    expect(info.ports).toMatchObject({req: server.ports.req, pub: server.ports.pub})
    expect(info.uniqueTypes).toBe(version === '0.25.11' ? false : undefined)
    const {status, stdout} = await runCli(['status', client.url, '--json'])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({status: 'ok', software: 'cgse', counts: {services: 1, critical: 0}})
  })

  test('is watched', async () => {
    await client.register({...CAM, id: 'a'})
    await using watch = client.watch({type: 'camera'})
    const events = new Recorder<WatchEvent>(watch)
    await events.until(({kind}) => kind === 'synced')
    await client.register({...CAM, id: 'b', extra: {protocol: 'tcp'}})
    await events.until((event) => event.kind === 'registered' && event.service.id === 'b')
    await client.deregister('a')
    await client.register({...CAM, id: 'c'}, {ttlS: 1})
    await events.until((event) => event.kind === 'expired' && event.service.id === 'c')
    const said = events.seen.flatMap((event) => ('service' in event ? [`${event.kind} ${event.service.id}`] : []))
    expect(said.filter((text) => text !== 'changed c')).toEqual([
      'present a',
      'registered b',
      'deregistered a',
      'registered c',
      'expired c',
    ])
  })

  test('keeps a registration, through its own restart', async () => {
    const states: string[] = []
    const again = Promise.withResolvers<void>()
    await using kept = client.keep(CAM, {
      ttlS: 3,
      onState: ({kind}) => {
        states.push(kind)
        if (kind === 'registered' && states.includes('lost')) again.resolve()
      },
    })
    await kept.ready()
    await client.deregister(kept.id)
    await again.promise
    expect(states.slice(0, states.indexOf('lost'))).not.toContain('failed')
    expect(states.slice(states.indexOf('lost')).filter((kind) => kind !== 'away')).toEqual(['lost', 'registered'])
    await server.restart()
    // What it had is in its database, unless the restart took longer than the lease; the connection comes back by itself.
    await expect.poll(() => client.get(kept.id).catch(() => undefined)).toMatchObject({...CAM, id: kept.id})
  })

  test('has programs kept registered by service run', async () => {
    const args = [
      'service',
      'run',
      '--name',
      'cam',
      '--type',
      'camera',
      '--port',
      '5000',
      '--require',
      '--url',
      client.url,
    ]
    const child = spawn(LAUNCHER, [...args, '--', 'sh', '-c', 'echo $REGISTRY_SERVICE_ID; exec sleep 60'], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [id] = await once(child.stdout, 'data')
    expect(await client.list()).toMatchObject([{id: String(id).trim(), host: '127.0.0.1', port: 5000}])
    child.kill('SIGTERM')
    expect((await once(child, 'exit'))[0]).toBe(143)
    expect(await client.list()).toEqual([])
  })
})

test('a type that must be unique is a conflict that names the other', async () => {
  await using server = await startPeerServer('0.25.11', {uniqueTypes: true})
  await using client = new RegistryClient(`zmq://127.0.0.1:${server.ports.req}`)
  await client.register({...CAM, id: 'first'})
  await expect(client.register({...CAM, id: 'second'})).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    info: {existing_service_id: 'first', service_type: 'camera'},
  })
  await client.register({...CAM, id: 'second', allowDuplicateType: true})
})
