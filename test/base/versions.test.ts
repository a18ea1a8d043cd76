import {expect, test} from 'vitest'
import {isOlder} from '../../src/base/versions.ts'

test('versions are compared by their numbers', () => {
  const older = [
    ['2.200.0', '2.256.0'],
    ['2.9.0', '2.10.0'],
    ['0.1.9', '1.0.0'],
    ['1.2.3', 'v1.2.4-rc.1'],
  ] as const
  for (const [a, b] of older) expect([isOlder(a, b), isOlder(b, a)]).toEqual([true, false])
  expect(isOlder('2.256.0', '2.256.0')).toBe(false)
})

test('what is no version is older than nothing', () => {
  for (const odd of [null, '', 'newest', '2.256'])
    expect([isOlder(odd, '1.0.0'), isOlder('1.0.0', odd)]).toEqual([false, false])
})
