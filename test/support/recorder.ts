// Reads a stream of values in the background and lets a test wait for one of them.
/** Less than a test has, so that it can say what came instead. */
const WITHIN_MS = 150_000

export class Recorder<T> {
  readonly seen: T[] = []
  /** Resolves with what the stream failed with, undefined when it ended. */
  readonly ended: Promise<unknown>
  #waiting: (() => void)[] = []

  constructor(source: AsyncIterable<T>) {
    this.ended = this.#read(source).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  /** Gives the first value from number `from` on that fits; fails when none comes. */
  async until(fits: (value: T) => boolean, from = 0): Promise<T> {
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      this.#wakeAll()
    }, WITHIN_MS)
    try {
      for (;;) {
        const found = this.seen.slice(from).find(fits)
        if (found !== undefined) return found
        if (isLate) throw new Error(`it did not come: ${JSON.stringify(this.seen.slice(-10))}`)
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    } finally {
      clearTimeout(late)
    }
  }

  async #read(source: AsyncIterable<T>): Promise<void> {
    for await (const value of source) {
      this.seen.push(value)
      this.#wakeAll()
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
