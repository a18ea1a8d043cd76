/** A backup that a registry of ours makes and sends: what it is, the archive in pieces, and how much that was. */
import {createHash} from 'node:crypto'
import {type Manifest, totalsOf} from '../backup/manifest.ts'
import {decodeManifest} from '../backup/manifest-read.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'

export interface StreamLimits {
  readonly signal: AbortSignal
  /** Longest wait until the backup is made, and between two pieces. */
  readonly timeoutMs: number
}

const METHOD = 'streamBackup'
/** Two headers, a name of the greatest length, and what fills blocks up. */
const MEMBER_BYTES = 8192
const SPARE_BYTES = 1024 * 1024

/** Tells whether a cell sends backups in our own way. */
export function sendsBackups(cell: Callable): boolean {
  return cell.info.methods.has(METHOD)
}

/** One that comes. To be finished when all of it was taken, and disposed of in any case. */
export class BackupStream implements AsyncDisposable {
  readonly manifest: Manifest
  readonly #items: AsyncGenerator<Value, void>
  readonly #hash = createHash('sha256')
  readonly #bytesMax: number
  #bytes = 0
  #isWhole = false

  private constructor(items: AsyncGenerator<Value, void>, manifest: Manifest, manifestBytes: number) {
    this.#items = items
    this.manifest = manifest
    this.#bytesMax = mostFor(manifest, manifestBytes)
  }

  /** Has one made. Throws as a call; `REG_BAD_ANSWER`, `REG_BACKUP_INVALID` when it begins with no manifest. */
  static async open(cell: Callable, name: string | undefined, limits: StreamLimits): Promise<BackupStream> {
    const items = cell.stream(METHOD, {args: [name ?? null], ...limits})
    try {
      const first = await items.next()
      const text = first.done === true ? undefined : fieldsOf(first.value, METHOD)['manifest']
      if (typeof text !== 'string') throw oddAnswer(METHOD, 'it does not begin with a manifest')
      return new BackupStream(items, decodeManifest(text, 'what the service sends'), Buffer.byteLength(text))
    } catch (error) {
      await items.return()
      throw error
    }
  }

  /** Gives the archive. Who stops reading it does not end the stream: its end is still to come. */
  async *chunks(): AsyncGenerator<Uint8Array, void> {
    while (!this.#isWhole) {
      const next = await this.#items.next()
      if (next.done === true) throw cutOff()
      if (next.value instanceof Uint8Array) {
        this.#hash.update(next.value)
        this.#bytes += next.value.length
        if (this.#bytes > this.#bytesMax) throw oddAnswer(METHOD, `it sends more than ${this.#bytesMax} bytes`)
        yield next.value
      } else this.#end(next.value)
    }
  }

  /**
   * Takes what is left, and makes sure that all came that was sent.
   *
   * @throws RegistryError `REG_LINK_CLOSED` when it ended before, `REG_BAD_ANSWER` when something else came
   */
  async finish(): Promise<void> {
    for await (const _piece of this.chunks());
    const next = await this.#items.next()
    if (next.done !== true) throw oddAnswer(METHOD, 'something comes after its end')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#items.return()
  }

  #end(value: Value): void {
    const {bytes, sha256} = fieldsOf(value, METHOD)
    const isSame = bytes === this.#bytes && sha256 === this.#hash.digest('hex')
    if (!isSame) throw oddAnswer(METHOD, 'what came is not what was sent')
    this.#isWhole = true
  }
}

/**
 * Gives how long the archive of a manifest can be: what zstd cannot compress grows by less than a hundredth, and a member has headers and padding besides its
 * content. What goes on beyond that would fill the disk.
 */
function mostFor({files, directories}: Manifest, manifestBytes: number): number {
  const bytes = manifestBytes + totalsOf(files).bytes
  return Math.ceil(bytes * 1.01) + (files.length + directories.length) * MEMBER_BYTES + SPARE_BYTES
}

function cutOff(): RegistryError {
  return new RegistryError('REG_LINK_CLOSED', 'the service ended the backup before all of it was sent', {
    hints: ['run it again', 'registry status'],
  })
}
