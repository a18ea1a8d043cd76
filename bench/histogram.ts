/** The shortest time told apart, ms. */
const FLOOR_MS = 0.001
/** Each bucket is 2 % wider than the one before. */
const STEP = Math.log(1.02)

/** Counts times in buckets of 2 %: percentiles of any number of samples, that can be sent and added up. */
export class Histogram {
  readonly #buckets = new Map<number, number>()
  #count = 0

  get count(): number {
    return this.#count
  }

  add(ms: number, times = 1): void {
    const bucket = Math.max(0, Math.ceil(Math.log(ms / FLOOR_MS) / STEP))
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + times)
    this.#count += times
  }

  /** Adds what `toJSON` of another one gave. */
  merge(json: readonly (readonly [number, number])[]): void {
    for (const [bucket, times] of json) {
      this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + times)
      this.#count += times
    }
  }

  /** Gives the time that `share` of the samples do not exceed, ms, at most 2 % too long; NaN without samples. */
  quantile(share: number): number {
    let left = Math.max(1, Math.ceil(this.#count * share))
    for (const [bucket, times] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      left -= times
      if (left <= 0) return FLOOR_MS * Math.exp(bucket * STEP)
    }
    return Number.NaN
  }

  toJSON(): [number, number][] {
    return [...this.#buckets]
  }
}
