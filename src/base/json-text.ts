/**
 * JSON as it came: finds the members of an object in its text, so that what is not interpreted can be kept and sent back letter by letter
 * (numbers of any size, order, duplicates, escapes, `NaN`). Everything here takes text that `parseJson` accepted, and works without parsing:
 *
 *     members('{"name": "cam1", "metadata": {"gain": 1.50}}')
 *     -> [{key: 'name', raw: '"cam1"', start: 9}, {key: 'metadata', raw: '{"gain": 1.50}', start: 29}]
 *
 * On other text the result means nothing, but every call ends, after work that grows with the length only.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const SPACE = 0x20

/** One member of an object. `key` and `raw` are copies of their own: keeping them does not keep the text they came from. */
export interface Member {
  readonly key: string
  /** The value's exact text, without the space around it. */
  readonly raw: string
  /** Where the value begins in the text: `members(text, start)` looks into it when it is an object. */
  readonly start: number
}

/**
 * Lists the members of the object that begins at `start` (space before it is skipped), in order, duplicates included: the last of a key
 * counts. Gives an empty list for a value that is not an object.
 */
export function members(text: string, start = 0): Member[] {
  return spansOf(text, start).map(({key, from, to}) => ({key, raw: copyText(text.slice(from, to)), start: from}))
}

/** Gives the exact text of the last member with `key` of the object that begins at `start`, as a copy of its own; undefined when there is none. */
export function memberText(text: string, key: string, start = 0): string | undefined {
  const span = spansOf(text, start).findLast((one) => one.key === key)
  return span === undefined ? undefined : copyText(text.slice(span.from, span.to))
}

/** Lists the exact texts of the elements of an array, as copies of their own; an empty list for a value that is not an array. */
export function elements(arrayText: string): string[] {
  const found: string[] = []
  let at = skipSpace(arrayText, 0)
  if (arrayText.charCodeAt(at) !== OPEN_ARRAY) return found
  do {
    const from = skipSpace(arrayText, at + 1)
    const to = skipValue(arrayText, from)
    if (to === from) break // the empty array
    found.push(copyText(arrayText.slice(from, to)))
    at = skipSpace(arrayText, to)
  } while (arrayText.charCodeAt(at) === COMMA)
  return found
}

/** Takes members out of an object's text; the others stay as they are, in order. */
export function withoutMembers(objectText: string, keys: ReadonlySet<string>): string {
  const spans = spansOf(objectText, 0)
  const kept = spans.filter((span) => !keys.has(span.key))
  if (kept.length === spans.length) return objectText
  return `{${kept.map((span) => objectText.slice(span.keyFrom, span.to)).join(', ')}}`
}

/** Puts a member at the end of an object's text. `rawValue` is JSON text already; a member of the same key is not looked for. */
export function appendMember(objectText: string, key: string, rawValue: string): string {
  let end = objectText.lastIndexOf('}')
  while (end > 0 && objectText.charCodeAt(end - 1) <= SPACE) end -= 1
  const separator = objectText.charCodeAt(end - 1) === OPEN_OBJECT ? '' : ', '
  return `${objectText.slice(0, end)}${separator}${encodeString(key)}: ${rawValue}}`
}

/** Writes a string as JSON. A lone surrogate is escaped, so the result is always good UTF-8. */
export function encodeString(text: string): string {
  return JSON.stringify(text)
}

/**
 * Gives a string that shares no memory with the one it was cut from. V8 lets a slice of 13 characters or more point into its parent:
 * a kept slice of 100 bytes keeps a request of 1 MiB. Joining makes a new string of both parts, and slicing it forces V8 to write it out.
 */
function copyText(text: string): string {
  return text.length < 13 ? text : ` ${text}`.slice(1)
}

/** Where a member stands: its key from the opening quote on, its value from `from` to `to`. */
interface Span {
  readonly key: string
  readonly keyFrom: number
  readonly from: number
  readonly to: number
}

function spansOf(text: string, start: number): Span[] {
  const spans: Span[] = []
  let at = skipSpace(text, start)
  if (text.charCodeAt(at) !== OPEN_OBJECT) return spans
  do {
    const keyFrom = skipSpace(text, at + 1)
    if (text.charCodeAt(keyFrom) !== QUOTE) return spans
    const keyTo = skipString(text, keyFrom)
    const from = skipSpace(text, skipSpace(text, keyTo) + 1)
    const to = skipValue(text, from)
    spans.push({key: keyAt(text, keyFrom, keyTo), keyFrom, from, to})
    at = skipSpace(text, to)
  } while (text.charCodeAt(at) === COMMA)
  return spans
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (at < text.length && text.charCodeAt(at) <= SPACE) at += 1
  return at
}

/** Gives the place behind the closing quote of the string that begins at `start`; the end of the text when there is none. */
export function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at += 1
  }
  return text.length
}

function skipValue(text: string, start: number): number {
  const code = text.charCodeAt(start)
  if (code === QUOTE) return skipString(text, start)
  return code === OPEN_OBJECT || code === OPEN_ARRAY ? skipNested(text, start) : skipWord(text, start)
}

function skipNested(text: string, start: number): number {
  let depth = 0
  let at = start
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    at += 1
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth += 1
    else if ((code === CLOSE_OBJECT || code === CLOSE_ARRAY) && --depth === 0) return at
  }
  return at
}

/** Skips a number or a word such as `true` or `NaN`. */
function skipWord(text: string, start: number): number {
  let at = start
  while (at < text.length && !endsWord(text.charCodeAt(at))) at += 1
  return at
}

function endsWord(code: number): boolean {
  return code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || code <= SPACE
}

function keyAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? String(JSON.parse(text.slice(start, end))) : copyText(inner)
}
