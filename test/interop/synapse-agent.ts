// The test's side of synapse-agent.py: the real Telepath client, driven by JSON lines.
import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {PythonProcess} from './synapse-process.ts'
import {fromAgent, toAgent} from './synapse-values.ts'

const script = new URL('synapse-agent.py', import.meta.url).pathname
const ANSWER_WITHIN_MS = 120_000

type Json = Parameters<typeof fromAgent>[0]

/** An exception of the real client: the name of its class, and its fields. */
export class SynapseError extends Error {
  readonly errname: string
  readonly info: Readonly<Record<string, Value>>

  constructor(errname: string, info: Readonly<Record<string, Value>>, what: string) {
    super(`${what}: ${errname} ${JSON.stringify(toAgent(info))}`)
    this.name = 'SynapseError'
    this.errname = errname
    this.info = info
  }
}

export interface AgentOptions {
  /** Home with `.syn/telepath.yaml` and `.syn/certs`; a new, empty one when absent. */
  readonly home?: string
  /** Network whose names are loopback. */
  readonly network?: string
}

/** `link` and `unlink`: a reconnecting client has got or lost its link; `fini`: a proxy is over. */
export interface AgentEvent {
  readonly event: 'link' | 'unlink' | 'fini'
  readonly of: string
}

/** What a proxy knows of its session. */
export interface ProxyInfo {
  readonly sess: string
  readonly ahaname: string | null
  readonly features: Readonly<Record<string, number>>
  readonly sharinfo: {
    readonly meths: Readonly<Record<string, {readonly genr?: boolean}>>
    readonly classes: readonly string[]
    readonly 'syn:version': readonly number[]
  }
  /** Links in its pool that nobody uses now. */
  readonly idle: number
  readonly isfini: boolean
}

export interface Given {
  readonly args?: readonly Value[]
  readonly kwargs?: Readonly<Record<string, Value>>
}

interface Answer {
  readonly id: number
  readonly result?: Json
  readonly error?: {readonly name: string; readonly info: Json}
}

/** A Python process with real clients, in `withTeleEnv`. */
export class SynapseAgent implements AsyncDisposable {
  readonly home: string
  readonly #ownsHome: boolean
  readonly #process: PythonProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #events: AgentEvent[] = []
  #wake: (() => void)[] = []
  #lastId = 0

  private constructor(python: PythonProcess, home: string, ownsHome: boolean) {
    this.#process = python
    this.home = home
    this.#ownsHome = ownsHome
    const {child} = python
    if (child.stdout) createInterface({input: child.stdout}).on('line', (line) => this.#take(line))
    child.on('exit', () => this.#end())
  }

  static async start(options: AgentOptions = {}): Promise<SynapseAgent> {
    const home = options.home ?? (await mkdtemp(join(tmpdir(), 'registry-synapse-agent-')))
    const python = await PythonProcess.start('synapse-agent', {args: [script], home, names: options.network})
    return new SynapseAgent(python, home, options.home === undefined)
  }

  get pid(): number {
    return this.#process.pid
  }

  /** Directory of the certificates that the clients of this process use. */
  get certs(): string {
    return join(this.home, '.syn', 'certs')
  }

  /** Opens a URL with `synapse.telepath.openurl`. */
  async open(url: string): Promise<RealProxy> {
    const name = this.#name('proxy')
    const info = (await this.send('open', {name, url, opts: {}})) as unknown as ProxyInfo
    return new RealProxy(this, name, info)
  }

  /** Makes a `synapse.telepath.Client`, which connects again and again; `open` makes the one that knows pools, for one URL. */
  async client(
    urls: string | readonly string[],
    kind: 'Client' | 'open' = 'Client',
    conf: Readonly<Record<string, number>> = {},
  ): Promise<RealObject> {
    const name = this.#name('client')
    await this.send('client', {name, urls, conf, kind})
    return new RealObject(this, name)
  }

  /**
   * Makes certificates in a directory with the functions of Synapse; steps are a kind, a name and the name of the CA that signs. RSA 2048
   * instead of 4096 bits unless said otherwise: the tests have two cores.
   */
  async makeCerts(
    path: string,
    steps: readonly (readonly [kind: 'ca' | 'host' | 'user' | 'code', name: string, signer?: string])[],
    bits = 2048,
  ): Promise<void> {
    const given = steps.map(([kind, name, signer]) => [kind, name, signer ?? null])
    await this.send('certs', {path, steps: given, bits})
  }

  /** `synapse.common.guid` of a value. */
  async guid(value: Value): Promise<string> {
    return (await this.send('guid', {value: toAgent(value)})) as string
  }

  /** How often something happened to a proxy or client up to now. */
  count(event: AgentEvent['event'], of: RealObject): number {
    return this.#events.filter((one) => one.event === event && one.of === of.name).length
  }

  /** Waits until it has happened that often. */
  async happened(event: AgentEvent['event'], of: RealObject, times = 1, withinMs = ANSWER_WITHIN_MS): Promise<void> {
    const giveUp = AbortSignal.timeout(withinMs)
    while (this.count(event, of) < times) {
      if (giveUp.aborted) throw new Error(`${of.name} had no ${event} in time\n${this.#process.log()}`)
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        giveUp.addEventListener('abort', () => resolve(), {once: true})
      })
    }
  }

