import {messageOf, RegistryError, systemCode} from './errors.ts'
import {HIDDEN, Secret} from './secret.ts'

/** What a log line may hold of values that came from elsewhere. Beyond it, they are cut, and the line says so. */
const MAX_TEXT = 1024
const MAX_LINE = 16 * 1024
const MAX_DEPTH = 6
const MAX_CAUSES = 4
const MAX_FRAMES = 20

export type Plain = string | number | boolean | null | readonly Plain[] | {readonly [key: string]: Plain}
export type PlainObject = Record<string, Plain>

/**
 * Makes the facts of one log line safe to write: values are cut to a bound, secrets hidden by type (`Secret`) and by the name they stand
 * under, and only JSON is left. Undefined facts are left out.
 */
export class LineValues {
  /** Characters that the line may still take. */
  #left = MAX_LINE

  object(value: object, depth = 0): PlainObject {
    const made: PlainObject = Object.create(null)
    for (const [key, one] of Object.entries(value)) {
      if (one === undefined) continue
      if (this.#left <= 0) {
        made['...'] = 'cut'
        break
      }
      made[this.#text(key)] = isSecretName(key) && !isHarmless(one) ? this.#text(HIDDEN) : this.any(one, depth + 1)
    }
    return made
  }

  any(value: unknown, depth = 0): Plain {
    switch (typeof value) {
      case 'string':
        return this.#text(value)
      case 'number':
      case 'boolean':
        this.#left -= 8
        return Number.isNaN(value) || value === Infinity || value === -Infinity ? String(value) : value
      case 'object':
        return this.#nested(value, depth)
      case 'function':
        return this.#text('function')
      default:
        return this.#text(String(value))
    }
  }

  /** Gives what a log says of a thrown error: its code, where it came from, its facts, its message and what caused it. */
  error(error: Error, causes = 0): PlainObject {
    const {cause} = error
    const frames = framesOf(error).map(([path, line, func]) => [this.#text(path), line, this.#text(func), ''])
    return {
      code: this.#text(codeOf(error)),
      traceback: frames,
      info: error instanceof RegistryError ? this.object(error.info) : {},
      mesg: this.#text(error.message),
      ...(cause instanceof Error && causes < MAX_CAUSES ? {cause: this.error(cause, causes + 1)} : {}),
    }
  }

  #nested(value: object | null, depth: number): Plain {
    if (value === null) return null
    if (value instanceof Secret) return this.#text(HIDDEN)
    if (value instanceof Error) return this.#text(errorLine(value))
    if (value instanceof Date) return this.#text(Number.isNaN(value.getTime()) ? 'no date' : value.toISOString())
    if (value instanceof Uint8Array) return this.#text(`${value.length} bytes`)
    if (value instanceof URL) return this.#text(value.href)
    if (depth >= MAX_DEPTH) return this.#text('...')
    if (value instanceof Map)
      return this.object(Object.fromEntries([...value].map(([key, one]) => [keyText(key), one])), depth)
    if (Array.isArray(value) || value instanceof Set) return this.#list([...value], depth)
    return this.object(value, depth)
  }

  #list(items: readonly unknown[], depth: number): Plain {
    const made: Plain[] = []
    for (const item of items) {
      if (this.#left <= 0) return [...made, `... ${items.length - made.length} more`]
      made.push(this.any(item, depth + 1))
    }
    return made
  }

  #text(text: string): string {
    const kept = Math.max(0, Math.min(MAX_TEXT, this.#left))
    this.#left -= Math.min(text.length, kept) + 4
    return text.length <= kept ? text : `${text.slice(0, kept)}... ${text.length - kept} more`
  }
}

/** Gives an error with its causes on one line: `REG_STORE_FAILED: cannot write (ENOSPC: no space left)`. */
export function errorLine(error: Error, causes = 0): string {
  const {cause} = error
  const text = `${codeOf(error)}: ${error.message}`
  return cause instanceof Error && causes < MAX_CAUSES ? `${text} (${errorLine(cause, causes + 1)})` : text
}

/** Tells whether an error is one that nobody foresaw: then its traceback is what is needed. */
export function isUnforeseen(error: Error): boolean {
  return !(error instanceof RegistryError) && systemCode(error) === undefined
}

/** Gives `function path:line` of where an error was made, the innermost first. */
export function traceLine(error: Error): string {
  return framesOf(error)
    .slice(0, 5)
    .map(([path, line, func]) => `${func} ${path}:${line}`)
    .join(' < ')
}

/** Writes JSON with every character escaped that could begin a new line, move a cursor or turn the direction of writing. */
export function safeJson(value: Plain): string {
  return JSON.stringify(value).replace(UNSAFE, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/gu
const SECRET_WORDS = /^(passwd|password|passphrase|token|secret|key|apikey)s?$/
const WORD_BOUNDARY = /[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])/

function isSecretName(name: string): boolean {
  return name.length > 256 || name.split(WORD_BOUNDARY).some((word) => SECRET_WORDS.test(word.toLowerCase()))
}

function keyText(key: unknown): string {
  return typeof key === 'object' || typeof key === 'function' ? '...' : String(key)
}

/** A flag or nothing can't be a secret. */
function isHarmless(value: unknown): boolean {
  return value === null || typeof value === 'boolean'
}

function codeOf(error: Error): string {
  return error instanceof RegistryError ? error.code : (systemCode(error) ?? error.name)
}

type Frame = readonly [path: string, line: number, func: string]

const FRAME = /^\s+at (?:(.{1,200}) \()?(?:file:\/\/)?([^()\s]{1,300}):(\d{1,9}):\d{1,9}\)?$/

function framesOf(error: Error): Frame[] {
  const found: Frame[] = []
  for (const row of messageOf(error.stack ?? '')
    .slice(0, MAX_LINE)
    .split('\n')) {
    const [, func = '', path, line] = FRAME.exec(row) ?? []
    if (path !== undefined && found.length < MAX_FRAMES) found.push([path, Number(line), func])
  }
  return found
}
