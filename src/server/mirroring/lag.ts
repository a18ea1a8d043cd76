/** Where a log was at a time. */
interface Sample {
  readonly nextOffset: number
  readonly atMs: number
}

/** Samples that are kept; of more, two and two become one. */
const MAX_SAMPLES = 256
/** Samples that are closer together than this count as one. */
const STEP_MS = 20

/** Measures how long a reader is behind a log: since when the log has had the first entry that the reader lacks. Times are of one clock, the caller's. */
export class LagMeter {
  /** Oldest first. */
  #samples: Sample[] = []
  #read = 0

  /** The log was there at that time. Times that go back are taken for the last one. */
  noteLog(nextOffset: number, atMs: number): void {
    const last = this.#samples.at(-1)
    if (nextOffset <= Math.max(this.#read, last?.nextOffset ?? 0)) return
    // Of two that are close together the older one stands for both: the lag is a little too long then, and never too short.
    const isClose = last !== undefined && atMs - last.atMs < STEP_MS
    if (isClose) this.#samples.pop()
    this.#samples.push({nextOffset, atMs: isClose ? last.atMs : atMs})
    if (this.#samples.length > MAX_SAMPLES) this.#samples = halved(this.#samples)
  }

  /** The reader has all below this offset. */
  noteRead(nextOffset: number): void {
    this.#read = nextOffset
    const first = this.#samples.findIndex((sample) => sample.nextOffset > nextOffset)
    this.#samples = first === -1 ? [] : this.#samples.slice(first)
  }

  /** 0 when the reader has all that the log was known to have. */
  lagMs(nowMs: number): number {
    const [first] = this.#samples
    return first === undefined ? 0 : Math.max(0, nowMs - first.atMs)
  }
}

/** The older of two stands for both. */
function halved(samples: readonly Sample[]): Sample[] {
  return samples.flatMap(({atMs}, index) => {
    if (index % 2 === 1) return []
    return [{nextOffset: (samples[index + 1] ?? samples[index] ?? {nextOffset: 0}).nextOffset, atMs}]
  })
}
