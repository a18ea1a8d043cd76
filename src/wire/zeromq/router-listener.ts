import {Router} from 'zeromq'
import type {Frame, Listener, ListenOptions} from './listener.ts'
import {bindSocket, closeSocket, isIpv6, SERVER_SOCKET} from './open-socket.ts'
import {Peers} from './peers.ts'

/** How long replies may take to leave when the listener closes, ms. */
const LINGER_MS = 400

/**
 * Opens a listener on zeromq.js.
 *
 * A message costs about what a bare echo costs, because nothing here waits: each is handed on as soon as it is read, and after 512 that
 * were read in one go zeromq.js itself lets the event loop run.
 *
 * @throws RegistryError `REG_LISTEN_FAILED` when the port is taken or the address is not one of this machine.
 */
export async function listen<State>(options: ListenOptions<State>): Promise<Listener> {
  const {address, limits} = options
  const socket = new Router({
    ...SERVER_SOCKET,
    // Without it libzmq drops in silence; with it a send that cannot be done is rejected, and counted.
    mandatory: true,
    // A peer that comes back keeps its id. Without it libzmq ignores the new link for good as long as it believes that the old one lives:
    // after a cut cable, and in one of seven cases after a quick close and connect.
    handover: true,
    maxMessageSize: limits.messageBytes,
    sendHighWaterMark: limits.hwm,
    receiveHighWaterMark: limits.hwm,
    handshakeInterval: limits.handshakeMs,
    ipv6: isIpv6(address),
  })
  const port = await bindSocket(socket, address)
  return new RouterListener(socket, port, options)
}

class RouterListener<State> implements Listener {
  readonly port: number
  readonly #socket: Router
  readonly #options: ListenOptions<State>
  readonly #peers: Peers<State>
  readonly #onDropped = (): void => {
    this.#dropped++
  }
  #dropped = 0
  #isPaused = false
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(socket: Router, port: number, options: ListenOptions<State>) {
    this.#socket = socket
    this.port = port
    this.#options = options
    this.#peers = new Peers(options.limits, (message) => this.#send(message))
    this.#read().catch((error) => {
      if (!this.#isPaused) options.onFailed(error)
    })
  }

  get dropped(): number {
    return this.#dropped
  }

  // Connections stay open: zeromq.js cannot stop listening without cutting them (unbind), which would lose the replies.
  pause(): void {
    this.#isPaused = true
  }

  close(): Promise<void> {
    this.pause()
    this.#isClosed = true
    this.#closing ??= closeSocket(this.#socket, LINGER_MS)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #read(): Promise<void> {
    const {onMessage, onRefused} = this.#options
    for (;;) {
      const frames = await this.#socket.receive()
      if (this.#isPaused) return
      const routingId = frames.shift()
      if (routingId === undefined) continue
      const peer = this.#peers.get(routingId)
      if (peer.admit()) onMessage(peer, frames)
      else onRefused(peer, frames, 'rate')
    }
  }

  #send(message: Frame[]): void {
    if (this.#isClosed) this.#dropped++
    else this.#socket.send(message as Buffer[]).catch(this.#onDropped)
  }
}
