import {expect, test} from 'vitest'
import {LoginLimiter} from '../../src/server/login-limiter.ts'
import {FakeClock} from '../support/api.ts'

const LIMITS = {perAddress: {burst: 3, everyMs: 1000}, perUser: {burst: 5, everyMs: 2000}, entries: 4}

function fresh(): {clock: FakeClock; limiter: LoginLimiter; fail: (address: string, name?: string) => void} {
  const clock = new FakeClock()
  const limiter = new LoginLimiter(clock, LIMITS)
  return {clock, limiter, fail: (address, name = 'someone') => limiter.countFailure(address, name)}
}

const refused = (limiter: LoginLimiter, address: string, name: string | undefined = 'other'): number | undefined => {
  try {
    limiter.assertAllowed(address, name)
    return undefined
  } catch (error) {
    return (error as {info: {waitS: number}}).info.waitS
  }
}

test('an address may fail a few times, then waits', () => {
  const {clock, limiter, fail} = fresh()
  for (let failures = 0; failures < 3; failures += 1) {
    expect(refused(limiter, 'a')).toBeUndefined()
    fail('a')
  }
  expect(refused(limiter, 'a')).toBe(1)
  clock.nowMs += 999
  expect(refused(limiter, 'a')).toBe(1)
  clock.nowMs += 1
  expect(refused(limiter, 'a')).toBeUndefined()
  fail('a')
  expect(refused(limiter, 'a')).toBe(1)
})

test('attempts that were under way when the limit was reached make the wait longer', () => {
  const {limiter, fail} = fresh()
  for (let failures = 0; failures < 8; failures += 1) fail('a')
  expect(refused(limiter, 'a')).toBe(6)
})

test('other addresses are not kept waiting', () => {
  const {limiter, fail} = fresh()
  for (let failures = 0; failures < 5; failures += 1) fail('a')
  expect(refused(limiter, 'b', 'visi')).toBeUndefined()
})

test('a user is protected from guesses that come from everywhere', () => {
  const {clock, limiter, fail} = fresh()
  for (const address of ['a', 'b', 'c', 'd', 'e']) fail(address, 'visi')
  expect(refused(limiter, 'f', 'visi')).toBe(2)
  expect(refused(limiter, 'f', 'boss')).toBeUndefined()
  clock.nowMs += 10_000
  expect(refused(limiter, 'f', 'visi')).toBeUndefined()
})

test('the error says so, and when to come back', () => {
  const {limiter, fail} = fresh()
  for (let failures = 0; failures < 4; failures += 1) fail('a')
  expect(() => limiter.assertAllowed('a', 'visi')).toThrow('Too many failed logins; try again in 2 s.')
  expect(() => limiter.assertAllowed('a', 'visi')).toThrow(expect.objectContaining({telepath: 'HitLimit'}))
})

test('of more addresses than are remembered, the one that failed longest ago is forgotten', () => {
  const {limiter, fail} = fresh()
  for (const address of ['a', 'b', 'c', 'd']) for (let failures = 0; failures < 3; failures += 1) fail(address)
  fail('e')
  expect(refused(limiter, 'a')).toBeUndefined()
  expect(refused(limiter, 'b')).toBe(1)
})

test('wrong API keys are counted, and keep nobody from logging in', () => {
  const {limiter} = fresh()
  const isRefused = (name: string | undefined) => {
    try {
      limiter.assertAllowed('a', name)
      return false
    } catch {
      return true
    }
  }
  for (let failures = 0; failures < 3; failures += 1) limiter.countFailure('a', undefined)
  expect([isRefused(undefined), isRefused('visi')]).toEqual([true, false])
})
