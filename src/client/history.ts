import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'

/** Which part of the history is wanted; what is undefined is no limit. */
export interface HistoryWish {
  /** Name or id of a service. */
  readonly service?: string | undefined
  /** How many of the newest. */
  readonly last?: number | undefined
  /** From this offset of the change log on. */
  readonly offset?: number | undefined
  /** From this time on, epoch milliseconds. */
  readonly timeMs?: number | undefined
}

/** Something that happened to a service, as the registry says. */
export interface ServiceEvent {
  /** Place of its entry in the change log. */
  readonly offset: number
  readonly timeMs: number
  readonly world: string
  readonly event: string
  readonly name: string | null
  readonly id: string | null
  /** `who` and `from` are null where they are not known. */
  readonly by: {readonly via: string; readonly who: string | null; readonly from: string | null}
  readonly facts: Readonly<Record<string, string | number | null>>
}

/**
 * Yields what happened to the services of our registry, the oldest first.
 *
 * @throws RegistryError `REG_NOT_FOUND` (`NoSuchMeth`) when the cell keeps no history; `REG_BAD_ANSWER`; what the cell answers
 */
export async function* readHistory(
  cell: Callable,
  {
    service = null,
    last = null,
    offset = null,
    timeMs = null,
  }: {readonly [key in keyof HistoryWish]: HistoryWish[key] | null},
  signal?: AbortSignal,
): AsyncGenerator<ServiceEvent, void> {
  if (!cell.info.methods.has('getHistory')) {
    throw new RegistryError('REG_NOT_FOUND', 'that cell keeps no history of services: only a registry does', {
      telepath: 'NoSuchMeth',
      hints: ['registry status URL', 'registry service history --url cell://DIR'],
    })
  }
  const options = {args: [service, last, offset, timeMs], ...(signal === undefined ? {} : {signal})}
  for await (const value of cell.stream('getHistory', options)) yield readEvent(value)
}

function readEvent(value: Value): ServiceEvent {
  const fields = fieldsOf(value, 'an event')
  const by = fieldsOf(fields['by'], 'by')
  const facts = Object.entries(fieldsOf(fields['facts'], 'facts'))
  return {
    offset: numberIn(fields, 'offset'),
    timeMs: numberIn(fields, 'time'),
    world: textIn(fields, 'world') ?? '',
    event: textIn(fields, 'event') ?? '',
    name: textIn(fields, 'name'),
    id: textIn(fields, 'id'),
    by: {via: textIn(by, 'via') ?? '', who: textIn(by, 'who'), from: textIn(by, 'from')},
    facts: Object.fromEntries(
      facts.map(([name, fact]) => [name, typeof fact === 'number' ? fact : textOf(name, fact)]),
    ),
  }
}

type Fields = Readonly<Record<string, Value>>

function numberIn(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value === 'number') return value
  throw oddAnswer(name, 'it is not a number')
}

function textIn(fields: Fields, name: string): string | null {
  return textOf(name, fields[name])
}

function textOf(name: string, value: Value): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  throw oddAnswer(name, 'it is not a text')
}
