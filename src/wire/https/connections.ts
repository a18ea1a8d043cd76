import type {ServerResponse} from 'node:http'
import type {Server} from 'node:https'
import {Socket} from 'node:net'
import type {HttpsLimits} from './messages.ts'
import {addressGroup, plainAddress} from './remote-address.ts'

export interface ConnectionOptions {
  readonly limits: Pick<HttpsLimits, 'connections' | 'connectionsPerAddress'>
  /** All clients come from the addresses of proxies: only the number of all connections is limited. */
  readonly isBehindProxy: boolean
  readonly onRefused: (address: string, why: string) => void
}

/** Counts the connections of a server before TLS begins, refuses what is beyond the limits, and can cut all that are left. */
export class Connections {
  readonly #options: ConnectionOptions
  readonly #open = new Set<Socket>()
  /** Those without a request under way, also during the TLS handshake, by `address port` of the client. */
  readonly #idle = new Map<string, Socket>()
  readonly #byAddress = new Map<string, number>()

  constructor(server: Server, options: ConnectionOptions) {
    this.#options = options
    // Before the listener of node:tls, which begins the handshake.
    server.prependListener('connection', (socket) => {
      if (socket instanceof Socket) this.#admit(socket)
    })
    server.on('request', (request, response) => this.#noteRequest(request.socket, response))
    server.on('upgrade', (_request, socket) => {
      if (socket instanceof Socket) this.#idle.delete(endOf(socket))
    })
    // Before the listener of node:https, which takes the address away with the connection.
    server.prependListener('tlsClientError', (error, socket) => {
      // A refused connection also comes here, without an address; it was counted.
      if (socket.remoteAddress !== undefined) options.onRefused(plainAddress(socket.remoteAddress), reasonOf(error))
    })
  }

  /** Number of connections that are open. */
  get size(): number {
    return this.#open.size
  }

  /** Cuts those without a request under way. node:http does not count one that has sent nothing yet as idle. */
  cutIdle(): void {
    for (const socket of this.#idle.values()) socket.destroy()
  }

  /** Cuts all. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  /** `socket` is the TLS end of a connection that is counted by its TCP end. */
  #noteRequest(socket: Socket, response: ServerResponse): void {
    const end = endOf(socket)
    const counted = this.#idle.get(end)
    if (counted === undefined) return
    this.#idle.delete(end)
    response.once('close', () => {
      if (this.#open.has(counted)) this.#idle.set(end, counted)
    })
  }

  #admit(socket: Socket): void {
    const {limits, isBehindProxy, onRefused} = this.#options
    const address = socket.remoteAddress ?? ''
    const group = addressGroup(address)
    const ofGroup = this.#byAddress.get(group) ?? 0
    const isFull = this.#open.size >= limits.connections
    if (isFull || (!isBehindProxy && ofGroup >= limits.connectionsPerAddress)) {
      onRefused(plainAddress(address), isFull ? 'too many connections' : 'too many connections of one address')
      socket.destroy()
      return
    }
    const end = endOf(socket)
    this.#open.add(socket)
    this.#idle.set(end, socket)
    this.#byAddress.set(group, ofGroup + 1)
    socket.once('close', () => {
      this.#open.delete(socket)
      if (this.#idle.get(end) === socket) this.#idle.delete(end)
      const left = (this.#byAddress.get(group) ?? 1) - 1
      if (left === 0) this.#byAddress.delete(group)
      else this.#byAddress.set(group, left)
    })
  }
}

function endOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function reasonOf(error: Error & {readonly code?: string}): string {
  return error.code ?? error.message
}
