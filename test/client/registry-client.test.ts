import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {ownAddressTowards} from '../../src/client/own-address.ts'
import {RegistryClient} from '../../src/client/registry-client.ts'
import {lastingPort} from '../support/lasting-port.ts'
import {PATIENT} from '../support/patient-client.ts'
import {TestRegistry} from '../support/registry.ts'
import {enveloped, plain, ScriptedPeer} from '../support/scripted-peer.ts'

const CAM = {name: 'cam', host: '127.0.0.1', port: 5000, type: 'camera'}
const failing = (code: string, message: unknown = expect.any(String), info: unknown = expect.any(Object)) =>
  expect.objectContaining({code, message, info})

describe('against this registry', () => {
  let registry: TestRegistry
  let client: RegistryClient
  beforeAll(async () => {
    registry = await TestRegistry.start()
    client = new RegistryClient(registry.url, PATIENT)
  })
  afterAll(async () => {
    await client.close()
    await registry[Symbol.asyncDispose]()
  })

  test('a service is registered, found in every way, renewed and taken out', async () => {
    const id = await client.register(
      {...CAM, tags: ['night'], metadata: {row: 2}, extra: {protocol: 'tcp'}},
      {ttlS: 45},
    )
    expect(id).toMatch(/^cam-/)
    const entry = await client.get(id)
    expect(entry).toMatchObject({...CAM, id, ttlS: 45, tags: ['night', 'camera'], health: 'passing'})
    expect(entry).toMatchObject({metadata: {row: 2, type: 'camera'}, extra: {protocol: 'tcp'}})
    expect(await client.list()).toEqual([entry])
    expect(await client.list({type: 'camera', name: 'cam', tag: 'night', metadata: {row: '2'}})).toEqual([entry])
    expect(await client.list({type: 'camera', health: 'critical'})).toEqual([])
    expect(await client.discover('camera')).toEqual(entry)
    expect(await client.discover('camera', {tag: 'night'})).toEqual(entry)
    await client.renew(id)
    await client.deregister(id)
    expect(await client.list()).toEqual([])
  })

  test('what it holds comes as it is, numbers of any size included', async () => {
    await client.register({
      ...CAM,
      id: 'exact',
      metadata: {serial: exactNumber('1152921504606846977')},
      extra: {note: 'ü ☃'},
    })
    const {raw, extra} = await client.get('exact')
    expect(raw).toContain('"serial":1152921504606846977')
    expect(extra).toEqual({note: 'ü ☃'})
    expect((await client.list({name: 'cam'})).map((entry) => entry.raw)).toEqual([raw])
    await client.deregister('exact')
  })

  test('an id that is not there is an error of its own', async () => {
    const error = failing('REG_NOT_FOUND', 'service nope is not registered')
    await expect(client.get('nope')).rejects.toEqual(error)
    await expect(client.renew('nope')).rejects.toEqual(error)
    await expect(client.deregister('nope')).rejects.toEqual(error)
    await expect(client.discover('nope')).rejects.toEqual(
      failing('REG_NOT_FOUND', 'No healthy service of type nope found'),
    )
  })

  test('a value that is not allowed is said', async () => {
    await expect(client.register({...CAM, port: 70_000})).rejects.toEqual(
      failing('REG_BAD_REQUEST', expect.stringContaining('port must be an integer from 0 to 65535')),
    )
    await expect(client.register({...CAM, singleton: true, allowDuplicateType: true})).rejects.toEqual(
      failing('REG_BAD_REQUEST', expect.stringContaining('cannot both be true')),
    )
  })

  test('a type that is taken is a conflict that names the other', async () => {
    await client.register({...CAM, id: 'first'})
    await expect(client.register({...CAM, id: 'second', singleton: true})).rejects.toEqual(
      failing(
        'REG_CONFLICT',
        "cannot register service second: Service type 'camera' is already registered by service_id 'first'.",
        expect.objectContaining({existing_service_id: 'first'}),
      ),
    )
    await client.deregister('first')
  })

  test('it tells what it is', async () => {
    const {req, pub, hb} = registry.ports
    expect(await client.info()).toMatchObject({
      status: 'ok',
      ports: {req, pub, hb, rep: null},
      uniqueTypes: false,
      server: {pid: process.pid, store: {kind: 'memory'}, counts: {services: 0, critical: 0}},
      services: [],
    })
    expect((await client.info({services: false})).services).toBeUndefined()
    expect(await client.health()).toMatchObject({status: 'ok', problem: undefined})
  })

  test('calls are answered in their order, many at once', async () => {
    const ids = Array.from({length: 200}, (_, i) => `many-${i}`)
    await Promise.all(ids.map((id, port) => client.register({...CAM, id, port})))
    expect((await client.list({type: 'camera'})).map(({id}) => id)).toEqual(ids)
    const ports = await Promise.all(ids.map(async (id) => (await client.get(id)).port))
    expect(ports).toEqual(ids.map((_, port) => port))
    await Promise.all(ids.map((id) => client.deregister(id)))
  })
})

