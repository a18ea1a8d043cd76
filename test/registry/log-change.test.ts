import {describe, expect, test} from 'vitest'
import {decodeLogChange, encodeLogChange, isLogKind} from '../../src/registry/log-change.ts'

describe('a change of the log', () => {
  test('stands in it with its version, and is the same when it is read from there', () => {
    expect(encodeLogChange({kind: 'log:cull', offset: 41})).toBe('{"v":1,"kind":"log:cull","offset":41}')
    for (const change of [{kind: 'log:rotate'}, {kind: 'log:cull', offset: 0}] as const) {
      expect(decodeLogChange(encodeLogChange(change))).toEqual(change)
      expect(isLogKind(change.kind)).toBe(true)
    }
    expect(isLogKind('lead:take')).toBe(false)
  })

  test.each([
    ['{"v":2,"kind":"log:rotate"}'],
    ['{"v":1,"kind":"log:burn"}'],
    ['{"v":1,"kind":"log:cull"}'],
    ['{"v":1,"kind":"log:cull","offset":-1}'],
    ['{"v":1,"kind":"log:cull","offset":1.5}'],
    ['[]'],
  ])('is not read from something else: %s', (text) => {
    expect(() => decodeLogChange(text)).toThrow(TypeError)
  })
})
