import {recordsOf} from '../auth/apply.ts'
import {type AuthChange, decodeAuthChange, encodeAuthChange, isAuthKind} from '../auth/change.ts'
import {AUTH_PREFIX, decodeRecord, encodeRecord} from '../auth/records.ts'
import {type AuthRecord, AuthState} from '../auth/state.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {compareTexts, type KeptTexts, type StateCheck} from '../nexus/state-check.ts'
import type {Effect, Store, StoredRecord} from '../store/store.ts'

/** Hears of a change that can be seen now, and where it stands in the log. */
type OnVisible = (change: AuthChange, offset: number) => void

export interface LedgerPorts {
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join'>
  readonly clock: Clock
}

/**
 * The two states of users, roles, gates and keys: what is durable and seen by all, and what has been decided on top of it. A change is
 * decided against the second and becomes visible when its commit is done; when a commit fails, what was decided is thrown away.
 */
export class AuthLedger {
  readonly #ports: LedgerPorts
  readonly #onVisible: OnVisible
  readonly #visible: AuthState
  #pending: AuthState

  private constructor(ports: LedgerPorts, state: AuthState, onVisible: OnVisible) {
    this.#ports = ports
    this.#onVisible = onVisible
    this.#visible = state
    this.#pending = state.copy()
    ports.changeLog.join({
      onReset: () => {
        this.#pending = this.#visible.copy()
      },
      replay: (change) => this.#replay(change),
      check: () => this.#check(),
    })
  }

  /**
   * Reads the state from the store. `onVisible` is called after each change when it can be seen, before its promise resolves.
   *
   * @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open(ports: LedgerPorts, onVisible: OnVisible): Promise<AuthLedger> {
    const state = new AuthState()
    for await (const chunk of ports.store.records()) {
      for (const record of chunk) {
        const read = readRecord(record, ports.store.place)
        if (read !== undefined) state.put([read])
      }
    }
    return new AuthLedger(ports, state, onVisible)
  }

  get visible(): AuthState {
    return this.#visible
  }

  /** As it will be when all that is under way has been committed. */
  get pending(): AuthState {
    return this.#pending
  }

  get nowMs(): number {
    return this.#ports.clock.wallMs()
  }

  /**
   * Makes a change durable and then visible. It counts in `pending` when this returns, before the promise resolves: to be called in the same turn
   * in which it was decided.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen.
   */
  async change(change: AuthChange, actor: string): Promise<void> {
    const {changeLog, clock} = this.#ports
    changeLog.assertOpen()
    const {effect, apply} = this.#decide(change)
    const entry = {timeMs: clock.wallMs(), actor, change: encodeAuthChange(change), effect}
    await new Promise<void>((resolve, failed) => {
      const committed = (offset: number): void => {
        apply(offset)
        resolve()
      }
      changeLog.propose({entry, committed, failed})
    })
  }

  #replay({kind, change}: ReplayedChange): Replayed | undefined {
    if (!isAuthKind(kind)) return undefined
    const {effect, apply} = this.#decide(decodeAuthChange(change))
    return {effect, committed: apply, failed: () => undefined}
  }

  #check(): StateCheck {
    const wanted = new AuthState()
    return {
      take: (kind, change) => {
        if (isAuthKind(kind)) wanted.put(recordsOf(wanted, decodeAuthChange(change)))
      },
      compare: () => compareTexts(textsIn(wanted), textsIn(this.#visible)),
    }
  }

  /** Counts a change in what is pending, and gives what it leaves in the store and how it becomes visible. */
  #decide(change: AuthChange): {readonly effect: Effect; readonly apply: (offset: number) => void} {
    const records = recordsOf(this.#pending, change)
    this.#pending.put(records)
    const apply = (offset: number): void => {
      this.#visible.put(records)
      this.#onVisible(change, offset)
    }
    return {effect: {kind: 'records', records: records.map(encodeRecord)}, apply}
  }
}

function textsIn(state: AuthState): KeptTexts {
  return {
    *all() {
      for (const record of state.records()) {
        const {table, key, value} = encodeRecord(record)
        if (value !== null) yield {table, key, text: value}
      }
    },
    get(table, key) {
      const record = state.record(table.slice(AUTH_PREFIX.length), key)
      return record === undefined ? undefined : (encodeRecord(record).value ?? undefined)
    },
  }
}

function readRecord(record: StoredRecord, place: string): AuthRecord | undefined {
  try {
    return decodeRecord(record)
  } catch (error) {
    throw damaged(record, place, error)
  }
}

function damaged({table, key}: StoredRecord, place: string, cause: unknown): RegistryError {
  const text = `${place}: the record ${table} ${key} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table}, cause})
}
