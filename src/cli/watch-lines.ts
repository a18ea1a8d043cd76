import {systemClock} from '../base/clock.ts'
import type {LogWatch, LogWatchEvent} from '../client/log-watch.ts'
import type {WatchEvent} from '../client/watch.ts'
import {printable} from './printable.ts'
import {localTime} from './render.ts'
import {exactService, serviceLine} from './service-text.ts'

/** One event as it is printed: as an object under `--json`, else as text. */
export interface WatchLine {
  toJSON(): object
  text(): string
}

const KIND_WIDTH = 'disconnected'.length

/** Gives the lines of a watch of what is there. */
export async function* watchLines(watch: AsyncIterable<WatchEvent>): AsyncGenerator<WatchLine, {events: number}> {
  let events = 0
  for await (const event of watch) {
    events += 1
    yield new Line(event)
  }
  return {events}
}

/** Gives the lines of a watch of the change log; the end says where the next one begins. */
export async function* logWatchLines(watch: LogWatch): AsyncGenerator<WatchLine, {events: number; next: number}> {
  let events = 0
  for await (const event of watch) {
    events += 1
    yield new LogLine(event)
  }
  return {events, next: watch.next}
}

class Line implements WatchLine {
  readonly #event: WatchEvent
  readonly #atMs = systemClock.wallMs()

  constructor(event: WatchEvent) {
    this.#event = event
  }

  toJSON(): object {
    const event = this.#event
    const at = new Date(this.#atMs).toISOString()
    switch (event.kind) {
      case 'synced':
        return {event: event.kind, at, services: event.services}
      case 'disconnected':
        return {event: event.kind, at, reason: event.reason}
      case 'changed':
        return {event: event.kind, at, service: exactService(event.service), before: exactService(event.before)}
      default:
        return {event: event.kind, at, service: exactService(event.service)}
    }
  }

  text(): string {
    const event = this.#event
    return printable(`${localTime(this.#atMs)}  ${event.kind.padEnd(KIND_WIDTH)}  ${aboutOf(event)}`)
  }
}

function aboutOf(event: WatchEvent): string {
  switch (event.kind) {
    case 'synced':
      return `${event.services} ${event.services === 1 ? 'service' : 'services'}`
    case 'disconnected':
      return event.reason
    default:
      return serviceLine(event.service)
  }
}

class LogLine implements WatchLine {
  readonly #event: LogWatchEvent
  readonly #atMs: number

  constructor(event: LogWatchEvent) {
    this.#event = event
    this.#atMs = 'timeMs' in event ? event.timeMs : systemClock.wallMs()
  }

  toJSON(): object {
    const event = this.#event
    const head = {event: event.kind, at: new Date(this.#atMs).toISOString()}
    if (event.kind === 'synced') return {...head, next: event.next}
    if (event.kind === 'disconnected') return {...head, reason: event.reason}
    const {offset, id, service, maintenance} = event
    const about = maintenance === undefined ? {} : {maintenance: maintenance && shownMaintenance(maintenance)}
    return {...head, offset, id, service: service === undefined ? null : exactService(service), ...about}
  }

  text(): string {
    const event = this.#event
    return printable(`${localTime(this.#atMs)}  ${event.kind.padEnd(KIND_WIDTH)}  ${aboutLogged(event)}`)
  }
}

function aboutLogged(event: LogWatchEvent): string {
  if (event.kind === 'synced') return `next ${event.next}`
  if (event.kind === 'disconnected') return event.reason
  const {offset, id, service, maintenance} = event
  const what = service === undefined ? id : serviceLine(service)
  const reason = maintenance === null ? '  ended' : maintenance === undefined ? '' : `  ${maintenance.reason}`
  return `${offset}  ${what}${reason}`
}

function shownMaintenance({reason, sinceS, by}: {reason: string; sinceS: number; by: string}): object {
  return {reason, since: new Date(sinceS * 1000).toISOString(), by}
}
