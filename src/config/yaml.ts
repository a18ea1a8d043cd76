/**
 * Reads configuration text as PyYAML's safe loader would, from people we do not trust to be careful: bounded before the parser sees it,
 * and with the place of every value, so that a message can name file, line and column.
 *
 * The parser recurses per level, and deep nesting can end the process in a way that nobody can catch. Therefore levels are counted on
 * the tokens first (the tokenizer does not recurse); only then is the text parsed.
 */
import {
  isAlias,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import {RegistryError} from '../base/errors.ts'
import {
  readPlainScalar,
  readTaggedScalar,
  scalarValue,
  YAML_LIMITS,
  type YamlScalar,
  YamlScalarError,
} from './yaml-scalars.ts'

/** Where something stands; both count from 1. */
interface YamlPlace {
  readonly line: number
  readonly column: number
}

/** A value with its type and place. */
export type YamlNode = YamlPlace &
  (
    | YamlScalar
    | {readonly type: 'seq'; readonly items: readonly YamlNode[]}
    | {readonly type: 'map'; readonly entries: readonly YamlEntry[]}
  )

/** One `key: value` of a mapping; the place is that of the key. */
interface YamlEntry extends YamlPlace {
  readonly key: string
  readonly value: YamlNode
}

interface ReadOptions {
  /** Named in messages: a path, or a variable. */
  readonly source: string
  readonly maxBytes: number
}

/**
 * Reads a whole text; an empty one is null. Anchors, aliases, merge keys, several documents, keys that are no text or come twice, and
 * tags beyond the core are refused.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`; `info` has source, line and column.
 */
export function readYaml(text: string, {source, maxBytes}: ReadOptions): YamlNode {
  checkText(text, source, maxBytes)
  checkTokens(text, source)
  const counter = new LineCounter()
  const document = parseDocument(text, {
    schema: 'failsafe',
    resolveKnownTags: false,
    customTags: CORE_TAGS,
    uniqueKeys: false,
    prettyErrors: false,
    strict: true,
    logLevel: 'error', // silent would also hide the error for a second document
    lineCounter: counter,
  })
  const [problem] = document.errors
  if (problem !== undefined) throw refusal(source, placeAt(counter, problem.pos[0]), firstLine(problem.message))
  return new Reader(source, counter).read(document.contents, 0)
}

/** Gives the plain value of a node, as `scalarValue` does of scalars. */
export function plainValue(node: YamlNode): unknown {
  if (node.type === 'seq') return node.items.map(plainValue)
  if (node.type === 'map') return Object.fromEntries(node.entries.map(({key, value}) => [key, plainValue(value)]))
  return scalarValue(node)
}

const TAG_PREFIX = 'tag:yaml.org,2002:'
const TAB_REFUSED = 'tabs are not allowed outside quotes; use spaces'
const TAG_REFUSED = 'this tag is not allowed; put text that begins with ! in quotes'

/** Makes the parser accept these tags; the values are read by `Reader`. */
const CORE_TAGS = ['int', 'float', 'bool', 'null'].map((name) => ({
  tag: `${TAG_PREFIX}${name}`,
  resolve: (text: string) => text,
}))

function refusal(source: string, {line, column}: YamlPlace, what: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `${source} line ${line}, column ${column}: ${what}`, {
    info: {source, line, column},
    cause,
  })
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.trim() ?? ''
}

function placeAt(counter: LineCounter, offset: number): YamlPlace {
  const {line, col} = counter.linePos(offset)
  return {line: Math.max(1, line), column: Math.max(1, col)}
}

