import {chmod, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {updateConfigFile} from '../../src/config/update-file.ts'
import {plainValue, readYaml} from '../../src/config/yaml.ts'
import {addYamlItems, encodeYaml, removeYamlKey, setYamlKey, type YamlValue} from '../../src/config/yaml-rewrite.ts'
import {YAML_LIMITS} from '../../src/config/yaml-scalars.ts'

const read = (text: string) => plainValue(readYaml(text, {source: 'test', maxBytes: YAML_LIMITS.fileBytes}))
const set = (text: string, key: string, value: YamlValue) => setYamlKey(text, key, value, 'cell.yaml')
const remove = (text: string, key: string) => removeYamlKey(text, key, 'cell.yaml')

const FILE = `# Registry of the dome.

bind: 127.0.0.1 # only here

# Ports as the old server had them.
zmq:req:port:   4242
'zmq:pub:port': "4243"   # quoted

https:headers: # both
  X-Frame-Options: deny # inner
  Cache-Control: no-store
motd: |
  two
  lines

last: x
# The end.
`

describe('setting a key', () => {
  test('changes the value and nothing else', () => {
    expect(set(FILE, 'zmq:req:port', 5556)).toBe(FILE.replace('zmq:req:port:   4242', 'zmq:req:port: 5556'))
    expect(set(FILE, 'zmq:pub:port', null)).toBe(FILE.replace('"4243"', 'null'))
    expect(set(FILE, 'last', 'y')).toBe(FILE.replace('last: x', 'last: y'))
  })

  test('replaces values of several lines', () => {
    expect(set(FILE, 'motd', 'one')).toBe(FILE.replace('motd: |\n  two\n  lines\n', 'motd: one\n'))
    const headers = set(FILE, 'https:headers', {'X-Frame-Options': 'allow'})
    expect(headers).toContain('https:headers: # both\n  {X-Frame-Options: allow}\nmotd: |')
  })

  test('appends what is not there yet', () => {
    expect(set(FILE, 'log:level', 'debug')).toBe(`${FILE}log:level: debug\n`)
    expect(set('', 'a', 1)).toBe('a: 1\n')
    expect(set('# only a comment', 'a', 1)).toBe('# only a comment\na: 1\n')
    expect(set('  a: 1\n', 'b', 2)).toBe('  a: 1\n  b: 2\n')
    expect(set('a: 1\r\n', 'b', 2)).toBe('a: 1\r\nb: 2\r\n')
  })

  test('gives a value to a key without one', () => {
    expect(set('a:\nb: 1\n', 'a', 2)).toBe('a: 2\nb: 1\n')
    expect(set('a: # note\nb: 1\n', 'a', 2)).toBe('a: 2 # note\nb: 1\n')
  })

  test.each([
    ['{a: 1, b: 2} # note\n', 'b'],
    ['{a: 1, b: 2} # note\n', 'c'],
    ['# note\n? b\n: 1\n', 'b'],
    ['# note\n? b\n', 'b'],
    ['# note\n---\na: 1\n...\n', 'b'],
    ['# note\n--- {a: 1}\n', 'b'],
    ['# note\na: !!int "1"\n', 'a'],
  ])('keeps the comment where the text has an unusual form: %j', (text, key) => {
    const result = set(text, key, 'new')
    expect(read(result)).toEqual({...(read(text) as object), [key]: 'new'})
    expect(result).toContain('# note')
  })

  test('refuses what is no mapping', () => {
    expect(() => set('- a\n', 'a', 1)).toThrow('cell.yaml line 1: must be a mapping of options to values')
    expect(() => set('a: [\n', 'a', 1)).toThrow(/cell\.yaml line 2/)
  })
})

describe('removing a key', () => {
  test('takes its lines away, and the comment on them', () => {
    expect(remove(FILE, 'bind')).toBe(FILE.replace('bind: 127.0.0.1 # only here\n', ''))
    expect(remove(FILE, 'zmq:pub:port')).toBe(FILE.replace(`'zmq:pub:port': "4243"   # quoted\n`, ''))
    expect(remove(FILE, 'last')).toBe(FILE.replace('last: x\n', ''))
    expect(read(remove(FILE, 'https:headers'))).not.toHaveProperty('https:headers')
  })

  test('without the key leaves the text as it is', () => {
    expect(remove(FILE, 'nope')).toBe(FILE)
    expect(remove('', 'nope')).toBe('')
  })

  test.each(['{a: 1, b: 2} # note\n', '# note\n? b\n: 1\n', '# note\n--- {a: 1, b: 3}\n'])('works on %j', (text) => {
    const {b: _, ...rest} = read(text) as Record<string, unknown>
    const result = remove(text, 'b')
    expect(read(result) ?? {}).toEqual(rest)
    expect(result).toContain('# note')
  })
})

describe('adding to a list', () => {
  const add = (text: string, ...items: string[]) => addYamlItems(text, 'urls', items, 'telepath.yaml')
  const URL = 'ssl://aha.demo.net:27492?certname=visi@demo.net'

  test('puts each on a line of its own below the last, and changes nothing else', () => {
    const before =
      '---\n# Servers.\nurls: # all\n  - a # first\n\n  # the list\n  - [b, c]  # both\n# end\nversion: 1\n...\n'
    const line = '  - [b, c]  # both\n'
    expect(add(before, URL, 'd e')).toBe(before.replace(line, `${line}  - ${URL}\n  - "d e"\n`))
    expect(add('urls:\n- a', 'b')).toBe('urls:\n- a\n- b\n')
    expect(add('urls:\r\n- a\r\nb: 1\r\n', 'b')).toBe('urls:\r\n- a\r\n- b\r\nb: 1\r\n')
  })

  test('makes the list that is not there', () => {
    expect(add('', 'a', 'b')).toBe('urls:\n- a\n- b\n')
    expect(add('# mine\nversion: 1', 'a')).toBe('# mine\nversion: 1\nurls:\n- a\n')
    expect(read(add('urls:\nversion: 1\n', 'a'))).toEqual({urls: ['a'], version: 1})
  })

  test.each([
    ['# note\nurls: [a]\n', ['a', 'b']],
    ['# note\nurls: []\n', ['b']],
    ['# note\nurls: a\n', ['a', 'b']],
    ['# note\nurls:\n- - a\n  - c\n', [['a', 'c'], 'b']],
    ['# note\nurls:\n- |\n  a\n  c\n', ['a\nc\n', 'b']],
    ['# note\n--- {urls: [a], c: 1}\n', ['a', 'b']],
    ['# note\n---\nc: 1\n...\n', ['b']],
  ])('keeps comments where the text has another form: %j', (text, urls) => {
    const result = add(text, 'b')
    expect(read(result)).toMatchObject({urls})
    expect(result).toContain('# note')
  })

  test('refuses what is no list', () => {
    expect(() => add('urls: {a: b}\n', 'b')).toThrow('telepath.yaml: urls is not a list')
    expect(() => add('urls: 1\n', 'b')).toThrow('telepath.yaml: urls is not a list')
  })

  test('whatever the items are, they come back, behind those of before', () => {
    fc.assert(
      fc.property(fc.array(yamlText), fc.array(yamlText, {minLength: 1}), (before, items) => {
        const text = before.length === 0 ? '' : add('# note\n', ...before)
        expect(read(add(text, ...items))).toEqual({urls: [...before, ...items]})
      }),
      {numRuns: 200},
    )
  })
})

const yamlText = fc.oneof(
  fc.constantFrom('- a', 'a: b', 'a #b', '...', '---', '', '~', '1', 'ssl://a?b=c'),
  fc.string({maxLength: 10}),
)

const yamlValue: fc.Arbitrary<YamlValue> = fc.letrec<{value: YamlValue}>((tie) => ({
  value: fc.oneof(
    {depthSize: 'small'},
    fc.constantFrom<YamlValue>(
      'yes',
      '012',
      '1:30',
      '1e3',
      '~',
      '',
      '2024-02-31',
      '=',
      '<<',
      '- a',
      'a: b',
      'a #b',
      '...',
      '---',
      '\u0085x',
      '\u2028',
    ),
    fc.string({unit: 'grapheme', maxLength: 20}),
    fc.double(),
    fc.integer(),
    fc
      .bigInt({min: -(2n ** 80n), max: 2n ** 80n})
      .map((number) => (Number.isSafeInteger(Number(number)) ? Number(number) : number)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), {maxLength: 4}),
    fc.dictionary(fc.string({unit: 'grapheme', maxLength: 8}), tie('value'), {maxKeys: 4, noNullPrototype: true}),
  ),
})).value

