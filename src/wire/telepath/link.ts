/**
 * One Telepath connection, on TCP, TLS or a UNIX socket: values in, bytes out. Both ends use it.
 *
 *     chunks ─► Decoder ─► onMessage        one after the other; while the owner holds the link none is handed out
 *     send ─► batch ─► one write per turn   an owner that sends much waits for `drained` while `isFull`
 *
 * What arrives while the link is held, or while the peer does not take what we send, stays undecoded. Beyond `pipelinedBytes` the socket is
 * no longer read, so that a peer which writes and never reads costs a bounded amount. Up to there the end of the stream is still noticed.
 */
import type {Socket} from 'node:net'
import type {Decoder} from '../msgpack/decode.ts'
import type {Value} from '../msgpack/value.ts'

/** What a link calls. One object for each link, so that a link needs no functions of its own. */
export interface LinkOwner {
  /** Takes a message. It may hold the link; otherwise the next one comes when this returns. */
  onMessage(message: Value): void
  /** Called once, when nothing comes or goes any more. The reason is absent when the peer or `close` ended the stream in order. */
  onClosed(reason: Error | undefined): void
}

/** What links share: room for messages that have not all come. */
export interface MessageRoom {
  /** Takes room, or gives it back when `bytes` is negative. Throws when there is no more, and takes none then. */
  take(bytes: number): void
}

export interface LinkOptions {
  readonly decoder: Decoder
  readonly owner: LinkOwner
  /** Asked for the bytes of a message that has not all come, when they are more than `pipelinedBytes`. */
  readonly room?: MessageRoom
  /** Most bytes that wait undecoded while the link is held; 64 KiB by default. */
  readonly pipelinedBytes?: number
}

// The peers' figures: a peer that vanished without a word is noticed after some 18 s.
const KEEP_ALIVE_IDLE_MS = 3000
const KEEP_ALIVE_INTERVAL_MS = 3000
const KEEP_ALIVE_PROBES = 5

const PIPELINED_BYTES = 64 * 1024
/** A batch of this size is written without waiting for the end of the turn. */
const BATCH_BYTES = 64 * 1024
/** How long a closed link may take to get rid of what was sent before, ms. */
const LINGER_MS = 5000

/** Sets what both ends want of a TCP connection: no delay of small writes, and probes on idle links. Does nothing on a UNIX socket. */
export function tuneSocket(socket: Socket): void {
  socket.setNoDelay(true)
  // Interval and number of probes are known to Node 24.19 and later; older ones take the system's.
  socket.setKeepAlive(true, KEEP_ALIVE_IDLE_MS, KEEP_ALIVE_INTERVAL_MS, KEEP_ALIVE_PROBES)
}

/** A connected socket that speaks Telepath. It belongs to the link from here on. */
export class Link {
  readonly #socket: Socket
  readonly #decoder: Decoder
  readonly #owner: LinkOwner
  readonly #pipelinedBytes: number
  readonly #room: MessageRoom | undefined
  #batch: Buffer[] = []
  #batchBytes = 0
  #isFlushQueued = false
  #isFull = false
  #isHeld = false
  #isPumping = false
  #isEnded = false
  /** Bytes that came in since messages were last handed out. */
  #waitingBytes = 0
  /** What was taken of the room. */
  #takenBytes = 0
  #reason: Error | undefined
  #onDrained: (() => void)[] | undefined

  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket
    this.#decoder = options.decoder
    this.#owner = options.owner
    this.#pipelinedBytes = options.pipelinedBytes ?? PIPELINED_BYTES
    this.#room = options.room
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#finish())
    socket.on('error', (error) => {
      this.#reason ??= error
    })
    socket.on('close', () => this.#onClose())
  }

