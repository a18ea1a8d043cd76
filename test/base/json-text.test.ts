import {setFlagsFromString} from 'node:v8'
import {runInNewContext} from 'node:vm'
import {describe, expect, test} from 'vitest'
import {checkText, isDeeperThan} from '../../src/base/json-check.ts'
import {parseJson} from '../../src/base/json-parse.ts'
import {appendMember, elements, encodeString, members, memberText, withoutMembers} from '../../src/base/json-text.ts'

const LIMITS = {maxBytes: 1 << 20, maxDepth: 64}
const MIB = 1 << 20

describe('checkText', () => {
  test('gives the text of good UTF-8, from a Buffer or a plain array', () => {
    const bytes = Buffer.from('{"name": "Zürich ☃ 😀"}')
    expect(checkText(bytes, LIMITS)).toBe('{"name": "Zürich ☃ 😀"}')
    expect(checkText(new Uint8Array(bytes), LIMITS)).toBe('{"name": "Zürich ☃ 😀"}')
  })

  test('leaves a byte order mark to the parser, which refuses it', () => {
    const text = checkText(Buffer.from('\ufeff{}'), LIMITS)
    expect(text).toBe('\ufeff{}')
    expect(() => parseJson('\ufeff{}')).toThrow(SyntaxError)
  })

  test.each([
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /UTF-8/],
    ['one byte too many', Buffer.alloc(MIB + 1, 0x20), /1048576 bytes/],
    ['65 levels', Buffer.from(`${'['.repeat(65)}${']'.repeat(65)}`), /deeper than 64/],
    ['65 levels, never closed', Buffer.from('{"a":'.repeat(65)), /deeper than 64/],
  ])('refuses %s', (_what, bytes, error) => {
    expect(checkText(bytes, LIMITS)).toEqual({error: expect.stringMatching(error)})
  })

  test.each([
    ['64 levels', `${'['.repeat(64)}${']'.repeat(64)}`],
    ['many brackets side by side', `[${'[],{},'.repeat(500)}1]`],
    ['brackets in a string', JSON.stringify({a: '['.repeat(500)})],
    ['brackets behind an escaped quote', JSON.stringify({a: `"${'{'.repeat(500)}`, b: `\\"\\${'['.repeat(99)}`})],
    ['as many bytes as are allowed', ' '.repeat(MIB)],
  ])('takes %s', (_what, text) => {
    expect(checkText(Buffer.from(text), LIMITS)).toBe(text)
  })

  test('counts closing brackets', () => {
    expect(isDeeperThan('[[]][[]][[]]', 2)).toBe(false)
    expect(isDeeperThan('[[]][[[]]]', 2)).toBe(true)
  })
})

describe('parseJson', () => {
  test('keys such as __proto__ are data, with and without NaN beside them', () => {
    for (const text of ['{"__proto__": {"admin": true}}', '{"__proto__": {"admin": true}, "x": NaN}']) {
      const value = Object(parseJson(text))
      expect(Object.hasOwn(value, '__proto__')).toBe(true)
      expect(value.admin).toBeUndefined()
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    }
  })

  test('of several members with one key the last counts', () => {
    expect(parseJson('{"a": 1, "a": 2}')).toEqual({a: 2})
    expect(parseJson('{"a": NaN, "__proto__": 1, "a": 2, "__proto__": 3}')).toEqual(
      JSON.parse('{"a": 2, "__proto__": 3}'),
    )
  })

  test('reads a key with escapes right, whatever was parsed before', () => {
    const seen = ['{"name":"x","\\\\":1}', '{"name":"x","i\\\\":1}'].map((text) => JSON.parse(text))
    expect(parseJson('{"name":"x","\\u00e9":1}')).toStrictEqual({name: 'x', é: 1})
    expect(parseJson('{"name":"x","i\\u0064" :1}')).toStrictEqual({name: 'x', id: 1})
    expect(parseJson('{"name":"x","\\"":1}')).toStrictEqual({name: 'x', '"': 1})
    expect(parseJson('[{"name":"x","\\\\":1},{"name":"x","i\\\\":1},{"name":"x","i\\u0064":1}]')).toStrictEqual([
      ...seen,
      {name: 'x', id: 1},
    ])
  })

  test('says where it found fault', () => {
    expect(() => parseJson('[NaN, nan]')).toThrow('not JSON at character 6')
  })

  test.each([
    ['a nesting bomb', `${'['.repeat(MIB)}NaN`],
    ['a string without end', `[NaN,"${'x'.repeat(MIB)}`],
    ['a string of escaped quotes without end', `[NaN,"${'\\"'.repeat(MIB / 2)}`],
    ['white space without end', `[NaN${' '.repeat(MIB)}`],
    ['a number cut off', `[NaN,${'1'.repeat(MIB)}.`],
    ['many words', `[${'NaN,'.repeat(MIB / 4)}`],
  ])('is soon done with 1 MiB of %s', (_what, text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  })
})