function checkText(text: string, source: string, maxBytes: number): void {
  if (Buffer.byteLength(text) > maxBytes) {
    throw refusal(source, {line: 1, column: 1}, `longer than ${maxBytes} bytes`)
  }
  // What PyYAML refuses, and what it takes for the end of a line while others do not: a lone CR, NEL, LS, PS.
  const odd = /[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|\r(?!\n)/u.exec(text)
  if (odd === null) return
  const before = text.slice(0, odd.index).split('\n')
  const code = odd[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
  throw refusal(
    source,
    {line: before.length, column: (before.at(-1)?.length ?? 0) + 1},
    `the character U+${code} is not allowed`,
  )
}

/**
 * Refuses what is nested too deep, and tabs between tokens as PyYAML does. Counts at most one level too much (a scalar is counted like the
 * collection that could stand there) and at most half of the levels too few (a list that is not indented, pairs inside brackets):
 * `Reader` counts again, exactly.
 */
function checkTokens(text: string, source: string): void {
  const levels = new Levels()
  let line = 1
  let before = ''
  for (const token of new Lexer().lex(text)) {
    const place = {line, column: levels.column + 1}
    const isScalar = before === SCALAR_NEXT
    if (levels.take(token, isScalar) > YAML_LIMITS.levels + 1) throw refusal(source, place, tooDeep())
    if (!isScalar && token.trim() === '' && token.includes('\t')) throw refusal(source, place, TAB_REFUSED)
    line += token.split('\n').length - 1
    before = token
  }
}

function tooDeep(): string {
  return `nested deeper than ${YAML_LIMITS.levels} levels`
}

// Tokens of the parser's tokenizer that stand for no text.
const SCALAR_NEXT = '\u001f'
const DOCUMENT_START = '\u0002'
const FLOW_ERROR = '\u0018'

/** Counts levels token by token. Blocks are known by their columns, brackets by their number. */
class Levels {
  column = 0
  #blocks: number[] = []
  #brackets = 0
  #colons = 0
  #isLineStart = true

  /** Takes one token and returns how deep it stands, at the most. */
  take(token: string, isScalar: boolean): number {
    if (!isScalar && this.#takeSpecial(token)) return this.#depth()
    if (this.#isContent(token, isScalar)) this.#takeContent(token, isScalar)
    this.#advance(token)
    return this.#depth()
  }

  #depth(): number {
    // More than two `:` on a line outside brackets are never right, and each may cost the parser a level before it says so.
    return this.#blocks.length + this.#brackets + Math.max(0, this.#colons - 2)
  }

  #takeSpecial(token: string): boolean {
    if (token === DOCUMENT_START) this.#blocks = []
    else if (token === FLOW_ERROR) this.#brackets = 0
    else if (token !== SCALAR_NEXT) return false
    return true
  }

  #isContent(token: string, isScalar: boolean): boolean {
    return isScalar || !(token.startsWith('#') || token.trim() === '')
  }

  #takeContent(token: string, isScalar: boolean): void {
    if (this.#brackets === 0) this.#takeBlockContent(token, isScalar)
    if (isScalar) return
    if (token === '[' || token === '{') this.#brackets++
    else if ((token === ']' || token === '}') && this.#brackets > 0) this.#brackets--
  }

  #takeBlockContent(token: string, isScalar: boolean): void {
    if (!isScalar && token === ':') this.#colons++
    if (!this.#isLineStart) return
    while ((this.#blocks.at(-1) ?? -1) > this.column) this.#blocks.pop()
    if ((this.#blocks.at(-1) ?? -1) < this.column) this.#blocks.push(this.column)
    // What follows `-` or `?` on the same line starts a block of its own.
    this.#isLineStart = !isScalar && (token === '-' || token === '?')
  }

  #advance(token: string): void {
    const lineEnd = token.lastIndexOf('\n')
    if (lineEnd === -1) {
      this.column += token.length
      return
    }
    this.column = token.length - lineEnd - 1
    this.#colons = 0
    // A quoted text of several lines ends in the middle of a line.
    this.#isLineStart = this.column === 0
  }
}

/** Turns the parser's nodes into ours. */
class Reader {
  readonly #source: string
  readonly #counter: LineCounter

  constructor(source: string, counter: LineCounter) {
    this.#source = source
    this.#counter = counter
  }

  /** Turns a node that stands `level` collections deep; `inBrackets` when the innermost is written with brackets. */
  read(node: ParsedNode | null, level: number, inBrackets = false): YamlNode {
    if (node === null) return {type: 'null', value: null, line: 1, column: 1}
    const place = placeAt(this.#counter, node.range[0])
    if (isAlias(node) || node.anchor !== undefined)
      throw this.#refuse(place, 'anchors and aliases are not allowed; put text that begins with & or * in quotes')
    if (isScalar(node)) return {...this.#scalar(node, inBrackets, place), ...place}
    if (level >= YAML_LIMITS.levels) throw this.#refuse(place, tooDeep())
    if (isSeq(node)) {
      this.#checkTag(node.tag, 'seq', place)
      return {
        type: 'seq',
        items: node.items.map((item) => this.read(item as ParsedNode, level + 1, node.flow)),
        ...place,
      }
    }
    this.#checkTag(node.tag, 'map', place)
    return {type: 'map', entries: this.#entries(node, level + 1), ...place}
  }

  #entries(map: YAMLMap.Parsed, level: number): YamlEntry[] {
    const seen = new Set<string>()
    return map.items.map((pair) => {
      const key = this.read(pair.key, level, map.flow)
      const {line, column} = key
      if (key.type !== 'str') throw this.#refuse(key, 'a key must be text; put it in quotes')
      if (seen.has(key.value)) throw this.#refuse(key, `the key ${JSON.stringify(key.value)} comes twice`)
      seen.add(key.value)
      return {
        key: key.value,
        line,
        column,
        value: pair.value === null ? nullAt(key) : this.read(pair.value, level, map.flow),
      }
    })
  }

  #scalar({value, type, tag}: Scalar.Parsed, inBrackets: boolean, place: YamlPlace): YamlScalar {
    const text = String(value)
    const isPlain = type === 'PLAIN'
    if (isPlain && text.includes('\t')) throw this.#refuse(place, TAB_REFUSED)
    // PyYAML ends an unquoted text in brackets at a question mark, which then makes a key.
    if (isPlain && inBrackets && /^:|\?/.test(text)) {
      throw this.#refuse(place, 'unquoted text in brackets may not begin with : or contain ?; put it in quotes')
    }
    try {
      if (tag === undefined || tag === '!') return isPlain ? readPlainScalar(text) : {type: 'str', value: text}
      return readTaggedScalar(coreType(tag), text)
    } catch (error) {
      if (error instanceof YamlScalarError) throw this.#refuse(place, error.message, error)
      throw error
    }
  }

  #checkTag(tag: string | undefined, expected: 'seq' | 'map', place: YamlPlace): void {
    if (tag !== undefined && tag !== `${TAG_PREFIX}${expected}`) throw this.#refuse(place, TAG_REFUSED)
  }

  #refuse(place: YamlPlace, what: string, cause?: unknown): RegistryError {
    return refusal(this.#source, place, what, cause)
  }
}

function nullAt({line, column}: YamlPlace): YamlNode {
  return {type: 'null', value: null, line, column}
}

function coreType(tag: string): 'int' | 'float' | 'bool' | 'null' | 'str' {
  switch (tag) {
    case `${TAG_PREFIX}str`:
      return 'str'
    case `${TAG_PREFIX}int`:
      return 'int'
    case `${TAG_PREFIX}float`:
      return 'float'
    case `${TAG_PREFIX}bool`:
      return 'bool'
    case `${TAG_PREFIX}null`:
      return 'null'
    default:
      throw new YamlScalarError(TAG_REFUSED)
  }
}
