import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable, CallOptions} from '../../src/wire/telepath/caller.ts'
import type {TestSession} from './cell.ts'

/** The calling side of a session of a test cell, without sockets: what is called, and what the cell's own methods answer. */
export class DirectCall implements Callable, AsyncDisposable {
  readonly #session: TestSession
  /** Methods that were called, in order. */
  readonly called: string[] = []
  isClosed = false

  constructor(session: TestSession) {
    this.#session = session
  }

  get info() {
    return this.#session.opened.share.info
  }

  async call(method: string, {args = [], kwargs = {}}: CallOptions = {}): Promise<Value> {
    this.called.push(method)
    return await this.#session.call(method, args, kwargs)
  }

  async *stream(method: string, options: CallOptions = {}): AsyncGenerator<Value, void> {
    yield* (await this.call(method, options)) as readonly Value[]
  }

  async share(): Promise<never> {
    throw new Error('a cell gives no shares')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true
  }
}
