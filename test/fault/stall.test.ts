import {describe, expect, onTestFinished, test} from 'vitest'
import {Request} from 'zeromq'
import {systemClock} from '../../src/base/clock.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {createLog} from '../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {decodeChange} from '../../src/registry/change.ts'
import {Server} from '../../src/server/server.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended, NewEntry} from '../../src/store/store.ts'
import {openMirroring} from '../support/mirroring.ts'

/** So many answers have come before the disk goes on: none of them waited for it. */
const UNCONFIRMED = 10
/** So many more when it goes on: an answer that came late would be taken for one of these. */
const CONFIRMED = 50

/** A store in memory whose disk can hang. */
class StallingStore extends MemoryStore {
  #gate: Promise<void> = Promise.resolve()

  /** From now on nothing is written, until what is given is called; then what waited is written, or fails. */
  stall(end: 'written' | 'failed'): () => void {
    const {promise, resolve} = Promise.withResolvers<void>()
    this.#gate = promise.then(() => {
      if (end === 'failed') throw new RegistryError('REG_STORE_FAILED', 'the disk came back with an error')
    })
    this.#gate.catch(() => {
      this.#gate = Promise.resolve()
    })
    return resolve
  }

  override async append(entries: readonly NewEntry[]): Promise<Appended> {
    await this.#gate
    return super.append(entries)
  }

  /** The ids that the log leaves behind. */
  async replayed(): Promise<string[]> {
    const ids = new Set<string>()
    for (const {change} of await this.read(0, 100_000)) {
      const decoded = decodeChange(change)
      if (decoded.kind === 'register') ids.add(decoded.service.id)
      else ids.delete(decoded.id)
    }
    return [...ids].sort()
  }
}

async function startOn(store: StallingStore): Promise<Server> {
  const log = createLog({level: 'critical', structured: false, clock: systemClock, write: () => undefined})
  const head = await store.open()
  const changes = new ChangeLog(store, COMMIT_LIMITS)
  onTestFinished(() => changes.close())
  const mirroring = await openMirroring({store, head, changes, log, clock: systemClock})
  const server = await Server.start(
    {store, head, changes, mirroring},
    {
      bind: '127.0.0.1',
      ports: {req: 0, pub: 0, hb: 0, rep: null},
      limits: {messageBytes: 1024 * 1024, hwm: 10_000, handshakeMs: 10_000, connections: 1000},
      pubHwm: 10_000,
      uniqueTypes: false,
      bridge: {toAha: false, toZeromq: false},
      strategy: 'random',
      graceMs: 10_000,
      cleanupMs: 10_000,
      replyWithinMs: 400,
      messagesPerS: 50_000,
      allowTerminate: false,
      onTerminate: () => undefined,
      onFatal: (error) => {
        throw error
      },
    },
    log,
  )
  onTestFinished(() => server.stop())
  return server
}

interface Outcome {
  readonly id: string
  readonly error: string | undefined
}

/**
 * A plain client with one request at a time: it takes the next message that comes for the answer to its latest
 * request. Each request names an id of its own, and so does its answer, so that an answer to another request shows.
 */
class PlainClient {
  readonly #socket = new Request({linger: 0})
  readonly #name: string
  readonly registered: Outcome[] = []
  #count = 0

  constructor(name: string, port: number) {
    this.#name = name
    this.#socket.connect(`tcp://127.0.0.1:${port}`)
    onTestFinished(() => this.#socket.close())
  }

  /** Registers a new id, then asks for one that never was, and for the one just registered. */
  async round(): Promise<void> {
    const id = `${this.#name}-${this.#count++}`
    const registration = await this.#ask({action: 'register', service_info: {id, name: id, host: 'h', port: 1}})
    if (registration['success'] === true) expect(registration['service_id']).toBe(id)
    else expect(registration['error']).toMatch(/^not confirmed|^Failed to register/)
    this.registered.push({id, error: registration['error'] as string | undefined})
    expect(await this.#ask({action: `no-${id}`})).toEqual({success: false, error: `Unknown action: no-${id}`})
    const found = await this.#ask({action: 'get', service_id: id})
    if (registration['success'] === true) expect(found['service']).toMatchObject({id})
    else expect(found['error'] ?? (found['service'] as {id: string}).id).toMatch(/^Service not found$|^stall/)
  }

  async #ask(request: object): Promise<Record<string, unknown>> {
    await this.#socket.send(JSON.stringify(request))
    const [answer] = await this.#socket.receive()
    return JSON.parse(`${answer}`)
  }
}

describe('a disk that hangs', () => {
  test.each(['written', 'failed'] as const)(
    'lets every client get its own answers, in time; then what waited is %s',
    async (end) => {
      const store = new StallingStore()
      const server = await startOn(store)
      const clients = Array.from({length: 5}, (_, index) => new PlainClient(`stall${index}`, server.ports.req ?? 0))
      await Promise.all(clients.map((client) => client.round()))
      const goOn = store.stall(end)
      const isUnconfirmed = ({error}: Outcome) => error?.startsWith('not confirmed')
      const unconfirmedYet = () => clients.flatMap(({registered}) => registered.filter(isUnconfirmed)).length
      await Promise.all(
        clients.map(async (client) => {
          while (unconfirmedYet() < UNCONFIRMED) await client.round()
        }),
      )
      goOn()
      const confirmedYet = () => clients.flatMap(({registered}) => registered.filter(({error}) => !error)).length
      const confirmedBefore = confirmedYet()
      while (confirmedYet() < confirmedBefore + CONFIRMED) await Promise.all(clients.map((client) => client.round()))
      const outcomes = clients.flatMap(({registered}) => registered)
      const [confirmed, unconfirmed] = [
        outcomes.filter(({error}) => error === undefined),
        outcomes.filter(isUnconfirmed),
      ]
      const stored = await store.replayed()
      expect(stored).toEqual(expect.arrayContaining(confirmed.map(({id}) => id)))
      const survivors = unconfirmed.filter(({id}) => stored.includes(id)).length
      if (end === 'written') expect(survivors).toBe(unconfirmed.length)
      else expect(survivors).toBeLessThan(unconfirmed.length)
      expect(server.size).toBe(stored.length)
    },
  )
})
