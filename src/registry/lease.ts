import type {Instance} from './instance.ts'

/**
 * Gives the second of the lease clock at which a lease ends: more than `ttlS` whole seconds after the last renewal, both counted in whole
 * seconds. Never earlier than the Python server, which calls an entry critical when `int(now) - int(last) > ttl`.
 */
export function leaseEndS(renewedMs: number, ttlS: number): number {
  return Math.floor(renewedMs / 1000) + Math.floor(ttlS) + 1
}

/**
 * Knows which leases end when. Leases end on whole seconds, so a list per second is all it takes. A renewal does not touch it: an
 * instance whose second comes is put off to the second in which its lease ends now.
 */
export class LeaseWheel {
  readonly #seconds = new Map<number, Instance[]>()
  #nextS: number
  #size = 0
  /** How many have left since their lists were last looked through; some of them may not have been watched any more. */
  #gone = 0

  constructor(nowMs: number) {
    this.#nextS = Math.floor(nowMs / 1000)
  }

  /** Instances that are held here, with those that have left but are not let go yet: not more than those that stay. */
  get size(): number {
    return this.#size
  }

  /** Watches an instance from now on. */
  add(instance: Instance): void {
    const second = Math.max(leaseEndS(instance.renewedMs, instance.ttlS), this.#nextS)
    const list = this.#seconds.get(second)
    if (list === undefined) this.#seconds.set(second, [instance])
    else list.push(instance)
    this.#size += 1
  }

  /**
   * To be called when an instance has left and is marked as gone. Leases may last for years: those that left are let go when they are half
   * of what is held here, not when their leases would have ended.
   */
  noteGone(): void {
    this.#gone += 1
    if (this.#gone * 2 > this.#size) this.#compact()
  }

  /**
   * Looks at up to `limit` instances whose second has come by `nowMs`, and gives those whose lease has ended; they are not watched any
   * more. `isDone` is false when there is more to look at.
   */
  advance(nowMs: number, limit: number): {readonly ended: readonly Instance[]; readonly isDone: boolean} {
    const nowS = Math.floor(nowMs / 1000)
    const ended: Instance[] = []
    let looked = 0
    while (this.#nextS <= nowS) {
      const list = this.#seconds.get(this.#nextS)
      for (let instance = list?.pop(); instance !== undefined; instance = list?.pop()) {
        this.#size -= 1
        if (!instance.isGone) {
          if (leaseEndS(instance.renewedMs, instance.ttlS) > nowS) this.add(instance)
          else ended.push(instance)
        }
        looked += 1
        if (looked >= limit) return {ended, isDone: false}
      }
      this.#seconds.delete(this.#nextS)
      this.#nextS += 1
    }
    return {ended, isDone: true}
  }

  #compact(): void {
    this.#gone = 0
    this.#size = 0
    for (const [second, list] of this.#seconds) {
      const staying = list.filter((instance) => !instance.isGone)
      if (staying.length === 0) this.#seconds.delete(second)
      else this.#seconds.set(second, staying)
      this.#size += staying.length
    }
  }
}
