import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {decodeFence, encodeFence, outranks, type Rank} from '../../src/registry/fence.ts'
import type {Lead, LeadWay} from '../../src/registry/lead.ts'

const ONE = '1'.repeat(32)
const TWO = '2'.repeat(32)

const rank: fc.Arbitrary<Rank> = fc.record({
  epoch: fc.integer({min: 1, max: 3}),
  member: fc.constantFrom(ONE, TWO, '3'.repeat(32)),
  how: fc.constantFrom<LeadWay>('founded', 'handed-over', 'forced', 'rejoined', 'restored', 'confirmed'),
})

describe('of two who lead', () => {
  test('the one with the higher epoch is believed', () => {
    expect(outranks({epoch: 2, member: ONE, how: 'handed-over'}, {epoch: 1, member: TWO, how: 'forced'})).toBe(true)
  })

  test('at the same epoch, who took the lead is believed before who was given it', () => {
    expect(outranks({epoch: 2, member: ONE, how: 'forced'}, {epoch: 2, member: TWO, how: 'handed-over'})).toBe(true)
  })

  test('at the same epoch, who was restored from a backup is believed least', () => {
    const restored: Rank = {epoch: 2, member: TWO, how: 'confirmed'}
    for (const how of ['forced', 'handed-over', 'founded'] as const) {
      expect(outranks({epoch: 2, member: ONE, how}, restored)).toBe(true)
    }
    expect(outranks({...restored, epoch: 3}, {epoch: 2, member: ONE, how: 'forced'})).toBe(true)
  })

  test('who was restored and has not asked yet is not believed, whatever its epoch', () => {
    fc.assert(
      fc.property(rank, rank, (restored, other) => {
        fc.pre(other.how !== 'restored')
        expect(outranks({...restored, how: 'restored'}, other)).toBe(false)
        expect(outranks(other, {...restored, how: 'restored'})).toBe(true)
      }),
    )
  })

  test('at most one is believed, and of several each believes the same one', () => {
    fc.assert(
      fc.property(rank, rank, rank, (one, two, three) => {
        expect(outranks(one, two) && outranks(two, one)).toBe(false)
        if (outranks(one, two) && outranks(two, three)) expect(outranks(one, three)).toBe(true)
        if (one.member !== two.member) expect(outranks(one, two) || outranks(two, one)).toBe(true)
      }),
    )
  })
})

describe('the file of a fence', () => {
  const lead: Lead = {epoch: 7, member: TWO, name: '01.aha', urls: ['ssl://01.aha:1'], how: 'forced', from: ONE}
  const fence = {lead, sinceMs: 5, reason: null}

  test('is read as it was written', () => {
    expect(decodeFence(encodeFence(fence))).toEqual(fence)
    expect(decodeFence(encodeFence({...fence, reason: 'why'}))).toEqual({...fence, reason: 'why'})
  })

  test.each([
    ['another version', {v: 2}],
    ['no leader', {lead: null}],
    ['a leader without an epoch', {lead: {...lead, epoch: 0}}],
    ['no time', {sinceMs: '5'}],
    ['a reason of another kind', {reason: 5}],
  ])('is refused with %s', (_, part) => {
    expect(() => decodeFence(JSON.stringify({v: 1, ...fence, ...part}))).toThrow(TypeError)
  })
})
