import type {HistoryWish, ServiceEvent} from '../client/history.ts'
import {readLostEntries} from '../nexus/lost-entries.ts'
import {History, type HistoryEvent} from '../registry/history.ts'
import {ticketSecrets} from './ticket-secrets.ts'

/** Yields what a file of lost entries tells of services, oldest first, as `readHistory` does of a registry. Throws as `readLostEntries`. */
export async function* readLostHistory(file: string, wish: HistoryWish): AsyncGenerator<ServiceEvent, void> {
  const {last, offset = 0, timeMs = 0} = wish
  let kept: ServiceEvent[] = []
  const history = new History(ticketSecrets, wish.service)
  for await (const entry of readLostEntries(file)) {
    const events = history.read(entry).map(asServiceEvent)
    if (entry.offset < offset || entry.timeMs < timeMs) continue
    if (last === undefined) yield* events
    else kept = [...kept, ...events].slice(-last)
  }
  yield* kept
}

function asServiceEvent({name, id, by, ...event}: HistoryEvent): ServiceEvent {
  return {...event, name: name ?? null, id: id ?? null, by: {via: by.via, who: by.who ?? null, from: by.from ?? null}}
}
