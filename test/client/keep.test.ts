import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {type KeepOptions, type KeepState, Kept, type Registering} from '../../src/client/keep.ts'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import type {ServiceInfo} from '../../src/client/service-info.ts'
import {TestRegistry} from '../support/registry.ts'

const CAM: ServiceInfo = {name: 'cam', host: '127.0.0.1', port: 5000, type: 'camera'}

/** Collects states and lets a test wait for one. */
class States {
  readonly seen: KeepState[] = []
  #waiting: (() => void)[] = []

  readonly onState = (state: KeepState) => {
    this.seen.push(state)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Without times in which the registry was away: on a busy machine an answer may take longer than the second that these leases leave it. */
  get kinds(): string[] {
    const kinds = this.seen.map(({kind}) => kind).filter((kind) => kind !== 'away')
    return kinds.filter((kind, at) => kind !== kinds[at - 1])
  }

  /** Resolves when the states, times away left out, end with these kinds. */
  async endWith(...kinds: KeepState['kind'][]): Promise<void> {
    await this.#until(() => this.kinds.slice(-kinds.length).join() === kinds.join())
  }

  async away(): Promise<void> {
    await this.#until(() => this.seen.at(-1)?.kind === 'away')
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

describe('a kept registration', () => {
  let registry: TestRegistry
  let client: RegistryClient
  /** Soon says that the registry is away, on a busy machine also when it is not. */
  let hasty: RegistryClient
  let states: States
  beforeEach(async () => {
    registry = await TestRegistry.start()
    client = registry.client()
    hasty = registry.client({connectMs: 200})
    states = new States()
  })
  afterEach(() => registry[Symbol.asyncDispose]())

  const keep = (info = CAM, options: KeepOptions = {}, through = client) =>
    through.keep(info, {ttlS: 2, onState: states.onState, ...options})

  test('stands under the id it was given, or one that is known from the start, until it is stopped', async () => {
    const kept = keep({...CAM, tags: ['night'], metadata: {row: 1}})
    expect(kept.id).toMatch(/^cam-[0-9a-f-]{36}$/)
    await kept.ready()
    expect(await client.list()).toMatchObject([{id: kept.id, ttlS: 2, tags: ['night', 'camera'], metadata: {row: 1}}])
    await states.endWith('registered')
    expect(await kept.stop()).toBeUndefined()
    expect(await client.list()).toEqual([])
    expect(states.kinds).toEqual(['registered', 'stopped'])
  })

  test('outlives its ttl, because it is renewed', async () => {
    const kept = keep({...CAM, id: 'cam-1'})
    await kept.ready()
    const registered = await client.get('cam-1')
    // Heard of when the first lease had ended, and never out in between.
    const heardOfMs = async () => (await client.get('cam-1')).lastHeartbeatMs
    await expect.poll(heardOfMs).toBeGreaterThan(registered.lastHeartbeatMs + 2000)
    await expect.poll(async () => (await client.get('cam-1')).health).toBe('passing')
    expect(states.kinds).toEqual(['registered'])
    await kept.stop()
  })

  test('comes back under its id when somebody takes it out', async () => {
    const kept = keep()
    await kept.ready()
    await client.deregister(kept.id)
    await states.endWith('registered', 'lost', 'registered')
    expect(await client.get(kept.id)).toMatchObject({...CAM, id: kept.id})
    await kept.stop()
  })

  test('comes back when the registry is restarted and knows nothing any more', async () => {
    const kept = keep(CAM, {}, hasty)
    await kept.ready()
    await registry.stop()
    await states.away()
    await registry.start()
    await states.endWith('lost', 'registered')
    expect(await client.get(kept.id)).toMatchObject({...CAM, id: kept.id})
    await kept.stop()
  })

  test('waits for a registry that is not there yet', async () => {
    await registry.stop()
    const kept = keep(CAM, {}, hasty)
    await states.away()
    await registry.start()
    await kept.ready()
    expect(await client.list()).toMatchObject([{id: kept.id}])
    await kept.stop()
  })

  test('is asked for again while another has its type', async () => {
    await client.register({...CAM, id: 'other'})
    const kept = keep({...CAM, singleton: true})
    await states.endWith('refused')
    expect(states.seen.at(-1)).toMatchObject({error: {code: 'REG_CONFLICT', info: {existing_service_id: 'other'}}})
    await client.deregister('other')
    await kept.ready()
    expect(await client.list()).toMatchObject([{id: kept.id}])
    await kept.stop()
  })

  test('is given up when the registry will never take it', async () => {
    const kept = keep({...CAM, port: 70_000})
    await expect(kept.ready()).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
    expect(kept.state.kind).toBe('failed')
    await kept.stop()
  })

  test('asks for its host anew with each registration', async () => {
    const hosts = ['10.0.0.1', '10.0.0.2']
    const kept = keep(CAM, {host: async () => hosts.shift() ?? 'none'})
    await kept.ready()
    expect((await client.get(kept.id)).host).toBe('10.0.0.1')
    await client.deregister(kept.id)
    await states.endWith('lost', 'registered')
    expect((await client.get(kept.id)).host).toBe('10.0.0.2')
    await kept.stop()
  })

  test('takes a host that cannot be found for a registry that is away', async () => {
    const kept = keep(CAM, {host: () => Promise.reject(new Error('no such name'))})
    await states.away()
    expect(kept.state).toMatchObject({error: {code: 'REG_UNREACHABLE', message: 'no such name'}})
    expect(await kept.stop()).toBeUndefined()
  })

  test('says when it could not be taken out', async () => {
    const kept = keep(CAM, {}, hasty)
    await kept.ready()
    await registry.stop()
    expect(await kept.stop()).toMatchObject({code: 'REG_UNREACHABLE'})
    expect(kept.state).toEqual({kind: 'stopped'})
  })

  test('waiting for it ends with its signal, or when it is stopped', async () => {
    await registry.stop()
    const kept = keep(CAM, {}, hasty)
    const controller = new AbortController()
    const waiting = kept.ready({signal: controller.signal})
    controller.abort()
    await expect(waiting).rejects.toMatchObject({code: 'REG_CANCELLED'})
    await expect(kept.ready({signal: AbortSignal.abort()})).rejects.toMatchObject({code: 'REG_CANCELLED'})
    const stopped = kept.ready()
    await kept[Symbol.asyncDispose]()
    await expect(stopped).rejects.toMatchObject({code: 'REG_CANCELLED'})
  })
})

describe('stopping', () => {
  test('lets a registration that is under way finish, and then takes it out', async () => {
    const calls: string[] = []
    const begun = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<string>()
    const registering: Registering = {
      async register() {
        calls.push('register')
        begun.resolve()
        const id = await answered.promise
        calls.push('registered')
        return id
      },
      renew: async () => undefined,
      deregister: async () => void calls.push('deregister'),
    }
    // If it slept until the next renewal, this test would not end.
    const kept = new Kept(registering, CAM, {ttlS: 1e6})
    await begun.promise
    const stopped = kept.stop()
    answered.resolve(kept.id)
    expect(await stopped).toBeUndefined()
    expect(calls).toEqual(['register', 'registered', 'deregister'])
  })

  test('takes nothing out that never reached a registry', async () => {
    const calls: string[] = []
    const away = new RegistryError('REG_UNREACHABLE', 'nobody is there')
    const states = new States()
    const registering: Registering = {
      register: () => Promise.reject(away),
      renew: async () => undefined,
      deregister: async () => void calls.push('deregister'),
    }
    const kept = new Kept(registering, CAM, {onState: states.onState})
    await states.away()
    expect(await kept.stop()).toBeUndefined()
    expect(calls).toEqual([])
  })
})
