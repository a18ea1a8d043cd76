// A registry in the test's own process, and clients of it: on loopback, on ports of its own, in its own directory.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import type {RunningRegistry} from '../../src/server/running-registry.ts'
import {serve} from '../../src/server/serve.ts'
import {lastingPorts} from './lasting-port.ts'
import {PatientClient} from './patient-client.ts'

export interface RegistryOptions {
  readonly options?: Readonly<Record<string, unknown>>
}

const NO_PORTS = {req: 0, pub: 0, hb: 0}

async function portsOfItsOwn(): Promise<typeof NO_PORTS> {
  const [req = 0, pub = 0, hb = 0] = await lastingPorts(3)
  return {req, pub, hb}
}

/** A registry that can be stopped and started again on the same ports, with or without what it knew. */
export class TestRegistry implements AsyncDisposable {
  readonly #dir: string
  readonly #options: Readonly<Record<string, unknown>>
  readonly #clients: RegistryClient[] = []
  #running: RunningRegistry | undefined
  #ports: {req: number; pub: number; hb: number} | undefined

  static async start({options = {}}: RegistryOptions = {}): Promise<TestRegistry> {
    const registry = new TestRegistry(await mkdtemp(join(tmpdir(), 'registry-test-')), options)
    await registry.start()
    return registry
  }

  private constructor(dir: string, options: Readonly<Record<string, unknown>>) {
    this.#dir = dir
    this.#options = options
  }

  /** Data directory; the UNIX socket is in it. */
  get dir(): string {
    return this.#dir
  }

  get url(): string {
    return `zmq://127.0.0.1:${this.ports.req}`
  }

  get ports(): {req: number; pub: number; hb: number} {
    if (this.#ports === undefined) throw new Error('not started')
    return this.#ports
  }

  async start(): Promise<void> {
    this.#running = await this.#serve(this.#ports ?? (await portsOfItsOwn()))
    const ports = this.#running.ports
    this.#ports = {req: ports.req ?? 0, pub: ports.pub ?? 0, hb: ports.hb ?? 0}
  }

  /** While it is stopped: lets somebody use what it knows, through other ports. */
  async elsewhere(use: (client: RegistryClient) => Promise<void>): Promise<void> {
    await using running = await this.#serve(NO_PORTS)
    await using client = new PatientClient(`zmq://127.0.0.1:${running.ports.req}`)
    await use(client)
  }

  #serve({req, pub, hb}: typeof NO_PORTS): Promise<RunningRegistry> {
    return serve({
      dir: this.#dir,
      options: {
        'zmq:req:port': req,
        'zmq:pub:port': pub,
        'zmq:hb:port': hb,
        'https:port': null,
        backend: 'memory',
        ...this.#options,
      },
      writeLog: () => undefined,
    })
  }

  async stop(): Promise<void> {
    await this.#running?.stop()
    this.#running = undefined
  }

  /** A client that is closed together with the registry; as patient as a test unless the options say otherwise. */
  client(options: ConstructorParameters<typeof PatientClient>[1] = {}): RegistryClient {
    const client = new PatientClient(this.url, options)
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.stop()
    await rm(this.#dir, {recursive: true, force: true})
  }
}
