import {readFileSync} from 'node:fs'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {readYaml, type YamlNode} from '../../src/config/yaml.ts'
import {readSimpleText, YAML_LIMITS} from '../../src/config/yaml-scalars.ts'

type Shape = readonly [type: string, value: unknown]
type Vector = {readonly yaml: string; readonly node: Shape} | {readonly yaml: string; readonly error: true}

const VECTORS = readFileSync(new URL('../vectors/yaml-pyyaml.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector)

/** Writes a float as Python's `repr` does. */
function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return Object.is(value, -0) ? '-0.0' : String(value)
}

function shapeOf(node: YamlNode): Shape {
  if (node.type === 'seq') return ['seq', node.items.map(shapeOf)]
  if (node.type === 'map') return ['map', node.entries.map(({key, value}) => [['str', key], shapeOf(value)])]
  if (node.type === 'int') return ['int', String(node.value)]
  if (node.type === 'float') return ['float', pythonFloat(node.value)]
  return [node.type, node.value]
}

/** Python and JavaScript write the same float differently (`1000.0`, `1e-10`): compare what they mean. */
function sameFloats(shape: unknown): unknown {
  if (!Array.isArray(shape)) return shape
  if (shape[0] === 'float' && shape.length === 2) {
    const text = String(shape[1])
    const number = Number(text.replace('inf', 'Infinity'))
    return ['float', text === 'nan' ? 'nan' : Object.is(number, -0) ? '-0' : number]
  }
  return shape.map(sameFloats)
}

function read(yaml: string): unknown {
  try {
    return sameFloats(shapeOf(readYaml(yaml, {source: 'vector', maxBytes: YAML_LIMITS.fileBytes})))
  } catch (error) {
    if (error instanceof RegistryError) return `refused: ${error.message}`
    throw error
  }
}

/** What is refused here and read by PyYAML, by the reason that the message must give. */
const REFUSED: readonly (readonly [reason: RegExp, texts: readonly string[]])[] = [
  [
    /anchors and aliases are not allowed/,
    ['&a', 'a: &a', '[&a]', 'a: &b c', 'a: &b', 'a: &x b\nc: *x\n', 'a: &x {b: c}\nd:\n  <<: *x\n'],
  ],
  [/merge keys are not allowed/, ['<<: {a: b}', 'a: {<<: {b: c}}']],
  [
    /this tag is not allowed/,
    ['!!binary', 'a: !!binary', 'a: !!binary aGk=', 'a: !!set {a, b}', 'a: !!omap [a: b]', 'a: !!timestamp 2001-01-01'],
  ],
  [/a key must be text/, ['?', '1:30:', '[?]', '[1:30:]', 'yes: 1', '1: 2', '~: 1', '1.5: x', '2001-01-01: x']],
  [/the character U\+(0085|2028|000D) is not allowed/, ['a: b\u0085c: d\n', "a: 'x\u2028y'\n", 'a: b\rc: d\n']],
  [/unquoted text in brackets/, ['[?a]']],
  // Stricter than PyYAML by the parser; nobody writes these on purpose.
  [/in the same line|Block collections are not allowed|Comments must be separated/, ['[-]', "a: 'b'# c"]],
]
/** What is read here and refused by PyYAML: empty texts in odd clothes. */
const READ: readonly string[] = ['...', '...\n', '[!!str]', '[!<tag:yaml.org,2002:str>]']

const REASONS = new Map(REFUSED.flatMap(([reason, texts]) => texts.map((text) => [text, reason] as const)))

describe('YAML is read as PyYAML reads it', () => {
  test.each(VECTORS)('$yaml', (vector) => {
    const ours = read(vector.yaml)
    const reason = REASONS.get(vector.yaml)
    if (reason !== undefined) expect(ours).toMatch(reason)
    else if (!('error' in vector)) expect(ours).toEqual(sameFloats(vector.node))
    else if (READ.includes(vector.yaml)) expect(ours).not.toBeTypeOf('string')
    else expect(ours).toMatch(/^refused: /)
  })

  test('every deviation stands in the vectors', () => {
    const texts = VECTORS.map(({yaml}) => yaml)
    expect(texts).toEqual(expect.arrayContaining([...REASONS.keys(), ...READ]))
  })
})

describe('the short way for one word', () => {
  const viaParser = (text: string) => {
    const {line, column, ...scalar} = readYaml(text, {source: 'word', maxBytes: YAML_LIMITS.fileBytes})
    return scalar
  }

  test('reads every vector as the parser does, or leaves it to the parser', () => {
    const words = VECTORS.map(({yaml}) => yaml).filter((yaml) => readSimpleText(yaml) !== undefined)
    expect(words.length).toBeGreaterThan(200)
    for (const word of words) expect(readSimpleText(word), word).toStrictEqual(viaParser(word))
  })

  test('reads any text as the parser does, or leaves it to the parser', () => {
    const word = fc.string({unit: fc.constantFrom(...'019aexEyb_.+-: \n#'.split('')), maxLength: 8})
    fc.assert(
      fc.property(word, (text) => {
        const simple = readSimpleText(text)
        if (simple !== undefined) expect(simple).toStrictEqual(viaParser(text))
      }),
      {numRuns: 5000},
    )
  })
})
