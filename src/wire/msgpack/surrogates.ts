/**
 * UTF-8 as Python's `surrogatepass` has it: like UTF-8, but a lone surrogate is three bytes, ED A0..BF xx, instead of an error. Node's own
 * functions replace them, so texts that hold some go through these two; all others take the native way.
 */

/** Writes a text of which some surrogates may stand alone; gives the number of bytes. There must be room for three bytes a unit. */
export function surrogateUtf8Write(text: string, bytes: Uint8Array, at: number): number {
  let to = at
  for (const character of text) {
    const code = character.codePointAt(0) as number
    if (code < 0x80) bytes[to++] = code
    else {
      if (code < 0x800) bytes[to++] = 0xc0 | (code >> 6)
      else {
        if (code < 0x10000) bytes[to++] = 0xe0 | (code >> 12)
        else {
          bytes[to++] = 0xf0 | (code >> 18)
          bytes[to++] = 0x80 | ((code >> 12) & 0x3f)
        }
        bytes[to++] = 0x80 | ((code >> 6) & 0x3f)
      }
      bytes[to++] = 0x80 | (code & 0x3f)
    }
  }
  return to - at
}

/** Smallest code point and bits of the first byte that count, by the number of bytes. */
const FORMS = [
  {least: 0, mask: 0},
  {least: 0, mask: 0x7f},
  {least: 0x80, mask: 0x1f},
  {least: 0x800, mask: 0x0f},
  {least: 0x10000, mask: 0x07},
] as const

/** Reads a text of which some surrogates may stand alone; undefined when anything else is wrong with it. */
export function surrogateUtf8Read(bytes: Uint8Array): string | undefined {
  const units = Buffer.allocUnsafe(bytes.length * 2)
  let to = 0
  for (let at = 0; at < bytes.length; ) {
    const size = sizeOf(bytes[at] as number)
    const code = codePointAt(bytes, at, size)
    if (code === undefined) return undefined
    at += size
    if (code >= 0x10000) to = units.writeUInt16LE(0xd800 + ((code - 0x10000) >> 10), to)
    to = units.writeUInt16LE(code >= 0x10000 ? 0xdc00 | (code & 0x3ff) : code, to)
  }
  return units.toString('utf16le', 0, to)
}

function codePointAt(bytes: Uint8Array, at: number, size: number): number | undefined {
  const {least, mask} = FORMS[size as 0 | 1 | 2 | 3 | 4]
  if (size === 0) return undefined
  let code = (bytes[at] as number) & mask
  for (let i = at + 1; i < at + size; i++) {
    const byte = bytes[i] ?? 0
    if ((byte & 0xc0) !== 0x80) return undefined
    code = (code << 6) | (byte & 0x3f)
  }
  return code < least || code > 0x10ffff ? undefined : code
}

/** How many bytes a character has that begins with this one; 0 when none begins so. */
function sizeOf(lead: number): 0 | 1 | 2 | 3 | 4 {
  if (lead < 0x80) return 1
  if (lead < 0xc2) return 0
  if (lead < 0xe0) return 2
  if (lead < 0xf0) return 3
  return lead < 0xf5 ? 4 : 0
}
