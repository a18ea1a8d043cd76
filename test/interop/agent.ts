// The test's side of agent.py: real CGSE clients, driven by JSON lines.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {installedPeer, type PeerVersion, peerEnvironment} from '../../scripts/peers.ts'
import type {Ports} from '../support/server.ts'

const script = new URL('agent.py', import.meta.url).pathname
const ANSWER_WITHIN_MS = 120_000

export type Kind = 'async' | 'sync'
export type Json = null | boolean | number | string | Json[] | {[key: string]: Json}
type Kwargs = Readonly<Record<string, unknown>>

/** What a client saw: an event of the registry, or a line of its log. */
export type Seen =
  | {readonly event: string; readonly data: {readonly [key: string]: Json}}
  | {readonly log: string; readonly level: string}

interface Answer {
  readonly id: number
  readonly result?: Json
  readonly error?: string
}

/** A Python process with clients of one release. */
export class Agent implements AsyncDisposable {
  readonly version: PeerVersion
  readonly #child: ChildProcess
  readonly #home: string
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #seen: Seen[] = []
  #wake: (() => void)[] = []
  #errors = ''
  #lastId = 0

  private constructor(version: PeerVersion, child: ChildProcess, home: string) {
    this.version = version
    this.#child = child
    this.#home = home
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    if (child.stdout) createInterface({input: child.stdout}).on('line', (line) => this.#take(line))
    child.on('exit', () => this.#end())
    child.stdin?.on('error', () => this.#end())
  }

  /** Starts the process; `ports` become the defaults of its clients where the release has a setting for them. */
  static async start(version: PeerVersion, ports?: Ports): Promise<Agent> {
    const home = await mkdtemp(join(tmpdir(), 'registry-agent-'))
    const settings = join(home, 'settings.yaml')
    await writeFile(settings, ports ? settingsText(ports) : '{}\n')
    const env = peerEnvironment(home, settings)
    const child = spawn(await installedPeer(version), [script], {env, cwd: home, stdio: 'pipe'})
    return new Agent(version, child, home)
  }

  /** Makes a client of the release that talks to those ports. It is not connected yet. */
  async client(kind: Kind, ports: Ports, kwargs: Kwargs = {}): Promise<PeerClient> {
    const client = `client-${++this.#lastId}`
    const endpoints = {
      registry_req_endpoint: `tcp://127.0.0.1:${ports.req}`,
      registry_sub_endpoint: `tcp://127.0.0.1:${ports.pub}`,
      ...(this.version === '0.7.3' ? {} : {registry_hb_endpoint: `tcp://127.0.0.1:${ports.hb}`}),
    }
    await this.send({op: 'new', client, kind, kwargs: {...endpoints, ...kwargs}})
    return new PeerClient(this, client, kind)
  }

  /** Calls a function of the release by its full name. */
  use(name: string, args: readonly unknown[] = [], kwargs: Kwargs = {}): Promise<Json> {
    return this.send({op: 'use', function: name, args, kwargs})
  }

  /** Everything that the clients of this process saw up to now, in order. */
  get seen(): readonly Seen[] {
    return this.#seen
  }

  /** Events of one type, in order. */
  events(type: string): readonly {readonly [key: string]: Json}[] {
    return this.#seen.flatMap((one) => ('event' in one && one.event === type ? [one.data] : []))
  }

  /** Waits for the first event of a type from `from` on (an index into `seen`) that fits, and returns its data. */
  async event(
    type: string,
    fits: (data: {readonly [key: string]: Json}) => boolean = () => true,
    from = 0,
  ): Promise<{readonly [key: string]: Json}> {
    const found = await this.#wait(
      (one) => 'event' in one && one.event === type && fits(one.data),
      from,
      `event ${type}`,
    )
    return (found as {data: {readonly [key: string]: Json}}).data
  }

  /** Waits until a client has logged a line with that text. */
  async logged(text: string, from = 0): Promise<void> {
    await this.#wait((one) => 'log' in one && one.log.includes(text), from, `the log line "${text}"`)
  }

  /** Sends one command and waits for its answer; an exception of the client becomes an error here. */
  async send(command: object): Promise<Json> {
    const id = ++this.#lastId
    const what = JSON.stringify(command)
    const answer = await new Promise<Answer>((resolve) => {
      const late = setTimeout(() => this.#answer({id, error: 'no answer in time'}), ANSWER_WITHIN_MS)
      this.#waiting.set(id, (given) => {
        clearTimeout(late)
        resolve(given)
      })
      this.#child.stdin?.write(`${JSON.stringify({args: [], kwargs: {}, ...command, id})}\n`)
      if (this.#child.exitCode !== null) this.#end()
    })
    if (answer.error !== undefined) throw new Error(`${what}: ${answer.error}\n${this.#errors}`)
    return answer.result ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(this.#home, {recursive: true, force: true})
  }

  async #wait(fits: (one: Seen) => boolean, from: number, what: string): Promise<Seen> {
    const giveUp = AbortSignal.timeout(ANSWER_WITHIN_MS)
    for (;;) {
      const found = this.#seen.slice(from).find(fits)
      if (found) return found
      if (giveUp.aborted)
        throw new Error(`no client saw ${what}; seen at last: ${JSON.stringify(this.#seen.slice(from).slice(-20))}`)
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        giveUp.addEventListener('abort', () => resolve(), {once: true})
      })
    }
  }

