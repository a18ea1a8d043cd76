import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {jsonOf, readArgument} from '../../src/cli/query-values.ts'
import {readCall, splitWords} from '../../src/cli/query-words.ts'
import {Float, RawText, Timestamp, type Value} from '../../src/wire/msgpack/value.ts'

const read = (text: string) => readArgument(text, 'argument 1')
const written = (value: Value) => JSON.stringify(jsonOf(value))

describe('an argument', () => {
  test.each<[string, Value]>([
    ['5', 5],
    ['18446744073709551616', 18446744073709551616n],
    ['"5"', '5'],
    ['yes', true],
    ['null', null],
    ['', null],
    ['1.5', 1.5],
    ['1.0', new Float(1)],
    ['2026-01-02', '2026-01-02'],
    ['cell:///srv/axon', 'cell:///srv/axon'],
    ['[1, {a: b}]', [1, {a: 'b'}]],
    ['{"$bytes": "3q2+7w=="}', Buffer.from('deadbeef', 'hex')],
    ['{"$bytes": ""}', Buffer.alloc(0)],
    ['{"$bytes": "3q2+7w"}', Buffer.from('deadbeef', 'hex')],
    ['{"$float": "inf"}', Infinity],
    ['{"$time": "-5.25"}', new Timestamp(-5n, 250_000_000)],
    [
      '{"$map": [[1, one], [{"$bytes": AA==}, null]]}',
      new Map<Value, Value>([
        [1, 'one'],
        [Buffer.from([0]), null],
      ]),
    ],
    ['{"$bytes": 1, more: 2}', {$bytes: 1, more: 2}],
  ])('%s is read as YAML', (text, value) => {
    expect(read(text)).toEqual(value)
  })

  test.each([
    ['{"$bytes": "%"}'],
    ['{"$bytes": [1]}'],
    ['{"$float": "1"}'],
    ['{"$time": "now"}'],
    ['{"$map": 1}'],
    ['{"$map": [[1]]}'],
    ['{"$map": [1]}'],
    ['{a: 1, a: 2}'],
    ['[1'],
    ['&a 1'],
    ['['.repeat(40)],
  ])('%s is refused as a mistake of the command line', (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({code: 'REG_USAGE'}))
  })

  test('that is named __proto__ is a member like another', () => {
    expect(Object.entries(read('{__proto__: {a: 1}}') as object)).toEqual([['__proto__', {a: 1}]])
  })
})

describe('a result', () => {
  test.each<[Value, string]>([
    [2n ** 64n, '18446744073709551616'],
    [-0, '-0.0'],
    [Number.NaN, '{"$float":"nan"}'],
    [-Infinity, '{"$float":"-inf"}'],
    [new Float(2), '2.0'],
    [Buffer.from('deadbeef', 'hex'), '{"$bytes":"3q2+7w=="}'],
    [new Map<Value, Value>([[1, 'one']]), '{"$map":[[1,"one"]]}'],
    [
      new Map<Value, Value>([
        ['10', 1],
        ['9', new Float(2)],
      ]),
      '{"9":2.0,"10":1}',
    ],
    [new Map<Value, Value>([['$bytes', 'AA==']]), '{"$map":[["$bytes","AA=="]]}'],
    [new RawText(Buffer.from('a')), '"a"'],
    [{$bytes: 'AA=='}, '{"$map":[["$bytes","AA=="]]}'],
    [new Timestamp(5n, 1), '{"$time":"5.000000001"}'],
    [[undefined, null, {a: undefined}], '[null,null,{"a":null}]'],
    ['\ud800', '"\\ud800"'],
  ])('is written without loss: %o', (value, text) => {
    expect(written(value)).toBe(text)
  })

  test('is the same when it is given back as an argument', () => {
    const leaf = fc.oneof(
      fc.bigInt({min: 2n ** 60n, max: 2n ** 70n}),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.string(),
      fc.uint8Array({maxLength: 8}).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(Infinity, -Infinity, Number.NaN),
    )
    const key = fc.oneof(fc.string(), fc.constantFrom('$bytes', '$float', '$map', '$time'))
    const value = fc.letrec<{value: Value}>((tie) => ({
      value: fc.oneof(
        {maxDepth: 3},
        leaf as fc.Arbitrary<Value>,
        fc.array(tie('value'), {maxLength: 3}),
        fc.dictionary(key, tie('value'), {maxKeys: 3, noNullPrototype: true}),
      ),
    })).value
    fc.assert(
      fc.property(value, (one) => {
        const again = read(written(one) ?? '')
        expect(written(again)).toBe(written(one))
      }),
    )
  })
})

describe('the words of a query', () => {
  test.each<[readonly string[], number, string | undefined, readonly Value[]]>([
    [['cell://d', '1', '2'], 0, 'cell://d', [1, 2]],
    [['1', 'cell://d'], 0, undefined, [1, 'cell://d']],
    [['cell://d'], 1, undefined, ['cell://d']],
    [['tcp://h', '-3'], 1, 'tcp://h', [-3]],
    [[], 0, undefined, []],
  ])('%j with %i behind --', (typed, behind, url, args) => {
    const {url: found, words} = splitWords(typed, behind)
    expect({url: found, ...readCall('m', words, [])}).toEqual({url, method: 'm', args, kwargs: {}})
  })

  test('take arguments by name', () => {
    expect(readCall('m', [], ['a=1', 'b=x=y', 'c='])).toMatchObject({kwargs: {a: 1, b: 'x=y', c: null}})
    for (const wrong of ['a', '=1', '1a=2']) {
      expect(() => readCall('m', [], [wrong])).toThrow(expect.objectContaining({code: 'REG_USAGE'}))
    }
  })

  test('are no flags, except a lone minus', () => {
    expect(splitWords(['cell://d', '-'], 0)).toEqual({url: 'cell://d', words: ['-']})
    expect(() => splitWords(['-3'], 0)).toThrow('there is no flag -3')
  })
})
