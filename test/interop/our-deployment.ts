// A whole deployment of real Synapse services on our registry as their AHA, made with the stock tools: an Axon and a JSONStor, and when asked
// for a Cortex that uses them, its mirror and a Cryotank. Everything is on loopback.
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {type Entry, NETWORK, OurAha} from './our-aha.ts'
import type {SynapseAgent} from './synapse-agent.ts'
import {type SynapseKind, type SynapseOptions, SynapseService, type ToolResult} from './synapse-world.ts'

const NAMES = new URL('synapse-names.ts', import.meta.url).pathname
const ONLINE_WITHIN_MS = 120_000
const PAUSE_MS = 20

export interface DeploymentOptions {
  /** Starts `00.cortex`, which uses `aha://axon...` and `aha://jsonstor...`. */
  readonly cortex?: boolean
  /** Starts `01.cortex`, a mirror of `cortex`. */
  readonly mirror?: boolean
  /** Starts `00.cryotank`. */
  readonly cryotank?: boolean
  /** More configuration of our server. */
  readonly conf?: Readonly<Record<string, unknown>>
}

export interface ProvisionedOptions extends SynapseOptions {
  /** More arguments of the stock tool that makes the one-time URL, for instance `--mirror cortex`. */
  readonly asked?: readonly string[]
}

/** Our server and the services that were provisioned by its one-time URLs, all with names below `loop.test`. Disposing kills all of them. */
export class OurDeployment implements AsyncDisposable {
  readonly aha: OurAha
  /** A home with the certificate of `root@loop.test`, an administrator everywhere, and with the URL of our server. */
  readonly home: string
  readonly #stack: AsyncDisposableStack
  readonly #services = new Map<string, SynapseService>()

  private constructor(aha: OurAha, home: string, stack: AsyncDisposableStack) {
    this.aha = aha
    this.home = home
    this.#stack = stack
  }

  /** Resolves when all of them are online and ready. About 5 s; with a Cortex 10 s, with a mirror 15 s. */
  static async start({cortex, mirror, cryotank, conf}: DeploymentOptions = {}): Promise<OurDeployment> {
    await using guard = new AsyncDisposableStack()
    const stack = guard.use(new AsyncDisposableStack())
    const aha = stack.use(await OurAha.start(conf))
    const net = new OurDeployment(aha, await aha.homeOfRoot(), stack)
    const started = await Promise.allSettled([
      net.service('axon', '00.axon'),
      net.service('jsonstor', '00.jsonstor'),
      // It starts without the two and finds them later.
      ...(cortex || mirror ? [net.cortex('00.cortex')] : []),
      ...(cryotank ? [net.service('cryotank', '00.cryotank')] : []),
    ])
    for (const one of started) if (one.status === 'rejected') throw one.reason
    if (mirror) await net.cortex('01.cortex', ['--mirror', 'cortex'])
    guard.move()
    return net
  }

  /** A service of that relative name, `00.axon`. */
  of(name: string): SynapseService {
    const service = this.#services.get(name)
    if (!service) throw new Error(`${name} is not part of this deployment`)
    return service
  }

  /** Provisions and starts a service, and waits until it is online and ready, under its alias as well unless it is a mirror. */
  async service(
    kind: SynapseKind,
    name: string,
    {asked = [], ...options}: ProvisionedOptions = {},
  ): Promise<SynapseService> {
    const url = await this.onceUrl(name, asked)
    const conf = {'aha:provision': url, ...options.conf}
    const service = this.#stack.use(await SynapseService.start(kind, {...options, network: NETWORK, conf}))
    this.#services.set(name, service)
    const alias = asked.includes('--mirror') ? [] : name.split('.').slice(1)
    for (const one of [name, ...alias]) await this.until(one, isUp)
    return service
  }

  /** Provisions and starts a Cortex that uses the Axon and the JSONStor. */
  cortex(name: string, asked: readonly string[] = []): Promise<SynapseService> {
    return this.service('cortex', name, {asked, conf: {axon: 'aha://axon...', jsonstor: 'aha://jsonstor...'}})
  }

  /** A one-time URL for a service, from the stock tool. */
  async onceUrl(name: string, asked: readonly string[] = []): Promise<string> {
    return this.#said('aha.provision.service', ['--url', this.aha.cellUrl, '--only-url', ...asked, name])
  }

  /** Enrolls a user with the stock tools and gives his home. */
  async enroll(name: string): Promise<string> {
    const home = await this.aha.home()
    const url = await this.#said('aha.provision.user', ['--url', this.aha.cellUrl, '--only-url', name])
    await this.#said('aha.enroll', [url], home)
    return home
  }

  /** Runs a stock tool (`service.promote`) to its end, with the home of root or another one. */
  tool(tool: string, args: readonly string[], home = this.home): Promise<ToolResult> {
    return this.aha.tool(tool, args, home)
  }

  /** Runs our own built command line, which finds names of the network as the services do. */
  registry(args: readonly string[], home = this.home): Promise<CliResult> {
    const env = {HOME: home, SYN_DIR: `${home}/.syn`, PEER_NAMES: NETWORK, NODE_OPTIONS: `--import=${NAMES}`}
    return runCli(args, {env})
  }

  /** Real clients, with the home of root or another one. */
  agent(home = this.home): Promise<SynapseAgent> {
    return this.aha.agent(home)
  }

  /** Calls a service once as root on its UNIX socket. */
  ask(name: string, method: string, ...args: readonly Value[]): Promise<Value> {
    return this.aha.askAt(this.of(name).cellUrl, method, args)
  }

  /** Waits until what our server says of a service is as wanted, and gives that. */
  async until(name: string, isWanted: (entry: Entry | null) => boolean, withinMs = ONLINE_WITHIN_MS): Promise<Entry> {
    const giveUpAt = performance.now() + withinMs
    for (;;) {
      const entry = await this.aha.entry(`${name}...`)
      if (entry && isWanted(entry)) return entry
      if (performance.now() > giveUpAt) throw new Error(`${name} is not as wanted in time: ${JSON.stringify(entry)}`)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  async #said(tool: string, args: readonly string[], home?: string): Promise<string> {
    const {status, stdout, stderr} = await this.tool(tool, args, home)
    if (status !== 0) throw new Error(`${tool} ended with ${status}: ${stdout}\n${stderr}`)
    return stdout.trim()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** Whether a service is online and takes calls. */
export const isUp = (entry: Entry | null): boolean => entry?.svcinfo.online !== undefined && entry.svcinfo.ready
/** Whether a service is offline. */
export const isDown = (entry: Entry | null): boolean => entry?.svcinfo.online === undefined
