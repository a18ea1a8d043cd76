import type {Value} from '../msgpack/value.ts'
import type {Todo} from './messages.ts'
import type {Session} from './session.ts'
import type {Call, Peer} from './share.ts'

/** A call that runs. What only some methods ask for (the signal) is made when it is asked for. */
export class ServerCall implements Call {
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  readonly peer: Peer
  readonly session: Session
  #controller: AbortController | undefined
  #items: AsyncIterator<Value> | undefined
  #isAborted = false

  constructor({method, args, kwargs}: Todo, peer: Peer, session: Session) {
    this.method = method
    this.args = args
    this.kwargs = kwargs
    this.peer = peer
    this.session = session
  }

  get sessionId(): string {
    return this.session.id
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isAborted) this.#controller.abort()
    return this.#controller.signal
  }

  /** Ties the stream that the call answers with to the call, so that it is returned early when the call is aborted. */
  read(items: AsyncIterable<Value>): AsyncIterator<Value> {
    const iterator = items[Symbol.asyncIterator]()
    this.#items = iterator
    return iterator
  }

  /** The caller is gone, or the server stops. */
  get isAborted(): boolean {
    return this.#isAborted
  }

  /** The stream has come to its end by itself. */
  finished(): void {
    this.#items = undefined
  }

  /** Returns the stream where it has not come to its end. */
  abandon(): void {
    const items = this.#items
    this.#items = undefined
    // What a stream throws while it is thrown away concerns nobody.
    items?.return?.().catch(() => {})
  }

  /** Aborts the signal and returns the stream. */
  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#controller?.abort()
    this.abandon()
  }
}
