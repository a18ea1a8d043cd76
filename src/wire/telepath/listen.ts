/** The sockets that a daemon listens on. What comes in is counted before anything is read of it, TLS handshakes included. */
import {lstat, unlink} from 'node:fs/promises'
import {connect, createServer, type Server, type Socket} from 'node:net'
import {createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer} from 'node:tls'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {listenReason} from '../../base/listen-reason.ts'
import {tuneSocket} from './link.ts'
import type {AddressCount} from './peer-table.ts'
import type {Peer, PeerCertificate} from './share.ts'

/** What a listener tells the daemon. */
export interface Door {
  readonly handshakeMs: number
  nowMs(): number
  /** Counts a connection; undefined when it is not wanted: then it is to be closed at once. */
  admit(address: string): AddressCount | undefined
  /** A counted connection is closed. */
  left(count: AddressCount): void
  /** A connection is ready for messages. */
  open(socket: Socket, peer: Peer, count: AddressCount, acceptedMs: number): void
  /** A connection was refused before it was ready. */
  refused(address: string, reason: string): void
}

/** TLS of a listener, as the owner of the certificates makes it. */
export interface ListenTls {
  /** For `createServer` of node:tls: key, cert, ca, requestCert, SNICallback, … */
  readonly options: TlsOptions
  /** Gives the verified certificate of a client that has finished its handshake; throws when the client is to be refused. */
  readonly certificate?: (socket: TLSSocket) => PeerCertificate | undefined
  /** Says why a handshake failed, for the log. */
  readonly whyRefused?: (error: unknown, socket: TLSSocket) => string
}

/** A listening socket. */
export interface Listener {
  /** 0 on a UNIX socket. */
  readonly port: number
  /** Takes no more connections and cuts handshakes that are under way; links stay. Resolves when the last of them has ended. */
  close(): Promise<void>
}

/** A TLS listener. */
export interface TlsListener extends Listener {
  /** New keys for connections to come. */
  setSecureContext(options: TlsOptions): void
}

/** Clients that come back all at once wait in the kernel. */
const BACKLOG = 4096
/** Longest path of a UNIX socket on Linux, in bytes. */
const MAX_PATH_BYTES = 107

/** Listens on TCP. @throws RegistryError `REG_LISTEN_FAILED` */
export async function listenTcp(door: Door, host: string, port: number): Promise<Listener> {
  const server = createServer((socket) => {
    const address = plainAddress(socket.remoteAddress)
    const count = admit(door, socket, address)
    if (count === undefined) return
    door.open(socket, {family: 'tcp', address, port: socket.remotePort ?? 0}, count, door.nowMs())
  })
  await listening(server, () => server.listen({host, port, backlog: BACKLOG}), `tcp://${host}:${port}`)
  return {port: portOf(server), close: () => closed(server)}
}

/** Listens on a UNIX socket that only the own user can open. @throws RegistryError `REG_LISTEN_FAILED` */
export async function listenUnix(door: Door, path: string): Promise<Listener> {
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_PATH_BYTES) {
    const text = `unix://${path}: the path has ${bytes} bytes, a UNIX socket takes at most ${MAX_PATH_BYTES}`
    const hints = ['give a data directory whose path is shorter: registry serve DIR']
    throw new RegistryError('REG_LISTEN_FAILED', text, {info: {path, bytes, most: MAX_PATH_BYTES}, hints})
  }
  await removeStale(path)
  const server = createServer((socket) => {
    const count = admit(door, socket, path)
    if (count !== undefined) door.open(socket, {family: 'unix', address: path, port: null}, count, door.nowMs())
  })
  await listening(server, () => listenPrivately(server, path), `unix://${path}`)
  return {port: 0, close: () => closed(server)}
}

/** Listens on TLS. @throws RegistryError `REG_LISTEN_FAILED` */
export async function listenTls(door: Door, tls: ListenTls, host: string, port: number): Promise<TlsListener> {
  const server = createTlsServer({...tls.options, handshakeTimeout: door.handshakeMs})
  const handshakes = new Handshakes(door, tls, server)
  await listening(server, () => server.listen({host, port, backlog: BACKLOG}), `ssl://${host}:${port}`)
  return {
    port: portOf(server),
    setSecureContext: (options) => server.setSecureContext(options),
    close: () => {
      handshakes.cut()
      return closed(server)
    },
  }
}