describe('a server of another age', () => {
  const health = () => ({success: true, status: 'ok', timestamp: 1})

  test('that knows only REQ sockets is found out and remembered', async () => {
    using peer = await ScriptedPeer.start(plain(health))
    await using client = await RegistryClient.connect(peer.url)
    await client.health()
    expect(peer.requests.map(({isPlain}) => isPlain)).toEqual([false, true, true, true])
  })

  test('that answers with REP is understood, and nothing else is tried', async () => {
    using peer = await ScriptedPeer.start(enveloped(health, 'REP'))
    await using client = await RegistryClient.connect(peer.url)
    await client.health()
    expect(peer.requests.map(({isPlain}) => isPlain)).toEqual([false, false, false])
  })

  test('is asked which it is once, however many calls begin', async () => {
    using peer = await ScriptedPeer.start(
      enveloped(({service_id: id}) => ({success: true, service: {id: id ?? 'none'}})),
    )
    await using client = new RegistryClient(peer.url)
    const ids = ['a', 'b', 'c']
    expect((await Promise.all(ids.map((id) => client.get(id)))).map(({id}) => id)).toEqual(ids)
    expect(peer.actions).toEqual(['health', 'get', 'get', 'get'])
  })

  test('that is replaced by one of another age is found out again', async () => {
    using peer = await ScriptedPeer.start(plain(health))
    await using client = await RegistryClient.connect(peer.url)
    peer.become(enveloped(health))
    await expect(client.health({timeoutMs: 200})).rejects.toEqual(failing('REG_TIMED_OUT'))
    expect(await client.health()).toMatchObject({status: 'ok'})
    expect(peer.requests.at(-1)?.isPlain).toBe(false)
  })

  test('that keeps no tag gets its answer looked through', async () => {
    const service = (id: string, tags: string[]) => ({id, name: id, host: 'h', port: 1, tags, health: 'passing'})
    const services = [service('a', ['t']), service('b', ['t', 'night']), service('c', ['night'])]
    using peer = await ScriptedPeer.start(
      enveloped(({action}) => ({success: true, service: services[0], services, action})),
    )
    await using client = new RegistryClient(peer.url)
    expect((await client.list({tag: 'night'})).map(({id}) => id)).toEqual(['b', 'c'])
    expect((await client.discover('t', {tag: 'night'})).id).toBe('b')
    await expect(client.discover('t', {tag: 'day'})).rejects.toEqual(failing('REG_NOT_FOUND'))
  })

  test('that names no port for events is read', async () => {
    using peer = await ScriptedPeer.start(
      enveloped(() => ({success: true, status: 'ok', req_port: 1, pub_port: 0, services: [{id: 'x'}]})),
    )
    await using client = new RegistryClient(peer.url)
    expect(await client.info()).toMatchObject({
      ports: {req: 1, pub: null, hb: null, rep: null},
      uniqueTypes: undefined,
      server: undefined,
      services: [{id: 'x'}],
    })
  })
})

describe('an answer that is none', () => {
  test.each([
    ['not JSON', 'nonsense'],
    ['not an object', '[]'],
    ['no verdict', '{"status":"ok"}'],
    ['a verdict that is no boolean', '{"success":"yes"}'],
    ['no service', '{"success":true}'],
    ['a service without id', '{"success":true,"service":{"name":"x"}}'],
    ['too deep', `{"success":true,"service":${'['.repeat(200)}${']'.repeat(200)}}`],
  ])('%s', async (_, text) => {
    using peer = await ScriptedPeer.start(({body, answer}) =>
      answer(['RESPONSE', body['action'] === 'health' ? '{"success":true}' : text]),
    )
    await using client = new RegistryClient(peer.url)
    await expect(client.get('x')).rejects.toEqual(failing('REG_BAD_ANSWER', expect.stringContaining(client.url)))
  })

  test.each([
    ['not confirmed, ask again', 'REG_NOT_CONFIRMED'],
    ['too many requests, slow down', 'REG_BUSY'],
    ['Failed to register service: the disk is full', 'REG_STORE_FAILED'],
    ['terminate is not allowed: …', 'REG_DENIED'],
    ['Missing required field: service_id', 'REG_BAD_REQUEST'],
    ["'NoneType' object has no attribute 'get'", 'REG_BAD_REQUEST'],
  ])('a refusal with "%s" is %s', async (error, code) => {
    using peer = await ScriptedPeer.start(
      enveloped(({action}) => (action === 'health' ? {success: true} : {success: false, error})),
    )
    await using client = new RegistryClient(peer.url)
    await expect(client.register(CAM)).rejects.toEqual(
      failing(code, `cannot register service cam: ${error}`, {action: 'register', error}),
    )
  })
})

