import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {ClientSocket, type ClientSocketOptions} from '../wire/zeromq/client-socket.ts'

/** How long one request may take. */
export interface Patience {
  /** From the call to the answer, everything included. */
  readonly timeoutMs: number
  /** Gives up when there is no connection for so long. */
  readonly connectMs: number
  readonly signal?: AbortSignal | undefined
}

/** A request that every server answers and that changes nothing. */
const PROBE = '{"action":"health"}'
/** When the envelope has not been answered for so long, plain REQ is tried beside it; at most a third of the time there is. */
const PLAIN_AFTER_MS = 300
/** Requests that may wait for their turn. */
const QUEUE_LIMIT = 10_000

/**
 * Brings requests to one registry of whatever age, one after the other. Servers of CGSE up to 0.9 know only REQ sockets and are silent
 * otherwise, later ones only the envelope; nothing tells them apart but whether they answer. So the first request is preceded by `health`
 * in the envelope and, when that stays unanswered, as REQ sends it; the way that was answered is used from then on. After a request that
 * was not answered in time the question is open again: the server may be another one now.
 */
export class Channel implements AsyncDisposable {
  readonly #options: Omit<ClientSocketOptions, 'framing'>
  readonly #turns = new Turns()
  #socket: ClientSocket | undefined
  /** Sockets of attempts that are under way. */
  readonly #trying = new Set<ClientSocket>()
  #isClosed = false

  constructor(options: Omit<ClientSocketOptions, 'framing'>) {
    this.#options = options
  }

  /** Sends JSON and gives the answer's JSON, in order of the calls. Throws as `ClientSocket.request` does. */
  async request(payload: string, patience: Patience): Promise<Buffer> {
    const rest = countDown(patience)
    using _turn = await this.#turns.take(patience)
    if (this.#isClosed) throw closed()
    this.#socket ??= await this.#negotiate(rest)
    try {
      return await this.#socket.request(payload, rest())
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'REG_TIMED_OUT') await this.#forget()
      throw error
    }
  }

  /** Closes; requests that are under way or wait fail with `REG_CANCELLED`. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#turns.close()
    await Promise.all([...this.#trying, this.#socket].map((socket) => socket?.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #forget(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    await socket?.close()
  }

  async #negotiate(rest: () => Required<Pick<Patience, 'timeoutMs' | 'connectMs'>>): Promise<ClientSocket> {
    const found = Promise.withResolvers<ClientSocket>()
    const attempt = (framing: 'envelope' | 'plain', onFailed: (error: unknown) => void) => {
      const socket = new ClientSocket({...this.#options, framing})
      this.#trying.add(socket)
      socket.request(PROBE, rest()).then(() => found.resolve(socket), onFailed)
    }
    attempt('envelope', found.reject)
    // Whether anything is there at all the first attempt finds out; its error is the one to tell.
    const plainAfterMs = Math.min(PLAIN_AFTER_MS, rest().timeoutMs / 3)
    const timer = setTimeout(() => attempt('plain', () => undefined), plainAfterMs)
    try {
      const socket = await found.promise
      this.#trying.delete(socket)
      return socket
    } finally {
      clearTimeout(timer)
      const others = [...this.#trying]
      this.#trying.clear()
      await Promise.all(others.map((socket) => socket.close()))
    }
  }
}

/** Gives a function that says how much of the patience is left. */
function countDown(patience: Patience) {
  const endsMs = systemClock.monotonicMs() + patience.timeoutMs
  return () => ({
    timeoutMs: Math.max(1, endsMs - systemClock.monotonicMs()),
    connectMs: patience.connectMs,
    ...(patience.signal === undefined ? {} : {signal: patience.signal}),
  })
}

function closed(): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the connection to the registry was closed')
}

interface Waiting {
  go(): void
  fail(error: RegistryError): void
}

/** Lets one at a time pass, in order. */
class Turns {
  readonly #waiting: Waiting[] = []
  #isTaken = false

  /** Resolves when it is the caller's turn, which ends when the result is disposed of. */
  take({timeoutMs, signal}: Patience): Promise<Disposable> {
    if (signal?.aborted) return Promise.reject(cancelled(signal))
    if (!this.#isTaken) {
      this.#isTaken = true
      return Promise.resolve(this.#turn())
    }
    if (this.#waiting.length >= QUEUE_LIMIT) {
      return Promise.reject(new RegistryError('REG_BUSY', `${QUEUE_LIMIT} requests of this client wait already`))
    }
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        const place = this.#waiting.indexOf(waiting)
        if (place >= 0) this.#waiting.splice(place, 1)
      }
      const waiting: Waiting = {
        go: () => {
          stop()
          resolve(this.#turn())
        },
        fail: (error) => {
          stop()
          reject(error)
        },
      }
      const onAbort = () => waiting.fail(cancelled(signal))
      const timer = setTimeout(() => waiting.fail(late(timeoutMs)), timeoutMs)
      signal?.addEventListener('abort', onAbort)
      this.#waiting.push(waiting)
    })
  }

  /** Fails everybody who waits. */
  close(): void {
    for (const waiting of [...this.#waiting]) waiting.fail(closed())
  }

  #turn(): Disposable {
    return {
      [Symbol.dispose]: () => {
        const next = this.#waiting[0]
        if (next === undefined) this.#isTaken = false
        else next.go()
      },
    }
  }
}

function cancelled(signal: AbortSignal | undefined): RegistryError {
  return new RegistryError('REG_CANCELLED', 'the request was cancelled', {cause: signal?.reason})
}

function late(timeoutMs: number): RegistryError {
  return new RegistryError('REG_TIMED_OUT', `no turn within ${timeoutMs} ms: earlier requests of this client take long`)
}
