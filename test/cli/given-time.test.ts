import {afterEach, expect, test, vi} from 'vitest'
import {givenTimeMs} from '../../src/cli/given-time.ts'
import {momentOf} from '../../src/cli/restore-text.ts'

afterEach(() => vi.unstubAllEnvs())

test.each([
  ['2026-11-21T10:00:00Z', '2026-11-21T10:00:00.000Z'],
  ['2026-11-21T10:00:00.5+01:00', '2026-11-21T09:00:00.500Z'],
  ['2026-11-21 10:00:00 UTC', '2026-11-21T10:00:00.000Z'],
  ['2026-11-21T10:00', '2026-11-21T09:00:00.000Z'],
  ['2026-11-21 10:00:00', '2026-11-21T09:00:00.000Z'],
  ['2026-11-21', '2026-11-20T23:00:00.000Z'],
  ['2028-02-29', '2028-02-28T23:00:00.000Z'],
])('%s is a moment, of the local time where it has no zone', (text, iso) => {
  vi.stubEnv('TZ', 'Europe/Berlin')
  expect(new Date(givenTimeMs(text) ?? Number.NaN).toISOString()).toBe(iso)
})

test.each([
  '2026-02-30T00:00:00Z',
  '2026-02-30',
  '2026-04-31 10:00',
  '2026-13-01',
  '2026-00-10',
  '2026-11-21T25:00:00Z',
  '2026-11-21 10:00:00 CET',
  '1969-12-31T00:00:00Z',
  '1795300000',
  'yesterday',
  '',
])('%s is none, and nothing is restored to another moment than the one that was meant', (text) => {
  expect(givenTimeMs(text)).toBeUndefined()
  expect(() => momentOf(undefined, text)).toThrow(/expected a time, as 2026-11-21T10:00:00Z/)
})
