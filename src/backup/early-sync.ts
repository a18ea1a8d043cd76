import type {FileHandle} from 'node:fs/promises'

/** The disk gets it in portions that it writes in some milliseconds, so that others who wait for it wait no longer. */
const PORTION_BYTES = 16 * 1024 * 1024

/**
 * Has the disk write what a file has got so far, while more of it is read and hashed. Otherwise all of it would wait in memory until the end,
 * and the disk stand still meanwhile.
 */
export class EarlySync {
  readonly #file: Pick<FileHandle, 'datasync'>
  #bytes = 0
  #under: Promise<void> = Promise.resolve()

  constructor(file: Pick<FileHandle, 'datasync'>) {
    this.#file = file
  }

  /** To be called when so many bytes were written. Waits while the disk is more than a portion behind. */
  async wrote(bytes: number): Promise<void> {
    this.#bytes += bytes
    if (this.#bytes < PORTION_BYTES) return
    this.#bytes = 0
    await this.#under
    this.#under = this.#file.datasync()
    this.#under.catch(() => {}) // said by who waits for it next
  }

  /** Makes sure that all of it is on the disk. A fault is told to the first sync that meets it only: none may go unheard. */
  async end(): Promise<void> {
    await this.#under
    await this.#file.datasync()
  }
}