/** Blocks of text of which a file is made, each with the comments in it. */
const block = fc.record({
  comment: fc.constantFrom('', '# a note\n', '\n', '\n# one\n# two\n'),
  value: fc.constantFrom(
    '1',
    'text # note',
    '"quoted"  # note',
    '\n  - a # inner\n  - b',
    '|\n  several\n\n  lines',
    '{x: [1, 2]} # note',
    '',
    "'it''s'",
    '>-\n  folded\n  text\n',
  ),
})

function fileOf(blocks: readonly {comment: string; value: string}[], end: string): string {
  return blocks.map(({comment, value}, index) => `${comment}key${index}: ${value}\n`).join('') + end
}

const commentsOf = (text: string) => text.match(/# .*$/gm) ?? []

describe('laws', () => {
  test('every value comes back with its type', () => {
    fc.assert(
      fc.property(yamlValue, (value) => {
        expect(read(encodeYaml(value))).toStrictEqual(value)
        expect(read(set('', 'key', value))).toEqual({key: value})
      }),
      {numRuns: 1000},
    )
  })

  test('setting a key keeps every other line, all comments outside the old value, and the order', () => {
    fc.assert(
      fc.property(
        fc.array(block, {maxLength: 6}),
        fc.constantFrom('', '# end\n'),
        fc.nat(7),
        yamlValue,
        (blocks, end, index, value) => {
          const text = fileOf(blocks, end)
          const key = `key${index}`
          const result = set(text, key, value)
          expect(read(result)).toEqual({...(read(text) as object | null), [key]: value})
          const others = fileOf(blocks, end).replace(`${key}: ${blocks[index]?.value}\n`, '')
          expect(commentsOf(result)).toEqual(expect.arrayContaining(commentsOf(others)))
          const order = (yaml: string) => Object.keys((read(yaml) ?? {}) as object)
          expect(order(result)).toEqual(index < blocks.length ? order(text) : [...order(text), key])
        },
      ),
      {numRuns: 500},
    )
  })

  test('a key that was added and removed leaves the text as it was', () => {
    fc.assert(
      fc.property(fc.array(block, {maxLength: 6}), fc.constantFrom('', '# end\n'), yamlValue, (blocks, end, value) => {
        const text = fileOf(blocks, end)
        expect(remove(set(text, 'added', value), 'added')).toBe(text)
      }),
      {numRuns: 500},
    )
  })
})

describe('a configuration file', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'registry-config-'))
  })
  afterEach(() => rm(dir, {recursive: true}))

  test('is changed as a whole and keeps its mode', async () => {
    const file = join(dir, 'cell.yaml')
    await writeFile(file, FILE)
    await chmod(file, 0o640)
    await updateConfigFile(file, {'zmq:req:port': 1, last: undefined, 'log:level': 'debug'})
    const wanted = `${FILE.replace('   4242', ' 1').replace('last: x\n', '')}log:level: debug\n`
    expect(await readFile(file, 'utf8')).toBe(wanted)
    expect((await stat(file)).mode & 0o777).toBe(0o640)
    expect(await readdir(dir)).toEqual(['cell.yaml'])
  })

  test('is made for the owner alone', async () => {
    const file = join(dir, 'cell.mods.yaml')
    await updateConfigFile(file, {mirror: null})
    expect(await readFile(file, 'utf8')).toBe('mirror: null\n')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('that cannot be read stays as it is', async () => {
    const file = join(dir, 'cell.yaml')
    await writeFile(file, 'a: [1\n')
    await expect(updateConfigFile(file, {b: 1})).rejects.toMatchObject({code: 'REG_CONFIG_INVALID'})
    expect(await readFile(file, 'utf8')).toBe('a: [1\n')
  })

  test('that needs no change is not written', async () => {
    const file = join(dir, 'cell.yaml')
    await updateConfigFile(file, {nope: undefined})
    expect(await readdir(dir)).toEqual([])
  })
})
