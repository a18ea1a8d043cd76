const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const FILES_KEY = /"files"\s*:\s*$/
/** Within so many bytes before a list its key is looked for. */
const KEY_MAX = 32
/** Room for what is kept, at first. */
const KEPT_BYTES = 4096
/** Stands for an item that was cut out: a number is none itself. */
const CUT = Buffer.from('0')
/** Depth of what is in the list. */
const LIST_DEPTH = 2

/** What is told while a text comes. */
export interface CutListener {
  /** Told before the first file of what stands before the list, with the bracket that opens it. */
  onList(text: string): void
  /** Told of each item of the list. */
  onFile(text: string): void
}

/**
 * Cuts the items of `files` out of the text of a manifest while it comes, so that it never stands in memory as a whole. It knows brackets and strings
 * only: whether all else is JSON is seen from the texts that it gives.
 */
export class FilesCutter {
  readonly #listener: CutListener
  #kept = Buffer.alloc(KEPT_BYTES)
  #keptBytes = 0
  /** What is there of the item that is coming; undefined outside of items. */
  #item: Uint8Array[] | undefined
  #depth = 0
  #isString = false
  #isEscaped = false
  #isList = false
  #recent: Uint8Array = new Uint8Array(0)

  constructor(listener: CutListener) {
    this.#listener = listener
  }

  /** Keeps nothing of `bytes` itself. */
  push(bytes: Uint8Array): void {
    let from = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (this.#isInString(byte)) continue
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) from = this.#opened(bytes, from, at)
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) from = this.#closed(bytes, from, at)
    }
    if (this.#item === undefined) this.#keep(bytes.subarray(from))
    else this.#item.push(Uint8Array.from(bytes.subarray(from)))
    this.#recent = Buffer.concat([this.#recent, bytes.subarray(-KEY_MAX)]).subarray(-KEY_MAX)
  }

  /** Gives the text with a zero for each item that was cut out. */
  end(): string {
    return this.#kept.toString('utf8', 0, this.#keptBytes)
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#keptBytes + bytes.length
    if (length > this.#kept.length) this.#kept = Buffer.concat([this.#kept], Math.max(length, 2 * this.#kept.length))
    this.#kept.set(bytes, this.#keptBytes)
    this.#keptBytes = length
  }

  /** Takes a byte of a string, and says whether it was one. */
  #isInString(byte: number): boolean {
    if (!this.#isString) {
      this.#isString = byte === QUOTE
      return this.#isString
    }
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else if (byte === QUOTE) this.#isString = false
    return true
  }

  /** Gives where what is not kept yet begins. */
  #opened(bytes: Uint8Array, from: number, at: number): number {
    this.#depth += 1
    if (this.#isList && this.#item === undefined && bytes[at] === OPEN_OBJECT && this.#depth === LIST_DEPTH + 1) {
      this.#keep(bytes.subarray(from, at))
      this.#keep(CUT)
      this.#item = []
      return at
    }
    if (this.#isList || this.#depth !== LIST_DEPTH || bytes[at] !== OPEN_LIST || !this.#isKeyBefore(bytes, at))
      return from
    this.#isList = true
    this.#keep(bytes.subarray(from, at + 1))
    this.#listener.onList(this.end())
    return at + 1
  }

  #closed(bytes: Uint8Array, from: number, at: number): number {
    this.#depth -= 1
    if (this.#isList && this.#depth < LIST_DEPTH) this.#isList = false
    if (this.#item === undefined || this.#depth !== LIST_DEPTH) return from
    this.#listener.onFile(Buffer.concat([...this.#item, bytes.subarray(from, at + 1)]).toString())
    this.#item = undefined
    return at + 1
  }

  #isKeyBefore(bytes: Uint8Array, at: number): boolean {
    const before = Buffer.concat([this.#recent, bytes.subarray(Math.max(0, at - KEY_MAX), at)])
    return FILES_KEY.test(before.toString('latin1'))
  }
}
