// Real Synapse services for tests: single ones, and a whole AHA network with services that were provisioned by one-time URLs. All of them on
// loopback, each with a home and a process group of its own.
import {once} from 'node:events'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {text} from 'node:stream/consumers'
import {parse, stringify} from 'yaml'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type AgentOptions, type RealProxy, SynapseAgent} from './synapse-agent.ts'
import {PythonProcess} from './synapse-process.ts'

const script = new URL('synapse-service.py', import.meta.url).pathname
const READY_WITHIN_MS = 120_000
const TOOL_WITHIN_MS = 120_000

/** `cell` has the API that all services have and nothing else; `probe` has the methods in synapse-service.py beside it. */
export type SynapseKind = 'aha' | 'axon' | 'cell' | 'cortex' | 'cryotank' | 'jsonstor' | 'probe'

export interface SynapseOptions {
  /** For `cell.yaml` of the directory. Without `dmon:listen` it is `tcp://127.0.0.1:0`; without `https:port` there is no HTTPS. */
  readonly conf?: Readonly<Record<string, unknown>>
  /** URLs to listen on beside `dmon:listen`. */
  readonly also?: readonly string[]
  /** Network whose names are loopback. */
  readonly network?: string
  /** Length of the RSA keys that it makes; 2048 when absent. Synapse itself makes 4096, which takes up to five seconds each. */
  readonly keyBits?: number
  /** Prepares the data directory before the first start, for instance its `certs`. */
  readonly prepare?: (dir: string) => Promise<void>
  readonly env?: Readonly<Record<string, string>>
  /** A command that becomes the service with its last arguments. */
  readonly inside?: readonly string[]
}

/** Where a service listens. */
export interface SynapsePorts {
  /** Of `dmon:listen`. */
  readonly telepath: number
  /** Of `also`, in its order. */
  readonly also: readonly number[]
  readonly https: number | null
  /** Of the provisioning listener of AHA. */
  readonly provision: number | null
}

/** A real service that can be stopped, killed and started again on the same ports. Disposing kills it and removes its directory. */
export class SynapseService implements AsyncDisposable {
  readonly kind: SynapseKind
  readonly dir: string
  readonly #home: string
  readonly #options: SynapseOptions
  #process: PythonProcess | undefined
  #ports: SynapsePorts | undefined

  private constructor(kind: SynapseKind, home: string, options: SynapseOptions) {
    this.kind = kind
    this.dir = join(home, 'cell')
    this.#home = home
    this.#options = options
  }

  static async start(kind: SynapseKind, options: SynapseOptions = {}): Promise<SynapseService> {
    const home = await mkdtemp(join(tmpdir(), `registry-${kind}-`))
    const service = new SynapseService(kind, home, options)
    try {
      await mkdir(service.dir, {mode: 0o700})
      await options.prepare?.(service.dir)
      await service.start()
    } catch (error) {
      await service[Symbol.asyncDispose]()
      throw error
    }
    return service
  }