  /** Sends one command and waits for its answer; an exception of the client becomes a `SynapseError`. */
  async send(op: string, command: object): Promise<Value> {
    const id = ++this.#lastId
    const what = `${op} ${JSON.stringify(command)}`
    const answer = await new Promise<Answer>((resolve) => {
      const late = setTimeout(
        () => this.#answer(lost(id, `no answer in time\n${this.#process.log()}`)),
        ANSWER_WITHIN_MS,
      )
      this.#waiting.set(id, (given) => {
        clearTimeout(late)
        resolve(given)
      })
      this.#process.child.stdin?.write(`${JSON.stringify({...command, op, id})}\n`)
      if (this.#process.hasEnded) this.#end()
    })
    if (answer.error === undefined) return fromAgent(answer.result ?? null)
    throw new SynapseError(answer.error.name, fromAgent(answer.error.info) as Record<string, Value>, what)
  }

  /** Ends the process without a word of its clients, as a crash would. */
  async kill(): Promise<void> {
    await this.#process.kill()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill()
    if (this.#ownsHome) await rm(this.home, {recursive: true, force: true})
  }

  /** Waits until the process has ended by itself. */
  async ended(): Promise<void> {
    if (!this.#process.hasEnded) await once(this.#process.child, 'exit')
  }

  #name(kind: string): string {
    return `${kind}-${++this.#lastId}`
  }

  #take(line: string): void {
    const said = JSON.parse(line) as Answer | AgentEvent | {ready: true}
    if ('id' in said) this.#answer(said)
    else if ('event' in said) {
      this.#events.push(said)
      for (const wake of this.#wake.splice(0)) wake()
    }
  }

  #answer(answer: Answer): void {
    this.#waiting.get(answer.id)?.(answer)
    this.#waiting.delete(answer.id)
  }

  #end(): void {
    for (const id of [...this.#waiting.keys()]) {
      this.#answer(lost(id, `the Python process has ended\n${this.#process.log()}`))
    }
  }
}

const lost = (id: number, mesg: string): Answer => ({id, error: {name: 'AgentLost', info: {mesg}}})

/** Something in the agent that can be called: a proxy, a share, a reconnecting client. */
export class RealObject {
  readonly agent: SynapseAgent
  /** Its name in the agent. */
  readonly name: string

  constructor(agent: SynapseAgent, name: string) {
    this.agent = agent
    this.name = name
  }

  call(method: string, given: Given = {}): Promise<Value> {
    return this.agent.send('call', {on: this.name, method, ...said(given)})
  }

  /** A call whose caller gives up after that time, as `asyncio.wait_for` does: its link is closed. */
  callWithin(seconds: number, method: string, given: Given = {}): Promise<Value> {
    return this.agent.send('call', {on: this.name, method, timeout: seconds, ...said(given)})
  }

  /** A call that is made again while there is no link, for at most that time. */
  callUntilLinked(method: string, given: Given = {}, within = 15): Promise<Value> {
    return this.agent.send('retry', {on: this.name, method, within, ...said(given)})
  }

  /** So many calls at once. What failed is `{error: {name, info}}`. */
  async callMany(count: number, method: string, given: Given = {}): Promise<readonly Value[]> {
    return (await this.agent.send('many', {on: this.name, method, count, ...said(given)})) as Value[]
  }

  /** The items of a stream: all, or so many and then the loop is left by `break`. */
  async items(method: string, given: Given = {}, take?: number): Promise<readonly Value[]> {
    const items = await this.agent.send('items', {on: this.name, method, take: take ?? null, ...said(given)})
    return items as Value[]
  }

  /** A stream that is read item by item. */
  async iterate(method: string, given: Given = {}): Promise<RealStream> {
    const keep = `${this.name}.${method}.${Math.random()}`
    await this.agent.send('iterate', {on: this.name, method, keep, ...said(given)})
    return new RealStream(this.agent, keep)
  }

  /** A call that answers with a share; what that says of itself is its `sharinfo`. */
  async share(method: string, given: Given = {}): Promise<RealObject & {readonly sharinfo: ProxyInfo['sharinfo']}> {
    const keep = `${this.name}.${method}.${Math.random()}`
    const sharinfo = await this.agent.send('call', {on: this.name, method, keep, ...said(given)})
    return Object.assign(new RealObject(this.agent, keep), {sharinfo: sharinfo as unknown as ProxyInfo['sharinfo']})
  }

  /** `fini`: a proxy closes its session, a share is given up. */
  async close(): Promise<void> {
    await this.agent.send('fini', {on: this.name})
  }
}

/** A proxy of `openurl`. */
export class RealProxy extends RealObject {
  /** What it knew when it was opened. */
  readonly info: ProxyInfo

  constructor(agent: SynapseAgent, name: string, info: ProxyInfo) {
    super(agent, name)
    this.info = info
  }

  /** From now on it calls in the session of another one, on links of its own: what a thief would do. */
  async takeSessionOf(other: RealProxy): Promise<void> {
    await this.agent.send('take_session', {on: this.name, of: other.name})
  }

  /** What it knows now. */
  async look(): Promise<ProxyInfo> {
    return (await this.agent.send('info', {on: this.name})) as unknown as ProxyInfo
  }
}

/** An open stream of the real client. */
export class RealStream {
  readonly #agent: SynapseAgent
  readonly #name: string

  constructor(agent: SynapseAgent, name: string) {
    this.#agent = agent
    this.#name = name
  }

  /** The next items; a `SynapseError` named `StopAsyncIteration` when there are not so many. */
  async next(count = 1): Promise<readonly Value[]> {
    return (await this.#agent.send('next', {on: this.#name, count})) as Value[]
  }

  /** `aclose`: leaves the stream, whose link is closed. */
  async leave(): Promise<void> {
    await this.#agent.send('leave', {on: this.#name})
  }
}

const said = ({args = [], kwargs = {}}: Given) => ({args: toAgent(args), kwargs: toAgent(kwargs)})
