import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {type GivingEvent, type GivingState, giveStep, takeStep} from '../../src/registry/hand-over.ts'
import {FORCED_MOVES, type Member, MOVES, type Move, World} from './hand-over-world.ts'

const TO = {member: '2'.repeat(32), name: '01', urls: []}
const CLOSING: GivingState = {kind: 'closing', to: TO}
const WAITING: GivingState = {kind: 'waiting', to: TO, nextOffset: 7}
const GIVING: GivingState = {kind: 'giving', to: TO}
const GIVEN: GivingState = {kind: 'given', to: TO}
const REACHED: GivingEvent = {kind: 'reached', member: TO.member, nextOffset: 7}

describe('the leader', () => {
  test.each<[GivingState, GivingEvent, GivingState['kind'], string | undefined]>([
    [{kind: 'leads'}, {kind: 'asked', by: TO}, 'closing', 'close'],
    [CLOSING, {kind: 'settled', nextOffset: 7}, 'waiting', undefined],
    [CLOSING, {kind: 'late'}, 'leads', 'open'],
    [CLOSING, {kind: 'left'}, 'leads', 'open'],
    [CLOSING, REACHED, 'closing', undefined],
    [WAITING, {...REACHED, nextOffset: 6}, 'waiting', undefined],
    [WAITING, {...REACHED, member: '3'.repeat(32)}, 'waiting', undefined],
    [WAITING, REACHED, 'giving', 'append'],
    [WAITING, {kind: 'late'}, 'leads', 'open'],
    [WAITING, {kind: 'asked', by: TO}, 'waiting', undefined],
    [GIVING, {kind: 'late'}, 'giving', undefined],
    [GIVING, {kind: 'left'}, 'giving', undefined],
    [GIVING, {kind: 'failed'}, 'leads', 'open'],
    [GIVING, {kind: 'stored'}, 'given', 'follow'],
    [GIVING, {kind: 'outranked'}, 'fenced', undefined],
    [{kind: 'leads'}, {kind: 'outranked'}, 'fenced', undefined],
    [{kind: 'fenced'}, {kind: 'stored'}, 'fenced', undefined],
    [{kind: 'fenced'}, {kind: 'late'}, 'fenced', undefined],
    [GIVEN, {kind: 'outranked'}, 'given', undefined],
    [GIVEN, {kind: 'asked', by: TO}, 'given', undefined],
  ])('%o, %o: %s, %s', (state, event, kind, action) => {
    expect(giveStep(state, event)).toMatchObject({state: {kind}, action})
  })
})

test('a mirror leads when the entry that says so is durable, whether it asked or not, and follows when another one is named', () => {
  const asking = takeStep({kind: 'follows'}, {kind: 'wished'})
  expect(asking).toEqual({kind: 'asking'})
  expect(takeStep(asking, {kind: 'refused'})).toEqual({kind: 'follows'})
  expect(takeStep(asking, {kind: 'taken'})).toEqual({kind: 'leads'})
  expect(takeStep({kind: 'follows'}, {kind: 'taken'})).toEqual({kind: 'leads'})
  expect(takeStep({kind: 'leads'}, {kind: 'given'})).toEqual({kind: 'follows'})
  expect(takeStep({kind: 'leads'}, {kind: 'wished'})).toEqual({kind: 'leads'})
})

type Moves = readonly (readonly [Move, number, number])[]

/**
 * What happens in a run: single moves of one member and another, and the usual course of a hand-over between two, in pieces that are left out or
 * between which others fall. Most of a run is work, so that there is something to lose.
 */
function runs(moves: readonly Move[]): fc.Arbitrary<Moves> {
  const pair = fc.tuple(fc.nat(2), fc.nat(2))
  const single = fc
    .tuple(fc.constantFrom<Move>(...moves, 'write', 'commit', 'feed', 'feed'), pair)
    .map(([move, [one, two]]): Moves => [[move, one, two]])
  const handOver = fc.tuple(pair, fc.array(fc.nat(9), {maxLength: 2})).map(([[one, two], without]): Moves => {
    const course: Moves = [
      ['write', one, two],
      ['commit', one, two],
      ...Array.from({length: 3}, () => ['feed', two, one] as const),
      ['promote', two, one],
      ['settle', one, two],
      ['reach', one, two],
      ['commit', one, two],
      ['feed', two, one],
    ]
    return course.filter((_, index) => !without.includes(index))
  })
  const pieces = fc.oneof({arbitrary: single, weight: 5}, {arbitrary: handOver, weight: 1})
  return fc.array(pieces, {minLength: 10, maxLength: 80, size: 'max'}).map((parts) => parts.flat())
}