describe('members', () => {
  test('finds every member with its exact text and place', () => {
    const text = ' {"name" : "cam1","metadata":{"gain":1.50,"big":123456789012345678901234567890} , "t":[1, "]}"] }'
    const found = members(text)
    expect(found.map(({key, raw}) => [key, raw])).toEqual([
      ['name', '"cam1"'],
      ['metadata', '{"gain":1.50,"big":123456789012345678901234567890}'],
      ['t', '[1, "]}"]'],
    ])
    for (const {raw, start} of found) expect(text.startsWith(raw, start)).toBe(true)
    expect(members(text, found[1]?.start).map(({key, raw}) => [key, raw])).toEqual([
      ['gain', '1.50'],
      ['big', '123456789012345678901234567890'],
    ])
  })

  test('keeps duplicates in order and decodes keys', () => {
    expect(members('{"a\\u0062":1,"ab":2,"\\\\":3,"\\"":4,"":5}').map(({key, raw}) => key + raw)).toEqual([
      'ab1',
      'ab2',
      '\\3',
      '"4',
      '5',
    ])
  })

  test('gives nothing for what is not an object', () => {
    for (const text of ['[]', '"{}"', '5', '', 'null', ' ', '{}', '{ }']) expect(members(text)).toEqual([])
  })

  test.each([
    ['{'.repeat(MIB)],
    ['{"a":'.repeat(MIB / 4)],
    [`{"${'a'.repeat(MIB)}`],
    [`{"a":"${'\\"'.repeat(MIB / 2)}`],
    [`{"a":${'['.repeat(MIB)}`],
    [`{${'"a":,'.repeat(MIB / 4)}`],
    [`{"a"${' '.repeat(MIB)}`],
    [`{"a":1${'}'.repeat(MIB)}${' '.repeat(MIB)}`],
  ])('every call ends soon on 1 MiB that is not JSON (%#)', (text) => {
    expect(members(text).length).toBeLessThan(MIB)
    expect(memberText(text, 'b')).toBeUndefined()
    expect(elements(text.slice(text.indexOf('['))).length).toBeLessThan(MIB)
    expect(typeof withoutMembers(text, new Set(['a']))).toBe('string')
    expect(typeof appendMember(text, 'a', '1')).toBe('string')
  })
})

describe('elements', () => {
  test('finds every element with its exact text', () => {
    expect(elements(' [1.50 , "],[" ,{"a":[1,2]},[ ],\nNaN] ')).toEqual(['1.50', '"],["', '{"a":[1,2]}', '[ ]', 'NaN'])
  })

  test('gives nothing for an empty array and for what is not one', () => {
    for (const text of ['[]', ' [ ] ', '{"a":[1]}', '5', '"[1]"', '']) expect(elements(text)).toEqual([])
  })
})

describe('memberText', () => {
  test('gives the last member of a key, also when it is written with escapes', () => {
    expect(memberText('{"id":1, "i\\u0064" : 2 }', 'id')).toBe('2')
    expect(memberText('{"i\\u0064":1, "id" : [2] }', 'id')).toBe('[2]')
    expect(memberText('{"a":{"id":1},"x":"id"}', 'id')).toBeUndefined()
  })

  test('takes no escape for the letters it is written with', () => {
    expect(memberText('{"\\n": 1}', '\\n')).toBeUndefined()
    expect(memberText('{"\\n": 1}', '\n')).toBe('1')
    expect(memberText('{"\\\\n": 1}', '\\n')).toBe('1')
  })
})

describe('text surgery', () => {
  test('takes members out and leaves the rest letter by letter', () => {
    const text = '{ "id": 1 , "b" : {"q":1.50}, "id":2,\n"c":NaN}'
    expect(withoutMembers(text, new Set(['id']))).toBe('{"b" : {"q":1.50}, "c":NaN}')
    expect(withoutMembers(text, new Set(['b', 'c', 'id']))).toBe('{}')
    expect(withoutMembers(text, new Set(['q']))).toBe(text)
  })

  test.each([
    ['{}', '{"id": "x"}'],
    [' {\n } ', ' {"id": "x"}'],
    ['{"a":1}', '{"a":1, "id": "x"}'],
    ['{"a":{}  }\n', '{"a":{}, "id": "x"}'],
    ['{"a":"}"}', '{"a":"}", "id": "x"}'],
  ])('puts a member at the end of %j', (text, expected) => {
    expect(appendMember(text, 'id', encodeString('x'))).toBe(expected)
  })

  test('escapes keys and lone surrogates', () => {
    expect(appendMember('{}', 'a"\n', '1')).toBe('{"a\\"\\n": 1}')
    expect(encodeString('\ud83d \ude00\ud83d x')).toBe('"\\ud83d \\ude00\\ud83d x"')
    expect(encodeString('😀é\u2028')).toBe('"😀é\u2028"')
    expect(encodeString('\ud83d')).toBe('"\\ud83d"')
  })
})

describe('what is kept', () => {
  test('keeps the kept text in memory, not the request that it came in', () => {
    setFlagsFromString('--expose-gc')
    const gc: () => void = runInNewContext('gc')
    const request = (i: number, padding: number) =>
      Buffer.from(
        `{"a long enough key": {"serial": "XYZ-${i}-0123456789"}, "pad": "${'x'.repeat(padding)}"}`,
      ).toString()
    const take = (text: string) => [...members(text).slice(0, 1), memberText(text, 'a long enough key')]
    // The compiled code must hold to it as the interpreted does.
    for (let i = 0; i < 20_000; i += 1) take(request(i, 10))
    gc()
    const before = process.memoryUsage().heapUsed
    const kept = Array.from({length: 300}, (_, i) => take(request(i, 100_000)))
    gc()
    const grown = process.memoryUsage().heapUsed - before
    expect(kept).toHaveLength(300)
    expect(grown).toBeLessThan(300 * 2000)
  })
})
