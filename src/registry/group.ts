import type {Instance} from './instance.ts'

/** How `discover` picks one of the passing instances. */
export type Strategy = 'random' | 'round-robin' | 'least-recent'

/** The instances that share a label or a name. Changed only by `Catalog`. */
export class Group {
  readonly key: string
  /** Rises with every change of a member; what was made of the members is valid for one version. */
  version = 0
  readonly #members = new Set<Instance>()
  readonly #passing: Instance[] = []
  #lastSeq = 0
  #isOrdered = true
  #cursor = 0
  /** The passing members, the longest unused first; kept from the first time that `least-recent` asks. */
  #unused: Set<Instance> | undefined

  constructor(key: string) {
    this.key = key
  }

  get size(): number {
    return this.#members.size
  }

  /** Gives the members in order of first registration. */
  members(): Iterable<Instance> {
    if (this.#isOrdered) return this.#members
    const ordered = [...this.#members].sort((a, b) => a.seq - b.seq)
    this.#members.clear()
    for (const instance of ordered) this.#members.add(instance)
    this.#isOrdered = true
    this.#lastSeq = ordered.at(-1)?.seq ?? 0
    return this.#members
  }

  get passing(): readonly Instance[] {
    return this.#passing
  }

  has(instance: Instance): boolean {
    return this.#members.has(instance)
  }

  /** Takes an instance in whose `groups` name this one already. */
  add(instance: Instance): void {
    this.version += 1
    if (instance.seq < this.#lastSeq) this.#isOrdered = false
    else this.#lastSeq = instance.seq
    this.#members.add(instance)
    if (instance.health === 'passing') this.join(instance)
  }

  remove(instance: Instance): void {
    this.version += 1
    this.#members.delete(instance)
    this.leave(instance)
  }

  /** Puts a member among the passing ones. */
  join(instance: Instance): void {
    const place = instance.groups.indexOf(this)
    if (instance.slots[place] !== -1) return
    instance.slots[place] = this.#passing.length
    this.#passing.push(instance)
    this.#unused?.add(instance)
  }

  /** Takes a member from among the passing ones: the last of them gets its place. */
  leave(instance: Instance): void {
    const place = instance.groups.indexOf(this)
    const slot = instance.slots[place] ?? -1
    if (slot === -1) return
    const last = this.#passing.pop()
    if (last !== undefined && last !== instance) {
      this.#passing[slot] = last
      last.slots[last.groups.indexOf(this)] = slot
    }
    instance.slots[place] = -1
    this.#unused?.delete(instance)
  }

  /** Picks a passing member; `random` is a number from 0 to below 1. */
  pick(strategy: Strategy, random: number): Instance | undefined {
    switch (strategy) {
      case 'random':
        return this.#passing[Math.floor(random * this.#passing.length)]
      case 'round-robin':
        this.#cursor = (this.#cursor + 1) % Math.max(1, this.#passing.length)
        return this.#passing[this.#cursor]
      case 'least-recent': {
        this.#unused ??= new Set(this.#passing)
        const [first] = this.#unused
        if (first !== undefined) {
          this.#unused.delete(first)
          this.#unused.add(first)
        }
        return first
      }
    }
  }
}
