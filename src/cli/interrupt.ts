import {RegistryError} from '../base/errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Turns the first SIGINT or SIGTERM, and a reader of stdout that went away, into an AbortSignal. The second signal ends the process at
 * once, as the system does it. A command that never asks for `signal` keeps the system's behaviour.
 */
export class Interrupt implements Disposable {
  #controller: AbortController | undefined
  #isPipeClosed = false
  readonly #onSignal = (name: NodeJS.Signals) => {
    this.#release()
    this.#controller?.abort(new RegistryError('REG_CANCELLED', 'cancelled', {info: {signal: name}}))
  }
  readonly #onPipe = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') return
    this.#isPipeClosed = true
    this.#controller?.abort(new RegistryError('REG_CANCELLED', 'nobody reads the output any more'))
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      for (const name of SIGNALS) process.once(name, this.#onSignal)
      process.stdout.on('error', this.#onPipe)
    }
    return this.#controller.signal
  }

  /** The signal, where the command has asked for it. */
  get started(): AbortSignal | undefined {
    return this.#controller?.signal
  }

  /** True when the reader of our output closed it: nothing is to be said and nothing is wrong (`registry … | head -1`). */
  get isPipeClosed(): boolean {
    return this.#isPipeClosed
  }

  #release(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal)
  }

  [Symbol.dispose](): void {
    this.#release()
    // The listener for closed pipes stays: a late EPIPE has to find one.
  }
}
