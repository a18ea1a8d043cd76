/**
 * Pages of an LMDB 0.9 file, as 64-bit little-endian machines write them. All numbers are of the machine that wrote it.
 *
 *     page      0 number u64 | 8 - u16 | 10 flags u16 | 12 lower u16, upper u16 (or, of an overflow page, 12 pages u32) | 16 content
 *     meta      16 magic u32 | 20 version u32 | 24 - | 32 map size u64 | 40 free database | 88 main database | 136 last page u64 | 144 transaction u64
 *     database  0 - u32 (of the free one: page size; of one of fixed items: their size) | 4 flags u16 | 6 depth u16 | 8 branch, leaf, overflow pages u64 each |
 *               32 entries u64 | 40 root u64
 *     node      0 lo u16 | 2 hi u16 | 4 flags u16 | 6 key size u16 | 8 key, value; the page that a branch leads to is lo, hi and flags
 *
 * Of the two metas at the beginning the one with the higher transaction counts. Pages 0 and 1 are the metas, so that a file has at least two.
 */
import {closeSync, fstatSync, openSync, readSync} from 'node:fs'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

/** Bytes before the content of a page. */
export const PAGE_HEAD = 16
/** Bytes before the key of a node. */
export const NODE_HEAD = 8
const DATABASE_BYTES = 48
export const BRANCH = 1
export const LEAF = 2
const OVERFLOW = 4
/** A leaf of items of one size, without nodes. */
export const FIXED_LEAF = 0x20
const META = 8
const MAGIC = 0xbeefc0de
/** Format of LMDB 0.9. */
const VERSION = 1
const META_END = 152
const PAGE_MIN = 512
const PAGE_MAX = 65_536
/** Pages that are kept; a walk goes along one path at a time. */
const KEPT_PAGES = 64
/** Largest value that is read, bytes; the largest of Synapse are pieces of blobs, 16 MiB. */
const VALUE_MAX = 2 ** 29
const NO_ROOT = 2n ** 64n - 1n
/** Levels that LMDB itself can walk. */
export const DEPTH_MAX = 32

/** Where a tree begins. */
export interface Tree {
  /** Undefined when it is empty. */
  readonly root: number | undefined
  readonly depth: number
  readonly entries: number
  /** Size of its items, of a tree of fixed ones. */
  readonly itemSize: number
}

/** Gives in clear the bytes that were read at `at` of a file. */
export type ClearBytes = (bytes: Buffer, at: number) => Buffer

/** A file, its newest meta, and its pages. Everything is checked against the size of the file before it is used. */
export class LmdbPages implements Disposable {
  readonly path: string
  readonly pageSize: number
  /** Length of the file. */
  readonly fileBytes: number
  /** Number of the last page in use. */
  readonly lastPage: number
  readonly txnid: number
  readonly main: Tree
  readonly #file: number
  readonly #clear: ClearBytes
  readonly #kept = new Map<number, Buffer>()

