import type {Server} from 'node:https'
import {Socket} from 'node:net'
import type {TLSSocket} from 'node:tls'
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
  /** Those that have not finished the TLS handshake, by `address port` of the client. */
  readonly #unproven = new Map<string, Socket>()
  readonly #byAddress = new Map<string, number>()

  constructor(server: Server, options: ConnectionOptions) {
    this.#options = options
    // Before the listener of node:tls, which begins the handshake.
    server.prependListener('connection', (socket) => {
      if (socket instanceof Socket) this.#admit(socket)
    })
    server.on('secureConnection', (socket) => this.#unproven.delete(endOf(socket)))
    server.on('tlsClientError', (error, socket) => {
      // A refused connection also comes here, without an address; it was counted.
      if (socket.remoteAddress !== undefined) options.onRefused(plainAddress(socket.remoteAddress), reasonOf(error))
    })
  }

  /** Number of connections that are open. */
  get size(): number {
    return this.#open.size
  }

  /** Cuts those that are not beyond the handshake: there is nothing to wait for. */
  cutUnproven(): void {
    for (const socket of this.#unproven.values()) socket.destroy()
  }

  /** Cuts all. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy()
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
    this.#unproven.set(end, socket)
    this.#byAddress.set(group, ofGroup + 1)
    socket.once('close', () => {
      this.#open.delete(socket)
      if (this.#unproven.get(end) === socket) this.#unproven.delete(end)
      const left = (this.#byAddress.get(group) ?? 1) - 1
      if (left === 0) this.#byAddress.delete(group)
      else this.#byAddress.set(group, left)
    })
  }
}

function endOf(socket: Socket | TLSSocket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function reasonOf(error: Error & {readonly code?: string}): string {
  return error.code ?? error.message
}
