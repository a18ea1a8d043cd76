// One process of the real Synapse, in a process group of its own, on loopback, with a home of its own.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {synapsePython} from '../../scripts/peers.ts'

const loopback = new URL('loopback', import.meta.url).pathname
const LOG_LENGTH = 200_000
const STOPS_WITHIN_MS = 60_000

export interface PythonOptions {
  /** What comes after `python`. */
  readonly args: readonly string[]
  /** HOME, and the directory to work in. */
  readonly home: string
  /** Names that are on loopback, with commas between. */
  readonly names?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** A command that becomes the process with its last arguments, for instance on a host of its own. */
  readonly inside?: readonly string[] | undefined
  /** Whether the process reports on file descriptor 3. */
  readonly reports?: boolean
}

const logs = new Map<string, () => string>()

/** What each peer of this process wrote, by its name. */
export const logsOfPeers: ReadonlyMap<string, () => string> = logs

/** A Python with Synapse. Disposing kills its whole process group. */
export class PythonProcess implements AsyncDisposable {
  readonly child: ChildProcess
  #log = ''

  private constructor(child: ChildProcess, name: string) {
    this.child = child
    const take = (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_LENGTH)
    }
    child.stderr?.setEncoding('utf8').on('data', take)
    child.on('error', (error) => take(String(error)))
    child.stdin?.on('error', (error) => take(`standard input: ${error}\n`))
    logs.set(`${name} (process ${child.pid})`, () => this.#log)
  }

  static async start(name: string, options: PythonOptions): Promise<PythonProcess> {
    const env = {
      ...process.env,
      ...options.env,
      HOME: options.home,
      SYN_DIR: `${options.home}/.syn`,
      PYTHONPATH: loopback,
      PYTHONUNBUFFERED: '1',
      PEER_NAMES: options.names ?? '',
    }
    const [command = '', ...args] = [...(options.inside ?? []), await synapsePython(), ...options.args]
    const child = spawn(command, args, {
      env,
      cwd: options.home,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', ...(options.reports ? ['pipe' as const] : [])],
    })
    return new PythonProcess(child, name)
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** What it wrote to standard error, at most the last 200 000 characters. */
  log(): string {
    return this.#log
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined
  }

  /** Asks it to stop (SIGTERM) and gives its exit status; null when it had to be killed, after a minute or `withinMs`. */
  async stop(withinMs = STOPS_WITHIN_MS): Promise<number | null> {
    if (!this.hasEnded) {
      this.child.kill('SIGTERM')
      await once(this.child, 'exit', {signal: AbortSignal.timeout(withinMs)}).catch(() => undefined)
    }
    await this.kill()
    return this.child.exitCode
  }

  /** Kills its process group, and waits until it has ended. */
  async kill(): Promise<void> {
    if (this.pid > 0) {
      try {
        process.kill(-this.pid, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    if (!this.hasEnded) await once(this.child, 'exit')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}
