import {getHeapStatistics} from 'node:v8'

/** How long a thread must have had nothing to do, ms. */
const IDLE_MS = 250
/** How much its heap must have grown, bytes. */
const GROWN_BYTES = 4 * 1024 * 1024

/**
 * Gives back to the system what starting has used up and nobody needs any more: sources that were compiled, code that ran once. Each thread of Node
 * begins with 4 MB of it and more, and V8 alone would keep them for as long as little happens. Takes 10 to 40 ms. Only where Node was started with
 * `--expose-gc`, as `bin/registry` does.
 */
export function releaseSpent(): void {
  globalThis.gc?.({type: 'major', flavor: 'last-resort', execution: 'sync'})
}

/** Does so for a worker thread, at once and again whenever much was done and nothing is left to do. */
export class SpentMemory {
  #leastBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isBusy = false

  constructor() {
    this.#release()
  }

  /** Notes that the thread had something to do. */
  worked(): void {
    this.#isBusy = true
    this.#timer ??= setTimeout(() => this.#look(), IDLE_MS).unref()
  }

  #look(): void {
    this.#timer = undefined
    if (getHeapStatistics().total_heap_size < this.#leastBytes + GROWN_BYTES) return
    if (this.#isBusy) this.#timer = setTimeout(() => this.#look(), IDLE_MS).unref()
    else this.#release()
    this.#isBusy = false
  }

  #release(): void {
    releaseSpent()
    this.#leastBytes = getHeapStatistics().total_heap_size
  }
}
