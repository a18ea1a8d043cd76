import assert from 'node:assert/strict'
import {Worker} from 'node:worker_threads'
import {messageOf, RegistryError} from '../base/errors.ts'
import {workerUrl} from '../base/package-root.ts'
import {assertEntries, assertRenewals} from './checks.ts'
import {
  appendRequest,
  BODY,
  CLOSE,
  DONE,
  decodeEntries,
  decodeFailure,
  decodeHead,
  decodeInstances,
  decodeRecords,
  decodeSize,
  type Flat,
  FREEZE,
  INSTANCES,
  numberAt,
  OPEN,
  PROBE,
  READ,
  RECORDS,
  renewRequest,
  SIZE,
  THAW,
  textAt,
} from './sqlite-messages.ts'
import {copyFile} from './sqlite-task.ts'
import type {
  Appended,
  Entry,
  NewEntry,
  Renewal,
  Store,
  StoredInstance,
  StoredRecord,
  StoreHead,
  StoreSize,
} from './store.ts'
import {WriteGate} from './write-gate.ts'

/** Rows asked for at a time: some 5 ms of the worker, so that an append does not wait long behind them. */
const INSTANCES_PER_CHUNK = 2000
const ENTRIES_PER_CHUNK = 1000
const RECORDS_PER_CHUNK = 2000
const RENEWALS_PER_CHUNK = 2000

interface Waiter {
  readonly resolve: (answer: Flat) => void
  readonly reject: (error: Error) => void
}

/**
 * Engine on one SQLite file, by a worker thread: the calls of SQLite block, and nobody but the worker waits for the disk. Requests are
 * done in the order of the calls. When the thread dies, everything fails with `REG_STORE_FAILED`, then and later.
 */
export class SqliteStore implements Store {
  readonly kind = 'sqlite'
  readonly place: string
  readonly #waiters = new Map<number, Waiter>()
  #worker: Worker | undefined
  #exited: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #failure: RegistryError | undefined
  readonly #gate = new WriteGate()
  #nextId = 0
  readonly #copies = new Set<Promise<StoreHead>>()
  readonly #frees: boolean
  readonly #stopCopies = new AbortController()

  /**
   * `path` names the file; its directory must exist. The file is made when it is not there. Without `frees` what is empty in it stays: for who wants
   * to know how much that is.
   */
  constructor(path: string, {frees = true}: {readonly frees?: boolean} = {}) {
    this.place = path
    this.#frees = frees
  }

