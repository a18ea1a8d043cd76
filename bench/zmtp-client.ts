// A DEALER or SUB on the wire without libzmq: a load client must cost less than the server that it measures. ZMTP 3.0, NULL, no identity.
import {connect, type Socket} from 'node:net'

const MORE = 1
const LONG = 2
const COMMAND = 4
const GREETING_BYTES = 64

/** Encodes one message, to be sent as often as wanted. */
export function encodeMessage(frames: readonly string[]): Buffer {
  const parts = frames.flatMap((text, i) => {
    const body = Buffer.from(text)
    return [frameHead(body.length, i < frames.length - 1 ? MORE : 0), body]
  })
  return Buffer.concat(parts)
}

function frameHead(length: number, flags: number): Buffer {
  if (length < 256) return Buffer.from([flags, length])
  const head = Buffer.alloc(9)
  head[0] = flags | LONG
  head.writeBigUInt64BE(BigInt(length), 1)
  return head
}

function greeting(): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES)
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0])
  bytes.write('NULL', 12)
  return bytes
}

function ready(type: SocketType): Buffer {
  const value = `${String.fromCharCode(type.length)}${type}`
  const body = Buffer.from(`\x05READY\x0bSocket-Type\0\0\0${value}\x08Identity\0\0\0\0`, 'latin1')
  return Buffer.concat([Buffer.from([COMMAND, body.length]), body])
}

/** Encodes a subscription, which a SUB sends as a message. */
export function encodeSubscription(topic: string): Buffer {
  return encodeMessage([`\x01${topic}`])
}

export type SocketType = 'DEALER' | 'SUB'

export interface ZmtpOptions {
  readonly host: string
  readonly port: number
  /** DEALER when absent. */
  readonly type?: SocketType
  /** Called once. */
  readonly onReady: () => void
  /** Called for each message, with its last frame. */
  readonly onMessage: (lastFrame: Buffer) => void
}

/** One connection. */
export class ZmtpClient {
  readonly #socket: Socket
  readonly #options: ZmtpOptions
  /** What has come of a frame that is not whole yet, and how much there must be before looking again is worth it. */
  #chunks: Buffer[] = []
  #gathered = 0
  #wanted = GREETING_BYTES
  #isGreeted = false

  constructor(options: ZmtpOptions) {
    const {host, port, type = 'DEALER'} = options
    this.#options = options
    this.#socket = connect({host, port, noDelay: true})
    this.#socket.write(Buffer.concat([greeting(), ready(type)]))
    this.#socket.on('data', (chunk) => this.#take(chunk))
  }

  send(message: Buffer): void {
    this.#socket.write(message)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#gathered += chunk.length
    if (this.#gathered < this.#wanted) return
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#gathered)
    if (!this.#isGreeted) {
      this.#isGreeted = true
      bytes = bytes.subarray(GREETING_BYTES)
    }
    this.#wanted = 0
    const rest = bytes.subarray(this.#takeFrames(bytes))
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#gathered = rest.length
  }

  /** Handles the whole frames in `bytes`; gives the place where the first incomplete one begins. */
  #takeFrames(bytes: Buffer): number {
    let at = 0
    while (bytes.length - at >= 2) {
      const flags = bytes[at] as number
      const isLong = (flags & LONG) !== 0
      if (isLong && bytes.length - at < 9) break
      const start = at + (isLong ? 9 : 2)
      const end = start + (isLong ? Number(bytes.readBigUInt64BE(at + 1)) : (bytes[at + 1] as number))
      if (bytes.length < end) {
        this.#wanted = end - at
        break
      }
      at = end
      if ((flags & COMMAND) !== 0) this.#options.onReady()
      else if ((flags & MORE) === 0) this.#options.onMessage(bytes.subarray(start, end))
    }
    return at
  }
}
