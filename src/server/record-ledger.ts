import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {compareTexts, type StateCheck, textsOf} from '../nexus/state-check.ts'
import type {Effect, Store, StoredRecord} from '../store/store.ts'

export interface RecordLedgerPorts {
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join'>
  readonly clock: Pick<Clock, 'wallMs'>
}

/** What a ledger has to know of changes `C` that alter one value `V` each. */
export interface RecordFormat<C, V> {
  /** Of the store. */
  readonly table: string
  readonly keyOf: (change: C) => string
  /** What a change leaves of a value; undefined when it is gone. */
  readonly after: (change: C, old: V | undefined) => V | undefined
  /** Tells whether a change of this kind is one of these. */
  readonly isKind: (kind: string) => boolean
  readonly encodeChange: (change: C) => string
  /** Throws when the text is not what `encodeChange` gave. */
  readonly decodeChange: (text: string) => C
  readonly encode: (value: V) => string
  /** Throws when the text is not what `encode` gave. */
  readonly decode: (text: string) => V
}

/**
 * Values by key: what is durable and seen by all, and what has been decided on top of it (`pending`). When a commit fails, what was decided is
 * thrown away.
 */
export class RecordLedger<C, V> {
  readonly #ports: RecordLedgerPorts
  readonly #format: RecordFormat<C, V>
  readonly #visible: Map<string, V>
  #pending: Map<string, V>
  #onVisible: (change: C) => void = () => {}

  private constructor(ports: RecordLedgerPorts, format: RecordFormat<C, V>, values: Map<string, V>) {
    this.#ports = ports
    this.#format = format
    this.#visible = values
    this.#pending = new Map(values)
    ports.changeLog.join({
      onReset: () => {
        this.#pending = new Map(this.#visible)
      },
      replay: (change) => this.#replay(change),
      check: () => this.#check(),
    })
  }

  /**
   * Reads the values from the store.
   *
   * @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open<C, V>(ports: RecordLedgerPorts, format: RecordFormat<C, V>): Promise<RecordLedger<C, V>> {
    const values = new Map<string, V>()
    for await (const chunk of ports.store.records(format.table)) {
      for (const record of chunk) values.set(record.key, read(record, format, ports.store.place))
    }
    return new RecordLedger(ports, format, values)
  }

  get visible(): ReadonlyMap<string, V> {
    return this.#visible
  }

  /** As it will be when all that is under way has been committed. */
  get pending(): ReadonlyMap<string, V> {
    return this.#pending
  }

  /** Names the one who hears of each change, in the order of the log and in the turn in which it becomes visible. */
  onVisible(listener: (change: C) => void): void {
    this.#onVisible = listener
  }

  /**
   * Makes a change durable and then visible. It counts in `pending` when this returns, before the promise resolves: to be called in the same turn
   * in which it was decided.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen.
   */
  async change(change: C, actor: string): Promise<void> {
    const {changeLog, clock} = this.#ports
    changeLog.assertOpen()
    const {effect, apply} = this.#decide(change)
    const entry = {timeMs: clock.wallMs(), actor, change: this.#format.encodeChange(change), effect}
    await new Promise<void>((resolve, failed) => {
      const committed = (): void => {
        apply()
        resolve()
      }
      changeLog.propose({entry, committed, failed})
    })
  }

  #replay({kind, change}: ReplayedChange): Replayed | undefined {
    const {isKind, decodeChange} = this.#format
    if (!isKind(kind)) return undefined
    const {effect, apply} = this.#decide(decodeChange(change))
    return {effect, committed: apply, failed: () => undefined}
  }

  #check(): StateCheck {
    const {table, isKind, decodeChange, keyOf, after, encode} = this.#format
    const wanted = new Map<string, V>()
    return {
      take: (kind, text) => {
        if (!isKind(kind)) return
        const change = decodeChange(text)
        const key = keyOf(change)
        put(wanted, key, after(change, wanted.get(key)))
      },
      compare: () => compareTexts(textsOf(table, wanted, encode), textsOf(table, this.#visible, encode)),
    }
  }

  /** Counts a change in what is pending, and gives what it leaves in the store and how it becomes visible. */
  #decide(change: C): {readonly effect: Effect; readonly apply: () => void} {
    const {table, keyOf, after, encode} = this.#format
    const key = keyOf(change)
    const value = after(change, this.#pending.get(key))
    put(this.#pending, key, value)
    const records = [{table, key, value: value === undefined ? null : encode(value)}]
    const apply = () => {
      put(this.#visible, key, value)
      this.#onVisible(change)
    }
    return {effect: {kind: 'records', records}, apply}
  }
}

function put<V>(values: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) values.delete(key)
  else values.set(key, value)
}

function read<C, V>(record: StoredRecord, format: RecordFormat<C, V>, place: string): V {
  try {
    return format.decode(record.value)
  } catch (error) {
    throw damaged(record, place, error)
  }
}

function damaged({table, key}: StoredRecord, place: string, cause: unknown): RegistryError {
  const text = `${place}: the record ${table} ${key} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table}, cause})
}
