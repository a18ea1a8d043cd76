import {type Clock, systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {FIRST_PREVIOUS_HASH} from '../store/chain.ts'
import type {Appended, Entry, Store, StoreHead} from '../store/store.ts'
import {noteChange} from './asked-changes.ts'
import {type ChangeOwner, type LogTail, type Proposal, Replication} from './replication.ts'
import type {StateCheck} from './state-check.ts'

/** Since when, and why, the store refuses changes. */
export interface Trouble {
  readonly sinceMs: number
  readonly error: RegistryError
}

/** Why no change can be proposed now. */
export interface Refusal {
  readonly code: 'REG_READ_ONLY' | 'REG_BUSY' | 'REG_NOT_LEADER' | 'REG_FENCED'
  readonly reason: string
}

/** Whose changes the log takes: those that are decided here, those of another member, or none. The reason is what is refused gets to hear. */
export type LogSource =
  | {readonly kind: 'own'}
  | {readonly kind: 'replicated'; readonly reason: string}
  | {readonly kind: 'none'; readonly code: 'REG_NOT_LEADER' | 'REG_FENCED' | 'REG_READ_ONLY'; readonly reason: string}

/** Where the log ends: which offset comes next, the hash and the epoch of the entry before it. */
export type LogHead = Pick<StoreHead, 'nextOffset' | 'epoch' | 'lastHash'>

export interface ChangeLogOptions {
  /** Where the log ends that the store has; without it, a new one. */
  readonly head?: LogHead
  /** Largest number of changes in one commit. */
  readonly batchMax: number
  /** Changes that may wait for the store. */
  readonly queueMax: number
  /** Called when the store begins to refuse changes, and with undefined when it takes them again. */
  readonly onTrouble?: (trouble: Trouble | undefined) => void
  readonly clock?: Clock
}

/** A commit of 300 keeps one turn of the event loop at a few milliseconds; what waits beyond 10 000 is refused at once. */
export const COMMIT_LIMITS = {batchMax: 300, queueMax: 10_000} as const
/** How often a store that failed is asked whether it can be written again. */
const PROBE_EVERY_MS = 500

/**
 * Group commit: proposals that arrive while the store writes go together into its next transaction, one commit for all of them, whichever
 * part of the server they come from.
 *
 * The next batch is handed over before the finished one is answered, and an idle log waits for the end of the event loop's turn, so that
 * what arrived together is stored together. When the store fails, everything under way fails with it, and changes are refused until the
 * store can be written again. Who proposes asks `refusal` first.
 */
export class ChangeLog {
  readonly #store: Pick<Store, 'append' | 'probe'>
  readonly #options: ChangeLogOptions
  readonly #clock: Clock
  readonly #owners: ChangeOwner[] = []
  readonly #holds = new Map<string, string>()
  #queue: Proposal[] = []
  #writing: readonly Proposal[] | undefined
  #head: LogHead
  /** The epoch of the newest entry that was handed in. */
  #tailEpoch: number
  #source: LogSource = {kind: 'own'}
  /** Whether what is being written was abandoned. */
  #isAbandoned = false
  readonly #replication: Replication
  #isScheduled = false
  #isClosed = false
  #idle: PromiseWithResolvers<void> | undefined
  #trouble: Trouble | undefined
  #probeTimer: NodeJS.Timeout | undefined
  /** Who waits for an offset, and gets to know that one was written. */
  readonly #watchers = new Set<() => void>()

  constructor(store: Pick<Store, 'append' | 'probe'>, options: ChangeLogOptions) {
    this.#store = store
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#head = options.head ?? {nextOffset: 0, epoch: 1, lastHash: FIRST_PREVIOUS_HASH}
    this.#tailEpoch = this.#head.epoch
    this.#replication = new Replication({
      owners: this.#owners,
      tail: () => this.#tail,
      enqueue: (proposal) => this.#enqueue(proposal),
      assertOpen: () => this.#assertReplicated(),
      turnMax: options.batchMax,
    })
  }

  /** Where the durable part of the log ends. */
  get head(): LogHead {
    return this.#head
  }

  /** Offset of the first entry that is not durable yet. */
  get nextOffset(): number {
    return this.#head.nextOffset
  }

  /** Why the store refuses changes; undefined when it does not. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** Why changes are refused although the store would take them, by the name of who wants it so. */
  get holds(): ReadonlyMap<string, string> {
    return this.#holds
  }

  /** Begins to compare what the parts keep with the log. */
  checks(): readonly StateCheck[] {
    return this.#owners.flatMap((owner) => owner.check?.() ?? [])
  }

  /** Tells a part when what it decided is void. */
  join(owner: ChangeOwner): void {
    this.#owners.push(owner)
  }

  /** Whose changes are taken. */
  get source(): LogSource {
    return this.#source
  }

  /** Says whose changes are taken from now on. What is under way is not touched: wait until it is `settled`. */
  setSource(source: LogSource): void {
    this.#source = source
    this.#tellOpen()
  }

  /**
   * Fails everything that is under way with this error. What the store is writing may become durable all the same: then it becomes visible,
   * but nobody is told. Nothing is taken until that is decided (`settled`).
   */
  abandon(error: RegistryError): void {
    const lost = [...(this.#isAbandoned ? [] : (this.#writing ?? [])), ...this.#queue]
    this.#isAbandoned = this.#writing !== undefined
    this.#queue = []
    this.#reset()
    for (const proposal of lost) proposal.failed(error)
    if (this.#writing === undefined) this.#writeNext()
  }

  /** Refuses further changes with this reason until `release`; what is under way is not touched. */
  hold(name: string, reason: string): void {
    this.#holds.set(name, reason)
  }

  release(name: string): void {
    if (this.#holds.delete(name)) this.#tellOpen()
  }

  /** Why no change can be proposed now; undefined when one can. */
  refusal(): Refusal | undefined {
    const source = this.#source
    if (source.kind === 'none') return {code: source.code, reason: source.reason}
    if (source.kind === 'replicated') return {code: 'REG_NOT_LEADER', reason: source.reason}
    const blocked = this.#blocked()
    if (blocked !== undefined) return blocked
    if (this.#queue.length < this.#options.queueMax) return undefined
    return {code: 'REG_BUSY', reason: 'too many changes wait for the disk, ask again'}
  }

  /**
   * Throws why no change can be proposed now.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`
   */
  assertOpen(): void {
    const refusal = this.refusal()
    if (refusal !== undefined) throw new RegistryError(refusal.code, refusal.reason, {cause: this.#trouble?.error})
  }

  /**
   * Hands a change in. Its owner hears how it ended never before this returns.
   *
   * @throws RegistryError `REG_NOT_LEADER`, `REG_FENCED` when changes of this member are not taken
   */
  propose(proposal: Proposal): void {
    if (this.#source.kind !== 'own') this.assertOpen()
    this.#enqueue(proposal)
    noteChange()
  }

  /**
   * Hands in a change of who leads, which is taken whoever's changes are: a leader that is about to give the lead away, and a mirror that takes
   * it, both take no others then. To be called when the log is `settled`.
   *
   * @throws RegistryError `REG_READ_ONLY`
   */
  proposeLead(proposal: Proposal): void {
    this.#assertNotBlocked()
    this.#enqueue(proposal)
  }

  /**
   * Stores entries of the leader, in order, as they are there, and makes them visible through their owners. Resolves when all are durable and
   * visible; when it rejects, those before the one that it is about may be.
   *
   * @throws RegistryError `REG_HISTORY_DIFFERS` when they do not continue this log, `info.offset` is the entry; `REG_BAD_ANSWER` when one cannot be
   * applied; `REG_NOT_LEADER`, `REG_FENCED`, `REG_CONFLICT` when such entries are not taken; `REG_READ_ONLY` while the disk is low or the log is held;
   * `REG_STORE_FAILED`, `REG_STORE_DAMAGED`
   */
  replicate(entries: readonly Entry[]): Promise<void> {
    return this.#replication.take(entries)
  }

  #blocked(): Refusal | undefined {
    if (this.#isClosed) return {code: 'REG_READ_ONLY', reason: 'the registry is stopping'}
    if (this.#trouble !== undefined) return {code: 'REG_READ_ONLY', reason: reasonFor(this.#trouble.error)}
    for (const reason of this.#holds.values()) return {code: 'REG_READ_ONLY', reason}
    if (!this.#isAbandoned) return undefined
    return {code: 'REG_READ_ONLY', reason: 'what was abandoned is still being written'}
  }

  #assertNotBlocked(): void {
    const blocked = this.#blocked()
    if (blocked !== undefined) throw new RegistryError(blocked.code, blocked.reason, {cause: this.#trouble?.error})
  }

  #assertReplicated(): void {
    const source = this.#source
    if (source.kind === 'none') throw new RegistryError(source.code, source.reason)
    if (source.kind === 'own')
      throw new RegistryError('REG_CONFLICT', 'this member leads: it takes no entries of others')
    this.#assertNotBlocked()
  }

  get #tail(): LogTail {
    const underWay = (this.#writing?.length ?? 0) + this.#queue.length
    return {nextOffset: this.#head.nextOffset + underWay, epoch: this.#tailEpoch}
  }

  #enqueue(proposal: Proposal): void {
    this.#queue.push(proposal)
    this.#tailEpoch = proposal.entry.epoch ?? this.#tailEpoch
    if (this.#writing === undefined && !this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => {
        this.#isScheduled = false
        this.#writeNext()
      })
    }
  }

  /** Waits until the entry at `offset` is durable: true then, false when `signal` aborts before. */
  written(offset: number, signal: AbortSignal): Promise<boolean> {
    if (offset < this.#head.nextOffset) return Promise.resolve(true)
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const look = () => {
        if (offset >= this.#head.nextOffset && !signal.aborted) return
        this.#watchers.delete(look)
        signal.removeEventListener('abort', look)
        resolve(offset < this.#head.nextOffset)
      }
      this.#watchers.add(look)
      signal.addEventListener('abort', look)
    })
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    if (this.#queue.length === 0 && this.#writing === undefined) return Promise.resolve()
    this.#idle ??= Promise.withResolvers()
    return this.#idle.promise
  }

  /** Refuses further changes and stops asking a failing store. What is under way goes on. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#probeTimer)
  }

  #writeNext(): void {
    if (this.#writing !== undefined) return
    if (this.#queue.length === 0) {
      this.#idle?.resolve()
      this.#idle = undefined
      return
    }
    const {batchMax, queueMax} = this.#options
    const wasFull = this.#queue.length >= queueMax
    const batch = this.#queue.length <= batchMax ? this.#queue : this.#queue.slice(0, batchMax)
    this.#queue = this.#queue.length <= batchMax ? [] : this.#queue.slice(batchMax)
    this.#writing = batch
    this.#store.append(batch.map((proposal) => proposal.entry)).then(
      (appended) => this.#finish(batch, appended),
      (error: unknown) => this.#fail(asStoreError(error)),
    )
    if (wasFull) this.#tellOpen()
  }

  #tellOpen(): void {
    if (this.refusal() !== undefined) return
    for (const owner of this.#owners) owner.onOpen?.()
  }

  #finish(batch: readonly Proposal[], [first, lastHash]: Appended): void {
    const isAbandoned = this.#isAbandoned
    this.#writing = undefined
    this.#isAbandoned = false
    this.#head = {nextOffset: first + batch.length, lastHash, epoch: epochAfter(batch, this.#head.epoch)}
    this.#writeNext()
    for (const [index, proposal] of batch.entries()) proposal.committed(first + index)
    // What they left counts again in what is pending.
    if (isAbandoned) this.#reset()
    for (const look of this.#watchers) look()
    if (isAbandoned) this.#tellOpen()
  }

  #fail(error: RegistryError): void {
    const lost = [...(this.#isAbandoned ? [] : (this.#writing ?? [])), ...this.#queue]
    this.#writing = undefined
    this.#isAbandoned = false
    this.#queue = []
    this.#reset()
    // An entry that does not continue the log is no fault of the store.
    if (this.#trouble === undefined && error.code !== 'REG_HISTORY_DIFFERS') {
      this.#trouble = {sinceMs: this.#clock.wallMs(), error}
      this.#options.onTrouble?.(this.#trouble)
      this.#probeLater()
    }
    for (const proposal of lost) proposal.failed(error)
    this.#writeNext()
  }

  /** What is pending is what is visible. */
  #reset(): void {
    this.#tailEpoch = this.#head.epoch
    for (const owner of this.#owners) owner.onReset()
  }

  #probeLater(): void {
    if (this.#isClosed) return
    this.#probeTimer = setTimeout(() => {
      this.#store.probe().then(
        () => {
          this.#trouble = undefined
          this.#options.onTrouble?.(undefined)
          this.#tellOpen()
        },
        (error: unknown) => {
          if (error instanceof RegistryError && this.#trouble !== undefined) this.#trouble = {...this.#trouble, error}
          this.#probeLater()
        },
      )
    }, PROBE_EVERY_MS)
    this.#probeTimer.unref()
  }
}

/** Gives the epoch of the last entry of a batch. */
function epochAfter(batch: readonly Proposal[], before: number): number {
  return batch.reduce((epoch, {entry}) => entry.epoch ?? epoch, before)
}

/** Says why the store failed in the words that peers get, who need not know where on the disk it lives. */
export function reasonFor(error: RegistryError): string {
  const {place} = error.info
  return typeof place === 'string' ? error.message.replaceAll(place, 'the database') : error.message
}

function asStoreError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  return new RegistryError('REG_STORE_FAILED', `the store failed: ${String(error)}`, {cause: error})
}
