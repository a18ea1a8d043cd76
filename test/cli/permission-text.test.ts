import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {parsePermission, parseRuleText, permissionText, ruleText} from '../../src/cli/permission-text.ts'

describe('a permission as text', () => {
  test.each([
    ['axon', ['axon']],
    ['axon.upload', ['axon', 'upload']],
    ['aha.service.get."prod.example.net"', ['aha', 'service', 'get', 'prod.example.net']],
    ['"a\\"b".c', ['a"b', 'c']],
    ['node.prop.set.inet:ip:asn', ['node', 'prop', 'set', 'inet:ip:asn']],
  ])('%s is read, and written the same', (text, path) => {
    expect(parsePermission(text)).toEqual(path)
    expect(permissionText(path)).toBe(text)
  })

  test.each([[''], ['.'], ['a.'], ['.a'], ['a..b'], ['"a'], ['"a"b'], ['a"b"'], ['""'], ['"\\x"']])(
    '%j is none',
    (text) => {
      expect(() => parsePermission(text)).toThrow(/permission|empty/)
    },
  )

  test('is the same again, whatever its elements are', () => {
    const element = fc.string({minLength: 1, maxLength: 20, unit: 'binary'})
    fc.assert(
      fc.property(fc.array(element, {minLength: 1, maxLength: 6}), fc.boolean(), (path, isAllowed) => {
        fc.pre(!(isAllowed && path[0]?.startsWith('!')))
        expect(parseRuleText(ruleText([isAllowed, path]))).toEqual([isAllowed, path])
      }),
    )
  })
})
