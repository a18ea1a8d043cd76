/** What a service says of the backup that it makes, for who waits for it on a terminal. */
import {setTimeout as delay} from 'node:timers/promises'
import type {WorkOptions} from '../backup/copy-files.ts'
import {formatDuration} from '../base/duration.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf} from './admin-values.ts'

const METHOD = 'getBackupInfo'
const ASK_EVERY_MS = 500

/**
 * Asks a service again and again how far its backup is: since when it copies, and in the end how large the backup became. Where nobody watches, it asks
 * nothing. To be disposed of when the backup comes.
 */
export class BackupWatch implements AsyncDisposable {
  readonly #cell: Callable
  readonly #work: WorkOptions
  readonly #stop = new AbortController()
  #watching: Promise<void> = Promise.resolve()
  #bytes: number | undefined

  private constructor(cell: Callable, work: WorkOptions) {
    this.#cell = cell
    this.#work = work
  }

  /** To be called before the backup is asked for. */
  static async begin(cell: Callable, work: WorkOptions): Promise<BackupWatch> {
    work.progress.phase('the service makes a backup', undefined)
    const watch = new BackupWatch(cell, work)
    if (work.progress.isShown !== true) return watch
    const before = await watch.#ask().catch(() => undefined) // a service that does not tell makes backups all the same
    if (before !== undefined) watch.#watching = watch.#watch(before).catch(() => undefined)
    return watch
  }

  /** Bytes of the backup on the disk of the service; undefined as long as they are not known. */
  get bytes(): number | undefined {
    return this.#bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#watching
  }

  async #watch(before: BackupInfo): Promise<void> {
    const {progress} = this.#work
    const {signal} = this.#stop
    for (;;) {
      const {runsMs, endMs, bytes} = await this.#ask()
      if (signal.aborted) return
      if (runsMs !== undefined) progress.phase(`the service copies itself${elapsed(runsMs)}`, undefined)
      else if (endMs !== before.endMs && bytes !== undefined) {
        this.#bytes = bytes
        return progress.phase('the service packs its backup', undefined)
      }
      await delay(ASK_EVERY_MS, undefined, {signal})
    }
  }

  async #ask(): Promise<BackupInfo> {
    const signal = AbortSignal.any([this.#work.signal, this.#stop.signal])
    const {currduration, lastend, lastsize} = fieldsOf(await this.#cell.call(METHOD, {signal}), METHOD)
    return {runsMs: numberOf(currduration), endMs: numberOf(lastend), bytes: numberOf(lastsize)}
  }
}

interface BackupInfo {
  /** How long the one has been made that is being made; undefined when none is. */
  readonly runsMs: number | undefined
  /** When the last one was done, and how large it is. */
  readonly endMs: number | undefined
  readonly bytes: number | undefined
}

function numberOf(value: Value): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function elapsed(ms: number): string {
  return ms < 1000 ? '' : `, ${formatDuration(Math.floor(ms / 1000) * 1000)}`
}
