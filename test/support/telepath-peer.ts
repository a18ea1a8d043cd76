// A Telepath server that does what a test says, also what no server should do.
import {once} from 'node:events'
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net'
import {dial} from '../../src/client/telepath/dial.ts'
import {Decoder} from '../../src/wire/msgpack/decode.ts'
import {encode} from '../../src/wire/msgpack/encode.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Dial} from '../../src/wire/telepath/call-link.ts'

/** A connection of a client. */
export class PeerLink {
  readonly number: number
  readonly socket: Socket
  readonly received: Value[] = []
  /** Resolves when the client has closed. */
  readonly closed: Promise<void>

  constructor(number: number, socket: Socket) {
    this.number = number
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    // A client may go without a word.
    socket.on('error', () => undefined)
  }

  send(...messages: readonly Value[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => encode(message))))
  }

  sendRaw(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Writes messages one byte at a time. */
  async sendBytewise(...messages: readonly Value[]): Promise<void> {
    for (const byte of Buffer.concat(messages.map((message) => encode(message)))) {
      await new Promise<void>((resolve) => this.socket.write(Buffer.of(byte), () => setImmediate(resolve)))
    }
  }
}

export type TelepathScript = (message: Value, link: PeerLink) => void | Promise<void>

/** `[type, body]` of a message. */
export function partsOf(message: Value): readonly [type: string, body: Record<string, Value>] {
  return message as unknown as [string, Record<string, Value>]
}

/** The answer to a good greeting. */
export const WELCOME: Value = welcome([])

function welcome(methods: readonly string[]): Value {
  const meths = {add: {}, count: {genr: true}, ...Object.fromEntries(methods.map((name) => [name, {}]))}
  return [
    'tele:syn',
    {
      vers: [3, 0],
      retn: [true, null],
      ahainfo: {name: '00.probe.loop.test'},
      features: {tellready: 1},
      sharinfo: {meths, classes: ['a.Probe'], 'syn:version': [2, 256, 0]},
      sess: '5e55'.repeat(8),
    },
  ]
}

/** Answers greetings; calls go to the function. */
export function welcoming(onCall: TelepathScript, methods: readonly string[] = []): TelepathScript {
  const first = welcome(methods)
  return (message, link) => (partsOf(message)[0] === 'tele:syn' ? link.send(first) : onCall(message, link))
}

export class TelepathPeer implements AsyncDisposable {
  readonly #server: Server
  readonly #script: TelepathScript
  readonly links: PeerLink[] = []

  /** On a port of loopback, or on a UNIX socket. */
  static async start(
    script: TelepathScript,
    onConnect: (link: PeerLink) => void = () => undefined,
    place: number | string = 0,
  ): Promise<TelepathPeer> {
    const peer = new TelepathPeer(script, onConnect)
    if (typeof place === 'string') peer.#server.listen(place)
    else peer.#server.listen(place, '127.0.0.1')
    await once(peer.#server, 'listening')
    return peer
  }

  private constructor(script: TelepathScript, onConnect: (link: PeerLink) => void) {
    this.#script = script
    this.#server = createServer((socket) => {
      const link = new PeerLink(this.links.length + 1, socket)
      this.links.push(link)
      onConnect(link)
      this.#read(link).catch((error) => socket.destroy(error))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}/probe`
  }

  /** For `openProxy`. */
  get dial(): Dial {
    const place = {kind: 'tcp', host: '127.0.0.1', port: this.port, share: ''} as const
    return (signal) => dial(place, undefined, 'the peer', signal)
  }

  /** Cuts all connections. */
  cut(): void {
    for (const {socket} of this.links) socket.destroy()
  }

  /** All that came, in order of the links. */
  get received(): readonly Value[] {
    return this.links.flatMap(({received}) => received)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #read(link: PeerLink): Promise<void> {
    const decoder = new Decoder({maxBytes: 2 ** 27}, {exact: true})
    for await (const chunk of link.socket) {
      decoder.push(chunk as Buffer)
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        link.received.push(next.value)
        await this.#script(next.value, link)
      }
    }
  }
}
