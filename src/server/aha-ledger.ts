import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {compareTexts, type KeptTexts, type StateCheck} from '../nexus/state-check.ts'
import {
  AHA_TABLE,
  type AhaChange,
  type AhaRecord,
  decodeAhaChange,
  decodeAhaRecord,
  encodeAhaChange,
  encodeAhaRecord,
  isAhaKind,
} from '../registry/aha-change.ts'
import {AhaDirectory} from '../registry/aha-directory.ts'
import type {Effect, Store, StoredRecord} from '../store/store.ts'

export interface AhaLedgerPorts {
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join'>
  readonly clock: Pick<Clock, 'wallMs'>
}

/** Hears of a change that can be seen now. `isNew` when nobody had the name before; nothing is altered when the change is about none. */
type Watcher = (change: AhaChange, about: {readonly isNew: boolean; readonly isAltered: boolean}) => void

/**
 * The two states of the services of AHA: what is durable and seen by all, and what has been decided on top of it. As `AuthLedger` keeps
 * users: when a commit fails, what was decided is thrown away.
 */
export class AhaLedger {
  readonly #ports: AhaLedgerPorts
  readonly #visible: AhaDirectory
  #pending: AhaDirectory
  readonly #watchers: Watcher[] = []
  #whenOpen: () => void = () => {}

  private constructor(ports: AhaLedgerPorts, directory: AhaDirectory) {
    this.#ports = ports
    this.#visible = directory
    this.#pending = directory.copy()
    ports.changeLog.join({
      onReset: () => {
        this.#pending = this.#visible.copy()
      },
      onOpen: () => this.#whenOpen(),
      replay: (change) => this.#replay(change),
      check: () => this.#check(),
    })
  }

  /**
   * Reads the services from the store.
   *
   * @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open(ports: AhaLedgerPorts): Promise<AhaLedger> {
    const directory = new AhaDirectory()
    for await (const chunk of ports.store.records(AHA_TABLE)) {
      for (const record of chunk) {
        const read = readRecord(record, ports.store.place)
        if (read !== undefined) directory.put([read])
      }
    }
    return new AhaLedger(ports, directory)
  }

  get visible(): AhaDirectory {
    return this.#visible
  }

  /** Has itself told each change, when it is visible. */
  onChanged(watcher: Watcher): void {
    this.#watchers.push(watcher)
  }

  /** Names the one who hears when changes are taken again after they were refused. */
  whenOpen(listener: () => void): void {
    this.#whenOpen = listener
  }

  /** As it will be when all that is under way has been committed. */
  get pending(): AhaDirectory {
    return this.#pending
  }

  /**
   * Makes a change durable and then visible. It counts in `pending` when this returns, before the promise resolves: to be called in the same turn
   * in which it was decided.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen.
   */
  async change(change: AhaChange, actor: string): Promise<void> {
    const {changeLog, clock} = this.#ports
    changeLog.assertOpen()
    const {effect, apply} = this.#decide(change)
    const entry = {timeMs: clock.wallMs(), actor, change: encodeAhaChange(change), effect}
    await new Promise<void>((resolve, failed) => {
      const committed = (): void => {
        apply()
        resolve()
      }
      changeLog.propose({entry, committed, failed})
    })
  }

  #replay({kind, change}: ReplayedChange): Replayed | undefined {
    if (!isAhaKind(kind)) return undefined
    const {effect, apply} = this.#decide(decodeAhaChange(change))
    return {effect, committed: apply, failed: () => undefined}
  }

  #check(): StateCheck {
    const wanted = new AhaDirectory()
    return {
      take: (kind, change) => {
        if (isAhaKind(kind)) wanted.put(wanted.recordsOf(decodeAhaChange(change)))
      },
      compare: () => compareTexts(textsIn(wanted), textsIn(this.#visible)),
    }
  }

  /** Counts a change in what is pending, and gives what it leaves in the store and how it becomes visible. */
  #decide(change: AhaChange): {readonly effect: Effect; readonly apply: () => void} {
    const records = this.#pending.recordsOf(change)
    this.#pending.put(records)
    return {effect: {kind: 'records', records: records.map(encodeAhaRecord)}, apply: () => this.#apply(change, records)}
  }

  #apply(change: AhaChange, records: readonly AhaRecord[]): void {
    const isNew = records.some(({key, value}) => value !== undefined && this.#visible.get(key) === undefined)
    this.#visible.put(records)
    for (const watcher of this.#watchers) watcher(change, {isNew, isAltered: records.length > 0})
  }
}

function textsIn(directory: AhaDirectory): KeptTexts {
  const textOf = (record: AhaRecord): string => encodeAhaRecord(record).value ?? ''
  return {
    *all() {
      for (const record of directory.records()) yield {table: AHA_TABLE, key: record.key, text: textOf(record)}
    },
    get(_, key) {
      const value = directory.get(key)
      return value === undefined ? undefined : textOf({key, value})
    },
  }
}

function readRecord(record: StoredRecord, place: string): AhaRecord | undefined {
  try {
    return decodeAhaRecord(record)
  } catch (error) {
    throw damaged(record, place, error)
  }
}

function damaged({table, key}: StoredRecord, place: string, cause: unknown): RegistryError {
  const text = `${place}: the record ${table} ${key} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table}, cause})
}
