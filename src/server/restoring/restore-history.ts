/** Which moment a restored registry has, and who it is then. */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Manifest} from '../../backup/manifest.ts'
import {RegistryError} from '../../base/errors.ts'
import {moveFile} from '../../base/files.ts'
import {adoptStore} from '../../store/adopt.ts'
import {CHAIN_START} from '../../store/chain.ts'
import {SqliteStore} from '../../store/sqlite.ts'
import type {Entry} from '../../store/store.ts'
import {beginNewEpoch, readStoreMember, type StoreMember} from '../new-epoch.ts'
import {entriesOf, type ReplayEnd, replayInto} from '../replay.ts'

/** What a restored registry is. */
export interface RestoredHistory {
  /** `leader`: it leads from a new epoch on. `mirror`: it follows its leader, as it did. */
  readonly role: 'leader' | 'mirror'
  /** The newest entry of the old history that it has; null when it has none. */
  readonly lastOffset: number | null
  readonly lastTimeMs: number | null
  /** Of its log as it is now. */
  readonly epoch: number
  readonly nextOffset: number
  /** Names of the other members of the cell, as its log knows them. */
  readonly others: readonly string[]
  /** Who leads a mirror; null for a leader. */
  readonly leader: string | null
}

export interface HistoryWish {
  /** How far; all there is when absent. */
  readonly last: ReplayEnd | undefined
  /** Up to when it goes at least: its newest entry may be later, by the clock of who led then. */
  readonly untilMs: number
  /** Entries that follow what was laid out; absent where there are none. */
  readonly more?:
    | ((from: {readonly offset: number; readonly hash: string}) => AsyncIterable<readonly Entry[]>)
    | undefined
  /** Whether the directory is that of a mirror though its log does not say so: the option `mirror` stands in its configuration. */
  readonly isMirror: () => Promise<boolean>
  /** Epoch of a history that is given up. */
  readonly above: number
  readonly signal: AbortSignal
  readonly onApplied: (count: number) => void
}

const STORE = 'registry.db'

/**
 * Brings the store in a directory that was laid out to a moment, and makes it one of its own. A leader, and whoever is restored to a moment of its past,
 * begins a new epoch; a mirror goes on to follow.
 *
 * @throws RegistryError `REG_NOT_FOUND` for a moment that is not there, naming what is; `REG_OFFSET_CULLED` for one whose entries were trimmed;
 * `REG_BACKUP_DAMAGED`; those of the store
 */
export async function bringToMoment(dir: string, wish: HistoryWish): Promise<RestoredHistory> {
  const path = join(dir, STORE)
  const before = await readStoreMember(path)
  const newest = await lastEntry(path)
  const {nextOffset: end} = before.head
  if (wish.more === undefined) {
    assertMoment(wish.last, {nextOffset: end, untilMs: Math.max(wish.untilMs, newest?.timeMs ?? 0)})
  }
  await replayTo(path, before, wish)
  const reached = await readStoreMember(path)
  const last = await lastEntry(path)
  const isMirror = !before.isLeading || (before.state.lead === undefined && (await wish.isMirror()))
  const shown = {lastOffset: last?.offset ?? null, lastTimeMs: last?.timeMs ?? null}
  const heirOf = before.head.iden
  const others = reached.state.members.values().flatMap(({member, name}) => (member === heirOf ? [] : [name]))
  if (isMirror && wish.last === undefined) {
    const {epoch, nextOffset} = await adoptStore(path)
    return {role: 'mirror', ...shown, epoch, nextOffset, others: [...others], leader: reached.state.lead?.name ?? null}
  }
  const {epoch, nextOffset} = await beginNewEpoch(path, {heirOf, above: wish.above})
  return {role: 'leader', ...shown, epoch, nextOffset, others: [...others], leader: null}
}

async function replayTo(path: string, {head}: StoreMember, wish: HistoryWish): Promise<void> {
  const {last, more, signal, onApplied} = wish
  const isBack = last !== undefined && (await liesBefore(path, head.nextOffset, last))
  if (isBack) return await replayFromNothing(path, head.firstOffset, wish)
  if (more === undefined) return
  const from = {offset: head.nextOffset, hash: head.lastHash}
  await replayInto(path, more(from), {last, signal, onApplied})
}

