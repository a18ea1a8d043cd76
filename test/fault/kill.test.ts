import {afterAll, beforeAll, expect, test} from 'vitest'
import {parseJson} from '../../src/base/json-parse.ts'
import {decodeChange} from '../../src/registry/change.ts'
import {CHAIN_START, verifyChain} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {type Answer, ClosedError, RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 25 : 3
const WRITERS = 5
const IDS_PER_WRITER = 12
/** Requests that one writer has outstanding. */
const WINDOW = 24
const ROUND_MS = 120_000

/** What is known of an id: its version (undefined: not there), and what was asked of it since without a known outcome. */
interface Known {
  acknowledged: number | undefined
  unknown: (number | undefined)[]
}

/** Changes its own ids at random until its server dies, and keeps what was answered. */
class Writer {
  readonly known = new Map<string, Known>()
  readonly #random: () => number
  #version = 0
  /** Changes that were acknowledged, of all rounds. */
  acknowledged = 0

  constructor(name: string, random: () => number) {
    this.#random = random
    for (let index = 0; index < IDS_PER_WRITER; index += 1) {
      this.known.set(`${name}-${index}`, {acknowledged: undefined, unknown: []})
    }
  }

  /** Works until `client` is closed. */
  async work(client: RawClient): Promise<void> {
    await Promise.all(Array.from({length: WINDOW}, () => this.#loop(client)))
  }

  async #loop(client: RawClient): Promise<void> {
    try {
      for (;;) await this.#step(client)
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error
    }
  }

  async #step(client: RawClient): Promise<void> {
    const ids = [...this.known.keys()]
    const id = ids[Math.floor(this.#random() * ids.length)] ?? ''
    const dice = this.#random()
    if (dice < 0.5)
      await this.#change(id, this.#version, client.registerOnce(id, {metadata: {version: this.#version++}}))
    else if (dice < 0.7) await this.#change(id, undefined, client.deregisterOnce(id))
    else if (dice < 0.85) await client.renew(id)
    else this.#compare(id, await client.get(id))
  }

  async #change(id: string, version: number | undefined, answer: Promise<Answer>): Promise<void> {
    const known = this.known.get(id) as Known
    known.unknown.push(version)
    const {success, error} = await answer
    // Answers come in the order of the requests: this is the oldest one without an outcome, or one before it stayed without.
    if (success) {
      known.unknown.splice(0, known.unknown.indexOf(version) + 1)
      known.acknowledged = version
      this.acknowledged += 1
    } else if (error?.startsWith('Service not found')) {
      known.unknown.splice(0, known.unknown.indexOf(version) + 1)
      known.acknowledged = undefined
    }
  }

  /** A read of the same connection sees what was answered before it. */
  #compare(id: string, answer: Answer): void {
    const known = this.known.get(id) as Known
    if (known.unknown.length === 0) expect(versionOf(answer['service'])).toBe(known.acknowledged)
  }

  /** Asserts that the server has nothing but what may have become of each id, and goes on from that. */
  verify(versions: ReadonlyMap<string, number>): void {
    for (const [id, known] of this.known) {
      const version = versions.get(id)
      expect([known.acknowledged, ...known.unknown], `${id}: acknowledged first, then without an answer`).toContain(
        version,
      )
      this.known.set(id, {acknowledged: version, unknown: []})
    }
  }
}

function versionOf(service: unknown): number | undefined {
  return (service as {readonly metadata?: {readonly version?: number}} | undefined)?.metadata?.version
}

/** A stream of numbers that a seed repeats (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Reads the file of a dead server: the chain is whole, and the state is what the log says. Gives the versions by id. */
async function readDead(path: string): Promise<Map<string, number>> {
  await using store = new SqliteStore(path)
  const head = await store.open()
  const entries = await store.read(0, head.nextOffset)
  expect(verifyChain(entries, CHAIN_START)).toEqual({
    kind: 'intact',
    end: {nextOffset: head.nextOffset, lastHash: head.lastHash},
  })
  const replayed = new Map<string, {readonly seq: number; readonly service: string}>()
  for (const entry of entries) {
    if (entry.actor === 'cell') continue // its users, made at the first start
    const change = decodeChange(entry.change)
    if (change.kind === 'register') replayed.set(change.service.id, {seq: change.seq, service: change.service.text})
    else replayed.delete(change.id)
  }
  const stored = (await Array.fromAsync(store.instances())).flat()
  const bySeq = (one: {readonly seq: number}, other: {readonly seq: number}) => one.seq - other.seq
  expect(stored.map(({seq, service}) => ({seq, service}))).toEqual([...replayed.values()].sort(bySeq))
  return new Map(
    stored.map(({service}) => {
      const value = parseJson(service) as {readonly id: string}
      return [value.id, versionOf(value) ?? -1]
    }),
  )
}

/** Asks a running server for the versions of all. */
async function readLive(server: TestServer): Promise<Map<string, number>> {
  using client = new RawClient(server.ports.req)
  const {services} = await client.ask({action: 'list'})
  return new Map((services as {readonly id: string}[]).map((service) => [service.id, versionOf(service) ?? -1]))
}

let server: TestServer

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const seed = Number(process.env['REGISTRY_FAULT_SEED'] ?? Date.now() % 2 ** 31)

test(`no change that was answered is lost or comes back, however often the server is killed (REGISTRY_FAULT_SEED=${seed})`, {
  timeout: ROUNDS * ROUND_MS,
}, async () => {
  const random = randomOf(seed)
  const writers = Array.from({length: WRITERS}, (_, index) => new Writer(`w${index}`, random))
  for (let round = 1; round <= ROUNDS; round += 1) {
    const clients = writers.map(() => new RawClient(server.ports.req))
    const before = writers.reduce((sum, writer) => sum + writer.acknowledged, 0)
    const working = writers.map((writer, index) => writer.work(clients[index] as RawClient))
    const after = () => writers.reduce((sum, writer) => sum + writer.acknowledged, 0)
    const enough = 1 + random() * 1500
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    while (after() - before < enough) await Promise.race([turn(), ...working])
    await server.kill()
    await Promise.all(clients.map((client) => client.disconnected()))
    for (const client of clients) client.close()
    await Promise.all(working)
    const stored = await readDead(`${server.dir}/registry.db`)
    for (const writer of writers) writer.verify(stored)
    await server.start()
    expect(await readLive(server)).toEqual(stored)
  }
})
