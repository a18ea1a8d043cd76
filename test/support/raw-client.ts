// A client without a library between it and the wire: what is sent and what comes back are frames, answers are matched by their order.
import {Dealer} from 'zeromq'

/** Less than a test has, so that it can say what was not answered. */
const ANSWER_WITHIN_MS = 150_000

/** What a registry says that does not know yet how a change ends. */
export const NOT_CONFIRMED = 'not confirmed, ask again'

interface Waiter {
  readonly resolve: (frames: Buffer[]) => void
  readonly reject: (error: Error) => void
  readonly question: string
}

export interface Answer extends Readonly<Record<string, unknown>> {
  readonly success: boolean
  readonly error?: string
}

/** The client was closed before the answer came. */
export class ClosedError extends Error {}

/** An enveloped DEALER that pipelines: the n-th answer is that of the n-th request. One answer too many fails the test. */
export class RawClient implements Disposable {
  readonly #socket: Dealer
  readonly #waiting: Waiter[] = []
  readonly #disconnected: Promise<void>
  /** Answers that came although nothing was asked. */
  readonly unasked: Buffer[][] = []

  constructor(port: number, options: ConstructorParameters<typeof Dealer>[0] = {}) {
    // No queue limits: what waits is up to the test. No waiting: sends settle at once.
    this.#socket = new Dealer({linger: 0, sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, ...options})
    this.#disconnected = this.#watch()
    this.#socket.connect(`tcp://127.0.0.1:${port}`)
    this.#read().catch(() => undefined) // the socket was closed
  }

  /** How many answers are outstanding. */
  get outstanding(): number {
    return this.#waiting.length
  }

  /** Sends frames as they are and gives the frames of the answer. */
  exchange(frames: readonly (string | Buffer)[], question = String(frames[1]).slice(0, 200)): Promise<Buffer[]> {
    const {promise, resolve, reject} = Promise.withResolvers<Buffer[]>()
    const bound = setTimeout(() => reject(new Error(`no answer to ${question}`)), ANSWER_WITHIN_MS)
    this.#waiting.push({
      resolve: (answer) => {
        clearTimeout(bound)
        resolve(answer)
      },
      reject: (error) => {
        clearTimeout(bound)
        reject(error)
      },
      question,
    })
    this.post(frames)
    return promise
  }

  /** Sends frames and expects nothing for them. */
  post(frames: readonly (string | Buffer)[]): void {
    this.#socket.send(frames as Buffer[]).catch(() => undefined) // the socket was closed
  }

  /** Asks one enveloped request and gives the object of the answer. */
  async ask(request: object): Promise<Answer> {
    return decodeAnswer(await this.exchange(['REQ', JSON.stringify(request)]))
  }

  /** Registers; asks again as long as it is not confirmed: an answer has to come within half a second, and a disk may be busy for longer. */
  register(id: string, more: object = {}, ttl = 3600): Promise<Answer> {
    return untilKnown(() => this.registerOnce(id, more, ttl))
  }

  registerOnce(id: string, more: object = {}, ttl = 3600): Promise<Answer> {
    return this.ask({action: 'register', service_info: {id, name: id, host: 'h', port: 1, ...more}, ttl})
  }

  /** Deregisters; asks again as long as it is not confirmed, and what is not there any more then was taken out. */
  async deregister(id: string): Promise<Answer> {
    const first = await this.deregisterOnce(id)
    if (first.error !== NOT_CONFIRMED) return first
    const again = await untilKnown(() => this.deregisterOnce(id))
    return again.error === 'Service not found' ? {success: true} : again
  }

  deregisterOnce(id: string): Promise<Answer> {
    return this.ask({action: 'deregister', service_id: id})
  }

  renew(id: string): Promise<Answer> {
    return this.ask({action: 'renew', service_id: id})
  }

  get(id: string): Promise<Answer> {
    return this.ask({action: 'get', service_id: id})
  }

  health(): Promise<Answer> {
    return this.ask({action: 'health'})
  }

  /** Resolves when the connection has ended at least once and all that came before is here. */
  async disconnected(): Promise<void> {
    await this.#disconnected
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Ends the connection; what was not answered by then fails. */
  close(): void {
    this.#socket.close()
    for (const waiter of this.#waiting.splice(0))
      waiter.reject(new ClosedError(`closed before the answer to ${waiter.question}`))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #watch(): Promise<void> {
    const {events} = this.#socket
    for (let type = ''; type !== 'disconnect' && type !== 'end'; ) type = (await events.receive()).type
  }

  async #read(): Promise<void> {
    for (;;) {
      const frames = await this.#socket.receive()
      const waiter = this.#waiting.shift()
      if (waiter === undefined) this.unasked.push(frames)
      else waiter.resolve(frames)
    }
  }
}

async function untilKnown(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    if (answer.error !== NOT_CONFIRMED) return answer
  }
}

/** Reads the object of an enveloped answer; throws when it is not one. */
export function decodeAnswer(frames: readonly Buffer[]): Answer {
  if (frames.length !== 2 || `${frames[0]}` !== 'RESPONSE')
    throw new Error(`not an enveloped answer: ${frames.join('|')}`)
  return JSON.parse(`${frames[1]}`)
}
