import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {covers, isSameRule, parseRule, printRule, readRule, readRules} from '../../src/auth/rule.ts'
import {RegistryError} from '../../src/base/errors.ts'

const element = fc.string({minLength: 1, maxLength: 8}).filter((text) => !text.includes('.') && !text.startsWith('!'))
const path = fc.array(element, {minLength: 1, maxLength: 6})

describe('a rule', () => {
  test('is the same when its text is read again', () => {
    fc.assert(
      fc.property(fc.boolean(), path, (allow, elements) => {
        expect(parseRule(printRule([allow, elements]))).toEqual([allow, elements])
      }),
    )
  })

  test('in text form denies with an exclamation mark', () => {
    expect(parseRule('axon.upload')).toEqual([true, ['axon', 'upload']])
    expect(parseRule('!axon')).toEqual([false, ['axon']])
    expect(printRule([false, ['aha', 'service', 'get', 'a.b']])).toBe('!aha.service.get.a.b')
  })

  test('covers its own path and all below it', () => {
    expect(covers(['a'], ['a', 'b'])).toBe(true)
    expect(covers(['a', 'b'], ['a', 'b'])).toBe(true)
    expect(covers(['a', 'b'], ['a'])).toBe(false)
    expect(covers(['a', 'b'], ['ab'])).toBe(false)
    expect(isSameRule([true, ['a']], [true, ['a', 'b']])).toBe(false)
    expect(isSameRule([true, ['a']], [false, ['a']])).toBe(false)
    expect(isSameRule([true, ['a', 'b']], [true, ['a', 'b']])).toBe(true)
  })

  test.each(['', '!', 'a..b', '.a', 'a.', '!.'])('is refused as text when an element is empty: %j', (text) => {
    expect(() => parseRule(text)).toThrow('not empty')
  })

  test.each([
    ['no list', null, 'pair'],
    ['not a pair', [true], 'pair'],
    ['a third member', [true, ['a'], 1], 'pair'],
    ['a number to allow', [1, ['a']], 'true or false'],
    ['a text as path', [true, 'a'], 'at least one'],
    ['no element', [true, []], 'at least one'],
    ['an empty element', [true, ['a', '']], 'not empty'],
    ['a number as element', [true, [1]], 'not empty'],
    ['too many elements', [true, Array(65).fill('a')], '64 elements'],
    ['a path that is too long', [true, ['a'.repeat(512), 'b'.repeat(513)]], '1024'],
  ])('from outside is refused with %s', (_what, value, reason) => {
    const thrown = caught(() => readRule(value))
    expect(thrown).toMatchObject({code: 'REG_BAD_REQUEST', telepath: 'SchemaViolation'})
    expect(thrown.message).toContain(reason)
  })

  test('in a list is named by its number, and a list has a limit', () => {
    expect(() => readRules([[true, ['a']], [true]])).toThrow('rule 1 must')
    expect(() => readRules('a')).toThrow('must be a list')
    expect(readRules(Array(1000).fill([true, ['a']]))).toHaveLength(1000)
    expect(() => readRules(Array(1001).fill([true, ['a']]))).toThrow('1000')
    expect(readRule([true, ['a'.repeat(512), 'b'.repeat(512)]])[1]).toHaveLength(2)
  })
})

function caught(body: () => unknown): RegistryError {
  try {
    body()
  } catch (error) {
    if (error instanceof RegistryError) return error
  }
  throw new Error('nothing was thrown')
}
