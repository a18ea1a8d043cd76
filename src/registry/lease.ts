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

  constructor(nowMs: number) {
    this.#nextS = Math.floor(nowMs / 1000)
  }

  /** Watches an instance from now on. */
  add(instance: Instance): void {
    const second = Math.max(leaseEndS(instance.renewedMs, instance.ttlS), this.#nextS)
    const list = this.#seconds.get(second)
    if (list === undefined) this.#seconds.set(second, [instance])
    else list.push(instance)
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
}
