import {expect, test} from 'vitest'
import {HttpsSessions, SESSION_S} from '../../src/server/https-sessions.ts'
import {FakeClock} from '../support/api.ts'

function fresh(): {clock: FakeClock; sessions: HttpsSessions} {
  const clock = new FakeClock()
  return {clock, sessions: new HttpsSessions(clock)}
}

test('a session has a token of 256 random bits that leads to its user', () => {
  const {sessions} = fresh()
  const [one, other] = [sessions.open('u1'), sessions.open('u1')]
  expect(one).toMatch(/^[\w-]{43}$/)
  expect(one).not.toBe(other)
  expect([sessions.userOf(one), sessions.userOf(other)]).toEqual(['u1', 'u1'])
})

test.each(['', 'x', 'x'.repeat(43), 'x'.repeat(100_000), '\0'.repeat(43)])(
  'no session has a made-up token',
  (token) => {
    const {sessions} = fresh()
    sessions.open('u1')
    expect(sessions.userOf(token)).toBeUndefined()
  },
)

test('a session lasts 14 days, however much it is used', () => {
  const {clock, sessions} = fresh()
  const token = sessions.open('u1')
  clock.nowMs += SESSION_S * 1000 - 1
  expect(sessions.userOf(token)).toBe('u1')
  clock.nowMs += 1
  expect(sessions.userOf(token)).toBeUndefined()
  expect(sessions.size).toBe(0)
})

test('one can be closed, and all of one user', () => {
  const {sessions} = fresh()
  const [a, b, c] = [sessions.open('u1'), sessions.open('u1'), sessions.open('u2')]
  sessions.close(a)
  expect([a, b, c].map((token) => sessions.userOf(token))).toEqual([undefined, 'u1', 'u2'])
  sessions.closeAllOf('u1')
  expect([a, b, c].map((token) => sessions.userOf(token))).toEqual([undefined, undefined, 'u2'])
})

test('of one user there are 64 at most: the oldest end', () => {
  const {sessions} = fresh()
  const other = sessions.open('u2')
  const tokens = Array.from({length: 70}, () => sessions.open('u1'))
  expect(tokens.map((token) => sessions.userOf(token) === 'u1')).toEqual(tokens.map((_token, index) => index >= 6))
  expect(sessions.userOf(other)).toBe('u2')
})

test('of all users there are 10 000 at most', () => {
  const {sessions} = fresh()
  const first = sessions.open('first')
  for (let user = 0; user < 10_000; user += 1) sessions.open(`u${user}`)
  expect(sessions.size).toBe(10_000)
  expect(sessions.userOf(first)).toBeUndefined()
})