  /** @throws RegistryError `REG_BACKUP_SOURCE` when it is no LMDB file, or its metas are damaged; what the system says is in it */
  constructor(path: string, clear: ClearBytes) {
    this.path = path
    this.#clear = clear
    this.#file = openFile(path)
    try {
      this.fileBytes = fstatSync(this.#file).size
      const first = this.#readMeta(0)
      this.pageSize = first.readUInt32LE(40)
      const isSize =
        this.pageSize >= PAGE_MIN && this.pageSize <= PAGE_MAX && Number.isInteger(Math.log2(this.pageSize))
      if (!isSize) throw this.damaged(`its pages have ${this.pageSize} bytes`)
      const second = this.#readMeta(this.pageSize)
      const meta = second.readBigUInt64LE(144) > first.readBigUInt64LE(144) ? second : first
      this.txnid = this.#number(meta, 144, 'transaction')
      this.lastPage = this.#number(meta, 136, 'last page')
      this.main = this.tree(meta.subarray(88, 88 + DATABASE_BYTES))
    } catch (error) {
      closeSync(this.#file)
      throw error
    }
  }

  /** Bytes from the beginning that hold anything. */
  get usedBytes(): number {
    return Math.min(this.fileBytes, (this.lastPage + 1) * this.pageSize)
  }

  /** Reads the record of a tree. */
  tree(record: Buffer): Tree {
    if (record.length !== DATABASE_BYTES) throw this.damaged(`a database is described in ${record.length} bytes`)
    const root = record.readBigUInt64LE(40)
    const depth = record.readUInt16LE(6)
    if (depth > DEPTH_MAX) throw this.damaged(`a tree has ${depth} levels`)
    return {
      root: root === NO_ROOT ? undefined : this.#number(record, 40, 'root'),
      depth,
      entries: this.#number(record, 32, 'number of entries'),
      itemSize: record.readUInt32LE(0),
    }
  }

  /** Reads a page of a tree. */
  page(number: number): Buffer {
    const kept = this.#kept.get(number)
    if (kept) return kept
    const page = this.#read(number, 1)
    const own = this.#number(page, 0, 'page number')
    if (own !== number) throw this.damaged(`page ${number} says that it is page ${own}`)
    if (this.#kept.size === KEPT_PAGES) this.#kept.clear()
    this.#kept.set(number, page)
    return page
  }

  /** Reads a value that has pages of its own. */
  overflow(number: number, size: number): Buffer {
    if (size > VALUE_MAX) throw this.damaged(`a value has ${size} bytes`)
    const pages = Math.ceil((PAGE_HEAD + size) / this.pageSize)
    const bytes = this.#read(number, pages)
    if (bytes.readUInt16LE(10) !== OVERFLOW || bytes.readUInt32LE(12) < pages)
      throw this.damaged(`page ${number} does not begin a value of ${size} bytes`)
    return bytes.subarray(PAGE_HEAD, PAGE_HEAD + size)
  }

  damaged(reason: string, cause?: unknown): RegistryError {
    return new RegistryError('REG_BACKUP_SOURCE', `${this.path} is no LMDB file, or is damaged: ${reason}`, {
      info: {path: this.path, reason},
      hints: ['look at it with mdb_stat', 'restore it from a backup'],
      cause,
    })
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }

  #read(number: number, pages: number): Buffer {
    const at = number * this.pageSize
    const length = pages * this.pageSize
    if (number < 2 || number + pages - 1 > this.lastPage) throw this.damaged(`it has no page ${number}`)
    if (at + length > this.fileBytes) throw this.damaged(`it ends before page ${number}`)
    return this.#readAt(at, length)
  }

  #readMeta(at: number): Buffer {
    if (at + META_END > this.fileBytes) throw this.damaged(`it has ${this.fileBytes} bytes only`)
    const meta = this.#readAt(at, META_END)
    const isMeta = (meta.readUInt16LE(10) & META) !== 0 && meta.readUInt32LE(16) === MAGIC
    if (!isMeta) throw this.damaged('it does not begin as one')
    // The upper half of the version is for builds with a format of their own.
    const version = meta.readUInt32LE(20)
    if (version !== VERSION) throw this.damaged(`it is of format ${version}, known is ${VERSION}`)
    return meta
  }

  #readAt(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let got = 0; got < length; ) {
      const some = this.#readSome(bytes, got, at + got)
      if (some === 0) throw this.damaged('it became shorter')
      got += some
    }
    return this.#clear(bytes, at)
  }

  #readSome(bytes: Buffer, from: number, at: number): number {
    try {
      return readSync(this.#file, bytes, from, bytes.length - from, at)
    } catch (error) {
      throw unreadable(this.path, error)
    }
  }

  #number(bytes: Buffer, at: number, what: string): number {
    const value = bytes.readBigUInt64LE(at)
    if (value > Number.MAX_SAFE_INTEGER) throw this.damaged(`a ${what} is ${value}`)
    return Number(value)
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_BACKUP_SOURCE', `${path} cannot be read: ${reason}`, {
    info: {path, reason},
    hints: ['check that it belongs to the user that runs this'],
    cause,
  })
}
