// A client of websockets that can also send what no good client sends.
import {once} from 'node:events'
import type {TLSSocket} from 'node:tls'
import {Recorder} from './recorder.ts'

const TEXT = 1
const CLOSE = 8

interface Frame {
  readonly opcode: number
  readonly payload: Buffer
}

export class TestWebsocket {
  readonly socket: TLSSocket
  readonly #rest: Buffer
  #recorder: Recorder<Frame> | undefined

  private constructor(socket: TLSSocket, rest: Buffer) {
    this.socket = socket
    socket.on('error', () => undefined)
    this.#rest = rest
  }

  /** Upgrades a connection; throws the first line of the answer when it is not done. */
  static async open(
    socket: TLSSocket,
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TestWebsocket> {
    const all = {
      host: '127.0.0.1',
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    let read = Buffer.alloc(0)
    while (!read.includes('\r\n\r\n')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      read = Buffer.concat([read, chunk])
    }
    socket.pause()
    const end = read.indexOf('\r\n\r\n') + 4
    const [first = ''] = read.toString('latin1').split('\r\n')
    if (!first.startsWith('HTTP/1.1 101')) throw new Error(first)
    return new TestWebsocket(socket, read.subarray(end))
  }

  /** Nothing is read before somebody asks for what came. */
  get #frames(): Recorder<Frame> {
    this.#recorder ??= new Recorder(readFrames(this.socket, this.#rest))
    return this.#recorder
  }

  sendText(text: string): void {
    this.sendFrame(TEXT, Buffer.from(text))
  }

  sendFrame(opcode: number, payload: Buffer): void {
    const mask = Buffer.from([1, 2, 3, 4])
    const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))
    this.socket.write(Buffer.concat([head(0x80 | opcode, payload.length), mask, masked]))
  }

  /** Says that a frame is that long, and sends none of it. */
  announce(length: number): void {
    this.socket.write(head(0x80 | TEXT, length))
  }

  /** Gives the message that was sent as number `index`. */
  async message(index: number): Promise<unknown> {
    let seen = -1
    const isWanted = ({opcode}: Frame) => {
      if (opcode === TEXT) seen += 1
      return opcode === TEXT && seen === index
    }
    await this.#frames.until(() => {
      seen = -1
      return this.#frames.seen.some(isWanted)
    })
    const texts = this.#frames.seen.filter(({opcode}) => opcode === TEXT)
    return JSON.parse(texts[index]?.payload.toString('utf8') ?? 'null')
  }

  /** Gives the code of the closing frame. */
  async closed(): Promise<number> {
    const {payload} = await this.#frames.until(({opcode}) => opcode === CLOSE)
    return payload.length < 2 ? 1005 : payload.readUInt16BE(0)
  }
}

/** A masked frame's first bytes; servers take no others. */
function head(first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, 0x80 | length])
  const long = Buffer.alloc(10)
  long[0] = first
  long[1] = 0x80 | 127
  long.writeBigUInt64BE(BigInt(length), 2)
  return long
}

async function* readFrames(socket: TLSSocket, rest: Buffer): AsyncGenerator<Frame> {
  let read = rest
  for await (const chunk of socket) {
    read = Buffer.concat([read, chunk as Buffer])
    for (;;) {
      const found = frameIn(read)
      if (found === undefined) break
      yield found
      read = read.subarray(found.end)
    }
  }
}

function frameIn(bytes: Buffer): (Frame & {readonly end: number}) | undefined {
  if (bytes.length < 2) return undefined
  const short = (bytes[1] ?? 0) & 0x7f
  const start = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < start) return undefined
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  const end = start + length
  if (bytes.length < end) return undefined
  return {opcode: (bytes[0] ?? 0) & 0x0f, payload: Buffer.from(bytes.subarray(start, end)), end}
}
