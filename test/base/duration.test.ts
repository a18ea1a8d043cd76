import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {formatDuration, parseDuration} from '../../src/base/duration.ts'

describe('a duration', () => {
  test.each([
    ['250ms', 250],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['10', 10_000],
    ['0', 0],
    ['0.25', 250],
    [' 3 s ', 3000],
  ])('%j is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each([
    '',
    's',
    '-1s',
    '1x',
    '1 h 2',
    '1e3',
    '1_0',
    '.5',
    '5.',
    '1h30m',
    'Infinity',
    '1S',
    '36526d',
    '9'.repeat(400),
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test.each([
    [0, '0ms'],
    [850, '850ms'],
    [999.7, '1s'],
    [1000, '1s'],
    [2500, '2.5s'],
    [9949, '9.9s'],
    [9950, '10s'],
    [60_000, '1m'],
    [90_400, '1m 30s'],
    [3_600_000, '1h'],
    [273_600_000, '3d 4h'],
    [86_400_000 + 60_000, '1d'],
    [-1500, '-1.5s'],
  ])('%d ms is written %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('what is written is read again, to the precision that is shown', () => {
    fc.assert(
      fc.property(fc.integer({min: 0, max: 36_525}), fc.constantFrom('s', 'm', 'h', 'd'), (amount, unit) => {
        const ms = parseDuration(`${amount}${unit}`) ?? Number.NaN
        const parts = formatDuration(ms).split(' ')
        const again = parts.reduce((sum, part) => sum + (parseDuration(part) ?? Number.NaN), 0)
        expect(Math.abs(again - ms)).toBeLessThanOrEqual(ms * 0.05)
      }),
    )
  })
})
