import {skipString} from './json-text.ts'

/** Nesting at which our own parser gives up. Messages were checked against a lower limit before; this one only bounds recursion. */
const MAX_DEPTH = 500

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y
/**
 * A key written with an escape. V8 (as of 13.6 and 14.6) may give such a key the name of a similar one that it saw in an earlier text:
 * after `{"\\":1}`, `{"\u00e9":1}` reads as having the key `\`. A peer could so make `id` vanish from what others send.
 * @see https://github.com/nodejs/node/issues/63785
 */
const ESCAPED_KEY = /\\.[^"\\]*"[ \t\n\r]*:/

const WORDS: readonly (readonly [text: string, value: unknown])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

/**
 * Parses JSON as Python's `json.loads` takes it: strict JSON, and `NaN`, `Infinity` and `-Infinity` as values. Of several members with one
 * key the last counts; a key such as `__proto__` is an own property like any other. Numbers become doubles: what must be sent back
 * exactly is kept as text (`json-text.ts`). Strings in the result are their own: none keeps `text` in memory.
 *
 * @throws SyntaxError when `text` is neither
 * @see spec/zeromq-registry.md, section 3
 */
export function parseJson(text: string): unknown {
  if (text.includes('\\') && ESCAPED_KEY.test(text)) return new OwnParser(text).parse()
  try {
    return JSON.parse(text)
  } catch (error) {
    // Every word that strict JSON lacks has one of these.
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error
    return new OwnParser(text).parse()
  }
}

/** Takes all of the above; several times slower than `JSON.parse`, and only for texts that it can't read or may misread. */
class OwnParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): unknown {
    const value = this.#value(1)
    this.#skipSpace()
    return this.#at === this.#text.length ? value : this.#fail()
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) return this.#fail()
    this.#skipSpace()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      default:
        return this.#wordOrNumber()
    }
  }

  #object(depth: number): unknown {
    const members: Record<string, unknown> = {}
    this.#at += 1
    if (this.#takes('}')) return members
    do {
      this.#skipSpace()
      const key = this.#string()
      if (!this.#takes(':')) this.#fail()
      setOwn(members, key, this.#value(depth + 1))
    } while (this.#takes(','))
    return this.#takes('}') ? members : this.#fail()
  }

  #array(depth: number): unknown {
    const items: unknown[] = []
    this.#at += 1
    if (this.#takes(']')) return items
    do items.push(this.#value(depth + 1))
    while (this.#takes(','))
    return this.#takes(']') ? items : this.#fail()
  }

  /** `JSON.parse` decodes the string and refuses what is wrong with it: bad escapes, control characters, no end. */
  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') this.#fail()
    this.#at = skipString(this.#text, start)
    return String(JSON.parse(this.#text.slice(start, this.#at)))
  }

  #wordOrNumber(): unknown {
    const start = this.#at
    NUMBER.lastIndex = start
    if (NUMBER.test(this.#text)) {
      this.#at = NUMBER.lastIndex
      return Number(this.#text.slice(start, this.#at))
    }
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, start)) continue
      this.#at += word.length
      return value
    }
    return this.#fail()
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1
  }

  #takes(sign: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== sign) return false
    this.#at += 1
    return true
  }

  #fail(): never {
    throw new SyntaxError(`not JSON at character ${this.#at}`)
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function setOwn(members: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(members, key, {value, writable: true, enumerable: true, configurable: true})
  } else {
    members[key] = value
  }
}
