import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {Daemon} from '../../../src/wire/telepath/daemon.ts'
import type {DaemonLimits} from '../../../src/wire/telepath/limits.ts'
import type {Greet} from '../../../src/wire/telepath/share.ts'
import {greetDemo} from './demo.ts'
import {RawLink} from './raw-link.ts'
import {silentLog} from './silent-log.ts'

/** A daemon on TCP and on a UNIX socket, and links to it. */
export class Served implements AsyncDisposable {
  readonly daemon: Daemon
  readonly port: number
  readonly path: string
  /** What it logged. */
  readonly lines: string[]
  readonly #directory: string
  readonly #links: RawLink[] = []

  private constructor(daemon: Daemon, port: number, directory: string, lines: string[]) {
    this.daemon = daemon
    this.port = port
    this.path = join(directory, 'sock')
    this.lines = lines
    this.#directory = directory
  }

  static async start(options: {greet?: Greet; limits?: Partial<DaemonLimits>} = {}): Promise<Served> {
    const lines: string[] = []
    const {greet = greetDemo, limits = {}} = options
    const daemon = new Daemon({greet, limits, log: silentLog(lines), synapseVersion: [2, 256, 0]})
    const {port} = await daemon.listenTcp({host: '127.0.0.1', port: 0})
    const served = new Served(daemon, port, await mkdtemp(join(tmpdir(), 'registry-tele-')), lines)
    await daemon.listenUnix(served.path)
    return served
  }

  /** Opens a link over TCP. */
  async link(): Promise<RawLink> {
    const link = await RawLink.open(this.port)
    this.#links.push(link)
    return link
  }

  /** Opens a link over the UNIX socket, which the daemon takes for another peer. */
  async unixLink(): Promise<RawLink> {
    const link = await RawLink.open(this.path)
    this.#links.push(link)
    return link
  }

  /** Opens a session. */
  async session(name?: string): Promise<{readonly control: RawLink; readonly sess: string}> {
    const control = await this.link()
    return {control, sess: await control.greet(name)}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link[Symbol.dispose]()
    await this.daemon.stop({graceMs: 0})
    await rm(this.#directory, {recursive: true})
  }
}
