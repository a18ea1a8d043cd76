/** From which base, of which history, a moment of what `backup follow` keeps is restored. */

import {basename} from 'node:path'
import {type Followed, type FollowedBase, keptUntilMs, readArchivedLog, readFollowed} from '../../backup/followed.ts'
import {RegistryError} from '../../base/errors.ts'
import {shellWord} from '../../base/shell-word.ts'
import type {ReplayEnd} from '../replay.ts'

/** Where a restore begins. */
export interface FollowedPoint {
  readonly history: Followed
  readonly base: FollowedBase
  /** What to say when the store of the base turns out to be beyond the moment. */
  readonly doubt?: RegistryError
}

/**
 * Gives the newest base that is not beyond a moment. A history that was begun because the log had been trimmed goes on the one before it: that one is
 * looked into as well, unless a history is what was asked for. The oldest base stands for what was before it as long as its log is whole.
 *
 * @throws RegistryError `REG_OFFSET_CULLED` for a moment that nothing reaches, with what is reached; `REG_BACKUP_INVALID`, `REG_BACKUP_DAMAGED`
 */
export async function findPoint(
  followed: Followed,
  last: ReplayEnd | undefined,
  isOne: boolean,
): Promise<FollowedPoint> {
  const {bases} = followed
  if (last === undefined) return {history: followed, base: bases.at(-1) ?? bases[0]}
  const histories = await historiesOf(followed)
  for (const history of isOne ? [followed] : ofOneLog(histories)) {
    const base = await baseFor(history, last)
    if (base !== undefined) return {history, base}
  }
  const doubt = outOfReach(last, histories)
  // Whether the oldest base is of that very moment only its store tells.
  if ('timeMs' in last && last.timeMs <= keptUntilMs(followed)) return {history: followed, base: bases[0], doubt}
  throw doubt
}

/** Those that go on each other: the newest ones, up to one that was begun for another reason than a gap. */
function ofOneLog(histories: readonly Followed[]): readonly Followed[] {
  const last = histories.findIndex(({why}) => why !== 'trimmed')
  return last === -1 ? histories : histories.slice(0, last + 1)
}

/** What can be reached, a line for each history. */
function reachOf(history: Followed): string {
  const {bases, nextOffset, path} = history
  const [{index, manifest}] = bases
  const first = isWhole(bases[0]) ? 0 : Math.max(0, index - 1)
  const since = isWhole(bases[0]) ? 'the beginning' : manifest.madeAt
  return `${basename(path)} has entries ${first} to ${nextOffset - 1}, ${since} to ${new Date(keptUntilMs(history)).toISOString()}`
}

/** This one, and those before it, the newest first. */
async function historiesOf(followed: Followed): Promise<readonly Followed[]> {
  const found = [followed]
  for (const path of followed.others.toReversed()) {
    const other = await readFollowed(path).catch((error: unknown) => {
      if (error instanceof RegistryError && error.code === 'REG_BACKUP_INVALID') return undefined // it never got a base
      throw error
    })
    if (other !== undefined) found.push(other)
  }
  return found
}

async function baseFor(history: Followed, last: ReplayEnd): Promise<FollowedBase | undefined> {
  const {bases, nextOffset} = history
  const [oldest] = bases
  if ('offset' in last) {
    if (last.offset >= nextOffset) return undefined
    return bases.findLast(({index}) => index <= last.offset + 1) ?? (isWhole(oldest) ? oldest : undefined)
  }
  const {timeMs} = last
  if (timeMs > keptUntilMs(history)) return undefined
  const bound = await firstLater(history, timeMs)
  const base = bases.findLast(({index}) => index <= bound) ?? oldest
  const isSure = base !== oldest || bound > oldest.index || Date.parse(oldest.manifest.madeAt) <= timeMs
  return isSure || isWhole(oldest) ? base : undefined
}

/** Gives the first archived entry that is later; where the log is damaged before it, the newest base that is not is as far as is known. */
async function firstLater({path, bases, nextOffset}: Followed, timeMs: number): Promise<number> {
  const [{index: offset, hash}] = bases
  try {
    for await (const entries of readArchivedLog(path, {offset, hash})) {
      const later = entries.find((entry) => entry.timeMs > timeMs)
      if (later !== undefined) return later.offset
    }
    return nextOffset
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'REG_BACKUP_DAMAGED') throw error
    return bases.findLast(({manifest}) => Date.parse(manifest.madeAt) <= timeMs)?.index ?? offset
  }
}

/** Tells whether a base has its log from the first entry on, so that any moment before it can be made. What was not counted is not known. */
function isWhole({manifest}: FollowedBase): boolean {
  return (manifest.census['log.first'] ?? 0) === 0
}

function outOfReach(last: ReplayEnd, histories: readonly Followed[]): RegistryError {
  const wanted = 'offset' in last ? `entry ${last.offset}` : new Date(last.timeMs).toISOString()
  const kept = histories.map(reachOf)
  return new RegistryError('REG_OFFSET_CULLED', `${wanted} is out of reach: ${kept.join('; ')}`, {
    info: {kept},
    hints: [
      'restore to a moment that is kept: --to-offset N or --to-time T',
      ...histories.slice(1).map(({path}) => `from an older history: registry restore ${shellWord(path)} DIR`),
    ],
  })
}
