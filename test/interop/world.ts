// What the interop tests share: the client generations, a server for them, and waiting for what only shows in its answers.
import {readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, afterEach, beforeAll} from 'vitest'
import type {PeerVersion} from '../../scripts/peers.ts'
import {startPeerServer} from '../support/peer-server.ts'
import {type Ports, startServer, type TestServer} from '../support/server.ts'
import {Agent, type Json, type Kind, type PeerClient} from './agent.ts'

/**
 * With REGISTRY_INTEROP_PEER=python each generation talks to the server of its own release instead of ours. That proves the drivers, and
 * shows what the generation is used to; what differs on purpose is marked with this constant in the tests.
 */
export const againstPeer = process.env['REGISTRY_INTEROP_PEER'] === 'python'

export interface Generation {
  readonly version: PeerVersion
  readonly kind: Kind
}

const CLIENTS: readonly Generation[] = [
  {version: '0.25.11', kind: 'async'},
  {version: '0.25.11', kind: 'sync'},
  {version: '0.10.0', kind: 'async'},
  {version: '0.10.0', kind: 'sync'},
  {version: '0.7.3', kind: 'async'},
  {version: '0.7.3', kind: 'sync'},
]

export const ALL = CLIENTS
/** Those that can keep a registration alive by themselves: the synchronous client of 0.7.3 has no heartbeat. */
export const HEARTBEATING = CLIENTS.filter((one) => !(one.version === '0.7.3' && one.kind === 'sync'))
export const CURRENT = CLIENTS.filter((one) => one.version === '0.25.11')

/** How long an entry that ran out stays listed on our server; the peer removes it with the next cleanup. */
export const GRACE_S = 1
/** Patience of the clients, so that a loaded machine decides nothing. Their own default is tested separately. */
const PATIENCE_S = 8

export interface World extends AsyncDisposable {
  readonly server: TestServer
  readonly agent: Agent
  /** Ports as this generation has to be configured. */
  readonly ports: Ports
  /** Makes a client and connects it. */
  connect(kind: Kind, kwargs?: Readonly<Record<string, unknown>>): Promise<PeerClient>
}

export interface WorldOptions {
  readonly uniqueTypes?: boolean
  readonly conf?: Readonly<Record<string, unknown>>
}

/** A server and a Python process with clients of that release. */
export async function openWorld(version: PeerVersion, options: WorldOptions = {}): Promise<World> {
  const uniqueTypes = options.uniqueTypes ?? false
  const conf = {'lease:grace': `${GRACE_S}s`, 'zmq:types:unique': uniqueTypes, ...options.conf}
  const server = await (againstPeer ? startPeerServer(version, {uniqueTypes}) : startServer({conf, rep: true}))
  const ports = portsFor(version, server.ports)
  const agent = await Agent.start(version, ports)
  return {
    server,
    agent,
    ports,
    async connect(kind, kwargs = {}) {
      const client = await agent.client(kind, ports, {...patience(version, PATIENCE_S), ...kwargs})
      await client.call('connect')
      return client
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** One world for all tests of a `describe`; each test begins with an empty registry. */
export function sharedWorld(version: PeerVersion): Omit<World, keyof AsyncDisposable> {
  let world: World | undefined
  const opened = () => {
    if (!world) throw new Error('there is no world outside of a test')
    return world
  }
  beforeAll(async () => {
    world = await openWorld(version)
  })
  afterEach(async () => {
    const client = await opened().connect('sync')
    for (const {id} of (await client.call('list_services')) as unknown as Service[]) {
      await client.request({action: 'deregister', service_id: id})
    }
    await client.call('disconnect')
  })
  afterAll(() => world?.[Symbol.asyncDispose]())
  return {
    get server() {
      return opened().server
    },
    get agent() {
      return opened().agent
    },
    get ports() {
      return opened().ports
    },
    connect: (kind, kwargs) => opened().connect(kind, kwargs),
  }
}

/** How a client of that release is told how long it may wait for an answer. */
export function patience(version: PeerVersion, seconds: number): Readonly<Record<string, unknown>> {
  return version === '0.25.11' ? {timeout: seconds} : {request_timeout: seconds * 1000}
}

/** Keeps a client of the older releases from answering out of its own cache. */
export function uncached(version: PeerVersion): Readonly<Record<string, unknown>> {
  return version === '0.25.11' ? {} : {use_cache: false}
}

/** A service object, as an answer has it. */
export interface Service {
  readonly id: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly health: string
  readonly last_heartbeat: number
  readonly ttl: number
  readonly tags: readonly string[]
  readonly metadata: {readonly [key: string]: Json}
}

/** What the server answers to `get`, null for an id that it does not know. */
export async function getService(world: Pick<World, 'agent'>, client: PeerClient, id: string): Promise<Service | null> {
  const found = await client.call('get_service', {service_id: id, ...uncached(world.agent.version)})
  return found as Service | null
}

/** Waits until `look` gives something else than undefined. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, withinMs = 120_000): Promise<T> {
  const giveUpAt = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > giveUpAt) throw new Error(`it did not happen in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A connected client that has an event listener, of which it is known that events reach it. Events come to `world.agent`. */
export async function listener(world: World, types = ['register', 'deregister', 'expire']): Promise<PeerClient> {
  const client = await world.connect('async')
  await client.listen(types)
  const probe = {action: 'register', service_info: {id: 'probe', name: 'probe', host: 'nowhere', port: 1}, ttl: 600}
  await eventually('a first event', async () => {
    await client.request(probe)
    return world.agent.events('register').find((data) => data['service_id'] === 'probe')
  })
  return client
}

/** Removes everything that a stopped server has stored. */
export async function loseData(server: TestServer): Promise<void> {
  for (const name of await readdir(server.dir)) {
    if (name !== 'cell.yaml') await rm(join(server.dir, name), {recursive: true})
  }
}

/** The request port depends on the envelope: releases 0.10 to 0.14 take only `REP` as the type of an answer. */
function portsFor(version: PeerVersion, ports: Ports): Ports {
  return version === '0.10.0' && ports.rep !== null ? {...ports, req: ports.rep} : ports
}
