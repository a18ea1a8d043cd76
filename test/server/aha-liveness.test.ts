import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {AhaLiveness} from '../../src/server/aha-liveness.ts'

const GRACE_MS = 30_000
const WHOLE = {opened: [], closed: [], isWhole: true}

describe('who counts as online', () => {
  let liveness: AhaLiveness
  let gone: number

  beforeEach(() => {
    vi.useFakeTimers()
    liveness = new AhaLiveness()
    gone = 0
    liveness.onGone(() => {
      gone += 1
    })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  test('at a leader without mirrors: whose session is open, and nobody else', () => {
    liveness.open('a')
    expect([liveness.isLive('a'), liveness.isLive('b')]).toEqual([true, false])
    liveness.close('a')
    expect(liveness.isLive('a')).toBe(false)
  })

  test('at a leader: also whose session is open at a mirror, until the mirror says that it is over', () => {
    liveness.told('m', {opened: ['a', 'b'], closed: [], isWhole: true})
    expect([liveness.isLive('a'), liveness.isLive('b')]).toEqual([true, true])
    liveness.told('m', {opened: [], closed: ['a'], isWhole: false})
    expect([liveness.isLive('a'), liveness.isLive('b'), gone]).toEqual([false, true, 1])
  })

  test('while a mirror is away its sessions count for a while, and then no more', () => {
    liveness.told('m', {opened: ['a'], closed: [], isWhole: true})
    liveness.lost('m')
    vi.advanceTimersByTime(GRACE_MS - 1)
    expect([liveness.isLive('a'), gone]).toEqual([true, 0])
    vi.advanceTimersByTime(1)
    expect([liveness.isLive('a'), gone]).toEqual([false, 1])
  })

  test('a mirror that comes back in time tells of all: what it does not name is over', () => {
    liveness.told('m', {opened: ['a', 'b'], closed: [], isWhole: true})
    liveness.lost('m')
    vi.advanceTimersByTime(GRACE_MS - 1)
    liveness.told('m', {opened: ['b'], closed: [], isWhole: true})
    vi.advanceTimersByTime(GRACE_MS)
    expect([liveness.isLive('a'), liveness.isLive('b'), gone]).toEqual([false, true, 1])
  })

  test('what a mirror passes on counts until the mirror tells of it, or for a while', () => {
    liveness.expect('a')
    liveness.expect('b')
    liveness.told('m', {opened: ['a'], closed: [], isWhole: true})
    vi.advanceTimersByTime(GRACE_MS)
    expect([liveness.isLive('a'), liveness.isLive('b')]).toEqual([true, false])
  })

  test('who begins to lead believes for a while what was believed before, but for sessions that it saw end', () => {
    liveness.follow()
    liveness.open('own')
    liveness.close('own')
    expect([liveness.isLive('a'), liveness.isLive('own')]).toEqual([true, false])
    liveness.lead(['a', 'b', 'own'])
    expect([liveness.isLive('a'), liveness.isLive('b'), liveness.isLive('own')]).toEqual([true, true, false])
    liveness.told('m', {...WHOLE, opened: ['b']})
    vi.advanceTimersByTime(GRACE_MS)
    expect([liveness.isLive('a'), liveness.isLive('b')]).toEqual([false, true])
    expect(gone).toBeGreaterThan(0)
  })

  test('a mirror tells all that is open at first, and then what changes, each once', () => {
    liveness.open('a')
    const report = liveness.report()
    expect(report.take()).toEqual({opened: ['a'], closed: []})
    liveness.open('b')
    liveness.open('c')
    liveness.close('c')
    liveness.close('a')
    expect(report.take()).toEqual({opened: ['b'], closed: ['c', 'a']})
    expect(report.take()).toEqual({opened: [], closed: []})
    report.close()
    liveness.open('d')
    expect(report.take()).toEqual({opened: [], closed: []})
  })
})
