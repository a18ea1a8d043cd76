// A leader and its mirrors in this process, on TLS on loopback; the data directories of the mirrors are copies that were made by hand.
import {cp, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {Subscriber} from 'zeromq'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import type {RunningRegistry} from '../../src/server/running-registry.ts'
import {serve} from '../../src/server/serve.ts'
import {adoptStore} from '../../src/store/adopt.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {lastingPort} from './lasting-port.ts'
import {PatientClient} from './patient-client.ts'

export const NETWORK = 'demo.net'
const LIFE_MS = 86_400_000

interface Component extends Readonly<Record<string, Value>> {
  readonly name: string
}

export interface Logged {
  readonly message: string
  readonly params?: Readonly<Record<string, unknown>>
}

/** One member: its directory, and the server on it while it runs. */
export class TestMember implements AsyncDisposable {
  readonly dir: string
  readonly name: string
  /** Events of its log, of all its runs. */
  readonly logged: Logged[] = []
  readonly #watchers = new Set<() => void>()
  #server: RunningRegistry | undefined
  /** Kept over restarts, so that the others find it again. */
  #port = 0

  constructor(dir: string, name: string) {
    this.dir = dir
    this.name = name
  }

  get server(): RunningRegistry {
    if (this.#server === undefined) throw new Error(`${this.name} does not run`)
    return this.#server
  }

  /** Where its Telepath listener is reached. */
  get url(): string {
    return `ssl://127.0.0.1:${this.#port}?hostname=${this.name}`
  }

  async start(options: Readonly<Record<string, unknown>> = {}): Promise<void> {
    if (this.#port === 0) this.#port = await lastingPort()
    this.#server = await serve({
      dir: this.dir,
      options: {
        ...{'aha:network': NETWORK, 'dns:name': this.name, 'provision:listen': null, 'https:port': null},
        ...{'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, bind: '127.0.0.1'},
        'dmon:listen': `ssl://127.0.0.1:${this.#port}?hostname=${this.name}&ca=${NETWORK}`,
        'log:structured': true,
        ...options,
      },
      writeLog: (line) => this.#onLine(line),
    })
    this.#port = Number(new URL(this.#server.listeners.telepath.url ?? '').port)
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
    this.#server = undefined
  }

  /** Waits until its log has told of an event so many times, in all of its runs; gives the last of them. */
  event(name: string, times = 1): Promise<Logged> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.logged.filter(({message}) => message === name)
        const wanted = found[times - 1]
        if (wanted === undefined) return
        this.#watchers.delete(look)
        resolve(wanted)
      }
      this.#watchers.add(look)
      look()
    })
  }

  /** Waits until its log tells of an event once more, from now on. */
  next(name: string): Promise<Logged> {
    return this.event(name, this.logged.filter(({message}) => message === name).length + 1)
  }

  #onLine(line: string): void {
    this.logged.push(JSON.parse(line) as Logged)
    for (const look of this.#watchers) look()
  }

  /** Calls once as root, on the UNIX socket. */
  async call(method: string, ...args: readonly Value[]): Promise<Value> {
    await using root = await openTelepath(`cell://${this.dir}`)
    return await root.call(method, {args})
  }

  /** Asks over ZeroMQ. */
  zeromq(): RegistryClient {
    return new PatientClient(`zmq://127.0.0.1:${this.server.ports.req}`)
  }

  /** Takes the events that it publishes, from now on. */
  events(): TestEvents {
    const socket = new Subscriber({receiveHighWaterMark: 0})
    socket.subscribe()
    socket.connect(`tcp://127.0.0.1:${this.server.ports.pub}`)
    return new TestEvents(socket)
  }

  /** How its part of the name does. */
  async health(name: string): Promise<Readonly<Record<string, Value>> | undefined> {
    const {components} = (await this.call('getHealthCheck')) as {readonly components: readonly Component[]}
    return components.find((component) => component.name === name)
  }

  /** Waits until its log has reached that of another member. */
  async reach(other: TestMember): Promise<void> {
    const next = Number(await other.call('getNexsIndx'))
    if (next > 0) await this.call('waitNexsOffs', next - 1, 20)
  }

  /** What it says of itself, as `getCellInfo` does. */
  async info(): Promise<Readonly<Record<string, Value>>> {
    const {cell} = (await this.call('getCellInfo')) as {readonly cell: Readonly<Record<string, Value>>}
    return cell
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.dir, {recursive: true, force: true})
  }
}

/** Events of a member, in the order in which they come. */
export class TestEvents implements Disposable {
  readonly #socket: Subscriber

  constructor(socket: Subscriber) {
    this.#socket = socket
  }

  /** Waits for the event of an id, and drops it and what came before; false when it does not come: the subscription was not there yet. */
  async syncedWith(id: string): Promise<boolean> {
    this.#socket.receiveTimeout = 200
    try {
      for (;;) if (String((await this.#socket.receive())[1]).includes(id)) return true
    } catch {
      return false
    } finally {
      this.#socket.receiveTimeout = -1
    }
  }

  /** Waits for so many. */
  async take(count: number): Promise<readonly string[]> {
    const texts: string[] = []
    while (texts.length < count) texts.push((await this.#socket.receive()).map(String).join(' '))
    return texts
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}

/** Makes the directory of a leader, with the authority of the network and keys that cost no time. */
export async function newLeader(name = `00.${NETWORK}`): Promise<TestMember> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
  await issueMember(dir, name, true)
  return new TestMember(dir, name)
}

/** Copies the directory of a member that does not run, as another member; with `isTwin`, with the iden of the same, as who copies by hand would. */
export async function copyOf(member: TestMember, name: string, isTwin = false): Promise<TestMember> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
  await cp(member.dir, dir, {recursive: true, filter: (path) => !/\/(sock|lock\.[a-z]+|run\.json)$/.test(path)})
  if (!isTwin) await adoptStore(join(dir, 'registry.db'))
  if (name !== member.name) await issueMember(dir, name, false)
  return new TestMember(dir, name)
}

async function issueMember(dir: string, name: string, isFirst: boolean): Promise<void> {
  const certs = new CertDir(join(dir, 'certs'))
  const terms = {ttlMs: LIFE_MS, nowMs: Date.now(), keyType: 'p256', replace: false} as const
  if (isFirst) await issueInto(certs, {...terms, purpose: 'ca', name: NETWORK, signAs: undefined})
  await issueInto(certs, {...terms, purpose: 'host', name, signAs: NETWORK})
  if (isFirst) await issueInto(certs, {...terms, purpose: 'user', name: `root@${NETWORK}`, signAs: NETWORK})
}
