import {isUtf8} from 'node:buffer'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {checkText, isDeeperThan} from '../../src/base/json-check.ts'
import {parseJson} from '../../src/base/json-parse.ts'
import {appendMember, encodeString, members, memberText, withoutMembers} from '../../src/base/json-text.ts'
import {canonical} from '../support/json-canon.ts'

const space = fc.string({unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 2})
const letter = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'id',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '/',
    ' ',
    '__proto__',
    'NaN',
    '-Infinity',
    '\u2028',
    '\u007f',
  ),
  fc.constantFrom(
    '\\"',
    '\\\\',
    '\\/',
    '\\b',
    '\\f',
    '\\n',
    '\\r',
    '\\t',
    '\\u0061',
    '\\u002F',
    '\\ud83d',
    '\\uDE00',
    '\\u0000',
  ),
  fc.string({unit: 'binary', minLength: 1, maxLength: 1}).map((one) => JSON.stringify(one).slice(1, -1)),
)
const stringText = fc.array(letter, {maxLength: 5}).map((letters) => `"${letters.join('')}"`)
const keyText = fc.oneof(
  fc.constantFrom('"a"', '"id"', '"i\\u0064"', '"__proto__"', '""', '"7"', '"\\\\n"', '"\\n"'),
  stringText,
)
const numberText = fc.oneof(
  fc.constantFrom('0', '-0', '-0.0', '1E400', '1e-400', '1.50', '10E+3', '123456789012345678901234567890', '0.10'),
  fc.integer().map(String),
  fc.double({noDefaultInfinity: true, noNaN: true}).map(String),
)

/** Texts of JSON values with space and escapes in odd places. */
function jsonText(words: readonly string[]): fc.Arbitrary<string> {
  const {value} = fc.letrec<{value: string; array: string; object: string}>((tie) => {
    const padded = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''))
    const member = fc
      .tuple(space, keyText, space, padded)
      .map(([before, key, after, one]) => `${before}${key}${after}:${one}`)
    return {
      value: fc.oneof(
        {depthSize: 'small'},
        fc.constantFrom(...words),
        numberText,
        stringText,
        tie('array'),
        tie('object'),
      ),
      array: fc.tuple(fc.array(padded, {maxLength: 4}), space).map(([items, gap]) => `[${items.join(',') || gap}]`),
      object: fc.tuple(fc.array(member, {maxLength: 5}), space).map(([items, gap]) => `{${items.join(',') || gap}}`),
    }
  })
  return fc.tuple(space, value, space).map((parts) => parts.join(''))
}

const strict = jsonText(['true', 'false', 'null'])
const loose = jsonText(['true', 'false', 'null', 'NaN', 'Infinity', '-Infinity'])
const object = fc
  .array(fc.tuple(space, keyText, space, loose), {maxLength: 6})
  .map((list) => `{${list.map(([before, key, after, value]) => `${before}${key}${after}:${value}`).join(',')}}`)

const jsonWithoutDuplicates = fc.jsonValue({maxDepth: 8}).map((value) => JSON.stringify(value, null, 1))

/** Valid text with a few characters changed, put in or taken out. */
const broken = fc
  .tuple(
    strict,
    fc.array(fc.tuple(fc.nat(), fc.nat({max: 1}), fc.constantFrom(...'{}[]",:\\ -+.eE01tn\n\u0001\u00a0', '')), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((made, [place, dropped, sign]) => {
      const at = place % (made.length + 1)
      return made.slice(0, at) + sign + made.slice(at + dropped)
    }, text),
  )
  .filter((text) => !/NaN|Infinity/.test(text))

function parsed(parse: () => unknown): {value: unknown} | 'refused' {
  try {
    return {value: parse()}
  } catch (error) {
    if (error instanceof SyntaxError) return 'refused'
    throw error
  }
}

const entriesOf = (text: string): [string, string][] => members(text).map(({key, raw}) => [key, raw])

/**
 * What `JSON.parse` reads, with every string spelled in hex before: without escapes in keys it makes no mistakes
 * (https://github.com/nodejs/node/issues/63785).
 */
function nativeInHex(text: string): unknown {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"/g, (quoted) => `"${hex(JSON.parse(quoted))}"`))
}

function inHex(value: unknown): unknown {
  if (typeof value === 'string') return hex(value)
  if (Array.isArray(value)) return value.map(inHex)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [hex(key), inHex(one)]))
}

const hex = (text: string): string => Buffer.from(text, 'utf16le').toString('hex')

