import assert from 'node:assert/strict'
import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'
import {chainHash, FIRST_PREVIOUS_HASH} from './chain.ts'
import {assertEntries, assertFits, assertRenewals} from './checks.ts'
import type {
  Appended,
  Effect,
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

const INSTANCES_PER_CHUNK = 1000
/** Entries kept; older ones are culled, so that a registry without a disk does not fill the memory. About 5 MB of usual ones. */
const KEPT_ENTRIES = 10_000
/** Characters of their changes kept: an entry may have 64 KiB. */
const KEPT_CHARS = 8 * 1024 * 1024

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
  readonly #iden = newGuid()
  #epoch = 1
  #nextOffset = 0
  #lastHash = FIRST_PREVIOUS_HASH
  #nextSeq = 0
  readonly #gate = new WriteGate()
  #state: 'new' | 'open' | 'closed' = 'new'

  async open(): Promise<StoreHead> {
    assert(this.#state === 'new', 'a store is opened once')
    this.#state = 'open'
    return {
      nextOffset: this.#nextOffset,
      epoch: this.#epoch,
      lastHash: this.#lastHash,
      nextSeq: this.#nextSeq,
      iden: this.#iden,
      firstOffset: this.#first,
    }
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

  async append(entries: readonly NewEntry[]): Promise<Appended> {
    if (this.#gate.passed !== undefined) await this.#gate.passed
    this.#assertOpen()
    assertEntries(entries)
    const first = this.#nextOffset
    const chained = this.#chain(entries)
    for (const [index, entry] of chained.entries()) {
      this.#entries.push(entry)
      this.#chars += entry.change.length
      this.#nextOffset = entry.offset + 1
      this.#lastHash = entry.hash
      this.#epoch = entry.epoch
      this.#applyEffect(entries[index]?.effect, entry.offset)
    }
    if (this.#entries.length > 2 * KEPT_ENTRIES || this.#chars > 2 * KEPT_CHARS) this.#limit()
    return [first, this.#lastHash]
  }

  async saveRenewals(renewals: readonly Renewal[]): Promise<void> {
    if (this.#gate.passed !== undefined) await this.#gate.passed
    this.#assertOpen()
    assertRenewals(renewals)
    for (const {seq, lastHeartbeatS} of renewals) {
      const instance = this.#instances.get(seq)
      if (instance !== undefined) this.#instances.set(seq, {...instance, lastHeartbeatS})
    }
  }

  async read(offset: number, limit: number): Promise<readonly Entry[]> {
    this.#assertOpen()
    const oldest = this.#first
    if (offset < oldest) {
      throw new RegistryError('REG_OFFSET_CULLED', `entry ${offset} was trimmed, the oldest kept is ${oldest}`, {
        info: {offset, first: oldest},
      })
    }
    return this.#entries.slice(offset - oldest, offset - oldest + limit)
  }

  async firstOffset(): Promise<number> {
    this.#assertOpen()
    return this.#first
  }

  async size(): Promise<StoreSize> {
    this.#assertOpen()
    return {bytes: 0, freeBytes: 0, isFreeing: false}
  }

  async snapshot(): Promise<StoreHead> {
    this.#assertOpen()
    throw new RegistryError('REG_CONFLICT', 'a store in memory cannot be copied')
  }

  async freeze(): Promise<void> {
    this.#assertOpen()
    this.#gate.close()
  }

  async thaw(): Promise<void> {
    this.#gate.open()
  }

  async probe(): Promise<void> {
    if (this.#gate.passed !== undefined) await this.#gate.passed
    this.#assertOpen()
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#gate.open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #first(): number {
    return this.#nextOffset - this.#entries.length
  }

  /** Makes the entries that follow the newest one. Alters nothing. */
  #chain(entries: readonly NewEntry[]): readonly Entry[] {
    const chained: Entry[] = []
    let lastHash = this.#lastHash
    let lastEpoch = this.#epoch
    for (const [index, {timeMs, actor, change, epoch = lastEpoch, hash: expected = ''}] of entries.entries()) {
      const offset = this.#nextOffset + index
      const hash = chainHash(lastHash, offset, epoch, timeMs, actor, change)
      assertFits({offset, epoch, hash}, lastEpoch, expected)
      chained.push({offset, epoch, hash, timeMs, actor, change})
      lastHash = hash
      lastEpoch = epoch
    }
    return chained
  }

  #applyEffect(effect: Effect | undefined, offset: number): void {
    assert(effect !== undefined, 'an entry has an effect')
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
        return
      case 'cull':
        this.#dropBelow(Math.min(effect.offset + 1, offset))
        return
      case 'rotate': // there are no segments
      case 'none':
    }
  }

  /** Drops what is more than the newest 10 000 entries, or 8 MB of them. */
  #limit(): void {
    let first = this.#nextOffset
    let chars = 0
    for (const {change} of this.#entries.slice(-KEPT_ENTRIES).reverse()) {
      if (chars + change.length > KEPT_CHARS) break
      chars += change.length
      first -= 1
    }
    this.#dropBelow(first)
  }

  #dropBelow(offset: number): void {
    const count = offset - this.#first
    if (count <= 0) return
    for (const {change} of this.#entries.splice(0, count)) this.#chars -= change.length
  }

  #assertOpen(): void {
    assert(this.#state !== 'new', 'the store was not opened')
    if (this.#state === 'closed') throw new RegistryError('REG_STORE_FAILED', 'the store is closed')
  }
}
