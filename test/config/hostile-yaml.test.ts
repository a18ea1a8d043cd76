import {spawnSync} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {plainValue, readYaml} from '../../src/config/yaml.ts'
import {YAML_LIMITS} from '../../src/config/yaml-scalars.ts'

const read = (text: string, maxBytes: number = YAML_LIMITS.fileBytes) =>
  plainValue(readYaml(text, {source: 'cell.yaml', maxBytes}))

function refusalOf(text: string): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_CONFIG_INVALID') return error.message
    throw error
  }
  throw new Error(`was read: ${text}`)
}

describe('hostile YAML', () => {
  test('ends no process and is refused, whatever is nested', () => {
    const child = fileURLToPath(new URL('./hostile-yaml-child.ts', import.meta.url))
    const {status, signal, stdout, stderr} = spawnSync(process.execPath, [child], {encoding: 'utf8'})
    expect({status, signal, stderr}).toEqual({status: 0, signal: null, stderr: ''})
    expect(Object.keys(JSON.parse(stdout)).sort()).toEqual(['read', 'refused'])
  })

  test('32 levels are read and 33 are not, in brackets and in blocks', () => {
    const forms = [
      (levels: number) => '['.repeat(levels) + ']'.repeat(levels),
      (levels: number) => `${'{a: '.repeat(levels)}1${'}'.repeat(levels)}`,
      (levels: number) => `${'- '.repeat(levels)}a`,
      (levels: number) => Array.from({length: levels}, (_, level) => `${' '.repeat(level)}a:\n`).join(''),
    ]
    for (const form of forms) {
      expect(() => read(form(32))).not.toThrow()
      expect(refusalOf(form(33))).toContain('nested deeper than 32 levels')
    }
    // A pair in brackets is a mapping: two levels for one mark.
    expect(() => read(`${'[a: '.repeat(16)}1${']'.repeat(16)}`)).not.toThrow()
    expect(refusalOf(`${'[a: '.repeat(17)}1${']'.repeat(17)}`)).toContain('nested deeper than 32 levels')
  })

  test('brackets in quotes, comments and text are no levels', () => {
    const brackets = '['.repeat(200)
    expect(read(`a: "${brackets}"\nb: '${brackets}'\nc: x${brackets}\n# ${brackets}\nd: |\n  ${brackets}\n`)).toEqual({
      a: brackets,
      b: brackets,
      c: `x${brackets}`,
      d: `${brackets}\n`,
    })
    expect(read(Array.from({length: 1000}, (_, index) => `k${index}: {a: [1]}\n`).join(''))).toHaveProperty('k999')
  })

  test('a text longer than the limit is refused before anything else', () => {
    const longest = `# ${'x'.repeat(YAML_LIMITS.variableBytes - 2)}`
    expect(read(longest, YAML_LIMITS.variableBytes)).toBeNull()
    expect(() => read(`${longest}x`, YAML_LIMITS.variableBytes)).toThrow('longer than 4096 bytes')
    expect(() => read(`# ${'é'.repeat(2048)}`, YAML_LIMITS.variableBytes)).toThrow('longer than 4096 bytes')
  })

  test('a refusal names file, line and column', () => {
    expect(refusalOf('a: 1\nb: *x\n')).toBe(
      'cell.yaml line 2, column 4: anchors and aliases are not allowed; put text that begins with & or * in quotes',
    )
    expect(refusalOf('a: 1\nb: 2\na: 3\n')).toBe('cell.yaml line 3, column 1: the key "a" comes twice')
    expect(refusalOf('a: 1\nb: x\u0007\n')).toBe('cell.yaml line 2, column 5: the character U+0007 is not allowed')
    expect(refusalOf('a: 1\nb: 2024-02-30\n')).toBe('cell.yaml line 2, column 4: 2024-02-30 is not a date')
    expect(refusalOf('a: 1\nb: [1\n')).toMatch(/^cell\.yaml line 3, column 1: .* end with a \]$/)
    expect(refusalOf('a: !vault x\n')).toMatch(/^cell\.yaml line 1, column \d+: this tag is not allowed/)
    expect(refusalOf('a: 1\n---\nb: 1\n')).toMatch(/^cell\.yaml line 2, column 1: .*multiple documents/)
  })

  test('keys such as __proto__ are data', () => {
    const value = read('__proto__: {polluted: 1}\nconstructor: 2\n') as object
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(({} as {polluted?: unknown}).polluted).toBeUndefined()
  })

  test('any text is read or refused, never anything else', () => {
    const marks = fc.constantFrom(...'[]{}:,-?!&*#|>%@`"\'\\ \n\ta1~=<.'.split(''))
    const text = fc.oneof(
      fc.string({unit: 'binary', maxLength: 200}),
      fc.array(marks, {maxLength: 80}).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (yaml) => {
        try {
          read(yaml)
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
        }
      }),
      {numRuns: 2000},
    )
  })
})
