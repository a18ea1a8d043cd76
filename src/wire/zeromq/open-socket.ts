import type {Socket} from 'zeromq'
import {RegistryError, systemCode} from '../../base/errors.ts'
import {listenReason} from '../../base/listen-reason.ts'

/** What every socket of the server is opened with, beside its own options. */
export const SERVER_SOCKET = {
  // Never blocks and never queues: each send settles at once (docs of zeromq.js: dropping is better than blocking).
  sendTimeout: 0,
  // Clients that come back together after a restart must not be turned away by a short accept queue.
  backlog: 1024,
  // A peer whose machine died keeps its routing id taken until TCP gives up: after 60 s instead of 2 hours.
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 30,
  tcpKeepaliveInterval: 10,
  tcpKeepaliveCount: 3,
} as const

/** Tells whether the address needs a socket that speaks IPv6: `tcp://[::1]:5556`. */
export function isIpv6(address: string): boolean {
  return address.startsWith('tcp://[')
}

/**
 * Binds the socket and gives the port.
 *
 * @throws RegistryError `REG_LISTEN_FAILED` naming the address and the reason; the socket is closed then.
 */
export async function bindSocket(socket: Socket, address: string): Promise<number> {
  try {
    await socket.bind(address)
  } catch (error) {
    socket.close()
    throw listenFailed(address, error)
  }
  return Number(/:(\d+)$/.exec(socket.lastEndpoint ?? '')?.[1])
}

function listenFailed(address: string, error: unknown): RegistryError {
  const where = address.replace('tcp://', '')
  return new RegistryError('REG_LISTEN_FAILED', `cannot listen on ${where}: ${listenReason(error)}`, {
    info: {address, reason: systemCode(error)},
    cause: error,
  })
}

/**
 * Closes the socket and waits until libzmq is done with it: everything sent is with the kernel, or `lingerMs` are over. The caller must
 * be ready for the rejection of a receive that is pending.
 */
export async function closeSocket(socket: Socket, lingerMs: number): Promise<void> {
  if (socket.closed) return
  // libzmq ends the events of a socket when the socket is really gone. The context is held as well: when it is collected in the
  // meantime, it takes the events with it, and nothing would ever come.
  const {context, events} = socket
  const bound = setTimeout(() => events.close(), lingerMs + REAPED_WITHIN_MS)
  socket.linger = lingerMs
  socket.close()
  try {
    while ((await events.receive()).type !== 'end');
  } catch {
    // The bound: libzmq goes on by itself, nobody waits for it any more.
  } finally {
    clearTimeout(bound)
    void context.maxSockets
  }
}

/** What libzmq may take to clear away a socket after its linger time: a moment, and seconds on a machine that is busy. Its port is taken until then. */
const REAPED_WITHIN_MS = 5000
