/** Reads the LMDB files of Synapse services (`data.mdb`), without LMDB. */
import {
  BRANCH,
  type ClearBytes,
  DEPTH_MAX,
  FIXED_LEAF,
  LEAF,
  LmdbPages,
  NODE_HEAD,
  PAGE_HEAD,
  type Tree,
} from './lmdb-pages.ts'

/** The value is in pages of its own. */
const BIG = 1
/** The value is the record of a tree: a named database, or many values of one key. */
const SUB_TREE = 2
/** The key has several values, in a small page inside the node or in a tree. */
const MANY = 4

/** One file. Calls read it at once and block: for commands and for threads of their own. */
export interface Lmdb extends Disposable {
  /** Bytes from the beginning that hold anything: the rest of the file is room to grow. */
  readonly usedBytes: number
  /** Number of the last transaction: it rises whenever anything is altered. */
  readonly txnid: number
  /** Gives the named databases, and how many entries each has; a key with several values counts as many times. */
  databases(): ReadonlyMap<string, {readonly entries: number}>
  /** Gives the last key of a named database; undefined when it is empty, or there is none of that name. */
  lastKey(name: string): Buffer | undefined
  /** Yields all keys and values of a named database in order; nothing when there is none of that name. */
  entries(name: string): Generator<readonly [key: Buffer, value: Buffer]>
  /** Gives the first value of a key in a named database, whose keys are in the order of their bytes. */
  get(name: string, key: string | Buffer): Buffer | undefined
}

interface LeafNode {
  readonly key: Buffer
  readonly flags: number
  value(): Buffer
}

/**
 * Opens a file. A service that writes to it meanwhile may make what is read wrong, or an error. `clear` is for one that is not in clear on the disk.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE`, as all that is called on it, when it is no LMDB file or damaged
 */
export function openLmdb(path: string, clear: ClearBytes = (bytes) => bytes): Lmdb {
  return new LmdbFile(new LmdbPages(path, clear))
}

class LmdbFile implements Lmdb {
  readonly #pages: LmdbPages
  #databases: Map<string, Tree> | undefined

  constructor(pages: LmdbPages) {
    this.#pages = pages
  }

  get usedBytes(): number {
    return this.#pages.usedBytes
  }

  get txnid(): number {
    return this.#pages.txnid
  }

  databases(): ReadonlyMap<string, Tree> {
    this.#databases ??= this.#readDatabases()
    return this.#databases
  }

