import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {type KeepRules, type Retainable, retained} from '../../src/backup/retention.ts'

const NOW = Date.parse('2030-01-01T00:00Z')
const NONE: KeepRules = {last: 0, daily: 0, weekly: 0, monthly: 0}

const at = (time: string, more: Partial<Retainable> = {}): Retainable => ({
  path: time,
  cell: 'c',
  madeAtMs: Date.parse(`${time}Z`),
  isProven: false,
  ...more,
})
const keptBy = (backups: readonly Retainable[], rules: Partial<KeepRules>) =>
  Object.fromEntries(retained(backups, {...NONE, ...rules}, NOW))

describe('retention', () => {
  test('keeps the newest, whatever is asked', () => {
    expect(keptBy([at('2026-01-01T00:00'), at('2026-01-02T00:00')], {})).toEqual({'2026-01-02T00:00': ['newest']})
  })

  test('keeps what a wrong clock dated later than now, and the newest of the others for it', () => {
    const backups = [at('2029-12-30T00:00'), at('2029-12-31T00:00'), at('2036-01-01T00:00')]
    expect(keptBy(backups, {last: 1})).toEqual({
      '2029-12-31T00:00': ['newest', 'last'],
      '2036-01-01T00:00': ['of the future'],
    })
  })

  test('keeps the last one that is proven', () => {
    const backups = [
      at('2026-01-01T00:00', {isProven: true}),
      at('2026-01-02T00:00', {isProven: true}),
      at('2026-01-03T00:00'),
    ]
    expect(keptBy(backups, {})).toEqual({'2026-01-02T00:00': ['last proven'], '2026-01-03T00:00': ['newest']})
  })

  test('keeps the newest of each day that has one', () => {
    const times = ['2026-01-01T23:59', '2026-01-05T00:00', '2026-01-05T08:00', '2026-01-06T01:00', '2026-01-06T02:00']
    expect(
      keptBy(
        times.map((time) => at(time)),
        {daily: 2},
      ),
    ).toEqual({
      '2026-01-06T02:00': ['newest', 'daily'],
      '2026-01-05T08:00': ['daily'],
    })
  })

  test('begins weeks on Monday', () => {
    const times = ['2026-11-15T23:59', '2026-11-16T00:00', '2026-11-22T23:59', '2026-11-23T00:00']
    expect(
      Object.keys(
        keptBy(
          times.map((time) => at(time)),
          {weekly: 5},
        ),
      ),
    ).toEqual(['2026-11-23T00:00', '2026-11-22T23:59', '2026-11-15T23:59'])
  })

  test('knows months by the calendar', () => {
    const times = ['2025-12-31T23:59', '2026-01-01T00:00', '2026-01-31T23:59', '2026-02-01T00:00']
    expect(
      Object.keys(
        keptBy(
          times.map((time) => at(time)),
          {monthly: 2},
        ),
      ),
    ).toEqual(['2026-02-01T00:00', '2026-01-31T23:59'])
  })

  test('keeps those of each cell', () => {
    const backups = [at('2026-01-01T00:00', {cell: 'a'}), at('2026-01-02T00:00', {cell: 'b'})]
    expect(Object.keys(keptBy(backups, {}))).toEqual(['2026-01-01T00:00', '2026-01-02T00:00'])
  })

  const backup = fc.record({
    path: fc.uuid(),
    cell: fc.constantFrom('a', 'b'),
    madeAtMs: fc.integer({min: 0, max: 4e12}),
    isProven: fc.boolean(),
  })
  const count = fc.nat({max: 6})
  const rules = fc.record({last: count, daily: count, weekly: count, monthly: count})
  const backups = fc.uniqueArray(backup, {selector: ({path}) => path, maxLength: 40})

  test('has laws', () => {
    fc.assert(
      fc.property(backups, rules, count, (all, keep, more) => {
        const kept = retained(all, keep, 5e12)
        for (const ofCell of Map.groupBy(all, ({cell}) => cell).values()) {
          const newest = Math.max(...ofCell.map(({madeAtMs}) => madeAtMs))
          const proven = ofCell.filter(({isProven}) => isProven).map(({madeAtMs}) => madeAtMs)
          const isKept = (ms: number) => ofCell.some(({path, madeAtMs}) => madeAtMs === ms && kept.has(path))
          expect(isKept(newest)).toBe(true)
          if (proven.length > 0) expect(isKept(Math.max(...proven))).toBe(true)
          // What stays now stays when more is asked for, and when what may go is gone.
          const {last, daily, weekly, monthly} = keep
          const sum = 2 + last + daily + weekly + monthly
          expect(ofCell.filter(({path}) => kept.has(path)).length).toBeLessThanOrEqual(sum)
        }
        const wider = retained(all, {...keep, daily: keep.daily + more}, 5e12)
        for (const path of kept.keys()) expect(wider.has(path)).toBe(true)
        const left = all.filter(({path}) => kept.has(path))
        expect([...retained(left, keep, 5e12).keys()].toSorted()).toEqual([...kept.keys()].toSorted())
      }),
    )
  })
})
