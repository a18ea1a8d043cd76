import {skipString} from './json-text.ts'

/** Nesting at which the second parser gives up. Messages were checked against a lower limit before; this one only bounds recursion. */
const MAX_DEPTH = 500

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y
const SPACE = ' \t\n\r'

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
  try {
    return JSON.parse(text)
  } catch (error) {
    // Every word that strict JSON lacks has one of these.
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error
    return new LooseParser(text).parse()
  }
}

/** The second try: slower than `JSON.parse`, and only for texts in which it found fault. */
class LooseParser {
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
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    return this.#number()
  }

  #number(): number {
    NUMBER.lastIndex = this.#at
    const found = NUMBER.exec(this.#text)?.[0]
    if (found === undefined) return this.#fail()
    this.#at += found.length
    return Number(found)
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && SPACE.includes(this.#text.charAt(this.#at))) this.#at += 1
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

function setOwn(members: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(members, key, {value, writable: true, enumerable: true, configurable: true})
  } else {
    members[key] = value
  }
}
