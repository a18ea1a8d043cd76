import fc from 'fast-check'
import {expect, test} from 'vitest'
import {printable, printableJson} from '../../src/cli/printable.ts'

const OBEYED = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u

test('JSON holds nothing that a terminal obeys, and means the same', () => {
  const anyText = fc.oneof(fc.string({unit: 'binary'}), fc.constantFrom('\x9b2J', '\u202eevil', '\x7f', '\\u009b'))
  fc.assert(
    fc.property(fc.dictionary(anyText, anyText), (value) => {
      const shown = printableJson(JSON.stringify(value))
      expect(shown).not.toMatch(OBEYED)
      expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('text holds nothing that a terminal obeys; lines are kept where that is said', () => {
  expect(printable('a\x1b[2J\x9b\u202e\r\nb')).toBe('a\\x1b[2J\\x9b\\u202e\\x0d\\nb')
  expect(printable('a\r\nb', true)).toBe('a\\x0d\nb')
})
