/** A message that is not all there: how far it is known, and how much it still owes. */
import {tooLarge, unreadable} from './refusals.ts'

/** Bytes of size after the first byte, by the first byte from 0xc0 on; the rest of the item is payload or children. */
const SIZE_BYTES = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
] as const
/** Payload of the items without a size: floats, integers, fixed extensions (their type included); the type, for extensions with size. */
const PAYLOAD_BYTES = [
  0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0,
] as const

/**
 * Finds the end of one message that comes in pieces, looking at each header once, so that it is decoded only when it is whole. A message
 * that announces more than it may have is refused when it does, not when the bytes come.
 */
export class Scanner {
  /** Next header, counted from the message's begin; behind the end of what is there when a payload is awaited. */
  #at = 0
  /** Items that are still to come; each takes at least one byte. */
  #owed = 1

  /**
   * Says whether the message that begins at `from` ends before `end`.
   *
   * @throws RegistryError `REG_BAD_REQUEST` when it is to have more than `maxBytes`
   */
  isWhole(bytes: Buffer, from: number, end: number, maxBytes: number): boolean {
    const there = end - from
    while (this.#owed > 0) {
      if (this.#at >= there || !this.#pass(bytes, from, there)) return false
      if (this.#at + this.#owed > maxBytes) throw tooLarge(maxBytes)
    }
    return this.#at <= there
  }

  /** Passes one item's header and payload; false when the header is not all there. */
  #pass(bytes: Buffer, from: number, there: number): boolean {
    const head = bytes[from + this.#at] as number
    if (head < 0xc0 || head >= 0xe0) {
      this.#passShort(head)
      return true
    }
    if (head === 0xc1) throw unreadable('it has a byte that begins nothing')
    const row = head - 0xc0
    const sizeBytes = SIZE_BYTES[row] as number
    if (this.#at + 1 + sizeBytes > there) return false
    const size = sizeBytes === 0 ? 0 : bytes.readUIntBE(from + this.#at + 1, sizeBytes)
    this.#at += 1 + sizeBytes + (PAYLOAD_BYTES[row] as number)
    if (head < 0xdc) this.#at += size
    else this.#owed += head < 0xde ? size : size * 2
    this.#owed -= 1
    return true
  }

  #passShort(head: number): void {
    this.#at += 1
    if (head >= 0x80 && head < 0x90) this.#owed += (head & 0x0f) * 2
    else if (head >= 0x90 && head < 0xa0) this.#owed += head & 0x0f
    else if (head >= 0xa0 && head < 0xc0) this.#at += head & 0x1f
    this.#owed -= 1
  }
}
