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

  private constructor(holders: readonly [ChildProcess, ChildProcess]) {
    this.#holders = holders
  }

  /** Throws where the machine allows no namespaces, or has no `unshare`, `nsenter` or `ip`. */
  static async start(): Promise<TwoHosts> {
    const holders: ChildProcess[] = []
    try {
      const first = await hold(['unshare', '--user', '--map-root-user', '--net'])
      holders.push(first)
      const second = await hold([...enter(first), 'unshare', '--net'])
      holders.push(second)
      const hosts = new TwoHosts([first, second])
      await hosts.#lay()
      return hosts
    } catch (cause) {
      for (const holder of holders) holder.kill('SIGKILL')
      const why = 'two hosts with a cable cannot be made here, so that nothing can be said of one that vanishes'
      throw new Error(`${why}: it takes user and network namespaces, and unshare, nsenter and ip (${cause})`, {cause})
    }
  }

  /** What a command that is to run on a host begins with. */
  on(host: Host): readonly string[] {
    return enter(this.#holders[host])
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
    for (const holder of this.#holders) {
      holder.kill('SIGKILL')
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit')
    }
  }
}

const enter = (holder: ChildProcess) => [
  'nsenter',
  '--target',
  `${holder.pid}`,
  '--user',
  '--net',
  '--preserve-credentials',
]

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
