import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {parseExact} from '../../src/cli/exact-json.ts'

const again = (text: string) => JSON.stringify(parseExact(text))

describe('JSON that is printed as it was read', () => {
  test.each([
    '{"n":1152921504606846977,"f":1.50,"e":1e400,"z":-0,"small":0.1}',
    '[1.0,[2.00],{"a":[]},"1.50",null,true,"NaN"]',
    '{"__proto__":1.50,"a":{"__proto__":[]}}',
  ])('%s', (text) => {
    expect(again(text)).toBe(text)
  })

  test('has null for what strict readers would choke on, outside texts', () => {
    expect(again('{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \\" -Infinity","d":1.50}')).toBe(
      '{"a":null,"b":[null,null],"c":"NaN \\" -Infinity","d":1.50}',
    )
  })

  test.each(['', '{', '{"a":}', 'nan', '[1,]', '{"a":NaNa}'])('%j is refused', (text) => {
    expect(() => parseExact(text)).toThrow(SyntaxError)
  })

  test('loses nothing of what JavaScript can write', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.parse(again(text))).toEqual(JSON.parse(text))
      }),
    )
  })
})
