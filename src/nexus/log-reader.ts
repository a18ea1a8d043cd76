/**
 * Readers of the change log. One reads what is stored already, then is caught up, then gets each entry as it becomes durable: all from the
 * store, at the pace of who reads, so that a slow one keeps nothing in memory and holds nobody up. Who falls behind the oldest entry that is kept is
 * cut off. Entries are given only when they are visible, so that who acts on one finds what it left.
 *
 *     reader from 3:  3 4 5  caught-up  6 7 …
 */
import {RegistryError} from '../base/errors.ts'
import {CHAIN_START, type ChainPlace, verifyChain} from '../store/chain.ts'
import type {Entry, Store} from '../store/store.ts'
import type {ChangeLog} from './change-log.ts'

export interface LogReaderPorts {
  readonly store: Pick<Store, 'read'>
  readonly changes: Pick<ChangeLog, 'nextOffset' | 'written' | 'head'>
}

export interface LogReaderLimits {
  /** How many may read at a time. */
  readonly readers: number
  /** Entries of one step. */
  readonly chunk: number
}

/** A step of 256 entries is at most 16 MB, and usually 100 kB; it is what one reader holds. */
const READER_LIMITS: LogReaderLimits = {readers: 32, chunk: 256}

/** What a reader gets: entries in order, and once, when there are no more for now, that he is caught up. */
export type LogStep =
  | {readonly kind: 'entries'; readonly entries: readonly Entry[]}
  | {readonly kind: 'caught-up'; readonly nextOffset: number}

/** A place in the log, and how far the log goes. */
export interface LogPlace {
  /** Hash of the entry at the offset that was asked for; undefined when the log does not reach so far, or was trimmed beyond it. */
  readonly hash: string | undefined
  /** Oldest entry that is kept. */
  readonly first: number
  readonly nextOffset: number
  readonly epoch: number
}

export interface LogWish {
  readonly signal: AbortSignal
  /** Goes on when it is caught up. */
  readonly isLive: boolean
  /** Begins with the oldest entry that is kept where older ones are asked for, instead of refusing. */
  readonly isRaised?: boolean
}

/** Lets a bounded number read. */
export class LogReaders {
  readonly #ports: LogReaderPorts
  readonly #limits: LogReaderLimits
  #open = 0

  constructor(ports: LogReaderPorts, limits: LogReaderLimits = READER_LIMITS) {
    this.#ports = ports
    this.#limits = limits
  }

  /** How many read now. */
  get open(): number {
    return this.#open
  }

  /**
   * Yields the entries from `from` (inclusive) in order, without a gap and none twice. An offset that is yet to come is waited for. Every entry
   * is verified against the one before it.
   *
   * @throws RegistryError `REG_BUSY` when too many read; `REG_OFFSET_CULLED` when the next entry was trimmed away, `info.first` is the oldest
   * kept; `REG_STORE_DAMAGED` when an entry is missing or not what was written, `info.offset` says which; the reason of the signal
   */
  async *read(from: number, {signal, isLive, isRaised = false}: LogWish): AsyncGenerator<LogStep, void> {
    this.#enter()
    try {
      let at = isRaised ? await this.#raised(from) : from
      let place: ChainPlace | undefined
      let isCaughtUp = false
      for (;;) {
        signal.throwIfAborted()
        const {nextOffset} = this.#ports.changes
        if (at < nextOffset) {
          place ??= await this.#placeBefore(at)
          const entries = await this.#ports.store.read(at, Math.min(this.#limits.chunk, nextOffset - at))
          place = this.#verify(entries, at, place)
          at = place.nextOffset
          yield {kind: 'entries', entries}
        } else if (!isCaughtUp) {
          isCaughtUp = true
          yield {kind: 'caught-up', nextOffset}
        } else if (isLive) {
          await this.#ports.changes.written(at, signal)
        } else {
          return
        }
      }
    } finally {
      this.#open -= 1
    }
  }

  /**
   * Says what stands at a place of the log, to find out where two logs part: the hash of its entry, undefined when there is none.
   *
   * @throws RegistryError `REG_STORE_FAILED`
   */
  async placeAt(offset: number): Promise<LogPlace> {
    const {nextOffset, epoch} = this.#ports.changes.head
    const first = Math.min(await this.#raised(0), nextOffset)
    const isKept = offset >= first && offset < nextOffset
    const [entry] = isKept ? await this.#ports.store.read(offset, 1) : []
    return {hash: entry?.hash, first, nextOffset, epoch}
  }

  #enter(): void {
    if (this.#open >= this.#limits.readers) {
      throw new RegistryError('REG_BUSY', `${this.#open} readers of the change log are taken, and no more`)
    }
    this.#open += 1
  }

  /** Gives `from`, or the oldest offset that is kept. */
  async #raised(from: number): Promise<number> {
    try {
      await this.#ports.store.read(from, 1)
      return from
    } catch (error) {
      const first = culledBefore(error)
      if (first === undefined) throw error
      return first
    }
  }

  /** Gives the place before an entry, by the hash of the one before; undefined when that one was trimmed away. */
  async #placeBefore(offset: number): Promise<ChainPlace | undefined> {
    if (offset === 0) return CHAIN_START
    try {
      const [before] = await this.#ports.store.read(offset - 1, 1)
      if (before === undefined) throw damaged(offset - 1, `entry ${offset - 1} is missing`)
      return {nextOffset: offset, lastHash: before.hash}
    } catch (error) {
      if (culledBefore(error) === undefined) throw error
      return undefined
    }
  }

  #verify(entries: readonly Entry[], at: number, place: ChainPlace | undefined): ChainPlace {
    const [first, ...others] = entries
    if (first?.offset !== at) throw damaged(at, `entry ${at} is missing`)
    // Where the one before was trimmed away, the first one is believed.
    const verdict =
      place === undefined
        ? verifyChain(others, {nextOffset: at + 1, lastHash: first.hash})
        : verifyChain(entries, place)
    if (verdict.kind === 'damaged') throw damaged(verdict.offset, verdict.reason)
    return verdict.end
  }
}

function damaged(offset: number, reason: string): RegistryError {
  return new RegistryError('REG_STORE_DAMAGED', `the change log is damaged: ${reason}`, {info: {offset}})
}

/** The oldest offset that is kept, when the error says that an older one was asked for. */
function culledBefore(error: unknown): number | undefined {
  if (!(error instanceof RegistryError) || error.code !== 'REG_OFFSET_CULLED') return undefined
  return Number(error.info['first'])
}