/** Tells whether the store at `path` is beyond the wanted moment. */
export async function liesBefore(path: string, nextOffset: number, last: ReplayEnd): Promise<boolean> {
  if ('offset' in last) return last.offset < nextOffset - 1
  // Clocks go back at times: whether an entry in between is later shows only by reading all.
  await using store = new SqliteStore(path)
  const {firstOffset} = await store.open()
  for (let at = firstOffset; at < nextOffset; ) {
    const entries = await store.read(at, 1000)
    if (entries.some(({timeMs}) => timeMs > last.timeMs)) return true
    at += entries.length
  }
  return false
}

/** Only a log that is kept from its beginning tells everything. */
async function replayFromNothing(
  path: string,
  firstOffset: number,
  {last, signal, onApplied}: HistoryWish,
): Promise<void> {
  if (firstOffset > 0) {
    const text = `this backup cannot be restored to an earlier moment: its change log begins at entry ${firstOffset}, what was before was trimmed`
    throw new RegistryError('REG_OFFSET_CULLED', text, {
      info: {first: firstOffset},
      hints: ['restore it as it is: without --to-offset and --to-time', 'registry backup list DIR shows older ones'],
    })
  }
  const fresh = `${path}.new`
  {
    await using old = new SqliteStore(path)
    await old.open()
    const [first] = await old.read(0, 1)
    if (last !== undefined && 'timeMs' in last && first !== undefined && first.timeMs > last.timeMs)
      throw tooEarly(last.timeMs, first.timeMs)
    await replayInto(fresh, entriesOf(old, CHAIN_START), {last, signal, onApplied})
  }
  // The old one has no part in it any more; its member is asked for before.
  for (const ending of ['-wal', '-shm']) await rm(path + ending, {force: true})
  await moveFile(fresh, path)
}

async function lastEntry(path: string): Promise<Entry | undefined> {
  await using store = new SqliteStore(path)
  const {nextOffset, firstOffset} = await store.open()
  if (nextOffset === firstOffset) return undefined
  const [entry] = await store.read(nextOffset - 1, 1)
  return entry
}

/** Clocks of two members differ by so much at most, unless one is wrong. */
export const CLOCKS_MS = 86_400_000

/**
 * Makes sure that a moment is one of a history that is there. What is later by less than `slackMs` may be: that shows by its entries.
 *
 * @throws RegistryError `REG_NOT_FOUND`, naming the range
 */
export function assertMoment(
  last: ReplayEnd | undefined,
  {nextOffset, untilMs}: {readonly nextOffset: number; readonly untilMs: number},
  slackMs = 0,
): void {
  if (last === undefined) return
  if ('offset' in last && last.offset >= nextOffset) {
    const range = nextOffset === 0 ? 'it has none' : `its entries are 0 to ${nextOffset - 1}`
    throw notThere(`entry ${last.offset} is not in this backup: ${range}`, {last: nextOffset - 1})
  }
  if ('timeMs' in last && last.timeMs > untilMs + slackMs) {
    const until = new Date(untilMs).toISOString()
    throw notThere(`${new Date(last.timeMs).toISOString()} is later than this backup: it ends at ${until}`, {until})
  }
}

function tooEarly(timeMs: number, firstMs: number): RegistryError {
  const [wanted, first] = [timeMs, firstMs].map((ms) => new Date(ms).toISOString())
  return notThere(`${wanted} is before the first entry of this backup, which is of ${first}`, {first})
}

function notThere(text: string, info: Readonly<Record<string, unknown>>): RegistryError {
  return new RegistryError('REG_NOT_FOUND', text, {
    info,
    hints: ['registry backup show BACKUP', 'registry backup list DIR'],
  })
}

/** Where the history of a backup without an archived log ends. */
export function endOf({log, madeAt}: Manifest): {readonly nextOffset: number; readonly untilMs: number} {
  return {nextOffset: log.index ?? 0, untilMs: Date.parse(madeAt)}
}