describe('our own parser', () => {
  test('reads strict JSON as JSON.parse does', () => {
    fc.assert(
      fc.property(strict, (text) => {
        expect(inHex(parseJson(`[NaN,${text}]`))).toStrictEqual([Number.NaN, nativeInHex(text)])
        expect(inHex(parseJson(text))).toStrictEqual(nativeInHex(text))
      }),
    )
  })

  test('refuses what JSON.parse refuses, and nothing else', () => {
    fc.assert(
      fc.property(broken, (text) => {
        const own = parsed(() => parseJson(`[NaN,${text}]`))
        const isGood = parsed(() => JSON.parse(`[0,${text}]`)) !== 'refused'
        expect(own !== 'refused').toBe(isGood)
        expect(parsed(() => parseJson(`[0,${text}]`)) !== 'refused').toBe(isGood)
        if (own !== 'refused')
          expect(inHex(own.value)).toStrictEqual([Number.NaN, ...Object(nativeInHex(`[0,${text}]`)).slice(1)])
      }),
      {numRuns: 2000},
    )
  })

  test('takes NaN and the infinities as values anywhere', () => {
    fc.assert(fc.property(loose, (text) => parsed(() => parseJson(text)) !== 'refused'))
  })
})

describe('raw slices', () => {
  test('put together again are the same object', () => {
    fc.assert(
      fc.property(object, (text) => {
        const again = `{${entriesOf(text).map(([key, raw]) => `${encodeString(key)}:${raw}`)}}`
        expect(parseJson(again)).toStrictEqual(parseJson(text))
        expect(canonical(again)).toBe(canonical(text))
      }),
    )
  })

  test('each parses to the member that the parser found', () => {
    fc.assert(
      fc.property(object, space, (text, before) => {
        const value = Object(parseJson(text))
        expect(new Set(entriesOf(text).map(([key]) => key))).toEqual(new Set(Object.keys(value)))
        for (const key of Object.keys(value)) {
          const raw = memberText(`${before}${text}`, key) ?? ''
          expect(parseJson(raw)).toStrictEqual(value[key])
          expect(raw).toBe(raw.trim())
        }
        expect(memberText(text, 'not in any')).toBeUndefined()
      }),
    )
  })

  test('surgery drops and adds exactly what it is told to', () => {
    fc.assert(
      fc.property(
        object,
        fc.uniqueArray(fc.constantFrom('a', 'id', '', '7', '\n', '\\n', '__proto__')),
        loose,
        (text, keys, raw) => {
          const dropped = new Set<string>(keys)
          const left = entriesOf(text).filter(([key]) => !dropped.has(key))
          const without = withoutMembers(text, dropped)
          expect(entriesOf(without)).toEqual(left)
          const appended = appendMember(without, 'new "key"', raw.trim())
          expect(entriesOf(appended)).toEqual([...left, ['new "key"', raw.trim()]])
          expect(parsed(() => parseJson(appended))).not.toBe('refused')
        },
      ),
    )
  })
})

describe('hostile input', () => {
  const noise = fc.oneof(
    fc.uint8Array({maxLength: 200}),
    fc
      .string({unit: fc.constantFrom(...'{}[]",:\\ 1-eaNn\n', 'NaN', 'Infinity', '{"a":'), maxLength: 60})
      .map((text) => Buffer.from(text)),
    broken.map((text) => Buffer.from(text)),
  )

  test('any bytes are text or refused, and every function ends', () => {
    fc.assert(
      fc.property(noise, (bytes) => {
        const text = checkText(bytes, {maxBytes: 150, maxDepth: 10})
        if (typeof text !== 'string') {
          expect(text.error).toMatch(/bytes|UTF-8|levels/)
          return
        }
        expect(isUtf8(bytes) && Buffer.from(text).equals(bytes)).toBe(true)
        parsed(() => parseJson(text))
        parsed(() => entriesOf(text))
        parsed(() => memberText(text, 'a'))
        parsed(() => withoutMembers(text, new Set(['a'])))
        appendMember(text, 'a', '1')
      }),
      {numRuns: 2000},
    )
  })

  test('depth is counted as it nests outside strings', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
    fc.assert(
      fc.property(jsonWithoutDuplicates, fc.nat({max: 6}), (text, maxDepth) => {
        expect(isDeeperThan(text, maxDepth)).toBe(depthOf(JSON.parse(text)) > maxDepth)
      }),
    )
  })
})