  get ports(): SynapsePorts {
    if (!this.#ports) throw new Error(`${this.kind} has not been started`)
    return this.#ports
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** URL of its UNIX socket, where everybody is root. */
  get cellUrl(): string {
    return `cell://${this.dir}`
  }

  /** URL of `dmon:listen` when that is a plain one; root's password is that of `auth:passwd`. */
  get tcpUrl(): string {
    const passwd = this.#options.conf?.['auth:passwd']
    return `tcp://root${passwd === undefined ? '' : `:${passwd}`}@127.0.0.1:${this.ports.telepath}/`
  }

  /** What it wrote to its log, of the run that is on or was last. */
  log(): string {
    return this.#process?.log() ?? ''
  }

  /** Starts it again, after `stop` or `kill`. Resolves when all its listeners are open. */
  async start(): Promise<void> {
    await writeFile(join(this.dir, 'cell.yaml'), stringify(await this.#conf()), {mode: 0o600})
    const {also = [], keyBits = 2048, network, env, inside} = this.#options
    const urls = also.map((url, i) => withPort(url, this.#ports?.also[i]))
    const args = [script, this.kind, '--key-bits', `${keyBits}`, ...urls.flatMap((url) => ['--also', url]), this.dir]
    const python = await PythonProcess.start(this.kind, {
      args,
      home: this.#home,
      names: network,
      env,
      inside,
      reports: true,
    })
    this.#process = python
    python.child.stdout?.resume()
    const report = python.child.stdio[3]
    if (!report || !('read' in report)) throw new Error('there is no pipe for the report')
    const lines = createInterface({input: report})
    const signal = AbortSignal.timeout(READY_WITHIN_MS)
    const line = once(lines, 'line', {signal}).catch(() => undefined)
    const [first] = (await Promise.race([line, once(lines, 'close').then(() => undefined)])) ?? []
    if (first === undefined) {
      await python.kill()
      throw new Error(
        `${this.kind} ${signal.aborted ? 'is not ready in time' : 'ended before it was ready'}\n${python.log()}`,
      )
    }
    this.#ports = JSON.parse(first) as SynapsePorts
  }

  /** Asks it to stop (SIGTERM); null when it had to be killed because it did not within a minute, or `withinMs`. */
  async stop(withinMs?: number): Promise<number | null> {
    return (await this.#process?.stop(withinMs)) ?? null
  }

  /** Kills it and the workers that it started. */
  async kill(): Promise<void> {
    await this.#process?.kill()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#home, {recursive: true, force: true})
  }

  /** After the first start the file says the ports that it had then. */
  async #conf(): Promise<Readonly<Record<string, unknown>>> {
    const {conf = {}} = this.#options
    const given: Record<string, unknown> = {'health:sysctl:checks': false, 'https:port': null, ...conf}
    // A provisioned service has its listener from AHA.
    if (!('aha:provision' in given)) given['dmon:listen'] ??= 'tcp://127.0.0.1:0'
    const ports = this.#ports
    if (!ports) return given
    const stored = await readFile(join(this.dir, 'cell.yaml'), 'utf8')
    const now: Record<string, unknown> = {...parse(stored)}
    now['dmon:listen'] = withPort(String(now['dmon:listen']), ports.telepath)
    if (ports.https !== null) now['https:port'] = ports.https
    if (ports.provision !== null) now['provision:listen'] = withPort(String(now['provision:listen']), ports.provision)
    return now
  }
}

/** The URL of a listener with that port in place of 0. */
function withPort(url: string, port: number | undefined): string {
  return port === undefined ? url : url.replace(/^(\w+:\/\/[^/?]*:)0(?=[/?]|$)/, `$1${port}`)
}

export interface ToolResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ToolOptions {
  /** Home with `.syn`. */
  readonly home: string
  readonly network?: string | undefined
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a stock tool (`service.moduser` is `python -m synapse.tools.service.moduser`) to its end. */
export async function runTool(tool: string, args: readonly string[], options: ToolOptions): Promise<ToolResult> {
  await using python = await PythonProcess.start(tool, {
    args: ['-m', `synapse.tools.${tool}`, ...args],
    home: options.home,
    names: options.network,
    env: options.env,
  })
  const {child} = python
  if (!child.stdout) throw new Error(`${tool} has no output`)
  child.stdin?.end(options.input ?? '')
  const signal = AbortSignal.timeout(TOOL_WITHIN_MS)
  const [stdout] = await Promise.all([text(child.stdout), once(child, 'close', {signal})]).catch((cause) => {
    throw new Error(`${tool} did not end in time\n${python.log()}`, {cause})
  })
  return {status: child.exitCode, stdout, stderr: python.log()}
}

export interface NetworkOptions {
  /** For the configuration of AHA. */
  readonly conf?: Readonly<Record<string, unknown>>
  readonly keyBits?: number
}

/** A real AHA with a TLS listener and provisioning, and what was provisioned by it. Its names are `aha.<network>` and below. */
export class AhaNetwork implements AsyncDisposable {
  readonly network: string
  readonly aha: SynapseService
  readonly #admin: SynapseAgent
  readonly #stack: AsyncDisposableStack
  readonly #keyBits: number | undefined

  private constructor(
    network: string,
    stack: AsyncDisposableStack,
    aha: SynapseService,
    admin: SynapseAgent,
    keyBits?: number,
  ) {
    this.network = network
    this.aha = aha
    this.#stack = stack
    this.#admin = admin
    this.#keyBits = keyBits
  }

  static async start(network = 'loop.test', options: NetworkOptions = {}): Promise<AhaNetwork> {
    await using stack = new AsyncDisposableStack()
    const name = `aha.${network}`
    const conf = {
      'aha:network': network,
      'dns:name': name,
      'dmon:listen': `ssl://0.0.0.0:0?hostname=${name}&ca=${network}`,
      'provision:listen': `ssl://0.0.0.0:0?hostname=${name}`,
      ...options.conf,
    }
    const keys = options.keyBits === undefined ? {} : {keyBits: options.keyBits}
    const aha = stack.use(await SynapseService.start('aha', {conf, network, ...keys}))
    const admin = stack.use(await SynapseAgent.start({network}))
    return new AhaNetwork(network, stack.move(), aha, admin, options.keyBits)
  }

  /** A one-time URL for a service, from AHA itself; `info` as `addAhaSvcProv` takes it (`conf`, `mirror`, `dmon:port`, `https:port`). */
  provisionUrl(name: string, info: {readonly [key: string]: Value} = {}): Promise<string> {
    return this.#ask('addAhaSvcProv', [name, info])
  }

  /** A one-time URL for a user. */
  enrollUrl(name: string, again = false): Promise<string> {
    return this.#ask('addAhaUserEnroll', [name, {}, again])
  }

  /** Starts a real service that is provisioned by a one-time URL, and waits until AHA lists it as online. */
  async service(kind: SynapseKind, name: string, options: SynapseOptions = {}): Promise<SynapseService> {
    const url = await this.provisionUrl(name)
    const {network} = this
    const keys = this.#keyBits === undefined ? {} : {keyBits: this.#keyBits}
    const service = await SynapseService.start(kind, {
      ...keys,
      ...options,
      network,
      conf: {'aha:provision': url, ...options.conf},
    })
    this.#stack.use(service)
    await this.online(name)
    return service
  }

  /** Waits until a service of that name is online. */
  async online(name: string, withinMs = READY_WITHIN_MS): Promise<void> {
    const giveUpAt = performance.now() + withinMs
    await using admin = await this.#open()
    for (;;) {
      const entry = (await admin.proxy.call('getAhaSvc', {args: [`${name}...`]})) as Entry | null
      if (entry?.svcinfo.online) return
      if (performance.now() > giveUpAt) throw new Error(`${name} is not online in time\n${this.aha.log()}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Enrolls a user with the stock tool and gives its home, with certificates and `telepath.yaml`. */
  async enroll(name: string): Promise<string> {
    const home = await mkdtemp(join(tmpdir(), 'registry-synapse-home-'))
    this.#stack.defer(() => rm(home, {recursive: true, force: true}))
    const {status, stdout, stderr} = await runTool('aha.enroll', [await this.enrollUrl(name)], {
      home,
      network: this.network,
    })
    if (status !== 0) throw new Error(`aha.enroll ended with ${status}: ${stdout}\n${stderr}`)
    return home
  }

  /** A process with real clients in that home. */
  async agent(options: Omit<AgentOptions, 'network'> = {}): Promise<SynapseAgent> {
    return this.#stack.use(await SynapseAgent.start({...options, network: this.network}))
  }

  async #ask(method: string, args: readonly Value[]): Promise<string> {
    await using admin = await this.#open()
    return (await admin.proxy.call(method, {args})) as string
  }

  async #open(): Promise<AsyncDisposable & {readonly proxy: RealProxy}> {
    const proxy = await this.#admin.open(this.aha.cellUrl)
    return {proxy, [Symbol.asyncDispose]: () => proxy.close()}
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

interface Entry {
  readonly svcinfo: {readonly online?: string | null}
}
