import {setImmediate} from 'node:timers/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {LogReaders} from '../nexus/log-reader.ts'
import {ServiceReplay} from '../registry/service-replay.ts'
import type {Entry} from '../store/store.ts'

export interface LogCheckPorts {
  readonly entries: Pick<LogReaders, 'read'>
  readonly changes: Pick<ChangeLog, 'nextOffset'>
  /** The services that are served, by their number, as they are stored. */
  readonly services: () => ReadonlyMap<number, string>
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
  /** Of those, the numbers of those that are not what the log leaves: some, the lowest first. */
  readonly differing: readonly number[]
}

/** So many services are named. */
const NAMED = 20

/**
 * Checks the log against itself, entry by entry from the oldest, and the services against the log. Changes that are made meanwhile are waited for and
 * checked too.
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
  readonly #replay = new ServiceReplay()
  #first: number | undefined
  #next = 0

  constructor(ports: LogCheckPorts) {
    this.#ports = ports
  }

  /** Ends in the turn in which everything was read: nothing comes between it and the comparison. */
  async run(signal: AbortSignal): Promise<void> {
    const {entries, changes} = this.#ports
    for await (const step of entries.read(0, {signal, isLive: true, isRaised: true})) {
      if (step.kind === 'entries') await this.#take(step.entries)
      else this.#next = step.nextOffset
      this.#first ??= this.#next
      if (this.#next === changes.nextOffset) return
    }
  }

  verdict(): LogVerdict {
    const [first, next] = [this.#first ?? 0, this.#next]
    const isFromStart = first === 0
    const compared = isFromStart ? compare(this.#replay.texts, this.#ports.services()) : NOT_COMPARED
    return {first, next, damage: undefined, ...compared}
  }

  damaged(offset: number, reason: string): LogVerdict {
    const next = this.#ports.changes.nextOffset
    return {first: this.#first ?? offset, next, damage: {offset, reason}, ...NOT_COMPARED}
  }

  async #take(entries: readonly Entry[]): Promise<void> {
    this.#first ??= entries[0]?.offset
    if (this.#first === 0) for (const entry of entries) this.#replayOne(entry)
    this.#next = (entries.at(-1)?.offset ?? -1) + 1
    await setImmediate() // others have their turn: a log may have a million entries
  }

  #replayOne({offset, change}: Entry): void {
    try {
      this.#replay.apply(change)
    } catch (error) {
      throw unreadable(offset, error)
    }
  }
}

const NOT_COMPARED = {services: undefined, differing: []} as const

function damagedAt(error: unknown): number | undefined {
  if (!(error instanceof RegistryError) || error.code !== 'REG_STORE_DAMAGED') return undefined
  const {offset} = error.info
  return typeof offset === 'number' ? offset : undefined
}

function unreadable(offset: number, cause: unknown): RegistryError {
  const text = `entry ${offset} of the change log cannot be read: ${messageOf(cause)}`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {offset}, cause})
}

function compare(
  wanted: ReadonlyMap<number, string>,
  served: ReadonlyMap<number, string>,
): Pick<LogVerdict, 'services' | 'differing'> {
  const all = new Set([...wanted.keys(), ...served.keys()])
  const differing = [...all].filter((seq) => wanted.get(seq) !== served.get(seq)).sort((one, other) => one - other)
  return {services: all.size, differing: differing.slice(0, NAMED)}
}
