/** Longest text that is looked up. */
export const SHORT_TEXT = 32
/** Power of two. Keys, method names and the like of the messages under way fit in easily. */
const SLOTS = 2048

/**
 * Short ASCII texts that were read lately: the keys of maps, names of methods and of errors come again and again, and comparing is faster
 * than making a string. What comes in anew takes the place of what was there.
 */
const slots: string[] = new Array<string>(SLOTS).fill('')

/** Reads a text of at most `SHORT_TEXT` bytes; undefined when it is not ASCII. The bytes must be there. */
export function readShortText(bytes: Buffer, from: number, size: number): string | undefined {
  let hash = size
  const end = from + size
  for (let at = from; at < end; at++) {
    const byte = bytes[at] as number
    if (byte > 0x7f) return undefined
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
  const known = slots[slot] as string
  if (known.length === size && isText(known, bytes, from)) return known
  const text = bytes.toString('latin1', from, end)
  slots[slot] = text
  return text
}

function isText(text: string, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}
