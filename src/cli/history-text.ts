import {RegistryError} from '../base/errors.ts'
import type {HistoryWish, ServiceEvent} from '../client/history.ts'
import {givenTimeMs} from './given-time.ts'
import {printable} from './printable.ts'
import {localTime} from './render.ts'

/** An event as `--json` has it. */
export interface EventReport {
  readonly offset: number
  readonly time: string
  readonly world: string
  readonly event: string
  readonly name: string | null
  readonly id: string | null
  readonly by: ServiceEvent['by']
  readonly facts: ServiceEvent['facts']
}

export function eventReport({offset, timeMs, world, event, name, id, by, facts}: ServiceEvent): EventReport {
  return {offset, time: new Date(timeMs).toISOString(), world, event, name, id, by, facts}
}

/** Says in one line what happened: when, where in the log, what, to whom, by whom. */
export function eventLine(event: ServiceEvent): string {
  const what = [event.world, event.event].join(': ')
  const named = [event.name ?? '(name trimmed away)', ...(event.id === null ? [] : [`(${event.id})`])].join(' ')
  const facts = Object.entries(event.facts).flatMap(([name, fact]) => (fact === null ? [] : [`${name} ${fact}`]))
  const parts = [localTime(event.timeMs), `#${event.offset}`, what, named, ...facts, `by ${byText(event.by)}`]
  return printable(parts.join('  '))
}

/** Reads `--since`: an offset of the log, or a time as ISO 8601 has it. */
export function sinceOf(text: string): Pick<HistoryWish, 'offset' | 'timeMs'> {
  if (/^\d{1,15}$/.test(text)) return {offset: Number(text)}
  const timeMs = givenTimeMs(text)
  if (timeMs !== undefined) return {timeMs}
  throw new RegistryError('REG_USAGE', `--since ${text}: expected an offset or a time, as 2026-11-21T10:00:00Z`)
}

function byText({via, who, from}: ServiceEvent['by']): string {
  switch (via) {
    case 'registry':
      return who ?? 'the registry'
    case 'zeromq':
      return `ZeroMQ connection ${from}`
    case 'unix':
      return `${who} on the UNIX socket`
    default:
      return `${who} over ${via}${from === null ? '' : ` from ${from}`}`
  }
}
