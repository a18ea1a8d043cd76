// Our registry as the AHA of a network, built and in a process of its own, for real services and tools. Its names are `aha.<network>` and below.
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {stringify} from 'yaml'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {runTool, type ToolResult} from './synapse-world.ts'

export const NETWORK = 'loop.test'
export const AHA_NAME = `aha.${NETWORK}`
const PAUSE_MS = 20

export interface Entry {
  readonly name: string
  readonly svcinfo: {
    readonly online?: string
    readonly ready: boolean
    /** Of the start of the service, and of its cell, which mirrors share. */
    readonly run: string
    readonly iden: string
    readonly leader: string | null
    readonly urlinfo: {readonly port: number; readonly hostname: string}
  }
}

/** What is read of run.json. */
interface RunFile {
  readonly telepath: {readonly url: string}
  readonly provision: {readonly url: string}
}

export interface Where {
  /** Where it listens; loopback when absent. */
  readonly address?: string
  /** A command that becomes the server with its last arguments. */
  readonly inside?: readonly string[]
}

export class OurAha implements AsyncDisposable {
  readonly server: TestServer
  /** Of the TLS listener. It stays the same after a restart. */
  readonly port: number
  readonly #stack: AsyncDisposableStack

  private constructor(server: TestServer, port: number, stack: AsyncDisposableStack) {
    this.server = server
    this.port = port
    this.#stack = stack
  }

  static async start(conf: Readonly<Record<string, unknown>> = {}, where: Where = {}): Promise<OurAha> {
    await using stack = new AsyncDisposableStack()
    const {address = '127.0.0.1', inside = []} = where
    const tls = (port: number) => `ssl://${address}:${port}?hostname=${AHA_NAME}`
    const names = {'aha:network': NETWORK, 'dns:name': AHA_NAME}
    const listen = {'dmon:listen': `${tls(0)}&ca=${NETWORK}`, 'provision:listen': tls(0)}
    const server = stack.use(await startServer({conf: {...names, ...listen, ...conf}, wrapper: () => inside}))
    const {telepath, provision} = JSON.parse(await readFile(join(server.dir, 'run.json'), 'utf8')) as RunFile
    const [port = 0, provisionPort = 0] = [telepath, provision].map(({url}) => Number(new URL(url).port))
    const aha = new OurAha(server, port, stack.move())
    // A service that comes back asks where it asked before.
    const fixed = {'dmon:listen': `${tls(port)}&ca=${NETWORK}`, 'provision:listen': tls(provisionPort)}
    await writeFile(join(server.dir, 'cell.mods.yaml'), stringify(fixed), {mode: 0o600})
    return aha
  }

  get cellUrl(): string {
    return `cell://${this.server.dir}`
  }

  /** Calls once as root on the UNIX socket; the items of a stream as a list. */
  async ask(method: string, ...args: readonly Value[]): Promise<string> {
    return (await this.#call(method, args)) as string
  }

  /** What AHA says of a service. */
  async entry(name: string): Promise<Entry | null> {
    return (await this.#call('getAhaSvc', [name])) as unknown as Entry | null
  }

  /** Waits until a service is online, or is not, and says how long that took. */
  async shown(name: string, isOnline: boolean, withinMs: number): Promise<number> {
    const begun = performance.now()
    for (;;) {
      const entry = await this.entry(`${name}...`)
      const tookMs = performance.now() - begun
      if ((entry?.svcinfo.online !== undefined) === isOnline) return tookMs
      if (tookMs > withinMs) throw new Error(`${name} is not ${isOnline ? 'online' : 'offline'} in time`)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  /** Runs a stock tool with a home of its own, or with that one. */
  async tool(tool: string, args: readonly string[], home?: string): Promise<ToolResult> {
    return runTool(tool, args, {home: home ?? (await this.home()), network: NETWORK})
  }

  /** An empty home. */
  async home(): Promise<string> {
    const home = await mkdtemp(join(tmpdir(), 'registry-our-aha-'))
    this.#stack.defer(() => rm(home, {recursive: true, force: true}))
    return home
  }

  /** A home with the certificate that AHA made for root. */
  async homeOfRoot(): Promise<string> {
    const home = await this.home()
    const [from, to] = [join(this.server.dir, 'certs'), join(home, '.syn', 'certs')]
    for (const file of [`cas/${NETWORK}.crt`, `users/root@${NETWORK}.crt`, `users/root@${NETWORK}.key`]) {
      await mkdir(join(to, file, '..'), {recursive: true})
      await writeFile(join(to, file), await readFile(join(from, file)))
    }
    const servers = {version: 1, 'aha:servers': [`ssl://root@${AHA_NAME}:${this.port}`]}
    await writeFile(join(home, '.syn', 'telepath.yaml'), stringify(servers))
    return home
  }

  /** Real clients that use a home. */
  async agent(home: string): Promise<SynapseAgent> {
    return this.#stack.use(await SynapseAgent.start({home, network: NETWORK}))
  }

  /** Calls once at another service; the items of a stream as a list. */
  async askAt(url: string, method: string, args: readonly Value[]): Promise<Value> {
    await using env = await withTeleEnv({dir: join(this.server.dir, 'none'), serviceDir: join(this.server.dir, 'none')})
    await using root = await env.open(url)
    return await root.call(method, {args})
  }

  #call(method: string, args: readonly Value[]): Promise<Value> {
    return this.askAt(this.cellUrl, method, args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