  #take(line: string): void {
    const said = JSON.parse(line) as Answer | Seen | {ready: true}
    if ('id' in said) this.#answer(said)
    else if (!('ready' in said)) {
      this.#seen.push(said)
      for (const wake of this.#wake.splice(0)) wake()
    }
  }

  #answer(answer: Answer): void {
    this.#waiting.get(answer.id)?.(answer)
    this.#waiting.delete(answer.id)
  }

  #end(): void {
    for (const id of this.#waiting.keys()) this.#answer({id, error: 'the Python process has ended'})
  }
}

/** One client object of the release. Results are what its methods return. */
export class PeerClient {
  readonly kind: Kind
  readonly #agent: Agent
  readonly #name: string

  constructor(agent: Agent, name: string, kind: Kind) {
    this.#agent = agent
    this.#name = name
    this.kind = kind
  }

  call(method: string, kwargs: Kwargs = {}): Promise<Json> {
    return this.#agent.send({op: 'call', client: this.#name, method, kwargs})
  }

  /** Sends a request through the client's own connection, for actions that have no method of their own. */
  request(request: object, kind: 'REQUEST_WITH_REPLY' | 'REQUEST_NO_REPLY' = 'REQUEST_WITH_REPLY'): Promise<Json> {
    return this.#agent.send({op: 'request', client: this.#name, kind, request})
  }

  /** Registers handlers for these events and starts the client's event listener (asynchronous clients). */
  async listen(types: readonly string[]): Promise<void> {
    await this.#agent.send({op: 'listen', client: this.#name, types})
  }

  /** Takes the next event from the client's socket, null when there is none (synchronous clients). */
  takeEvent(timeoutMs: number): Promise<Json> {
    return this.#agent.send({op: 'take_event', client: this.#name, timeout_ms: timeoutMs})
  }

  /** Enters the client's context manager, or the one that the named method returns. */
  enter(manager: string | null = null, kwargs: Kwargs = {}): Promise<Json> {
    return this.#agent.send({op: 'enter', client: this.#name, manager, kwargs})
  }

  async leave(manager: string | null = null): Promise<void> {
    await this.#agent.send({op: 'leave', client: this.#name, manager})
  }
}

export const settingsText = (ports: Ports) =>
  `Service Registry:\n  REQUESTER_PORT: ${ports.req}\n  PUBLISHER_PORT: ${ports.pub}\n  HEARTBEAT_PORT: ${ports.hb}\n`
