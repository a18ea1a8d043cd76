/** Which backups stay. Pure: the shelf says what there is, and somebody else removes. */

/** What is looked at of a backup. */
export interface Retainable {
  readonly path: string
  /** Backups of one cell are kept for themselves. */
  readonly cell: string
  readonly madeAtMs: number
  /** A drill restored it, and none failed to since. */
  readonly isProven: boolean
}

/** How many are kept of each kind. */
export interface KeepRules {
  readonly last: number
  /** The newest of so many days, weeks and months that have one; by UTC, weeks begin on Monday. */
  readonly daily: number
  readonly weekly: number
  readonly monthly: number
}

/** Why a backup stays. */
export type KeepReason = 'of the future' | 'newest' | 'last proven' | 'last' | 'daily' | 'weekly' | 'monthly'

const DAY_MS = 86_400_000
/** Clocks of two machines differ by so much at most, unless one is wrong. */
const AHEAD_MS = DAY_MS
/** 1970-01-05, the first Monday. */
const MONDAY_MS = 4 * DAY_MS

/**
 * Gives why each stays, by its path; what is not in it may go. The newest of each cell and the last one that is proven always stay. What a clock that was wrong
 * dated later than now stays as well, and takes the place of none: it would be the newest for years, and those made after it would go.
 */
export function retained(
  backups: readonly Retainable[],
  rules: KeepRules,
  nowMs: number,
): ReadonlyMap<string, readonly KeepReason[]> {
  const kept = new Map<string, KeepReason[]>()
  const [ahead, dated] = [backups.filter((one) => isAhead(one, nowMs)), backups.filter((one) => !isAhead(one, nowMs))]
  for (const {path} of ahead) kept.set(path, ['of the future'])
  for (const ofCell of Map.groupBy(dated, ({cell}) => cell).values()) {
    const newestFirst = ofCell.toSorted((a, b) => b.madeAtMs - a.madeAtMs || (a.path < b.path ? 1 : -1))
    for (const [reason, some] of reasonsOf(newestFirst, rules)) {
      for (const {path} of some) kept.set(path, [...(kept.get(path) ?? []), reason])
    }
  }
  return kept
}

function isAhead({madeAtMs}: Retainable, nowMs: number): boolean {
  return madeAtMs > nowMs + AHEAD_MS
}

function reasonsOf(
  newestFirst: readonly Retainable[],
  rules: KeepRules,
): readonly (readonly [KeepReason, readonly Retainable[]])[] {
  return [
    ['newest', newestFirst.slice(0, 1)],
    ['last proven', newestFirst.filter(({isProven}) => isProven).slice(0, 1)],
    ['last', newestFirst.slice(0, rules.last)],
    ['daily', newestOfEach(newestFirst, rules.daily, (ms) => Math.floor(ms / DAY_MS))],
    ['weekly', newestOfEach(newestFirst, rules.weekly, (ms) => Math.floor((ms - MONDAY_MS) / (7 * DAY_MS)))],
    ['monthly', newestOfEach(newestFirst, rules.monthly, monthOf)],
  ]
}

function newestOfEach(
  newestFirst: readonly Retainable[],
  count: number,
  period: (ms: number) => number,
): readonly Retainable[] {
  const seen = new Map<number, Retainable>()
  for (const backup of newestFirst) {
    const at = period(backup.madeAtMs)
    if (!seen.has(at)) seen.set(at, backup)
  }
  return [...seen.values()].slice(0, count)
}

function monthOf(ms: number): number {
  const date = new Date(ms)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}
