import {RegistryError} from './errors.ts'

/**
 * A bounded queue between who tells and one who reads. Who tells never waits: a reader who is `limit` items late is cut off rather than
 * buffered.
 */
export class Mailbox<T> {
  readonly #limit: number
  #items: T[] = []
  #wake: (() => void) | undefined
  #end: {readonly error: RegistryError | undefined} | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Puts an item in. It is dropped after the end, and the one that is too many is the end. */
  push(item: T): void {
    if (this.#end !== undefined) return
    if (this.#items.length < this.#limit) {
      this.#items.push(item)
      this.#wake?.()
      return
    }
    this.#items = []
    const text = `the reader is more than ${this.#limit} items late and was cut off`
    this.#finish(new RegistryError('REG_BUSY', text, {hints: ['read on from the beginning']}))
  }

  /** The reader gets what is left, and then the end. Idempotent. */
  end(): void {
    if (this.#end === undefined) this.#finish(undefined)
  }

  /**
   * Gives the items in order until the end. To be read once.
   *
   * @throws RegistryError `REG_BUSY` for who was cut off; the signal's reason
   */
  async *read(signal: AbortSignal): AsyncGenerator<T, void> {
    const onAbort = () => this.#wake?.()
    signal.addEventListener('abort', onAbort)
    try {
      for (;;) {
        signal.throwIfAborted()
        const items = this.#items
        this.#items = []
        yield* items
        if (this.#items.length > 0) continue
        if (this.#end !== undefined) return this.#close(this.#end.error)
        await this.#changed(signal)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.end()
    }
  }

  #close(error: RegistryError | undefined): void {
    if (error !== undefined) throw error
  }

  #finish(error: RegistryError | undefined): void {
    this.#end = {error}
    this.#wake?.()
  }

  async #changed(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (signal.aborted) resolve()
    })
    this.#wake = undefined
  }
}
