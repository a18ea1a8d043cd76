import {expect, test} from 'vitest'
import {Renewals} from '../../../src/server/mirroring/renewals.ts'

test('each renewal goes to all others once, and not back to who told of it', () => {
  const renewals = new Renewals()
  const [a, b] = [renewals.open('a'), renewals.open('b')]
  renewals.note('one')
  renewals.note('one')
  renewals.note('two', 'a')
  expect([a.take(), b.take()]).toEqual([['one'], ['one', 'two']])
  expect([a.take(), b.take()]).toEqual([[], []])
})

test('many are given in parts', () => {
  const renewals = new Renewals()
  const taker = renewals.open('a')
  for (let id = 0; id < 25_000; id += 1) renewals.note(`${id}`)
  const parts = [taker.take(), taker.take(), taker.take(), taker.take()]
  expect(parts.map(({length}) => length)).toEqual([10_000, 10_000, 5000, 0])
  expect(new Set(parts.flat()).size).toBe(25_000)
})

test('nothing is kept for who has left, and a new link of the same takes over from the old one', () => {
  const renewals = new Renewals()
  const old = renewals.open('a')
  const now = renewals.open('a')
  old.close()
  renewals.note('one')
  expect([old.take(), now.take()]).toEqual([[], ['one']])
  now.close()
  renewals.note('two')
  expect(now.take()).toEqual([])
})