/** Changes of a log, without those that move the lead. */
function writesOf({disk}: Member): readonly (number | undefined)[] {
  return disk.flatMap(({write}) => (write === undefined ? [] : [write]))
}

const UNDER_WAY: Moves = [
  ['force', 1, 0],
  ['write', 1, 2],
  ['commit', 1, 2],
  ['feed', 2, 1],
  ['feed', 2, 1],
  ['promote', 2, 1],
  ['settle', 1, 2],
  ['reach', 1, 2],
  ['force', 2, 0],
  ['meet', 1, 2],
  ['write', 2, 1],
  ['commit', 2, 1],
  ['feed', 1, 2],
  ['feed', 1, 2],
  ['feed', 1, 2],
  ['promote', 1, 2],
  ['settle', 2, 1],
  ['reach', 2, 1],
  ['commit', 2, 1],
  ['feed', 1, 2],
]

describe('whatever happens in whatever order, with kills at every step', () => {
  test('a hand-over ends with one leader, and no acknowledged change is lost or there twice', () => {
    fc.assert(
      fc.property(runs(MOVES), (moves) => {
        const world = new World()
        for (const [move, one, two] of moves) {
          world.do(move, one, two)
          expect(world.open.length, `after ${move}`).toBeLessThanOrEqual(1)
        }
        world.heal()
        expect(world.open).toHaveLength(1)
        const writes = writesOf(world.open[0] as Member)
        expect(new Set(writes).size).toBe(writes.length)
        // In the order of the answers, with those between whose answer got lost.
        expect(writes.filter((write) => world.acknowledged.some((one) => one.write === write))).toEqual(
          world.acknowledged.map(({write}) => write),
        )
        for (const {disk} of world.members) expect(disk).toEqual(world.open[0]?.disk)
      }),
      {numRuns: 700},
    )
  })

  test('forced promotions end with one leader that has all it acknowledged; the others follow it, or stand still with what only they have', () => {
    fc.assert(
      fc.property(runs(FORCED_MOVES), (moves) => {
        const world = new World()
        for (const [move, one, two] of moves) world.do(move, one, two)
        world.heal()
        expect(world.open).toHaveLength(1)
        const [leader] = world.open as [Member]
        const writes = new Set(writesOf(leader))
        const own = world.acknowledged.filter(({by}) => by === leader).map(({write}) => write)
        expect(own.filter((write) => !writes.has(write))).toEqual([])
        for (const member of world.members) {
          const isSame = member.disk.every((entry, at) => entry === leader.disk[at])
          expect(member.isApart, 'stands still exactly when it has what the leader lacks').toBe(!isSame)
        }
      }),
      {
        numRuns: 700,
        // Found once: an entry that was under way in a member that had been kept from leading, and followed too early.
        examples: [[UNDER_WAY]],
      },
    )
  })

  test('who has met a leader with a higher epoch acknowledges nothing more', () => {
    fc.assert(
      fc.property(runs(FORCED_MOVES), fc.nat(2), (moves, index) => {
        const world = new World()
        const old = world.members[0] as Member
        const mirror = world.members[1 + (index % 2)] as Member
        world.write(old)
        world.force(mirror)
        world.meet(mirror, old)
        const before = world.acknowledged.filter(({by}) => by === old).length
        // It never hears of a hand-over to itself: nobody can ask for that while its history is its own.
        for (const [move, one, two] of moves) if (move !== 'promote') world.do(move, one, two)
        if (old.lead.epoch === 1) expect(world.acknowledged.filter(({by}) => by === old)).toHaveLength(before)
      }),
      {numRuns: 500},
    )
  })
})
