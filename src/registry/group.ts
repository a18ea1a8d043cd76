import type {Instance, Membership} from './instance.ts'

/** How `discover` picks one of the instances that it may. */
export type Strategy = 'random' | 'round-robin' | 'least-recent'

/** Guesses at a discoverable member before they are counted through. */
const MAX_GUESSES = 32

/**
 * The instances that share a label. Changed only by `Catalog`.
 *
 * One array is all it keeps, because every byte here counts twice for each of a hundred thousand instances: those that left stay in it,
 * marked, until they are half of it, and a discoverable one is found by guessing, which takes two guesses at most where most are.
 */
export class Group implements Membership {
  readonly key: string
  version = 0
  #members: Instance[] = []
  #gone = 0
  #discoverable = 0
  #isOrdered = true
  #cursor = -1
  /** The discoverable members, the longest unused first; kept from the first time that `least-recent` asks. */
  #unused: Set<Instance> | undefined

  constructor(key: string) {
    this.key = key
  }

  get size(): number {
    return this.#members.length - this.#gone
  }

  /** Gives the members in order of first registration; valid until the next change. */
  members(): readonly Instance[] {
    if (this.#gone > 0) this.#compact()
    if (!this.#isOrdered) this.#members.sort((a, b) => a.seq - b.seq)
    this.#isOrdered = true
    return this.#members
  }

  /** Gives the members that may be discovered, in order of first registration. */
  discoverable(): readonly Instance[] {
    return this.members().filter((instance) => instance.isDiscoverable)
  }

  has(instance: Instance): boolean {
    return !instance.isGone && instance.groups.includes(this)
  }

  /** Takes an instance in, at the place of the one with the same `seq` that it replaces. */
  add(instance: Instance, replaced: Instance | undefined): void {
    this.version += 1
    const place = replaced === undefined ? -1 : this.#placeOf(replaced)
    if (place === -1) {
      const last = this.#members.at(-1)
      if (last !== undefined && last.seq > instance.seq) this.#isOrdered = false
      this.#members.push(instance)
    } else {
      this.#members[place] = instance
    }
    if (replaced?.isDiscoverable === true) this.leave(replaced)
    if (instance.isDiscoverable) this.join(instance)
  }

  /** Takes an instance out that is marked as gone. */
  remove(instance: Instance): void {
    this.version += 1
    this.#gone += 1
    if (instance.isDiscoverable) this.leave(instance)
    if (this.#gone * 2 > this.#members.length) this.#compact()
  }

  join(instance: Instance): void {
    this.#discoverable += 1
    this.#unused?.add(instance)
  }

  leave(instance: Instance): void {
    this.#discoverable -= 1
    this.#unused?.delete(instance)
  }

  /** Gives the first member that may be discovered; where none may be, the first of all. */
  first(): Instance | undefined {
    const members = this.members()
    return (this.#discoverable === 0 ? undefined : members.find((instance) => instance.isDiscoverable)) ?? members[0]
  }

  /** Picks a discoverable member; `random` gives numbers from 0 to below 1. */
  pick(strategy: Strategy, random: () => number): Instance | undefined {
    if (this.#discoverable === 0) return undefined
    switch (strategy) {
      case 'random':
        return this.#pickRandom(random)
      case 'round-robin':
        return this.#pickNext()
      case 'least-recent':
        return this.#pickUnused()
    }
  }

  #pickRandom(random: () => number): Instance | undefined {
    const members = this.#members
    // Where few are discoverable, guessing would take longer than counting.
    for (let guesses = this.#discoverable * 8 < members.length ? MAX_GUESSES : 0; guesses < MAX_GUESSES; guesses += 1) {
      const instance = members[Math.floor(random() * members.length)]
      if (instance !== undefined && isOffered(instance)) return instance
    }
    let place = Math.floor(random() * this.#discoverable)
    return members.find((instance) => isOffered(instance) && place-- === 0)
  }

  #pickNext(): Instance | undefined {
    const members = this.members()
    for (let steps = 0; steps < members.length; steps += 1) {
      this.#cursor = (this.#cursor + 1) % members.length
      const instance = members[this.#cursor]
      if (instance?.isDiscoverable === true) return instance
    }
    return undefined
  }

  #pickUnused(): Instance | undefined {
    this.#unused ??= new Set(this.discoverable())
    const [first] = this.#unused
    if (first === undefined) return undefined
    this.#unused.delete(first)
    this.#unused.add(first)
    return first
  }

  /** Finds a member by its `seq`, in which the array is ordered unless some came late. */
  #placeOf(instance: Instance): number {
    if (!this.#isOrdered) return this.#members.indexOf(instance)
    let low = 0
    let high = this.#members.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#members[middle]?.seq ?? 0) < instance.seq) low = middle + 1
      else high = middle
    }
    // One that left may stand before it with the same number.
    while (this.#members[low] !== instance && this.#members[low]?.seq === instance.seq) low += 1
    return this.#members[low] === instance ? low : -1
  }

  #compact(): void {
    this.#members = this.#members.filter((instance) => !instance.isGone)
    this.#gone = 0
  }
}

function isOffered(instance: Instance): boolean {
  return !instance.isGone && instance.isDiscoverable
}
