/** Counts the changes that somebody hands in while he does what he was asked for, whichever parts he has do it. */
import {AsyncLocalStorage} from 'node:async_hooks'

/** How many changes were handed in so far. */
export interface ChangeCount {
  changes: number
}

const counts = new AsyncLocalStorage<ChangeCount>()

/** Does work, and counts in `count` the changes that the log takes from it. */
export function countingChanges<T>(count: ChangeCount, work: () => Promise<T>): Promise<T> {
  return counts.run(count, work)
}

/** To be called for each change that the log takes. */
export function noteChange(): void {
  const count = counts.getStore()
  if (count !== undefined) count.changes += 1
}
