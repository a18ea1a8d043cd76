import {type Clock, systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {NewEntry, Store} from '../store/store.ts'

/** A change that was decided. Exactly one of the two is called, in the order in which changes were proposed. */
export interface Proposal {
  readonly entry: NewEntry
  /** It is durable now, at this offset of the log: make it visible, then answer. */
  committed(offset: number): void
  /** It did not happen: the store refused it, or one before it on top of which it was decided. */
  failed(error: RegistryError): void
}

/** A part that decides changes against a state of its own. */
export interface ChangeOwner {
  /** What was decided but is not visible yet did not happen; called before its proposals hear so. */
  onReset(): void
  /** Changes are taken again after they were refused; called when what was refused can be decided anew. */
  onOpen?(): void
}

/** Since when, and why, the store refuses changes. */
export interface Trouble {
  readonly sinceMs: number
  readonly error: RegistryError
}

/** Why no change can be proposed now. */
export interface Refusal {
  readonly code: 'REG_READ_ONLY' | 'REG_BUSY'
  readonly reason: string
}

export interface ChangeLogOptions {
  /** Offset that the next entry gets; 0 in a new store. */
  readonly nextOffset?: number
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
  #nextOffset: number
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
    this.#nextOffset = options.nextOffset ?? 0
  }

  /** Offset of the first entry that is not durable yet. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Why the store refuses changes; undefined when it does not. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** Why changes are refused although the store would take them, by the name of who wants it so. */
  get holds(): ReadonlyMap<string, string> {
    return this.#holds
  }

  /** Tells a part when what it decided is void. */
  join(owner: ChangeOwner): void {
    this.#owners.push(owner)
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
    if (this.#isClosed) return {code: 'REG_READ_ONLY', reason: 'the registry is stopping'}
    if (this.#trouble !== undefined) return {code: 'REG_READ_ONLY', reason: reasonFor(this.#trouble.error)}
    for (const reason of this.#holds.values()) return {code: 'REG_READ_ONLY', reason}
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

  /** Hands a change in. Its owner hears how it ended never before this returns. */
  propose(proposal: Proposal): void {
    this.#queue.push(proposal)
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
    if (offset < this.#nextOffset) return Promise.resolve(true)
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const look = () => {
        if (offset >= this.#nextOffset && !signal.aborted) return
        this.#watchers.delete(look)
        signal.removeEventListener('abort', look)
        resolve(offset < this.#nextOffset)
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
      ([first]) => this.#finish(batch, first),
      (error: unknown) => this.#fail(asStoreError(error)),
    )
    if (wasFull) this.#tellOpen()
  }

  #tellOpen(): void {
    if (this.refusal() !== undefined) return
    for (const owner of this.#owners) owner.onOpen?.()
  }

  #finish(batch: readonly Proposal[], first: number): void {
    this.#writing = undefined
    this.#nextOffset = first + batch.length
    this.#writeNext()
    for (const [index, proposal] of batch.entries()) proposal.committed(first + index)
    for (const look of this.#watchers) look()
  }

  #fail(error: RegistryError): void {
    const lost = [...(this.#writing ?? []), ...this.#queue]
    this.#writing = undefined
    this.#queue = []
    for (const owner of this.#owners) owner.onReset()
    if (this.#trouble === undefined) {
      this.#trouble = {sinceMs: this.#clock.wallMs(), error}
      this.#options.onTrouble?.(this.#trouble)
      this.#probeLater()
    }
    for (const proposal of lost) proposal.failed(error)
    this.#writeNext()
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

/** Says why the store failed in the words that peers get, who need not know where on the disk it lives. */
export function reasonFor(error: RegistryError): string {
  const {place} = error.info
  return typeof place === 'string' ? error.message.replaceAll(place, 'the database') : error.message
}

function asStoreError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  return new RegistryError('REG_STORE_FAILED', `the store failed: ${String(error)}`, {cause: error})
}
