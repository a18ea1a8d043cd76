import {setTimeout} from 'node:timers/promises'
import {LONGEST_TIMER_MS, systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ServiceFilter} from '../client/filter.ts'
import type {RegistryClient} from '../client/registry-client.ts'
import type {ServiceEntry} from '../client/service-entry.ts'

export interface Wanted {
  readonly filter: ServiceFilter
  readonly count: number
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Called with how many there are, whenever that is asked anew. */
  readonly onCount: (now: number) => void
}

export interface Found {
  readonly ok: boolean
  /** Those that are there at the end, enough or not. */
  readonly services: readonly ServiceEntry[]
}

/** No event says that a service turned critical. */
const REFRESH_MS = 1000
const RETRY_MS = 200

/**
 * Waits until there are enough services, or the time is over. The registry may come up, and go, meanwhile.
 *
 * @throws RegistryError why no registry could be asked when none answered in all the time; `REG_CANCELLED` when `signal` aborts.
 */
export async function waitForServices(client: RegistryClient, wanted: Wanted): Promise<Found> {
  const endsMs = systemClock.monotonicMs() + wanted.timeoutMs
  for (;;) {
    try {
      return await watchOnce(client, wanted, endsMs)
    } catch (error) {
      const isOver = systemClock.monotonicMs() + RETRY_MS >= endsMs
      const isAway = error instanceof RegistryError && AWAY.has(error.code)
      if (isOver || !isAway || wanted.signal.aborted) throw error
      await setTimeout(RETRY_MS)
    }
  }
}

const AWAY: ReadonlySet<string> = new Set(['REG_UNREACHABLE', 'REG_TIMED_OUT', 'REG_BUSY'])

async function watchOnce(client: RegistryClient, wanted: Wanted, endsMs: number): Promise<Found> {
  const {filter, count, onCount} = wanted
  const leftMs = Math.min(Math.max(1, Math.ceil(endsMs - systemClock.monotonicMs())), LONGEST_TIMER_MS)
  const over = AbortSignal.timeout(leftMs)
  await using watch = client.watch(filter, {signal: AbortSignal.any([wanted.signal, over]), refreshMs: REFRESH_MS})
  let isSynced = false
  try {
    for await (const event of watch) {
      isSynced ||= event.kind === 'synced'
      onCount(watch.services.length)
      if (isSynced && watch.services.length >= count) return {ok: true, services: watch.services}
    }
    return {ok: false, services: watch.services}
  } catch (error) {
    if (!over.aborted || wanted.signal.aborted) throw error
    if (!isSynced) throw noAnswer(client.url, error)
    return {ok: false, services: watch.services}
  }
}

function noAnswer(url: string, cause: unknown): RegistryError {
  return new RegistryError('REG_UNREACHABLE', `no registry answered at ${url} in the given time`, {info: {url}, cause})
}
