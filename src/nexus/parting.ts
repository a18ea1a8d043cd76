import type {LogPlace} from './log-reader.ts'

/** Where two logs of one cell part. */
export interface Parting {
  /** First offset at which they differ, or at which one of them ends. */
  readonly offset: number
  /** False when they differ already at the first entry that both keep: they may have parted before. */
  readonly isExact: boolean
}

/** Says what stands at a place of a log. */
export type PlaceOf = (offset: number) => Promise<LogPlace>

/**
 * Finds where two logs part. Each entry carries the hash of the one before it, so they are the same below the first difference: some twenty places are
 * asked for, however long the logs are. Throws what a place throws.
 */
export async function findParting(one: PlaceOf, other: PlaceOf): Promise<Parting> {
  const isSame = async (offset: number): Promise<boolean> => {
    const [here, there] = await Promise.all([one(offset), other(offset)])
    return here.hash !== undefined && here.hash === there.hash
  }
  const [here, there] = await Promise.all([one(0), other(0)])
  const first = Math.max(here.first, there.first)
  let low = first
  let high = Math.max(first, Math.min(here.nextOffset, there.nextOffset))
  // All below `low` are the same, and the one at `high` is not.
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (await isSame(middle)) low = middle + 1
    else high = middle
  }
  return {offset: low, isExact: low > first || first === 0}
}
