/** The methods of the cell for what the change log tells of services, and whether it is whole: our own, which no peer has. */
import {setImmediate} from 'node:timers/promises'
import type {Need} from '../auth/need.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import {History, type HistoryEvent, type LoggedChange} from '../registry/history.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional} from './cell-method.ts'
import {checkLog} from './log-check.ts'
import {ticketSecrets} from './ticket-secrets.ts'

const ADMIN: Need = {kind: 'admin'}
/** Events that can be asked for as the last ones; they are kept until the end of the log was read. */
const MAX_LAST = 10_000

/** Rows of the table of methods: the history of services. */
export const HISTORY_METHODS = {
  getHistory: generator(
    ADMIN,
    [optional('service'), optional('last'), optional('offset'), optional('time')],
    (call) => packed(historyOf(call)),
    {isUnawaited: true} as const,
  ),
  checkLog: method(ADMIN, [], verdictOf, {isLogged: true, isUnawaited: true}),
} as const satisfies Record<string, CellMethod>

async function verdictOf(call: CellCall): Promise<Value> {
  const {entries, changes, log} = call.parts
  const verdict = await checkLog({entries, changes}, call.signal)
  const {first, next, damage = null, services = null, differing, records = null, differingRecords} = verdict
  if (damage !== null || differing.length + differingRecords.length > 0) {
    log.error('changes.damaged', {...damage, differing, differingRecords})
  }
  return {first, next, damage, services, differing, records, differingRecords}
}

/** Gives the events, oldest first: the `last` ones of those that the other arguments leave, or all. */
async function* historyOf(call: CellCall): AsyncGenerator<HistoryEvent, void> {
  const last = call.optionalInteger('last', 1, MAX_LAST)
  const events = eventsOf(call)
  if (last === undefined) return yield* events
  let kept: HistoryEvent[] = []
  for await (const event of events) {
    kept.push(event)
    if (kept.length >= 2 * last) kept = kept.slice(-last)
  }
  yield* kept.slice(-last)
}

async function* eventsOf(call: CellCall): AsyncGenerator<HistoryEvent, void> {
  const offset = call.optionalInteger('offset', 0, Number.MAX_SAFE_INTEGER) ?? 0
  const timeMs = call.optionalInteger('time', 0, Number.MAX_SAFE_INTEGER) ?? 0
  const history = new History(ticketSecrets, call.optionalText('service'))
  // From its beginning, wherever the answer begins: a service has its name from the entry that it was registered with.
  for await (const step of call.parts.entries.read(0, {signal: call.signal, isLive: false, isRaised: true})) {
    if (step.kind === 'caught-up') return
    for (const entry of step.entries) {
      const events = read(history, entry)
      if (entry.offset >= offset && entry.timeMs >= timeMs) yield* events
    }
    await setImmediate() // others have their turn: a log may have a million entries
  }
}

function read(history: History, entry: LoggedChange): readonly HistoryEvent[] {
  try {
    return history.read(entry)
  } catch (error) {
    throw unreadable(entry, error)
  }
}

function unreadable({offset}: LoggedChange, cause: unknown): RegistryError {
  const text = `entry ${offset} of the change log cannot be read: ${messageOf(cause)}`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {offset}, cause})
}

async function* packed(events: AsyncIterable<HistoryEvent>): AsyncGenerator<Value, void> {
  for await (const {offset, timeMs, world, event, name, id, by, facts} of events) {
    const who = {via: by.via, who: by.who ?? null, from: by.from ?? null}
    yield {offset, time: timeMs, world, event, name: name ?? null, id: id ?? null, by: who, facts}
  }
}
