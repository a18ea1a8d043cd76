/** What a cell tells of who archives its change log: in `getCellInfo`, and as a part of its health. */
import {formatDuration} from '../base/duration.ts'
import type {ComponentHealth} from '../cell/health.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Archiver} from './archivers.ts'

/** One that is there tells every ten seconds at least how far it is; one that does not get on for so long is not what it is for. */
const STILL_MS = 60_000
/** One that is started again, or whose registry is, is back sooner. */
const AWAY_MS = 3_600_000

/** Gives the facts for `getCellInfo`; `nextOffset` is that of the log. */
export function archiverFacts(
  known: readonly Archiver[],
  nextOffset: number,
): readonly Readonly<Record<string, Value>>[] {
  return known.map(({name, index, attachedMs, seenMs, isOnce}) => ({
    ...{name, index, behind: Math.max(0, nextOffset - index), attached: attachedMs !== null},
    ...{since: attachedMs ?? seenMs, once: isOnce},
  }))
}

/**
 * Gives how they do; undefined when there is none. Who follows without an end and is away for an hour degrades it, and who is there and stands still: what
 * the registry loses then is lost there too. One that comes now and then is only told of: `backup:max:age` says how old the newest backup may be.
 */
export function archiverHealth(
  known: readonly Archiver[],
  nextOffset: number,
  nowMs: number,
): ComponentHealth | undefined {
  if (known.length === 0) return undefined
  const attached = known.filter(({attachedMs}) => attachedMs !== null)
  const still = attached.filter(({index, movedMs}) => index < nextOffset && nowMs - movedMs > STILL_MS)
  const away = known.filter(({attachedMs}) => attachedMs === null)
  const lost = away.filter(({isOnce, seenMs}) => !isOnce && nowMs - seenMs > AWAY_MS)
  const texts = [
    ...still.map((one) => `${one.name} stands still: ${placeText(one, nextOffset, nowMs - one.movedMs)}`),
    ...away.map((one) => `${one.name} is away: ${placeText(one, nextOffset, nowMs - one.seenMs)}`),
  ]
  const data = {known: known.length, attached: attached.length, still: still.length}
  return {status: still.length + lost.length === 0 ? 'nominal' : 'degraded', mesg: texts.join('; '), data}
}

function placeText({index}: Archiver, nextOffset: number, forMs: number): string {
  return `at index ${index}, ${Math.max(0, nextOffset - index)} behind, for ${formatDuration(Math.max(0, forMs))}`
}
