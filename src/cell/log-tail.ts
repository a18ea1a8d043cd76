import {RegistryError} from '../base/errors.ts'

/** Records that are kept. */
const KEPT = 1000
/** Characters that they may hold together; above, the oldest go first. */
const KEPT_CHARACTERS = 4 * 1024 * 1024
/** Records that wait for one who follows; beyond, he is cut off. */
const WAITING = 10_000

/** What was logged last, as the lines of the structured form: secrets are hidden in them already. */
export class LogTail {
  #lines: string[] = []
  #characters = 0
  readonly #followers = new Set<Follower>()

  /** Takes a line of the log. */
  add(line: string): void {
    this.#lines.push(line)
    this.#characters += line.length
    while (this.#lines.length > KEPT || this.#characters > KEPT_CHARACTERS) {
      this.#characters -= this.#lines.shift()?.length ?? 0
    }
    for (const follower of this.#followers) follower.add(line)
  }

  /** Gives the last ones, the oldest first. */
  last(count: number): readonly string[] {
    return count <= 0 ? [] : this.#lines.slice(-count)
  }

  /**
   * Gives the last ones and then what comes, until the signal aborts.
   *
   * @throws RegistryError `REG_BUSY` when more lines wait than are kept for a reader; the reason of the signal
   */
  async *follow(count: number, signal: AbortSignal): AsyncGenerator<string, void> {
    const follower = new Follower(this.last(count))
    this.#followers.add(follower)
    const wake = () => follower.wake()
    signal.addEventListener('abort', wake)
    try {
      for (;;) {
        signal.throwIfAborted()
        yield* follower.take()
        await follower.waiting(signal)
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.#followers.delete(follower)
    }
  }
}

class Follower {
  #lines: string[]
  #isLost = false
  #wake: (() => void) | undefined

  constructor(lines: readonly string[]) {
    this.#lines = [...lines]
  }

  add(line: string): void {
    if (this.#lines.length < WAITING) this.#lines.push(line)
    else this.#isLost = true
    this.wake()
  }

  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  take(): readonly string[] {
    if (this.#isLost) throw new RegistryError('REG_BUSY', `more than ${WAITING} lines of the log wait to be read`)
    const lines = this.#lines
    this.#lines = []
    return lines
  }

  waiting(signal: AbortSignal): Promise<void> {
    if (this.#lines.length > 0 || this.#isLost || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
