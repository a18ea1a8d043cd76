/**
 * What happened to the services, read from the change log for clients of ZeroMQ: who watched, and was away, goes on where it stopped. It is given to
 * anyone, so it holds what the event port publishes and nothing of who did it or from where.
 */
import {RegistryError} from '../base/errors.ts'
import {encodeString} from '../base/json-text.ts'
import type {LogReaders} from '../nexus/log-reader.ts'
import {type Change, decodeChange, isServiceKind} from '../registry/change.ts'
import {changeKind} from '../registry/change-kind.ts'
import {encodeMaintenance} from '../registry/maintenance.ts'
import type {Entry} from '../store/store.ts'
import {failure} from '../wire/zeromq/messages.ts'

export interface ServiceEventPorts {
  readonly entries: Pick<LogReaders, 'read'>
  readonly changes: {readonly nextOffset: number}
  /** Services of AHA are shown under such an id, and what the log has under it is not. */
  readonly isGuest: (id: string) => boolean
}

/** Entries that are read for one answer. */
export const EVENTS_PER_ANSWER = 256
/** Readers of ZeroMQ at a time: anyone may ask, and administrators have places of their own. */
export const EVENT_READERS = {readers: 8, chunk: EVENTS_PER_ANSWER} as const
/** Text of one answer, characters; it has at least one event, however long that is. */
const MAX_TEXT = 1024 * 1024

/** Answers the action `events`. */
export class ServiceEvents {
  readonly #ports: ServiceEventPorts

  constructor(ports: ServiceEventPorts) {
    this.#ports = ports
  }

  /** Gives the answer, as JSON text: the events from the offset `since` on, as many as one answer holds. */
  async answer(since: number, limit: number): Promise<string> {
    const {entries, changes} = this.#ports
    const {nextOffset} = changes
    if (since > nextOffset) return yetToCome(since, nextOffset)
    const reading = entries.read(since, {signal: new AbortController().signal, isLive: false})
    try {
      // One step: others want to read too.
      const {value: step} = await reading.next()
      const {events, next} = this.#eventsOf(step?.kind === 'entries' ? step.entries : [], since, limit)
      return `{"success":true,"events":[${events.join(',')}],"next":${next},"end":${changes.nextOffset}}`
    } catch (error) {
      return refusalOf(error, since)
    } finally {
      await reading.return()
    }
  }

  /** Gives the events of entries, as far as they fit, and the offset to go on from. */
  #eventsOf(entries: readonly Entry[], since: number, limit: number): {events: readonly string[]; next: number} {
    const events: string[] = []
    let chars = 0
    for (const entry of entries) {
      const event = this.#eventOf(entry)
      chars += event?.length ?? 0
      const isFull = events.length >= limit || (events.length > 0 && chars > MAX_TEXT)
      if (event !== undefined && isFull) return {events, next: entry.offset}
      if (event !== undefined) events.push(event)
    }
    return {events, next: since + entries.length}
  }

  /** Undefined for what is no event of a service that is shown. */
  #eventOf({offset, timeMs, change: text}: Entry): string | undefined {
    const kind = changeKind(text)
    if (kind === undefined || !isServiceKind(kind)) return undefined
    const change = decodeChange(text)
    const id = change.kind === 'register' ? change.service.id : change.id
    if (this.#ports.isGuest(id)) return undefined
    const head = `{"offset":${offset},"type":"${kind}","timestamp":${Math.floor(timeMs / 1000)}`
    return `${head},"data":{"service_id":${encodeString(id)}${dataOf(change)}}}`
  }
}

function dataOf(change: Change): string {
  if (change.kind === 'register') return `,"service_info":${change.info}`
  if (change.kind !== 'maintenance') return ''
  return `,"maintenance":${change.maintenance === undefined ? 'null' : encodeMaintenance(change.maintenance)}`
}

function refusalOf(error: unknown, since: number): string {
  if (!(error instanceof RegistryError)) throw error
  const {code, info} = error
  if (code === 'REG_BUSY') return failure('too many requests read the change log, ask again')
  if (code !== 'REG_OFFSET_CULLED') return failure(`the change log cannot be read: ${error.message}`)
  const first = Number(info['first'])
  const text = `offset ${since} was trimmed from the change log, which begins at ${first}`
  return `{"success":false,"error":${encodeString(text)},"first":${first}}`
}

function yetToCome(since: number, end: number): string {
  const text = `offset ${since} is yet to come: the change log ends before ${end}`
  return `{"success":false,"error":${encodeString(text)},"end":${end}}`
}