  async open(): Promise<StoreHead> {
    assert(this.#worker === undefined && this.#failure === undefined, 'a store is opened once')
    const worker = new Worker(workerUrl('store/sqlite-worker'), {name: 'store', execArgv: []})
    this.#worker = worker
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
    worker.on('message', (answer: Flat) => this.#settle(answer))
    worker.on('error', (error) => this.#fail(`the thread of the database died: ${messageOf(error)}`, error))
    worker.on('exit', (status) => this.#fail(`the thread of the database ended with ${status}`))
    try {
      return decodeHead(await this.#request((id) => [id, OPEN, this.place, this.#frees ? 1 : 0]))
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async *instances(): AsyncGenerator<readonly StoredInstance[]> {
    const ask = (after: number) => this.#request((id) => [id, INSTANCES, after, INSTANCES_PER_CHUNK])
    let waiting = ask(-1)
    for (;;) {
      const chunk = decodeInstances(await waiting)
      const last = chunk.at(-1)
      if (last === undefined) return
      // The worker reads on while the caller works on this chunk.
      waiting = ask(last.seq)
      waiting.catch(() => {}) // awaited above, unless the caller stops before
      yield chunk
    }
  }

  async *records(only?: string): AsyncGenerator<readonly StoredRecord[]> {
    let after = {table: only ?? '', key: ''}
    const isOne = only === undefined ? 0 : 1
    for (;;) {
      const {table, key} = after
      const chunk = decodeRecords(await this.#request((id) => [id, RECORDS, table, key, RECORDS_PER_CHUNK, isOne]))
      const last = chunk.at(-1)
      if (last === undefined) return
      after = last
      yield chunk
    }
  }

  async append(entries: readonly NewEntry[]): Promise<Appended> {
    assertEntries(entries)
    if (this.#gate.passed !== undefined) await this.#gate.passed
    const answer = await this.#request((id) => appendRequest(id, entries))
    return [numberAt(answer, BODY), textAt(answer, BODY + 1)]
  }

  async saveRenewals(renewals: readonly Renewal[]): Promise<void> {
    assertRenewals(renewals)
    for (let start = 0; start < renewals.length; start += RENEWALS_PER_CHUNK) {
      const chunk = renewals.slice(start, start + RENEWALS_PER_CHUNK)
      if (this.#gate.passed !== undefined) await this.#gate.passed
      await this.#request((id) => renewRequest(id, chunk))
    }
  }

  async read(offset: number, limit: number): Promise<readonly Entry[]> {
    const entries: Entry[] = []
    while (entries.length < limit) {
      const left = Math.min(limit - entries.length, ENTRIES_PER_CHUNK)
      const chunk = decodeEntries(await this.#request((id) => [id, READ, offset + entries.length, left]))
      if (chunk.length === 0) break
      entries.push(...chunk)
    }
    return entries
  }

  async firstOffset(): Promise<number> {
    return decodeSize(await this.#request((id) => [id, SIZE])).firstOffset
  }

  async size(): Promise<StoreSize> {
    const {bytes, freeBytes, isFreeing} = decodeSize(await this.#request((id) => [id, SIZE]))
    return {bytes, freeBytes, isFreeing}
  }

  async snapshot(path: string, signal?: AbortSignal): Promise<StoreHead> {
    if (this.#failure !== undefined) throw this.#failure
    const stop = this.#stopCopies.signal
    const copy = copyFile(this.place, path, signal === undefined ? stop : AbortSignal.any([signal, stop]))
    this.#copies.add(copy)
    try {
      return await copy
    } finally {
      this.#copies.delete(copy)
    }
  }

  async probe(): Promise<void> {
    if (this.#gate.passed !== undefined) await this.#gate.passed
    await this.#request((id) => [id, PROBE])
  }

  async freeze(): Promise<void> {
    this.#gate.close()
    try {
      await this.#request((id) => [id, FREEZE])
    } catch (error) {
      this.#gate.open()
      throw error
    }
  }

  async thaw(): Promise<void> {
    // Asked for before the gate opens: what waits is written after it.
    const thawed = this.#request((id) => [id, THAW])
    this.#gate.open()
    await thawed
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    if (this.#worker === undefined) return
    const closed = this.#failure === undefined ? this.#request((id) => [id, CLOSE]) : undefined
    this.#failure ??= new RegistryError('REG_STORE_FAILED', `${this.place} is closed`, {info: {place: this.place}})
    this.#stopCopies.abort(this.#failure)
    this.#gate.open()
    try {
      await closed
    } finally {
      await Promise.allSettled([this.#exited, ...this.#copies])
    }
  }

  async #request(write: (id: number) => Flat): Promise<Flat> {
    if (this.#failure !== undefined) throw this.#failure
    assert(this.#worker !== undefined, 'the store was not opened')
    const id = this.#nextId++
    const answered = new Promise<Flat>((resolve, reject) => this.#waiters.set(id, {resolve, reject}))
    this.#worker.postMessage(write(id))
    return answered
  }

  #settle(answer: Flat): void {
    const id = numberAt(answer, 0)
    const waiter = this.#waiters.get(id)
    assert(waiter !== undefined, `no request ${id}`)
    this.#waiters.delete(id)
    if (numberAt(answer, 1) === DONE) waiter.resolve(answer)
    else waiter.reject(decodeFailure(answer))
  }

  #fail(reason: string, cause?: unknown): void {
    this.#failure ??= new RegistryError('REG_STORE_FAILED', reason, {info: {place: this.place}, cause})
    for (const {reject} of this.#waiters.values()) reject(this.#failure)
    this.#waiters.clear()
  }
}
