/**
 * Reads hostile texts, one after the other, and writes how each ended. Started by hostile-yaml.test.ts as a process of its own: a parser
 * that is driven too deep can end its process, and then the last line is missing.
 */
import {RegistryError} from '../../src/base/errors.ts'
import {readYaml, type YamlNode} from '../../src/config/yaml.ts'
import {YAML_LIMITS} from '../../src/config/yaml-scalars.ts'

const SIZE = YAML_LIMITS.fileBytes

/** What is repeated up to the largest size: brackets, blocks, and everything that may be put before a value, alone and mixed. */
const UNITS = [
  ...[
    '[',
    '{',
    ']',
    '}',
    '[[]',
    '{a: ',
    '[a: ',
    '[[a]: ',
    '{[',
    '{{a}: ',
    '[\n',
    '{\n',
    '{a: [',
    '[{',
    ',',
    '[,',
    '{,',
    '{:',
    '[:',
    '{?',
    '[? ',
  ],
  ...[
    '- ',
    '? ',
    ': ',
    '-\n',
    '? - ',
    '- ? ',
    '? a\n: ',
    ': - ',
    'a: ',
    'a: - ',
    '? a: ',
    '- a: ',
    '"a": ',
    "'a': ",
    '[a]: ',
    '{a}: ',
    '[]: ',
    '!a : ',
  ],
  ...[
    '!a ',
    '&a ',
    '*a ',
    '!a &b ',
    '!<a>',
    '!!',
    '! ',
    '&',
    '*',
    '!',
    '%a\n',
    '---\n',
    '--- ',
    '...\n',
    '--- - ',
    '---\n- [\n',
    '|\n',
    '>\n',
    '| ',
    '- |\n',
  ],
  ...[
    '"',
    "'",
    '\\',
    '"\n',
    "'\n",
    '"\n- ',
    '"a\n": ',
    "'a\n': ",
    '#',
    ' #',
    '\n',
    ' ',
    '\t',
    ' \n',
    '- "\n',
    '[ "',
    '{"a":',
    '{"a":[',
    'a',
    'a\n',
    '<<: ',
    '{<<: ',
    '?',
    ':',
    '-',
    ',a',
    '::',
    '? ?\n',
  ],
]

/** Blocks that step in with every line; they are short because their size grows with the square of the depth. */
const STEPS: readonly ((column: string) => string)[] = [
  (column) => `${column}a:\n`,
  (column) => `${column}-\n`,
  (column) => `${column}- a:\n`,
  (column) => `${column}? \n`,
  (column) => `${column}?\n${column}: `,
  (column) => `${column}a: [\n`,
  (column) => `${column}a: "\n`,
  (column) => `${column}- - a:\n${column}`,
]

function* texts(): Generator<string> {
  for (const unit of UNITS) {
    yield unit.repeat(Math.floor(SIZE / unit.length))
    for (const size of [300, 8000]) {
      const text = unit.repeat(Math.floor(size / unit.length))
      yield text
      yield `a: ${text}`
      yield `${text}x${mirrored(text)}`
    }
  }
  for (const step of STEPS) {
    for (const depth of [30, 34, 60, 340])
      yield Array.from({length: depth}, (_, level) => step(' '.repeat(level)))
        .join('')
        .slice(0, SIZE)
  }
  yield* randomTexts()
}

function mirrored(text: string): string {
  return text.replaceAll(/[[{]/g, (open) => (open === '[' ? ']' : '}'))
}

/** Random mixtures, the same at every run. */
function* randomTexts(): Generator<string> {
  let seed = 20_260_801
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (let round = 0; round < 500; round++) {
    let text = ''
    for (let part = next(60); part >= 0; part--) {
      const unit = UNITS[next(UNITS.length)] ?? ''
      text += unit.repeat(1 + next(8)) + (next(4) === 0 ? `\n${' '.repeat(next(12))}` : '')
    }
    yield text
  }
}

function levelsOf(node: YamlNode): number {
  if (node.type === 'seq') return 1 + Math.max(0, ...node.items.map(levelsOf))
  return node.type === 'map' ? 1 + Math.max(0, ...node.entries.map(({value}) => levelsOf(value))) : 0
}

function outcomeOf(text: string): string {
  try {
    const levels = levelsOf(readYaml(text, {source: 'hostile', maxBytes: SIZE}))
    return levels <= YAML_LIMITS.levels ? 'read' : `read with ${levels} levels`
  } catch (error) {
    // The parser catches most of what drives it too deep; that nobody drove it there is what is tested.
    if (error instanceof Error && error.message.includes('call stack')) return 'ran out of stack'
    return error instanceof RegistryError && error.code === 'REG_CONFIG_INVALID' ? 'refused' : `${error}`
  }
}

const counts: Record<string, number> = {}
for (const text of texts()) {
  const outcome = outcomeOf(text)
  counts[outcome] = (counts[outcome] ?? 0) + 1
}
process.stdout.write(JSON.stringify(counts))
