import {once} from 'node:events'
import {connect, type Socket} from 'node:net'
import {Decoder} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'

/** A client that says what it is told, right or wrong, and keeps what it hears. */
export class RawLink implements Disposable {
  readonly socket: Socket
  readonly #decoder = new Decoder({maxBytes: 2 ** 32}, {exact: true})
  readonly #messages: Value[] = []
  /** All bytes that came. */
  readonly received: Buffer[] = []
  #wake: (() => void) | undefined
  #isEnded = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received.push(chunk)
      this.#decoder.push(chunk)
      for (let next = this.#decoder.next(); next !== undefined; next = this.#decoder.next())
        this.#messages.push(next.value)
      this.#wake?.()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isEnded = true
      this.#wake?.()
    })
  }

  static async open(to: number | string): Promise<RawLink> {
    const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to)
    const link = new RawLink(socket)
    await once(socket, 'connect')
    return link
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  send(...messages: Value[]): void {
    this.write(Buffer.concat(messages.map((message) => Buffer.from(encode(message)))))
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Gives the next message; throws when the link ends without one. */
  async next(): Promise<Value> {
    while (this.#messages.length === 0) {
      if (this.#isEnded) throw new Error('the link has ended')
      await this.#change()
    }
    return this.#messages.shift()
  }

  /** Resolves when the server has closed; gives the messages that came and were not asked for. */
  async ended(): Promise<readonly Value[]> {
    while (!this.#isEnded) await this.#change()
    return this.#messages
  }

  /** Opens a session; gives its id. */
  async greet(name = 'demo', more: Record<string, Value> = {}): Promise<string> {
    this.send(['tele:syn', {vers: [3, 0], name, ...more}])
    const [, body] = (await this.next()) as [string, Record<string, Value>]
    const {sess} = body
    if (typeof sess !== 'string') throw new Error(`refused: ${JSON.stringify(body['retn'])}`)
    return sess
  }

  /** Calls a method; gives the body of the answer. */
  async call(
    sess: string,
    method: string,
    args: Value[] = [],
    name: string | null = null,
  ): Promise<Record<string, Value>> {
    this.send(callMessage(sess, method, args, name))
    return bodyOf(await this.next())
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

export function callMessage(sess: Value, method: Value, args: Value = [], name: Value = null): Value {
  return ['t2:init', {todo: [method, args, {}], name, sess}]
}

export function bodyOf(message: Value): Record<string, Value> {
  return (message as [string, Record<string, Value>])[1]
}

/** Name of the error in a body. */
export function errorOf(body: Record<string, Value>): Value {
  const retn = body['retn'] as [boolean, [string, Value]]
  return retn[0] ? undefined : retn[1][0]
}
