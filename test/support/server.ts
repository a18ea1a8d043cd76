// Runs the built registry as a process of its own: in its own directory, on ports of its own, on loopback.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {lastingPorts} from './lasting-port.ts'

const launcher = new URL('../../bin/registry', import.meta.url).pathname
/** A clone does much before it is ready, and machines may be busy. */
const READY_WITHIN_MS = 150_000
const STOPPED_WITHIN_MS = 150_000
const SAID_WITHIN_MS = 150_000
const POLL_MS = 10

export interface Ports {
  readonly req: number
  readonly pub: number
  readonly hb: number
  /** Second request port, for clients that want `REP` as the type of an answer; null when there is none. */
  readonly rep: number | null
}

export interface ServerOptions {
  /** Written to `cell.yaml` of the directory before the first start. */
  readonly conf?: Readonly<Record<string, unknown>>
  /** Opens the second request port as well. */
  readonly rep?: boolean
  /** Opens the HTTPS port as well; run.json says which. */
  readonly https?: boolean
  /** More arguments of `serve`, after the directory and the ports. */
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** ZeroMQ ports that are kept free for it; some that nobody is given while it is down when absent. */
  readonly ports?: Ports
  /** A directory with data, to be taken over; a new one when absent. */
  readonly dir?: string
  /** Gives a command, for the directory, that becomes the server's with its last arguments (`sh -c 'limit; exec "$@"' sh`). */
  readonly wrapper?: (dir: string) => readonly string[]
}

/** A server that a test can stop, kill and start again; it keeps its ports. Disposing ends it and removes its directory. */
export interface TestServer extends AsyncDisposable {
  readonly dir: string
  readonly ports: Ports
  /** Of the process that runs now, or ran last. */
  readonly pid: number
  /** Asks it to stop (SIGTERM) and returns its exit status, null when a signal ended it. */
  stop(): Promise<number | null>
  /** Ends it without warning (SIGKILL). */
  kill(): Promise<void>
  /** Starts it again on the same directory and ports, after `stop` or `kill` or its own end. */
  start(): Promise<void>
  restart(): Promise<void>
  /** Waits until it has ended by itself and returns its exit status. */
  ended(): Promise<number | null>
  /** What it wrote so far to standard output and standard error, of all its runs. */
  output(): string
  /** Resolves as soon as it has written a text so many times, in all of its runs. */
  said(text: string, times?: number): Promise<void>
}

/** How one kind of server is started: its command line, and how it is known to be ready. */
export interface ServerKind {
  readonly command: string
  args(dir: string, ports: Ports): readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** The ports when the process is ready to answer, undefined before that. */
  ready(dir: string, pid: number, ports: Ports): Promise<Ports | undefined>
}

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'registry-server-')))
  const lines = Object.entries(options.conf ?? {}).map(([key, value]) => `"${key}": ${JSON.stringify(value)}\n`)
  await writeFile(join(dir, 'cell.yaml'), lines.join(''), {mode: 0o600})
  const [command = launcher, ...before] = [...(options.wrapper?.(dir) ?? []), launcher]
  const kind: ServerKind = {
    command,
    args: (directory, ports) => [
      ...before,
      ...['serve', directory, '--zmq-req-port', `${ports.req}`],
      ...['--zmq-pub-port', `${ports.pub}`, '--zmq-hb-port', `${ports.hb}`],
      ...(ports.rep === null ? [] : ['--zmq-rep-port', `${ports.rep}`]),
      ...['--https', options.https ? '0' : 'null'],
      ...(options.args ?? []),
    ],
    env: {...process.env, ...options.env},
    // Seen as the process sees it: a wrapper may have mounted a file system of its own there.
    ready: async (directory, pid) => portsOfRun(join(`/proc/${pid}/root`, directory, 'run.json'), pid),
  }
  return startProcess(kind, dir, options.ports ?? (await portsFor(options)))
}

async function portsFor({rep: hasRep}: ServerOptions): Promise<Ports> {
  const [req = 0, pub = 0, hb = 0, rep = 0] = await lastingPorts(hasRep ? 4 : 3)
  return {req, pub, hb, rep: hasRep ? rep : null}
}

/** Starts any kind of server in `dir`, which is removed with it. */
export async function startProcess(kind: ServerKind, dir: string, ports: Ports): Promise<TestServer> {
  const server = new ServerProcess(kind, dir, ports)
  try {
    await server.start()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

class ServerProcess implements TestServer {
  readonly dir: string
  readonly #kind: ServerKind
  #ports: Ports
  #child: ChildProcess | undefined
  #output = ''
  readonly #listening = new Set<() => void>()

  constructor(kind: ServerKind, dir: string, ports: Ports) {
    this.#kind = kind
    this.dir = dir
    this.#ports = ports
  }

  get ports(): Ports {
    return this.#ports
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async start(): Promise<void> {
    const child = spawn(this.#kind.command, this.#kind.args(this.dir, this.#ports), {
      cwd: this.dir,
      env: this.#kind.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const take = (text: string) => {
      this.#output += text
      for (const look of this.#listening) look()
    }
    child.stdout?.setEncoding('utf8').on('data', take)
    child.stderr?.setEncoding('utf8').on('data', take)
    child.on('error', (error) => take(`${error}`))
    const giveUpAt = performance.now() + READY_WITHIN_MS
    for (;;) {
      const ports = await this.#kind.ready(this.dir, this.pid, this.#ports)
      if (ports) {
        this.#ports = ports
        return
      }
      if (hasEnded(child)) throw new Error(`the server ended before it was ready:\n${this.#output}`)
      if (performance.now() > giveUpAt) throw new Error(`the server is not ready in time:\n${this.#output}`)
      await delay(POLL_MS)
    }
  }

  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM')
    return this.ended()
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.ended()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async ended(): Promise<number | null> {
    const child = this.#child
    if (!child) return null
    if (!hasEnded(child)) await once(child, 'exit', {signal: AbortSignal.timeout(STOPPED_WITHIN_MS)})
    return child.exitCode
  }

  output(): string {
    return this.#output
  }

  async said(text: string, times = 1): Promise<void> {
    const {promise, resolve, reject} = Promise.withResolvers<void>()
    const look = () => {
      if (this.#output.split(text).length > times) resolve()
    }
    const bound = setTimeout(
      () => reject(new Error(`it did not say ${text} in time:\n${this.#output}`)),
      SAID_WITHIN_MS,
    )
    this.#listening.add(look)
    look()
    await promise.finally(() => {
      clearTimeout(bound)
      this.#listening.delete(look)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.dir, {recursive: true, force: true})
  }
}

const hasEnded = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined

/** The ports in `run.json`, once the process with this id has written it. */
async function portsOfRun(path: string, pid: number): Promise<Ports | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  if (!text.endsWith('}') && !text.endsWith('}\n')) return undefined
  const run = JSON.parse(text) as {readonly pid: number; readonly zeromq: Ports}
  return run.pid === pid ? {...run.zeromq, rep: run.zeromq.rep ?? null} : undefined
}
