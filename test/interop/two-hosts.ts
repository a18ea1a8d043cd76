// Two hosts with a cable between them, on this machine: network namespaces that a user may make for himself. What runs there sees the same files
// and shares nothing of the network.
import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {once} from 'node:events'
import {text} from 'node:stream/consumers'
import {promisify} from 'node:util'

const run = promisify(execFile)

/** Addresses that are for documentation, and lead nowhere. */
const ADDRESSES = ['192.0.2.1', '192.0.2.2'] as const
const ENDS = ['cable0', 'cable1'] as const
type Host = 0 | 1

/** Disposing takes both down; what runs there is to be ended before. */
export class TwoHosts implements AsyncDisposable {
  readonly addresses = ADDRESSES
  readonly #holders: readonly [ChildProcess, ChildProcess]
  readonly #isUser: boolean

  private constructor(holders: readonly [ChildProcess, ChildProcess], isUser: boolean) {
    this.#holders = holders
    this.#isUser = isUser
  }

  /** Throws where the machine allows no namespaces, or has no `unshare`, `nsenter` or `ip`. */
  static async start(): Promise<TwoHosts> {
    const troubles: unknown[] = []
    for (const isUser of process.getuid?.() === 0 ? [false, true] : [true]) {
      const hosts = await TwoHosts.#make(isUser).catch((trouble: unknown) => void troubles.push(trouble))
      if (hosts) return hosts
    }
    const why = 'two hosts with a cable cannot be made here, so that nothing can be said of one that vanishes'
    throw new Error(`${why}: it takes network namespaces, and unshare, nsenter and ip (${troubles.join('; ')})`)
  }

  /** A user may make a network for himself only where he is root, in a namespace of users of his own. */
  static async #make(isUser: boolean): Promise<TwoHosts> {
    await using stack = new AsyncDisposableStack()
    const first = stack.adopt(await hold(['unshare', ...(isUser ? ['--user', '--map-root-user'] : []), '--net']), end)
    const second = stack.adopt(await hold([...enter(first, isUser), 'unshare', '--net']), end)
    const hosts = new TwoHosts([first, second], isUser)
    await hosts.#lay()
    stack.move()
    return hosts
  }

  /** What a command that is to run on a host begins with. */
  on(host: Host): readonly string[] {
    return enter(this.#holders[host], this.#isUser)
  }

  /** Takes the cable out of a host, which can say nothing more then. */
  async cut(host: Host): Promise<void> {
    await this.#ip(host, 'link', 'set', ENDS[host], 'down')
  }

  async mend(host: Host): Promise<void> {
    await this.#ip(host, 'link', 'set', ENDS[host], 'up')
  }

  async #lay(): Promise<void> {
    await this.#ip(
      0,
      'link',
      'add',
      ENDS[0],
      'type',
      'veth',
      'peer',
      'name',
      ENDS[1],
      'netns',
      `${this.#holders[1].pid}`,
    )
    for (const host of [0, 1] as const) {
      await this.#ip(host, 'address', 'add', `${ADDRESSES[host]}/30`, 'dev', ENDS[host])
      for (const end of ['lo', ENDS[host]]) await this.#ip(host, 'link', 'set', end, 'up')
    }
  }

  async #ip(host: Host, ...args: readonly string[]): Promise<void> {
    const [command = '', ...before] = this.on(host)
    await run(command, [...before, 'ip', ...args])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const holder of this.#holders) await end(holder)
  }
}

const enter = (holder: ChildProcess, isUser: boolean) => [
  ...['nsenter', '--target', `${holder.pid}`, '--net'],
  ...(isUser ? ['--user', '--preserve-credentials'] : []),
]

async function end(holder: ChildProcess): Promise<void> {
  holder.kill('SIGKILL')
  if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit')
}

/** Starts a process that does nothing but hold its namespaces, until it is killed or the test ends. */
async function hold(command: readonly string[]): Promise<ChildProcess> {
  const [name = '', ...args] = [...command, 'sh', '-c', 'echo ready; exec cat']
  const holder = spawn(name, args, {stdio: ['pipe', 'pipe', 'pipe']})
  const said = text(holder.stderr)
  const isReady = await Promise.race([
    once(holder.stdout, 'data').then(() => true),
    once(holder, 'close').then(() => false),
  ])
  if (!isReady) throw new Error(`${name}: ${(await said).trim()}`)
  return holder
}
