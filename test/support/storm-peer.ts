// A Telepath peer that takes Storm and files, for what a real Cortex and Axon cannot be brought to do, and where none is at hand.
import {createHash} from 'node:crypto'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type PeerLink, partsOf, TelepathPeer} from './telepath-peer.ts'

export interface StormPeerOptions {
  /** What it says to a query, with the options it came with. */
  readonly storm?: (query: string, opts: Value) => AsyncIterable<Value> | Iterable<Value>
  /** Refuses all calls with this name and these facts. */
  readonly refusal?: Value
  /** What it gives for any file; otherwise what was uploaded. */
  readonly pieces?: readonly Uint8Array[]
  /** What it says it keeps after an upload. */
  readonly saved?: Value
}

const SHARE = 'a1'.repeat(16)
const METHODS = {storm: {genr: true}, upload: {}, get: {genr: true}}

/** Speaks the parts of a Cortex and of an Axon that `registry query` uses. Dispose of it. */
export class StormPeer implements AsyncDisposable {
  readonly #peer: TelepathPeer
  readonly #options: StormPeerOptions
  /** Messages of streams that the client has taken, or that lie in buffers of the system. */
  sent = 0
  /** Largest upload message. */
  largestWrite = 0
  /** The client does not take what is sent. */
  isFull = false
  #onFull = Promise.withResolvers<void>()
  #parts: Uint8Array[] = []
  #stored: Uint8Array = new Uint8Array()

  static async start(options: StormPeerOptions = {}): Promise<StormPeer> {
    let self: StormPeer | undefined
    const peer = await TelepathPeer.start((message, link) => self?.answer(message, link))
    self = new StormPeer(peer, options)
    return self
  }

  private constructor(peer: TelepathPeer, options: StormPeerOptions) {
    this.#peer = peer
    this.#options = options
  }

  get url(): string {
    return this.#peer.url
  }

  get links(): readonly PeerLink[] {
    return this.#peer.links
  }

  get received(): readonly Value[] {
    return this.#peer.received
  }

  /** Resolves when the client does not take what is sent, or the stream is over. */
  async full(): Promise<void> {
    if (!this.isFull) await this.#onFull.promise
  }

  async answer(message: Value, link: PeerLink): Promise<void> {
    const [kind, body] = partsOf(message)
    if (kind === 'tele:syn') return link.send(welcome())
    if (kind !== 't2:init') return
    const {refusal} = this.#options
    if (refusal !== undefined) return link.send(['t2:fini', {retn: [false, refusal]}])
    const [method, args = [], kwargs] = body['todo'] as readonly [string, readonly Value[], Record<string, Value>]
    switch (method) {
      case 'storm':
        return await this.#stream(link, this.#options.storm?.(String(args[0]), kwargs['opts']) ?? [])
      case 'get':
        return await this.#stream(link, this.#options.pieces ?? [this.#stored])
      case 'upload':
        this.#parts = []
        return link.send(['t2:share', {iden: SHARE, sharinfo: {meths: {write: {}, save: {}}, classes: ['a.Upload']}}])
      case 'write':
        return this.#write(link, args[0] as Uint8Array)
      case 'save':
        return this.#save(link)
      default:
        link.send(['t2:fini', {retn: [false, ['NoSuchMeth', {name: method, mesg: `no method ${method}`}]]}])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]()
  }

  #write(link: PeerLink, part: Uint8Array): void {
    this.#parts.push(Buffer.from(part))
    this.largestWrite = Math.max(this.largestWrite, part.length)
    link.send(['t2:fini', {retn: [true, null]}])
  }

  #save(link: PeerLink): void {
    this.#stored = Buffer.concat(this.#parts)
    const kept = [this.#stored.length, createHash('sha256').update(this.#stored).digest()]
    link.send(['t2:fini', {retn: [true, this.#options.saved ?? kept]}])
  }

  /** As the peers do: each item waits until the one before has left. */
  async #stream(link: PeerLink, items: AsyncIterable<Value> | Iterable<Value>): Promise<void> {
    link.send(['t2:genr', {}])
    for await (const item of items) {
      if (link.socket.destroyed) return
      link.send(['t2:yield', {retn: [true, item]}])
      if (link.socket.writableNeedDrain) await this.#drained(link)
      this.sent += 1
    }
    link.send(['t2:yield', {retn: null}])
    this.#onFull.resolve()
  }

  async #drained(link: PeerLink): Promise<void> {
    this.isFull = true
    this.#onFull.resolve()
    await drained(link)
    this.isFull = false
    this.#onFull = Promise.withResolvers()
  }
}

function drained({socket}: PeerLink): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', () => resolve())
    socket.once('close', () => resolve())
  })
}

function welcome(): Value {
  return [
    'tele:syn',
    {
      vers: [3, 0],
      retn: [true, null],
      features: {tellready: 1},
      sharinfo: {meths: METHODS, classes: ['a.CoreApi'], 'syn:version': [2, 256, 0]},
      sess: '5e55'.repeat(8),
    },
  ]
}
