import {RegistryError} from '../base/errors.ts'
import type {NewEntry, Store} from '../store/store.ts'

/** What the log asks of its owner; both are called with proposals in the order in which they were made. */
export interface ChangeLogOwner<P> {
  /** These are durable now. */
  onCommitted(proposals: readonly P[]): void
  /** None of these happened: the store refused the first, and the others were decided on top of it. */
  onFailed(proposals: readonly P[], error: RegistryError): void
}

/**
 * Group commit: proposals that arrive while the store writes go together into its next transaction, one commit for all of them.
 *
 * The next batch is handed over before the finished one is answered, and an idle log waits for the end of the event loop's turn, so that
 * what arrived together is stored together. When the store fails, everything under way fails with it.
 */
export class ChangeLog<P extends {readonly entry: NewEntry}> {
  readonly #store: Pick<Store, 'append'>
  readonly #owner: ChangeLogOwner<P>
  readonly #batchMax: number
  readonly #queueMax: number
  #queue: P[] = []
  #writing: readonly P[] | undefined
  #isScheduled = false
  #idle: PromiseWithResolvers<void> | undefined

  constructor(
    store: Pick<Store, 'append'>,
    owner: ChangeLogOwner<P>,
    limits: {readonly batchMax: number; readonly queueMax: number},
  ) {
    this.#store = store
    this.#owner = owner
    this.#batchMax = limits.batchMax
    this.#queueMax = limits.queueMax
  }

  /** True when no more can be proposed until the store has caught up. */
  get isFull(): boolean {
    return this.#queue.length >= this.#queueMax
  }

  /** Hands a change in. The owner hears how it ended, in order, never before this returns. */
  propose(proposal: P): void {
    this.#queue.push(proposal)
    if (this.#writing === undefined && !this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => {
        this.#isScheduled = false
        this.#writeNext()
      })
    }
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    if (this.#queue.length === 0 && this.#writing === undefined) return Promise.resolve()
    this.#idle ??= Promise.withResolvers()
    return this.#idle.promise
  }

  #writeNext(): void {
    if (this.#writing !== undefined) return
    if (this.#queue.length === 0) {
      this.#idle?.resolve()
      this.#idle = undefined
      return
    }
    const batch = this.#queue.length <= this.#batchMax ? this.#queue : this.#queue.slice(0, this.#batchMax)
    this.#queue = this.#queue.length <= this.#batchMax ? [] : this.#queue.slice(this.#batchMax)
    this.#writing = batch
    this.#store.append(batch.map((proposal) => proposal.entry)).then(
      () => this.#finish(batch),
      (error: unknown) => this.#fail(error),
    )
  }

  #finish(batch: readonly P[]): void {
    this.#writing = undefined
    this.#writeNext()
    this.#owner.onCommitted(batch)
  }

  #fail(error: unknown): void {
    const lost = [...(this.#writing ?? []), ...this.#queue]
    this.#writing = undefined
    this.#queue = []
    this.#owner.onFailed(lost, asStoreError(error))
    this.#writeNext()
  }
}

function asStoreError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  return new RegistryError('REG_STORE_FAILED', `the store failed: ${String(error)}`, {cause: error})
}
