import {createHash, type Hash} from 'node:crypto'
import {type FileHandle, open} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {makePrivateDir, PRIVATE_FILE_MODE, syncDir} from '../base/files.ts'
import {writeFilled} from './copy-files.ts'
import {writeFault} from './file-faults.ts'
import type {ManifestFile} from './manifest.ts'
import type {Veil} from './veil.ts'

const PIECE = 1 << 20
const BLOCK = 512
/** Files whose content is on its way to the disk while the next ones are written. */
const SYNCS_AT_ONCE = 8

interface Sink {
  readonly file: FileHandle
  /** Gives what is written of bytes that come to `at`. */
  readonly veiled: (bytes: Buffer, at: number) => Buffer
}

/** An empty directory that files are written into. Zeros become holes; what was hashed is what was written, or what is behind the veil. */
export class UnpackTarget {
  readonly #root: string
  readonly #veil: Veil | undefined
  readonly #folders = new Set<string>()
  readonly #syncs = new Set<Promise<void>>()
  readonly #buffers = [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)] as const

  constructor(root: string, veil?: Veil | undefined) {
    this.#root = root
    this.#veil = veil
  }

  /** Makes a directory, and those above it. */
  async directory(path: string): Promise<void> {
    await this.#folder(join(this.#root, path))
  }

  /** Writes a new file; its place is checked by the caller. */
  async file(path: string, content: AsyncIterable<Uint8Array>): Promise<Omit<ManifestFile, 'path'>> {
    const place = join(this.#root, path)
    await this.#folder(dirname(place))
    try {
      return await this.#write(path, content)
    } catch (error) {
      throw writeFault(error, place)
    }
  }

  /** When the promise resolves, all that was written survives a crash. */
  async commit(): Promise<void> {
    await Promise.all(this.#syncs)
    for (const folder of this.#folders) await syncDir(folder)
    await syncDir(this.#root)
  }

  /** Waits until nothing is written any more. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#syncs)
  }

  async #folder(place: string): Promise<void> {
    if (place === this.#root || this.#folders.has(place)) return
    await this.#folder(dirname(place))
    try {
      await makePrivateDir(place)
    } catch (error) {
      throw writeFault(error, place)
    }
    this.#folders.add(place)
  }

  async #write(path: string, content: AsyncIterable<Uint8Array>): Promise<Omit<ManifestFile, 'path'>> {
    const file = await open(join(this.#root, path), 'wx', PRIVATE_FILE_MODE)
    try {
      const hash = createHash('sha256')
      const veiled = (bytes: Buffer, at: number) => this.#veil?.turned(path, bytes, at) ?? bytes
      const size = await this.#fill({file, veiled}, content, hash)
      await file.truncate(size)
      const {blocks} = await file.stat()
      await this.#sync(file)
      return {size, allocated: blocks * BLOCK, sha256: hash.digest('hex')}
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Writes one piece while the next one is gathered. */
  async #fill({file, veiled}: Sink, content: AsyncIterable<Uint8Array>, hash: Hash): Promise<number> {
    let [current, other] = this.#buffers
    let used = 0
    let at = 0
    let writing = Promise.resolve()
    try {
      for await (const chunk of content) {
        hash.update(chunk)
        for (let from = 0; from < chunk.length; ) {
          const part = chunk.subarray(from, from + PIECE - used)
          current.set(part, used)
          from += part.length
          used += part.length
          if (used < PIECE) continue
          await writing
          writing = writeFilled(file, veiled(current, at), at)
          writing.catch(() => {}) // looked at when the next piece is there
          ;[current, other] = [other, current]
          at += PIECE
          used = 0
        }
      }
    } finally {
      await writing
    }
    await writeFilled(file, veiled(current.subarray(0, used), at), at)
    return at + used
  }

  /** Brings a file to the disk and closes it, later; waits only when too many are on their way. */
  async #sync(file: FileHandle): Promise<void> {
    if (this.#syncs.size >= SYNCS_AT_ONCE) await Promise.race(this.#syncs)
    const done = file.datasync().finally(() => file.close())
    this.#syncs.add(done)
    done.then(
      () => this.#syncs.delete(done),
      () => {}, // stays, for commit to find it
    )
  }
}
