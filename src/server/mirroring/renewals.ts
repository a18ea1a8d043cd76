/** Ids of one message. */
const MOST_AT_ONCE = 10_000
/** Ids that wait for one who does not take them: more than there are services. */
const MOST_WAITING = 1_000_000

/** Somebody who has renewals passed on to him. */
export interface RenewalTaker {
  /** Gives ids that were renewed since they were last taken, each once; at most some thousands, the rest next time. */
  take(): readonly string[]
  close(): void
}

/** Passes on which leases were renewed: a service renews at one member, and is alive at all of them. */
export class Renewals {
  readonly #waiting = new Map<string, Set<string>>()

  /** A lease was renewed here, or at the member of whom this one heard it. */
  note(id: string, from?: string): void {
    for (const [taker, ids] of this.#waiting) {
      if (taker === from) continue
      ids.add(id)
      if (ids.size > MOST_WAITING) ids.delete(firstOf(ids))
    }
  }

  /** Begins to keep ids for a member. What it tells itself (`note` with its name) does not come back to it. */
  open(taker: string): RenewalTaker {
    const ids = new Set<string>()
    this.#waiting.set(taker, ids)
    return {
      take: () => {
        if (ids.size === 0) return []
        const taken = ids.size <= MOST_AT_ONCE ? [...ids] : [...ids.values().take(MOST_AT_ONCE)]
        if (taken.length === ids.size) ids.clear()
        else for (const id of taken) ids.delete(id)
        return taken
      },
      close: () => {
        if (this.#waiting.get(taker) === ids) this.#waiting.delete(taker)
      },
    }
  }
}

function firstOf(ids: Set<string>): string {
  for (const id of ids) return id
  return ''
}
