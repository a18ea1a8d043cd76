import {isUtf8} from 'node:buffer'

/** What a message may be before anything is parsed. */
export interface TextLimits {
  /** Largest message, bytes. */
  readonly maxBytes: number
  /** Deepest nesting of arrays and objects; the outermost counts as 1. */
  readonly maxDepth: number
}

/** Why a message is not even looked at; the text goes to the peer. */
export interface RefusedText {
  readonly error: string
}

const NOT_UTF8: RefusedText = {error: 'Invalid JSON format: not UTF-8'}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Turns the bytes of a JSON message into text, after the limits are checked and before anything is parsed; work grows with the length only.
 * Bytes that are not UTF-8 are refused (overlong forms and encoded surrogates too), never replaced. A byte order mark stays: the parser refuses it.
 */
export function checkText(bytes: Uint8Array, limits: TextLimits): string | RefusedText {
  if (bytes.length > limits.maxBytes) return {error: `Message larger than ${limits.maxBytes} bytes`}
  if (!isUtf8(bytes)) return NOT_UTF8
  const text = Buffer.isBuffer(bytes) ? bytes.toString('utf8') : Buffer.from(bytes).toString('utf8')
  return isDeeperThan(text, limits.maxDepth) ? {error: `JSON nested deeper than ${limits.maxDepth} levels`} : text
}

/** Tells whether brackets outside strings nest deeper than `maxDepth`. The text need not be valid JSON. */
export function isDeeperThan(text: string, maxDepth: number): boolean {
  // What has no more opening brackets than levels are allowed, strings included, needs no closer look: nearly every message.
  return text.length > maxDepth && hasMoreOpening(text, maxDepth) && nestsDeeper(text, maxDepth)
}

function hasMoreOpening(text: string, limit: number): boolean {
  let found = 0
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      found += 1
      if (found > limit) return true
    }
  }
  return false
}

function nestsDeeper(text: string, maxDepth: number): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) inString = !inString
    else if (inString) at += code === BACKSLASH ? 1 : 0
    else depth += step(code)
    if (depth > maxDepth) return true
  }
  return false
}

function step(code: number): number {
  if (code === OPEN_ARRAY || code === OPEN_OBJECT) return 1
  return code === CLOSE_ARRAY || code === CLOSE_OBJECT ? -1 : 0
}
