import {RegistryError} from '../../base/errors.ts'
import {reasonFor} from '../../nexus/change-log.ts'
import {failure} from '../../wire/zeromq/messages.ts'
import type {ZeromqRequest} from './forwarded-call.ts'
import type {Forwarder} from './forwarder.ts'

/** Takes the answer, JSON text. */
export type Take = (answer: string) => void

export interface ZeromqLanePorts {
  readonly forwarder: Pick<Forwarder, 'isNeeded' | 'run'>
  /** Does a request here, when this is the leader by then. */
  readonly here: (request: ZeromqRequest) => Promise<string>
  /** `zmq:reply:within`: after that the client has been told to ask again, and a request that was not sent is dropped. */
  readonly withinMs: () => number
  readonly nowMs: () => number
}

interface Waiting {
  readonly request: ZeromqRequest
  readonly bytes: number
  readonly dueMs: number
  readonly takers: Take[]
}

/** Requests that go to the leader together, and their bytes. */
const BATCH_MAX = 300
const BATCH_BYTES = 2 * 1024 * 1024
/** Requests that wait, and their bytes; beyond, they are refused at once. */
const WAITING_MAX = 10_000
const WAITING_BYTES = 64 * 1024 * 1024
/** Renewals of unknown ids among them. */
const ASKED_MAX = 1000

const BUSY = failure('too many changes wait for the leader, ask again')
const NOT_CONFIRMED = failure('not confirmed, ask again')

/**
 * Takes the requests of ZeroMQ at a mirror that only the leader can answer to it: in the order in which they came, many at a time, one batch
 * after the other, so that what a client asked first is done first, whatever links there are.
 *
 * What cannot be sent while its client waits is dropped: that client is told to ask again. Of several who renew the same unknown id one asks.
 */
export class ZeromqLane {
  readonly #ports: ZeromqLanePorts
  #waiting: Waiting[] = []
  #bytes = 0
  /** Renewals that wait and have nothing but renewals behind them, by text. */
  readonly #asked = new Map<string, Waiting>()
  #asking = 0
  #isSending = false

  constructor(ports: ZeromqLanePorts) {
    this.#ports = ports
  }

  /** True while requests go this way: this is a mirror, or what came before them is still on its way. */
  get isNeeded(): boolean {
    return this.#isSending || this.#ports.forwarder.isNeeded
  }

  /** Takes a request; `take` gets its answer, never before this returns, and perhaps after its client has given up. */
  add(request: ZeromqRequest, take: Take): void {
    const isRenewal = request.action === 'renew'
    const same = isRenewal ? this.#asked.get(request.text) : undefined
    if (same !== undefined) {
      same.takers.push(take)
      return
    }
    const bytes = request.text.length
    const isFull = this.#waiting.length >= WAITING_MAX || this.#bytes + bytes > WAITING_BYTES
    if (isFull || (isRenewal && this.#asking >= ASKED_MAX)) {
      setImmediate(take, BUSY)
      return
    }
    const waiting = {request, bytes, dueMs: this.#ports.nowMs() + this.#ports.withinMs(), takers: [take]}
    this.#waiting.push(waiting)
    this.#bytes += bytes
    if (isRenewal) {
      this.#asking += 1
      this.#asked.set(request.text, waiting)
    } else this.#asked.clear()
    if (!this.#isSending) void this.#send()
  }

  async #send(): Promise<void> {
    this.#isSending = true
    // What came in one turn goes together.
    await new Promise(setImmediate)
    for (let batch = this.#batch(); batch.length > 0; batch = this.#batch()) await this.#sendBatch(batch)
    this.#isSending = false
  }

  async #sendBatch(batch: readonly Waiting[]): Promise<void> {
    const {forwarder, here, nowMs} = this.#ports
    const requests = batch.map(({request}) => request)
    // Those behind are not older: the first one's time is the longest that a leader may be waited for.
    const waitMs = Math.max(1, (batch[0]?.dueMs ?? 0) - nowMs())
    let answers: readonly string[]
    try {
      const given = await forwarder.run({via: 'zeromq', requests}, () => Promise.all(requests.map(here)), {waitMs})
      answers = Array.isArray(given) ? given.map(String) : []
    } catch (error) {
      const answer = answerTo(error)
      answers = requests.map(() => answer)
    }
    for (const [index, {takers}] of batch.entries()) for (const take of takers) take(answers[index] ?? NOT_CONFIRMED)
  }

  /** Takes the next ones out, and drops those whose clients have given up. */
  #batch(): readonly Waiting[] {
    const nowMs = this.#ports.nowMs()
    const batch: Waiting[] = []
    let bytes = 0
    let taken = 0
    for (const one of this.#waiting) {
      if (batch.length >= BATCH_MAX || (batch.length > 0 && bytes + one.bytes > BATCH_BYTES)) break
      taken += 1
      this.#leave(one)
      if (one.dueMs <= nowMs) for (const take of one.takers) take(NOT_CONFIRMED)
      else {
        batch.push(one)
        bytes += one.bytes
      }
    }
    this.#waiting = this.#waiting.slice(taken)
    return batch
  }

  #leave(one: Waiting): void {
    const {request, bytes} = one
    this.#bytes -= bytes
    if (request.action !== 'renew') return
    this.#asking -= 1
    if (this.#asked.get(request.text) === one) this.#asked.delete(request.text)
  }
}

/** While there is no leader, and when nobody knows, the client asks again; otherwise it learns why not. */
function answerTo(error: unknown): string {
  if (!(error instanceof RegistryError)) throw error
  return error.code === 'REG_UNREACHABLE' || error.code === 'REG_NOT_CONFIRMED'
    ? NOT_CONFIRMED
    : failure(reasonFor(error))
}