  lastKey(name: string): Buffer | undefined {
    const tree = this.databases().get(name)
    let number = tree?.root
    for (let depth = 0; number !== undefined && depth < DEPTH_MAX; depth++) {
      const page = new TreePage(this.#pages, number)
      if (page.count === 0) throw this.#pages.damaged(`page ${number} is empty`)
      if (!page.isBranch) return page.leafNode(page.count - 1).key
      number = page.child(page.count - 1)
    }
    if (number !== undefined) throw this.#pages.damaged('a tree leads into itself')
    return undefined
  }

  *entries(name: string): Generator<readonly [Buffer, Buffer]> {
    const tree = this.databases().get(name)
    if (!tree) return
    for (const node of this.#walk(tree)) {
      if ((node.flags & MANY) === 0) yield [node.key, node.value()]
      else for (const value of this.#valuesOf(node)) yield [node.key, value]
    }
  }

  get(name: string, key: string | Buffer): Buffer | undefined {
    const wanted = Buffer.from(key)
    let number = this.databases().get(name)?.root
    for (let depth = 0; number !== undefined && depth < DEPTH_MAX; depth++) {
      const page = new TreePage(this.#pages, number)
      if (!page.isBranch) return this.#valueOf(page.find(wanted))
      number = page.childFor(wanted)
    }
    if (number !== undefined) throw this.#pages.damaged('a tree leads into itself')
    return undefined
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]()
  }

  #readDatabases(): Map<string, Tree> {
    const databases = new Map<string, Tree>()
    for (const node of this.#walk(this.#pages.main)) {
      if (node.flags === SUB_TREE) databases.set(node.key.toString(), this.#pages.tree(node.value()))
    }
    return databases
  }

  #valueOf(node: LeafNode | undefined): Buffer | undefined {
    if (node === undefined || (node.flags & MANY) === 0) return node?.value()
    for (const value of this.#valuesOf(node)) return value
    return undefined
  }

  /** Many values are the keys of a tree of their own, or of a page inside the node. */
  *#valuesOf(node: LeafNode): Generator<Buffer> {
    const value = node.value()
    if ((node.flags & SUB_TREE) === 0) {
      const page = new TreePage(this.#pages, value)
      for (let i = 0; i < page.count; i++) yield page.leafNode(i).key
      return
    }
    for (const {key} of this.#walk(this.#pages.tree(value))) yield key
  }

  /** Goes through the leaves in order; no page twice, so that it ends whatever the file says. */
  *#walk(tree: Tree): Generator<LeafNode> {
    if (tree.root === undefined) return
    const ahead = [tree.root]
    const seen = new Set<number>()
    for (let number = ahead.pop(); number !== undefined; number = ahead.pop()) {
      if (seen.has(number)) throw this.#pages.damaged(`page ${number} is in a tree twice`)
      seen.add(number)
      const page = new TreePage(this.#pages, number)
      for (let i = page.count - 1; i >= 0 && page.isBranch; i--) ahead.push(page.child(i))
      for (let i = 0; i < page.count && !page.isBranch; i++) yield page.leafNode(i)
    }
  }
}

/** A branch or a leaf: nodes, to which two bytes each at the beginning point; or, of fixed size, items side by side. */
class TreePage {
  readonly isBranch: boolean
  /** Number of nodes. */
  readonly count: number
  readonly #pages: LmdbPages
  readonly #page: Buffer
  /** Undefined where items have nodes. */
  readonly #itemSize: number | undefined

  constructor(pages: LmdbPages, place: number | Buffer) {
    const page = typeof place === 'number' ? pages.page(place) : place
    this.#pages = pages
    this.#page = page
    if (page.length < PAGE_HEAD) throw pages.damaged('a page inside another one is cut off')
    const flags = page.readUInt16LE(10)
    this.isBranch = (flags & BRANCH) !== 0
    if (!this.isBranch && (flags & LEAF) === 0) throw pages.damaged(`page ${page.readBigUInt64LE(0)} is of no tree`)
    this.#itemSize = (flags & FIXED_LEAF) === 0 ? undefined : page.readUInt16LE(8)
    const lower = page.readUInt16LE(12)
    if (lower < PAGE_HEAD || lower > page.length) throw pages.damaged(`page ${page.readBigUInt64LE(0)} is too full`)
    this.count = (lower - PAGE_HEAD) >> 1
  }

  /** Gives the page that a node of a branch leads to. */
  child(index: number): number {
    const at = this.#nodeAt(index)
    const page = this.#page
    return page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 2 ** 16 + page.readUInt16LE(at + 4) * 2 ** 32
  }

  /** Gives the page below a branch that a key is in, if it is anywhere. The first node leads to all that is before the second. */
  childFor(key: Buffer): number {
    if (this.count === 0) throw this.#pages.damaged('a branch leads nowhere')
    let index = this.#firstFrom(key, 1)
    if (index === this.count || !this.leafNode(index).key.equals(key)) index -= 1
    return this.child(index)
  }

  /** Gives the node of a leaf that has a key. */
  find(key: Buffer): LeafNode | undefined {
    const index = this.#firstFrom(key, 0)
    const node = index === this.count ? undefined : this.leafNode(index)
    return node?.key.equals(key) ? node : undefined
  }

  leafNode(index: number): LeafNode {
    if (this.#itemSize !== undefined) return this.#item(index, this.#itemSize)
    const page = this.#page
    const at = this.#nodeAt(index)
    const flags = page.readUInt16LE(at + 4)
    const keyEnd = at + NODE_HEAD + page.readUInt16LE(at + 6)
    if (keyEnd > page.length) throw this.#pages.damaged('a key is cut off')
    const size = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 2 ** 16
    return {
      key: page.subarray(at + NODE_HEAD, keyEnd),
      flags,
      value: () => this.#value(keyEnd, flags, size),
    }
  }

  /** Gives the first node from `low` on whose key is not before another one. */
  #firstFrom(key: Buffer, low: number): number {
    let [from, to] = [low, this.count]
    while (from < to) {
      const middle = (from + to) >> 1
      if (this.leafNode(middle).key.compare(key) < 0) from = middle + 1
      else to = middle
    }
    return from
  }

  #item(index: number, size: number): LeafNode {
    const at = PAGE_HEAD + index * size
    if (at + size > this.#page.length) throw this.#pages.damaged('an item is cut off')
    const key = this.#page.subarray(at, at + size)
    return {key, flags: 0, value: () => Buffer.alloc(0)}
  }

  #value(at: number, flags: number, size: number): Buffer {
    const page = this.#page
    const isBig = (flags & BIG) !== 0
    if (at + (isBig ? 8 : size) > page.length) throw this.#pages.damaged('a value is cut off')
    if (!isBig) return page.subarray(at, at + size)
    const number = page.readBigUInt64LE(at)
    if (number > Number.MAX_SAFE_INTEGER) throw this.#pages.damaged(`it has no page ${number}`)
    return this.#pages.overflow(Number(number), size)
  }

  #nodeAt(index: number): number {
    const at = this.#page.readUInt16LE(PAGE_HEAD + 2 * index)
    if (at < PAGE_HEAD || at + NODE_HEAD > this.#page.length)
      throw this.#pages.damaged('a node lies outside of its page')
    return at
  }
}
