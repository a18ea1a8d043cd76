import {connect, type Socket} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import {connect as connectTls} from 'node:tls'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import type {ClientTls} from '../../pki/client-tls.ts'
import {certificateError} from '../../pki/tls-reasons.ts'
import {tuneSocket} from '../../wire/telepath/link.ts'
import type {Place} from '../../wire/telepath/url.ts'

/** What the address of a UNIX socket has room for, on Linux. */
const MAX_SOCKET_PATH = 107

/** What the system says, in the words of who asks for a service. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'it closed the connection at once',
  EACCES: 'this user may not open the socket',
  EHOSTUNREACH: 'there is no way to that host',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'the name of the host is not known',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there does not speak TLS',
  ETIMEDOUT: 'it does not answer',
}

const ELSEWHERE = 'on its machine: registry status --url cell://DIR'

/** What to do about it; for the rest, look there whether it runs. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  EACCES: ['be root, or the user that it runs as'],
  ENOENT: ['start it, or check the directory', 'registry serve DIR'],
  ENOTFOUND: ['check the name: it has to resolve on this machine'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['check the port', ELSEWHERE],
}

/** A UNIX socket whose queue of connections is full says so at once, instead of letting the caller wait. */
const FULL_QUEUE = 'EAGAIN'
const FULL_QUEUE_PAUSE_MS = 5

/**
 * Connects: to a UNIX socket, a port, or a port with TLS, whose certificate is checked before anything is sent.
 *
 * @throws RegistryError `REG_UNREACHABLE` (`LinkErr`); `REG_CERT_INVALID`; the signal's reason
 */
export async function dial(
  place: Place,
  tls: ClientTls | undefined,
  peer: string,
  signal: AbortSignal,
): Promise<Socket> {
  for (;;) {
    try {
      return await dialOnce(place, tls, peer, signal)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.info['reason'] !== FULL_QUEUE) throw error
    }
    await delay(FULL_QUEUE_PAUSE_MS, undefined, {signal}).catch(() => signal.throwIfAborted())
  }
}

function dialOnce(place: Place, tls: ClientTls | undefined, peer: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    if (place.kind === 'unix') checkPath(place.path)
    const socket = open(place, tls, () => {
      try {
        check()
        done()
        resolve(socket)
      } catch (error) {
        fail(error)
      }
    })
    const check = () => {
      if (tls !== undefined && 'getPeerCertificate' in socket) tls.verify(socket)
    }
    const onAbort = () => fail(signal.reason)
    const done = () => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError)
    }
    const fail = (error: unknown) => {
      done()
      // What it says from here on belongs to nobody.
      socket.on('error', () => undefined)
      socket.destroy()
      reject(error)
    }
    const onError = (error: Error) => fail(dialError(error, peer))
    socket.on('error', onError)
    signal.addEventListener('abort', onAbort, {once: true})
  })
}

/** Says what an error of an open connection means when it is about certificates: a peer may refuse ours only after the connection is there. */
export function explainTls(error: Error): RegistryError | undefined {
  return certificateError(error)
}

function open(place: Place, tls: ClientTls | undefined, onOpen: () => void) {
  if (place.kind === 'unix') return connect({path: place.path}, onOpen)
  const {host, port} = place
  const socket = tls === undefined ? connect({host, port}, onOpen) : connectTls({host, port, ...tls.options}, onOpen)
  tuneSocket(socket)
  return socket
}

function checkPath(path: string): void {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return
  throw new RegistryError('REG_USAGE', `the path of the socket is longer than ${MAX_SOCKET_PATH} bytes: ${path}`, {
    telepath: 'LinkErr',
  })
}

function dialError(error: Error, peer: string): RegistryError {
  const known = certificateError(error)
  if (known !== undefined)
    return new RegistryError(known.code, `${peer}: ${known.message}`, {info: known.info, cause: error})
  const code = systemCode(error) ?? ''
  const reason = REASONS[code] ?? messageOf(error)
  return new RegistryError('REG_UNREACHABLE', `cannot connect to ${peer}: ${reason}`, {
    info: {peer, reason: code},
    hints: NEXT[code] ?? [ELSEWHERE],
    cause: error,
  })
}
