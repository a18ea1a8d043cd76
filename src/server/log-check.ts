import {setImmediate} from 'node:timers/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {LogReaders} from '../nexus/log-reader.ts'
import type {Compared, StateCheck} from '../nexus/state-check.ts'
import {changeKind} from '../registry/change-kind.ts'
import type {Entry} from '../store/store.ts'
import {SERVICE_TABLE} from './registrar.ts'

export interface LogCheckPorts {
  readonly entries: Pick<LogReaders, 'read'>
  readonly changes: Pick<ChangeLog, 'nextOffset' | 'checks'>
}

/** What became of a check. */
export interface LogVerdict {
  /** Offset of the oldest entry that is kept, and of the next one. */
  readonly first: number
  readonly next: number
  /** The first entry that is missing, is not what was written, or cannot be read; undefined when none is. */
  readonly damage: {readonly offset: number; readonly reason: string} | undefined
  /** Services compared with what the log leaves; undefined when its beginning was trimmed away, or it is damaged. */
  readonly services: number | undefined
  /** Of those, the numbers of those that are not what the log leaves: some of them, the lowest first. */
  readonly differing: readonly number[]
  /** Users, one-time URLs, services of AHA and all else that was compared. */
  readonly records: number | undefined
  /** Of those, the tables and the beginnings of the keys of those that are not what the log leaves: some of them. */
  readonly differingRecords: readonly string[]
}

/** So many services and records are named. */
const NAMED = 20
/** Things that are compared in one turn: a few milliseconds. */
const SLICE = 500
/** Some keys are no more than that; more of others is not needed to find them. */
const KEY_SHOWN = 40

/**
 * Checks the log against itself, entry by entry from the oldest, and what the parts of the server keep against the log. Changes that are made
 * meanwhile are checked too.
 *
 * @throws RegistryError `REG_BUSY`, `REG_OFFSET_CULLED` (it is trimmed faster than it is read), `REG_STORE_FAILED`; the reason of the signal
 */
export async function checkLog(ports: LogCheckPorts, signal: AbortSignal): Promise<LogVerdict> {
  const check = new Check(ports)
  try {
    await check.run(signal)
  } catch (error) {
    const offset = damagedAt(error)
    if (offset === undefined) throw error
    return check.damaged(offset, messageOf(error))
  }
  return check.verdict()
}

class Check {
  readonly #ports: LogCheckPorts
  readonly #states: readonly StateCheck[]
  readonly #comparison: Iterator<Compared | undefined>
  readonly #counts = {services: 0, records: 0}
  readonly #differing = new Set<number>()
  readonly #differingRecords = new Set<string>()
  #first: number | undefined
  #next = 0

  constructor(ports: LogCheckPorts) {
    this.#ports = ports
    this.#states = ports.changes.checks()
    this.#comparison = comparisonOf(this.#states)
  }

  async run(signal: AbortSignal): Promise<void> {
    const {entries} = this.#ports
    for await (const step of entries.read(0, {signal, isLive: true, isRaised: true})) {
      if (step.kind === 'entries') await this.#take(step.entries)
      else this.#next = step.nextOffset
      this.#first ??= this.#next
      if (await this.#compareSome(signal)) return
    }
  }

  verdict(): LogVerdict {
    const [first, next] = [this.#first ?? 0, this.#next]
    if (first !== 0) return {first, next, damage: undefined, ...NOT_COMPARED}
    const differing = [...this.#differing].sort((one, other) => one - other).slice(0, NAMED)
    const differingRecords = [...this.#differingRecords]
    return {first, next, damage: undefined, ...this.#counts, differing, differingRecords}
  }

  damaged(offset: number, reason: string): LogVerdict {
    const next = this.#ports.changes.nextOffset
    return {first: this.#first ?? offset, next, damage: {offset, reason}, ...NOT_COMPARED}
  }

  /** Goes on comparing while every entry has been taken, which another one may end at any turn. True when all was compared. */
  async #compareSome(signal: AbortSignal): Promise<boolean> {
    while (this.#next === this.#ports.changes.nextOffset) {
      if (this.#first !== 0) return true
      if (this.#compareSlice()) return true
      await setImmediate(undefined, {signal})
    }
    return false
  }

  #compareSlice(): boolean {
    for (let compared = 0; compared < SLICE; compared += 1) {
      const {value, done} = this.#comparison.next()
      if (done === true) return true
      if (value !== undefined) this.#count(value)
    }
    return false
  }

  #count({table, key, isSame}: Compared): void {
    const isService = table === SERVICE_TABLE
    this.#counts[isService ? 'services' : 'records'] += 1
    if (isSame) return
    if (isService) this.#differing.add(Number(key))
    else if (this.#differingRecords.size < NAMED) this.#differingRecords.add(`${table} ${key.slice(0, KEY_SHOWN)}`)
  }

  async #take(entries: readonly Entry[]): Promise<void> {
    this.#first ??= entries[0]?.offset
    if (this.#first === 0) for (const entry of entries) this.#replayOne(entry)
    this.#next = (entries.at(-1)?.offset ?? -1) + 1
    await setImmediate() // others have their turn: a log may have a million entries
  }

  #replayOne({offset, change}: Entry): void {
    try {
      const kind = changeKind(change)
      if (kind === undefined) throw new TypeError('it is not a change')
      for (const state of this.#states) state.take(kind, change)
    } catch (error) {
      throw unreadable(offset, error)
    }
  }
}

const NOT_COMPARED = {services: undefined, differing: [], records: undefined, differingRecords: []} as const

function* comparisonOf(states: readonly StateCheck[]): Iterator<Compared | undefined> {
  for (const state of states) yield* state.compare()
}

function damagedAt(error: unknown): number | undefined {
  if (!(error instanceof RegistryError) || error.code !== 'REG_STORE_DAMAGED') return undefined
  const {offset} = error.info
  return typeof offset === 'number' ? offset : undefined
}

function unreadable(offset: number, cause: unknown): RegistryError {
  const text = `entry ${offset} of the change log cannot be read: ${messageOf(cause)}`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {offset}, cause})
}