  /** No more messages come from here, and none can be sent. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** The peer does not take what was sent as fast as it is sent. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Sends encoded messages, in order, together with all others of this turn of the event loop. Does nothing on a link that has ended. */
  send(bytes: Buffer): void {
    if (this.#isEnded) return
    this.#batch.push(bytes)
    this.#batchBytes += bytes.length
    if (this.#batchBytes >= BATCH_BYTES) this.flush()
    else if (!this.#isPumping && !this.#isFlushQueued) {
      this.#isFlushQueued = true
      process.nextTick(flushLink, this)
    }
  }

  /** Writes what was sent and still waits for the end of the turn. */
  flush(): void {
    this.#isFlushQueued = false
    const batch = this.#batch
    if (batch.length === 0) return
    const size = this.#batchBytes
    this.#batch = []
    this.#batchBytes = 0
    if (batch.length > 1 && size <= BATCH_BYTES) this.#write(Buffer.concat(batch, size))
    else this.#writeAll(batch)
  }

  /** Resolves when the peer has taken what was sent, or the link has ended. */
  drained(): Promise<void> {
    if (!this.#isFull || this.#isEnded) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained ??= []
      this.#onDrained.push(resolve)
    })
  }

  /** Hands out no message until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  /** Goes on after `hold`. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#pump()
    this.#takeRoom() // it only becomes less
  }

  /** Sends what waits and ends the connection; a peer that does not take it is cut off after some seconds. */
  close(): void {
    if (this.#isEnded) return
    this.flush()
    this.#finish()
  }

  /** Cuts the connection; what was not taken yet is lost. */
  destroy(reason?: Error): void {
    this.#reason ??= reason
    this.#end()
    this.#socket.destroy()
  }

  /** Lets what was written leave, then ends the connection. */
  #finish(): void {
    this.#end()
    this.#socket.destroySoon()
    if (this.#socket.destroyed) return
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy())
    this.#socket.resume()
  }

  /** Without copying what is large. */
  #writeAll(batch: readonly Buffer[]): void {
    if (batch.length > 1) this.#socket.cork()
    for (const bytes of batch) this.#write(bytes)
    if (batch.length > 1) this.#socket.uncork()
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.write(bytes)) this.#isFull = true
  }

  #end(): void {
    this.#isEnded = true
    this.#batch = []
    this.#batchBytes = 0
    if (this.#takenBytes > 0) this.#giveRoom()
    const waiting = this.#onDrained
    this.#onDrained = undefined
    if (waiting !== undefined) for (const resolve of waiting) resolve()
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnded) return
    try {
      this.#decoder.push(chunk)
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#pump()
    try {
      this.#takeRoom()
    } catch (error) {
      this.#refuse(error)
      return
    }
    if (!this.#isHeld && !this.#isFull) return
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > this.#pipelinedBytes) this.#socket.pause()
  }

  /** Has as much of the room as what has come needs. */
  #takeRoom(): void {
    if (this.#room === undefined) return
    const pending = this.#decoder.pendingBytes
    const wanted = pending > this.#pipelinedBytes ? pending : 0
    if (wanted === this.#takenBytes) return
    this.#room.take(wanted - this.#takenBytes)
    this.#takenBytes = wanted
  }

  /** Nobody will ask for the rest of a large message. */
  #giveRoom(): void {
    this.#decoder.clear()
    this.#takeRoom()
  }

  #pump(): void {
    if (this.#isPumping || this.#isFull) return
    this.#isPumping = true
    this.#handOut()
    this.#isPumping = false
    if (this.#batchBytes > 0) this.flush()
    if (this.#isHeld || this.#isFull || this.#isEnded) return
    this.#waitingBytes = 0
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  #handOut(): void {
    while (!this.#isHeld && !this.#isFull && !this.#isEnded) {
      let next: {value: Value} | undefined
      try {
        next = this.#decoder.next()
      } catch (error) {
        this.#refuse(error)
        return
      }
      if (next === undefined) return
      this.#owner.onMessage(next.value)
    }
  }

  /** Ends the link for what the peer sent; what was answered before still leaves. */
  #refuse(error: unknown): void {
    this.#reason ??= error instanceof Error ? error : new Error(String(error))
    this.close()
  }

  #onDrain(): void {
    if (this.#isEnded) return
    this.#isFull = false
    const waiting = this.#onDrained
    this.#onDrained = undefined
    if (waiting !== undefined) for (const resolve of waiting) resolve()
    this.#pump()
  }

  #onClose(): void {
    this.#end()
    this.#owner.onClosed(this.#reason)
  }
}

function flushLink(link: Link): void {
  link.flush()
}