interface Handshake {
  readonly socket: Socket
  readonly address: string
  readonly count: AddressCount
  readonly acceptedMs: number
}

/** Connections of a TLS listener between their arrival and the end of their handshake. */
class Handshakes {
  readonly #door: Door
  readonly #tls: ListenTls
  /** By address and port, which is all that the encrypted socket has in common with the one below. */
  readonly #pending = new Map<string, Handshake>()

  constructor(door: Door, tls: ListenTls, server: TlsServer) {
    this.#door = door
    this.#tls = tls
    // Before the server's own listener, which begins the handshake.
    server.prependListener('connection', (socket: Socket) => this.#onConnection(socket))
    server.on('secureConnection', (socket) => this.#onSecure(socket))
    server.on('tlsClientError', (error, socket) => this.#onFailed(error, socket))
  }

  cut(): void {
    for (const {socket} of this.#pending.values()) socket.destroy()
  }

  #onConnection(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress)
    const name = nameOf(socket)
    const count = admit(this.#door, socket, address, () => this.#pending.delete(name))
    if (count !== undefined) this.#pending.set(name, {socket, address, count, acceptedMs: this.#door.nowMs()})
  }

  #onSecure(socket: TLSSocket): void {
    const handshake = this.#pending.get(nameOf(socket))
    if (handshake === undefined) {
      socket.destroy()
      return
    }
    this.#pending.delete(nameOf(socket))
    const {address, count, acceptedMs} = handshake
    let certificate: PeerCertificate | undefined
    try {
      certificate = this.#tls.certificate?.(socket)
    } catch (error) {
      this.#door.refused(address, messageOf(error))
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const peer = {family: 'tls', address, port: socket.remotePort ?? 0} as const
    this.#door.open(socket, certificate === undefined ? peer : {...peer, certificate}, count, acceptedMs)
  }

  #onFailed(error: Error, socket: TLSSocket): void {
    // Node leaves a connection open whose handshake took too long.
    socket.destroy()
    const address = plainAddress(socket.remoteAddress ?? socketBelow(socket)?.remoteAddress)
    this.#door.refused(address, this.#tls.whyRefused?.(error, socket) ?? messageOf(error))
  }
}

/** Counts a connection until it closes, or closes it. */
function admit(door: Door, socket: Socket, address: string, onClose?: () => void): AddressCount | undefined {
  const count = door.admit(address)
  if (count === undefined) {
    socket.on('error', () => {})
    socket.destroy()
    return undefined
  }
  tuneSocket(socket)
  socket.on('close', () => {
    onClose?.()
    door.left(count)
  })
  return count
}

/**
 * The connection that a TLS socket was made on. It still knows its peer when the TLS socket, whose end it caused, does not; Node has no public
 * name for it.
 */
function socketBelow(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & {readonly _parent?: Socket | null})._parent ?? undefined
}

function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

/** IPv4 addresses look the same on listeners of both kinds. */
function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function listening(server: Server, listen: () => void, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const info = {url, cause: systemCode(error) ?? messageOf(error)}
      const text = `cannot listen on ${url}: ${listenReason(error)}`
      reject(new RegistryError('REG_LISTEN_FAILED', text, {info, cause: error}))
    }
    server.once('error', onError)
    server.once('listening', () => {
      server.off('error', onError)
      // Out of file descriptors, for instance: that one connection is lost, the listener goes on.
      server.on('error', () => {})
      resolve()
    })
    listen()
  })
}

/** The socket must not be open to others even for a moment, so its mode is right from the first. Node binds before `listen` returns. */
function listenPrivately(server: Server, path: string): void {
  const mask = process.umask(0o177)
  try {
    server.listen({path, backlog: BACKLOG})
  } finally {
    process.umask(mask)
  }
}

/** Removes what a server left behind that was killed. Who listens there is left alone: `listen` then says that it is in use. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() && !(await answers(path))) await unlink(path).catch(() => {})
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => done(true))
    socket.once('error', (error) => done(systemCode(error) !== 'ECONNREFUSED'))
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