describe('a call that is not answered', () => {
  test('times out and says so, and its late answer is not taken for the next one', async () => {
    using peer = await ScriptedPeer.start(enveloped(() => ({success: true, status: 'ok', service: {id: 'first'}})))
    await using client = await RegistryClient.connect(peer.url)
    const held: (() => void)[] = []
    peer.become(({answer}) => {
      held.push(() => answer(['RESPONSE', '{"success":true,"service":{"id":"late"}}']))
    })
    await expect(client.get('first', {timeoutMs: 100})).rejects.toEqual(failing('REG_TIMED_OUT'))
    peer.become(({answer, body}) => {
      for (const late of held.splice(0)) late()
      answer(['RESPONSE', JSON.stringify({success: true, service: {id: body['service_id'] ?? 'none'}})])
    })
    expect((await client.get('second')).id).toBe('second')
    expect((await client.get('third')).id).toBe('third')
  })

  test('is cancelled by its signal, alone; what stands behind it goes on', async () => {
    using peer = await ScriptedPeer.start(enveloped(() => ({success: true, service: {id: 'x'}})))
    await using client = await RegistryClient.connect(peer.url)
    const before = peer.requests.length
    peer.become(() => undefined)
    const controller = new AbortController()
    const first = client.get('first', {signal: controller.signal})
    const second = client.get('second')
    const third = client.get('third', {signal: controller.signal})
    await peer.received(before + 1)
    peer.become(enveloped(() => ({success: true, service: {id: 'x'}})))
    controller.abort()
    await expect(first).rejects.toEqual(failing('REG_CANCELLED'))
    await expect(third).rejects.toEqual(failing('REG_CANCELLED'))
    expect((await second).id).toBe('x')
  })

  test('fails at once when its signal was aborted before', async () => {
    await using client = new RegistryClient('zmq://127.0.0.1:1')
    await expect(client.health({signal: AbortSignal.abort()})).rejects.toEqual(failing('REG_CANCELLED'))
  })

  test('is given back the error of ours that it was cancelled with', async () => {
    const reason = new RegistryError('REG_CANCELLED', 'for a reason')
    await using client = new RegistryClient('zmq://127.0.0.1:1', {signal: AbortSignal.abort(reason)})
    await expect(client.health()).rejects.toBe(reason)
  })

  test('fails when its client is closed, and so does what waits behind it', async () => {
    using peer = await ScriptedPeer.start(() => undefined)
    const client = new RegistryClient(peer.url)
    const calls = Promise.allSettled([client.health(), client.health()])
    await peer.received(1)
    await client.close()
    expect(await calls).toEqual([
      {status: 'rejected', reason: failing('REG_CANCELLED')},
      {status: 'rejected', reason: failing('REG_CANCELLED')},
    ])
    await expect(client.health()).rejects.toEqual(failing('REG_CANCELLED'))
  })

  test('is unreachable when nothing is there, and waits no longer than it was told to', async () => {
    const url = `zmq://127.0.0.1:${await lastingPort()}`
    await expect(RegistryClient.connect(url, {connectMs: 100})).rejects.toEqual(failing('REG_UNREACHABLE'))
    await expect(RegistryClient.connect(url, {timeoutMs: 100})).rejects.toEqual(failing('REG_UNREACHABLE'))
  })

  test('finds a registry that comes up meanwhile', async () => {
    await using registry = await TestRegistry.start()
    await registry.stop()
    const call = registry.client().health()
    await registry.start()
    expect(await call).toMatchObject({status: 'ok'})
  })
})

describe('the own address', () => {
  test('is that of the way to the registry', async () => {
    expect(await ownAddressTowards({host: '127.0.0.1', port: 1, url: ''})).toBe('127.0.0.1')
  })

  test('cannot be found towards a host that does not exist', async () => {
    await expect(ownAddressTowards({host: 'nowhere.invalid', port: 1, url: ''})).rejects.toEqual(
      failing('REG_UNREACHABLE', expect.stringContaining('nowhere.invalid')),
    )
  })
})

/** A number that JSON.stringify writes as it stands here; standard, but not in TypeScript's library yet. */
function exactNumber(text: string): unknown {
  return (JSON as unknown as {rawJSON(text: string): unknown}).rawJSON(text)
}
