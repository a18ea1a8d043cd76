import {describe, expect, test} from 'vitest'
import {LeaseClock} from '../../src/base/clock.ts'
import {FakeClock} from '../support/api.ts'

const HOUR_MS = 3_600_000

function started(): {clock: FakeClock; lease: LeaseClock; startMs: number} {
  const clock = new FakeClock()
  return {clock, lease: new LeaseClock(clock, 500), startMs: clock.nowMs}
}

describe('the lease clock', () => {
  test('begins at wall time and runs as the monotonic clock runs, between ticks too', () => {
    const {clock, lease, startMs} = started()
    expect(lease.nowMs()).toBe(startMs)
    clock.nowMs += 100
    expect(lease.nowMs()).toBe(startMs + 100)
    expect(lease.tick()).toBe(0)
    clock.nowMs += 500
    expect([lease.nowMs(), lease.tick(), lease.nowMs()]).toEqual([startMs + 600, 0, startMs + 600])
  })

  test.each([-HOUR_MS, HOUR_MS])('does not notice that the wall clock is set by %i ms', (stepMs) => {
    const {clock, lease, startMs} = started()
    clock.wallStepMs = stepMs
    expect([lease.nowMs(), lease.tick(), lease.nowMs()]).toEqual([startMs, 0, startMs])
    clock.nowMs += 100
    expect([lease.nowMs(), lease.tick(), lease.nowMs()]).toEqual([startMs + 100, 0, startMs + 100])
  })

  test('counts at most its limit of a gap, before the tick that ends it as well, and says what was lost', () => {
    const {clock, lease, startMs} = started()
    clock.nowMs += HOUR_MS
    expect(lease.nowMs(), 'read by a message that came before the tick').toBe(startMs + 500)
    expect(lease.tick()).toBe(HOUR_MS - 500)
    expect(lease.nowMs()).toBe(startMs + 500)
    clock.nowMs += 100
    expect([lease.tick(), lease.nowMs()]).toEqual([0, startMs + 600])
  })

  test('never runs backwards, however ticks and reads fall', () => {
    const {clock, lease} = started()
    let beforeMs = lease.nowMs()
    for (const stepMs of [0, 1, 499, 500, 501, 0, 10_000, 3, 500, 2 ** 40, 0.25]) {
      clock.nowMs += stepMs
      const early = lease.nowMs()
      lease.tick()
      expect(early).toBeGreaterThanOrEqual(beforeMs)
      expect(lease.nowMs()).toBe(early)
      beforeMs = early
    }
  })
})
