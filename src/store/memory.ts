import assert from 'node:assert/strict'
import {RegistryError} from '../base/errors.ts'
import {chainHash, FIRST_PREVIOUS_HASH} from './chain.ts'
import {assertEntries, assertRenewals} from './checks.ts'
import type {Effect, Entry, NewEntry, Renewal, Store, StoredInstance, StoredRecord, StoreHead} from './store.ts'

const INSTANCES_PER_CHUNK = 1000
/** Entries kept; older ones are culled, so that a registry without a disk does not fill the memory. About 5 MB of usual ones. */
const KEPT_ENTRIES = 10_000
/** Characters of their changes kept: an entry may have 64 KiB. */
const KEPT_CHARS = 8 * 1024 * 1024
const EPOCH = 1 // a new store every time: nothing was promoted or restored before it

/**
 * Engine without a disk: everything is gone when the process ends. The log keeps the newest 10 000 to 20 000 entries, or fewer large ones,
 * 8 to 16 MB of them.
 */
export class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly place = 'memory'
  readonly #instances = new Map<number, StoredInstance>()
  readonly #records = new Map<string, StoredRecord>()
  #entries: Entry[] = []
  #chars = 0
  #nextOffset = 0
  #lastHash = FIRST_PREVIOUS_HASH
  #nextSeq = 0
  #state: 'new' | 'open' | 'closed' = 'new'

  async open(): Promise<StoreHead> {
    assert(this.#state === 'new', 'a store is opened once')
    this.#state = 'open'
    return {nextOffset: this.#nextOffset, epoch: EPOCH, lastHash: this.#lastHash, nextSeq: this.#nextSeq}
  }

  async *instances(): AsyncGenerator<readonly StoredInstance[]> {
    this.#assertOpen()
    const all = [...this.#instances.values()].sort((a, b) => a.seq - b.seq)
    for (let start = 0; start < all.length; start += INSTANCES_PER_CHUNK) {
      yield all.slice(start, start + INSTANCES_PER_CHUNK)
    }
  }

  async *records(only?: string): AsyncGenerator<readonly StoredRecord[]> {
    this.#assertOpen()
    const all = [...this.#records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
    const wanted = only === undefined ? all : all.filter(({table}) => table === only)
    if (wanted.length > 0) yield wanted
  }

  async append(entries: readonly NewEntry[]): Promise<number> {
    this.#assertOpen()
    assertEntries(entries)
    const first = this.#nextOffset
    for (const entry of entries) this.#apply(entry)
    if (this.#entries.length > 2 * KEPT_ENTRIES || this.#chars > 2 * KEPT_CHARS) this.#cull()
    return first
  }

  async saveRenewals(renewals: readonly Renewal[]): Promise<void> {
    this.#assertOpen()
    assertRenewals(renewals)
    for (const {seq, lastHeartbeatS} of renewals) {
      const instance = this.#instances.get(seq)
      if (instance !== undefined) this.#instances.set(seq, {...instance, lastHeartbeatS})
    }
  }

  async read(offset: number, limit: number): Promise<readonly Entry[]> {
    this.#assertOpen()
    const oldest = this.#nextOffset - this.#entries.length
    if (offset < oldest) {
      throw new RegistryError('REG_OFFSET_CULLED', `entry ${offset} was trimmed, the oldest kept is ${oldest}`, {
        info: {offset, first: oldest},
      })
    }
    return this.#entries.slice(offset - oldest, offset - oldest + limit)
  }

  async probe(): Promise<void> {
    this.#assertOpen()
  }

  async close(): Promise<void> {
    this.#state = 'closed'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #apply({timeMs, actor, change, effect}: NewEntry): void {
    const offset = this.#nextOffset
    const hash = chainHash(this.#lastHash, offset, EPOCH, timeMs, actor, change)
    this.#entries.push({offset, epoch: EPOCH, hash, timeMs, actor, change})
    this.#chars += change.length
    this.#nextOffset = offset + 1
    this.#lastHash = hash
    this.#applyEffect(effect)
  }

  #applyEffect(effect: Effect): void {
    switch (effect.kind) {
      case 'put':
        this.#instances.set(effect.instance.seq, effect.instance)
        this.#nextSeq = Math.max(this.#nextSeq, effect.instance.seq + 1)
        return
      case 'delete':
        this.#instances.delete(effect.seq)
        return
      case 'records':
        for (const {table, key, value} of effect.records) {
          const place = `${table}\0${key}`
          if (value === null) this.#records.delete(place)
          else this.#records.set(place, {table, key, value})
        }
    }
  }

  #cull(): void {
    let first = this.#entries.length
    this.#chars = 0
    for (const {change} of this.#entries.slice(-KEPT_ENTRIES).reverse()) {
      if (this.#chars + change.length > KEPT_CHARS) break
      this.#chars += change.length
      first -= 1
    }
    this.#entries = this.#entries.slice(first)
  }

  #assertOpen(): void {
    assert(this.#state !== 'new', 'the store was not opened')
    if (this.#state === 'closed') throw new RegistryError('REG_STORE_FAILED', 'the store is closed')
  }
}
