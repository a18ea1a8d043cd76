// What lies between servers: a proxy for each of their ports, which can be cut and mended. Servers are told of it by `test/support/weather-child.ts`.
import {once} from 'node:events'
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'

const HOST = '127.0.0.1'

/** A proxy for each port of some servers. */
export class Wire implements AsyncDisposable {
  readonly #lines: readonly Line[]

  private constructor(lines: readonly Line[]) {
    this.#lines = lines
  }

  static async lay(ports: readonly number[]): Promise<Wire> {
    return new Wire(await Promise.all(ports.map((port) => Line.lay(port))))
  }

  /** Where to connect to instead, by port. */
  get ports(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#lines.map(({port, proxyPort}) => [port, proxyPort]))
  }

  /** Ends all connections, and lets no new ones through. */
  cut(): void {
    for (const line of this.#lines) line.cut()
  }

  /** Carries nothing any more, without a word to anybody. */
  mute(): void {
    for (const line of this.#lines) line.mute()
  }

  mend(): void {
    for (const line of this.#lines) line.mend()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const line of this.#lines) await line.end()
  }
}

class Line {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #state: 'whole' | 'cut' | 'mute' = 'whole'

  private constructor(port: number) {
    this.port = port
    this.#server = createServer((near) => this.#join(near))
  }

  static async lay(port: number): Promise<Line> {
    const line = new Line(port)
    await once(line.#server.listen(0, HOST), 'listening')
    return line
  }

  get proxyPort(): number {
    return (this.#server.address() as AddressInfo).port
  }

  cut(): void {
    this.#state = 'cut'
    this.#drop()
  }

  mute(): void {
    this.#state = 'mute'
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.pause()
    }
  }

  /** What was muted does not come to life again: it ends. */
  mend(): void {
    if (this.#state === 'mute') this.#drop()
    this.#state = 'whole'
  }

  async end(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(near: Socket): void {
    near.on('error', () => undefined)
    if (this.#state === 'cut') {
      near.resetAndDestroy()
      return
    }
    this.#keep(near)
    if (this.#state === 'mute') return
    const far = connect(this.port, HOST)
    this.#keep(far)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true)
      from.pipe(to)
      from.on('close', () => this.#onClosed(to))
    }
  }

  /** While it is mute the other side does not hear of the end either. */
  #onClosed(other: Socket): void {
    if (this.#state !== 'mute') other.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #drop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** Looks again and again, until it is so. */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await delay(10)
}
