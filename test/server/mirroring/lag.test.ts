import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {LagMeter} from '../../../src/server/mirroring/lag.ts'

describe('how long a reader is behind', () => {
  test('is nothing while it has all', () => {
    const lag = new LagMeter()
    lag.noteLog(10, 1000)
    lag.noteRead(10)
    expect(lag.lagMs(9000)).toBe(0)
  })

  test('counts from when the log had the first entry that it lacks', () => {
    const lag = new LagMeter()
    lag.noteRead(5)
    lag.noteLog(5, 0)
    lag.noteLog(6, 1000)
    lag.noteLog(9, 2000)
    expect(lag.lagMs(2500)).toBe(1500)
    lag.noteRead(7)
    expect(lag.lagMs(2500)).toBe(500)
    lag.noteRead(9)
    expect(lag.lagMs(2500)).toBe(0)
  })

  test('is never too short, and bounded in what it keeps', () => {
    const steps = fc.array(fc.record({entries: fc.nat(5), waitMs: fc.nat(50), reads: fc.boolean()}), {maxLength: 2000})
    fc.assert(
      fc.property(steps, (all) => {
        const lag = new LagMeter()
        let [next, read, nowMs] = [0, 0, 0]
        const writtenAt: number[] = []
        for (const {entries, waitMs, reads} of all) {
          nowMs += waitMs
          for (let count = 0; count < entries; count += 1) writtenAt.push(nowMs)
          next += entries
          lag.noteLog(next, nowMs)
          if (reads) {
            read = Math.floor((read + next) / 2)
            lag.noteRead(read)
          }
          const trueMs = read < next ? nowMs - (writtenAt[read] ?? nowMs) : 0
          expect(lag.lagMs(nowMs)).toBeGreaterThanOrEqual(trueMs)
          if (read === next) expect(lag.lagMs(nowMs)).toBe(0)
        }
      }),
    )
  })
})
