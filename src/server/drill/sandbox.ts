/**
 * Runs a service that must reach nobody, and that must not outlive this process.
 *
 * The service has a network of its own where the system allows that, with nothing but a loopback interface; its UNIX socket is reached from outside all the
 * same, for that is a file. A shell beside it holds the other end of a pipe from here: when this process ends, however it ends, the pipe does,
 * and the shell kills the whole process group.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {messageOf} from '../../base/errors.ts'
import {bareVariables} from '../../config/environment.ts'

/** The command runs with these arguments, in the background; the group ends with the pipe on standard input. */
const LIFELINE = `exec 3<&0 </dev/null
"$@" 3<&- &
service=$!
{ read -r _ <&3; kill -KILL 0; } &
watch=$!
exec 3<&-
wait "$service"
status=$?
kill -KILL "$watch"
exit "$status"`
const WITH_LOOPBACK = 'ip link set lo up && exec "$@"'
/** Processes too: when the service ends, all that it started does. */
const NAMESPACES = ['--net', '--pid', '--fork', '--kill-child'] as const
/** The first is for root, the second where everybody may make namespaces. */
const UNSHARES: readonly (readonly string[])[] = [
  ['unshare', ...NAMESPACES],
  ['unshare', '--user', '--map-root-user', ...NAMESPACES],
]
/** The end of what a service writes, for the report. */
const OUTPUT_CHARS = 64 * 1024

/** How services are kept apart here. */
export interface Sandbox {
  /** A command that becomes the service with its last arguments; empty without a network of its own. */
  readonly inside: readonly string[]
  readonly hasOwnNetwork: boolean
  /** Says what it does, for people. */
  readonly protection: string
}

/** Finds out what the system allows, by trying it. */
export async function findSandbox(signal: AbortSignal): Promise<Sandbox> {
  for (const unshare of UNSHARES) {
    const inside = [...unshare, '--', 'sh', '-c', WITH_LOOPBACK, 'sh']
    await using trial = SandboxedProcess.start({command: [...inside, 'true'], cwd: '/', variables: {}})
    if ((await trial.ended(signal)) !== 0) continue
    const protection = 'a network of its own: nothing but this machine’s loopback interface, made for it alone'
    return {inside, hasOwnNetwork: true, protection}
  }
  const protection = 'no network of its own: this system lets nobody here make one (unshare)'
  return {inside: [], hasOwnNetwork: false, protection}
}

export interface SandboxedOptions {
  readonly command: readonly string[]
  readonly cwd: string
  /** All that it knows of the environment besides paths and language. */
  readonly variables: Readonly<Record<string, string>>
}

/** A process that ends with this one. Disposing kills it and all that it started. */
export class SandboxedProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<number>
  #output = ''
  #status: number | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
    const take = (text: string) => {
      this.#output = (this.#output + text).slice(-OUTPUT_CHARS)
    }
    child.stdout?.setEncoding('utf8').on('data', take)
    child.stderr?.setEncoding('utf8').on('data', take)
    child.stdin?.on('error', () => undefined) // it ended before the pipe did
    child.on('error', (error) => take(messageOf(error)))
    this.#ended = statusOf(child).then((status) => {
      this.#status = status
      return status
    })
  }

  static start({command, cwd, variables}: SandboxedOptions): SandboxedProcess {
    return new SandboxedProcess(
      spawn('sh', ['-c', LIFELINE, 'sh', ...command], {
        cwd,
        env: bareVariables(variables),
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    )
  }

  /** The end of what it wrote. */
  get output(): string {
    return this.#output.trimEnd()
  }

  /** Its exit status; undefined while it runs. */
  get status(): number | undefined {
    return this.#status
  }

  /** Waits for its end and gives its exit status. Throws the reason of the signal. */
  async ended(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const {promise, reject} = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    try {
      return await Promise.race([this.#ended, promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // When the shell is gone its number may be that of another process; what it started was killed with it, or has ended.
    if (this.#status === undefined) killGroup(this.#child)
    await this.#ended
  }
}

function killGroup({pid}: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended in this moment.
  }
}

/** 127 when there is no shell. Waits for its output as well. */
async function statusOf(child: ChildProcess): Promise<number> {
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    return code ?? 137
  } catch {
    return 127
  }
}
