/** Lets writes pass, or has them wait. Those that wait pass in the order in which they came, and before those that come later. */
export class WriteGate {
  #opened: PromiseWithResolvers<void> | undefined

  /** What a write waits for; undefined when it need not wait. */
  get passed(): Promise<void> | undefined {
    return this.#opened?.promise
  }

  close(): void {
    this.#opened ??= Promise.withResolvers()
  }

  open(): void {
    const opened = this.#opened
    opened?.resolve()
    // Who comes in this turn comes after those that wait.
    queueMicrotask(() => {
      if (this.#opened === opened) this.#opened = undefined
    })
  }
}
