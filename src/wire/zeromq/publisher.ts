import {once} from 'node:events'
import {setTimeout as delay} from 'node:timers/promises'
import {Worker} from 'node:worker_threads'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {workerUrl} from '../../base/package-root.ts'
import type {Publisher, PublishOptions} from './listener.ts'
import type {PublisherSettings, Started} from './publisher-worker.ts'

// What may be handed to the worker and not be sent yet. Half a minute of a busy registry; a worker that does not get on costs this much.
const IN_FLIGHT_EVENTS = 200_000
const IN_FLIGHT_CHARS = 64 * 1024 * 1024

/** How long the worker may take to send the rest and to end, ms. */
const CLOSE_WITHIN_MS = 900

/**
 * Opens a publisher: a PUB socket in a worker thread. A subscriber that leaves makes libzmq walk all topics of all subscribers in the
 * thread that owns the socket, which anybody can stretch to seconds by subscribing to many topics; so this thread must not be ours.
 *
 * @throws RegistryError `REG_LISTEN_FAILED` when the port is taken or the address is not one of this machine.
 */
export async function publish(options: PublishOptions): Promise<Publisher> {
  const {address, hwm, handshakeMs} = options
  const workerData: PublisherSettings = {address, hwm, handshakeMs}
  const worker = new Worker(workerUrl('wire/zeromq/publisher-worker'), {name: 'events', workerData, execArgv: []})
  const [started]: Started[] = await once(worker, 'message')
  if (started?.kind === 'bound') return new WorkerPublisher(worker, started.port, options.onFailed)
  await worker.terminate()
  throw new RegistryError('REG_LISTEN_FAILED', started?.message ?? '', {info: {address, reason: started?.reason}})
}

class WorkerPublisher implements Publisher {
  readonly port: number
  readonly #worker: Worker
  readonly #exited: Promise<void>
  /** Topic, body, topic, body, ... of this turn of the event loop. */
  #batch: string[] = []
  /** Events and characters of the batches that the worker has not acknowledged, in order; those of `#batch` are not among them. */
  readonly #handedOver: Load[] = []
  #batchChars = 0
  #inFlightEvents = 0
  #inFlightChars = 0
  #dropped = 0
  #state: 'open' | 'closing' | 'failed' = 'open'
  #closing: Promise<void> | undefined

  constructor(worker: Worker, port: number, onFailed: (error: Error) => void) {
    this.port = port
    this.#worker = worker
    worker.on('message', () => this.#acknowledged())
    worker.on('error', (error) => this.#fail(onFailed, `the thread of the events died: ${messageOf(error)}`, error))
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (status) => {
        this.#fail(onFailed, `the thread of the events ended with ${status}`)
        resolve()
      })
    })
  }

  get dropped(): number {
    return this.#dropped
  }

  /** Beyond the bounds the newest events are dropped: those before them are on their way already. */
  publish(topic: string, body: string): void {
    if (this.#state === 'closing') return
    const isFull = this.#inFlightEvents >= IN_FLIGHT_EVENTS || this.#inFlightChars + body.length > IN_FLIGHT_CHARS
    if (isFull || this.#state === 'failed') {
      this.#dropped++
      return
    }
    if (this.#batch.push(topic, body) === 2) setImmediate(() => this.#handOver())
    this.#inFlightEvents++
    this.#inFlightChars += body.length
    this.#batchChars += body.length
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #handOver(): void {
    if (this.#batch.length === 0) return
    this.#worker.postMessage(this.#batch)
    this.#handedOver.push({events: this.#batch.length / 2, chars: this.#batchChars})
    this.#batch = []
    this.#batchChars = 0
  }

  #acknowledged(): void {
    const load = this.#handedOver.shift()
    this.#inFlightEvents -= load?.events ?? 0
    this.#inFlightChars -= load?.chars ?? 0
  }

  async #close(): Promise<void> {
    if (this.#state === 'failed') return
    this.#handOver()
    this.#state = 'closing'
    this.#worker.postMessage('close')
    const bound = new AbortController()
    await Promise.race([this.#exited, delay(CLOSE_WITHIN_MS, undefined, {signal: bound.signal}).catch(() => {})])
    bound.abort()
    // One that is stuck in libzmq ends when libzmq lets it, and is not waited for. Nor is it terminated: in the middle of a call into zeromq.js that
    // aborts the whole process.
    this.#worker.unref()
  }

  #fail(onFailed: (error: Error) => void, message: string, cause?: unknown): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#dropped += this.#inFlightEvents
    this.#batch = []
    onFailed(new RegistryError('REG_LISTEN_FAILED', message, {cause}))
  }
}

interface Load {
  readonly events: number
  readonly chars: number
}
