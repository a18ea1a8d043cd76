/**
 * How the changes of another member come in: its entries are taken in order, each part makes the effect again from the change, and the store
 * checks that the entry gets the hash that it has there. Nothing of an entry is stored that no part knows or that does not fit the state.
 */
import {setImmediate} from 'node:timers/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import {changeKind} from '../registry/change-kind.ts'
import type {Effect, Entry, NewEntry} from '../store/store.ts'
import type {StateCheck} from './state-check.ts'

/** A change that was decided. Exactly one of the two is called, in the order in which changes were proposed; after `abandon`, perhaps both. */
export interface Proposal {
  readonly entry: NewEntry
  /**
   * It is durable now, at this offset of the log: make it visible, then answer. When `failed` was called before, it is made visible, and nothing
   * more: nobody is told.
   */
  committed(offset: number): void
  /** It did not happen: the store refused it, or one before it on top of which it was decided. Or nobody is to learn whether it did. */
  failed(error: RegistryError): void
}

/** A change of another member, to be made again here. */
export interface ReplayedChange {
  readonly offset: number
  readonly timeMs: number
  readonly actor: string
  /** As in the text of the change. */
  readonly kind: string
  readonly change: string
}

/** What a change of another member leaves here; it counts in what is pending already. */
export interface Replayed {
  readonly effect: Effect
  /** As `Proposal.committed`. */
  committed(offset: number): void
  /** As `Proposal.failed`. */
  failed(error: RegistryError): void
}

/** A part that decides changes against a state of its own. */
export interface ChangeOwner {
  /** What was decided but is not visible yet did not happen; called before its proposals hear so. */
  onReset(): void
  /** Changes are taken again after they were refused; called when what was refused can be decided anew. */
  onOpen?(): void
  /**
   * Makes a change again that was decided at another member: gives what it leaves here, counted in what is pending when this returns; undefined when the
   * change is not of this part. Throws a `TypeError` or `SyntaxError` when it cannot be read or does not fit the state; nothing is pending then.
   */
  replay?(change: ReplayedChange): Replayed | undefined
  /** Begins to compare what it keeps with the log; absent in a part that keeps nothing. */
  check?(): StateCheck
}

/** The end of the log. */
export interface LogTail {
  readonly nextOffset: number
  readonly epoch: number
}

export interface ReplicationPorts {
  readonly owners: readonly ChangeOwner[]
  /** The end of the log with all that is under way. */
  readonly tail: () => LogTail
  readonly enqueue: (proposal: Proposal) => void
  /** Throws why no entries are taken. */
  readonly assertOpen: () => void
  /** Entries that are made again in one turn. */
  readonly turnMax: number
}

/** Takes entries of another member into the queue of the log. */
export class Replication {
  readonly #ports: ReplicationPorts
  /** One call after the other: an offset has one place. */
  #taking: Promise<unknown> = Promise.resolve()

  constructor(ports: ReplicationPorts) {
    this.#ports = ports
  }

  /** As `ChangeLog.replicate`. */
  take(entries: readonly Entry[]): Promise<void> {
    const taken = this.#taking.then(() => this.#takeAll(entries))
    this.#taking = taken.catch(() => {})
    return taken.then(({durable}) => durable)
  }

  /** Resolves when all have been handed in, which is before they are durable. What is refused rejects after those before it are durable. */
  async #takeAll(entries: readonly Entry[]): Promise<{readonly durable: Promise<void>}> {
    let durable = Promise.resolve()
    let isBroken = false
    for (const [index, entry] of entries.entries()) {
      // Others have their turn; meanwhile the store may have refused what was handed in.
      if (index > 0 && index % this.#ports.turnMax === 0) await setImmediate()
      if (isBroken) break
      try {
        durable = this.#takeOne(entry)
      } catch (error) {
        await durable
        throw error
      }
      durable.catch(() => {
        isBroken = true
      })
    }
    return {durable}
  }

  #takeOne(entry: Entry): Promise<void> {
    const {assertOpen, tail, enqueue} = this.#ports
    assertOpen()
    const {nextOffset, epoch} = tail()
    if (entry.offset !== nextOffset) throw differs(entry, `entry ${entry.offset} came where ${nextOffset} follows`)
    if (entry.epoch < epoch) throw differs(entry, `entry ${entry.offset} is of epoch ${entry.epoch}, after ${epoch}`)
    const replayed = this.#replay(entry)
    const {timeMs, actor, change, hash} = entry
    return new Promise((resolve, reject) => {
      enqueue({
        entry: {timeMs, actor, change, effect: replayed.effect, epoch: entry.epoch, hash},
        committed: (offset) => {
          replayed.committed(offset)
          resolve()
        },
        failed: (error) => {
          replayed.failed(error)
          reject(error)
        },
      })
    })
  }

  #replay({offset, timeMs, actor, change}: Entry): Replayed {
    const kind = changeKind(change)
    if (kind === undefined) throw unusable(offset, 'it is not a change')
    try {
      for (const owner of this.#ports.owners) {
        const replayed = owner.replay?.({offset, timeMs, actor, kind, change})
        if (replayed !== undefined) return replayed
      }
    } catch (error) {
      throw unusable(offset, messageOf(error), error)
    }
    throw unusable(offset, `no part of this server knows ${kind}: both need the same version, and the same role in AHA`)
  }
}

function differs({offset}: Entry, text: string): RegistryError {
  return new RegistryError('REG_HISTORY_DIFFERS', `the change log of the leader is not the one here: ${text}`, {
    info: {offset},
  })
}

function unusable(offset: number, reason: string, cause?: unknown): RegistryError {
  const text = `entry ${offset} of the leader's change log cannot be applied: ${reason}`
  return new RegistryError('REG_BAD_ANSWER', text, {info: {offset}, hints: ['registry status'], cause})
}
