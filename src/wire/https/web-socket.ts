import type {WebSocket} from 'ws'
import type {HttpsWebsocket} from './messages.ts'

const TOO_SLOW = 1013
const NOT_TEXT = 1003
/** How long a client may take to answer our closing frame, ms. */
const CLOSE_MS = 1000

/** A websocket of `ws` as `HttpsWebsocket`. */
export class OpenWebsocket implements HttpsWebsocket {
  readonly #socket: WebSocket
  readonly #backlogBytes: number

  constructor(socket: WebSocket, backlogBytes: number) {
    this.#socket = socket
    this.#backlogBytes = backlogBytes
    // The end of it all is `close`, which comes after an error too (bad frames, too large, cut).
    socket.on('error', () => undefined)
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  send(value: unknown): void {
    if (!this.isOpen) return
    if (this.#socket.bufferedAmount > this.#backlogBytes) this.#end(TOO_SLOW, 'what was sent is not taken')
    else this.#socket.send(JSON.stringify(value))
  }

  onMessage(listener: (text: string) => void): void {
    this.#socket.on('message', (data, isBinary) => {
      // `ws` gives a Buffer, and has checked that text is UTF-8.
      if (isBinary || !Buffer.isBuffer(data)) this.#end(NOT_TEXT, 'text only')
      else listener(data.toString('utf8'))
    })
  }

  onClosed(listener: () => void): void {
    this.#socket.once('close', listener)
  }

  close(code: 1000 | 1008, reason: string): void {
    this.#end(code, reason)
  }

  #end(code: number, reason: string): void {
    this.#socket.close(code, reason)
    const cut = setTimeout(() => this.#socket.terminate(), CLOSE_MS)
    this.#socket.once('close', () => clearTimeout(cut))
  }
}
