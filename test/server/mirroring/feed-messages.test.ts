import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  packFeedStart,
  packFeedStep,
  packFollowTold,
  packFollowWish,
  readFeedStart,
  readFeedStep,
  readFollowTold,
  readFollowWish,
} from '../../../src/server/mirroring/feed-messages.ts'
import {Decoder} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'

const WISH = {
  member: 'a'.repeat(32),
  name: '01.demo.net',
  urls: ['ssl://01.demo.net:27492'],
  run: 'b'.repeat(32),
  version: '1.2.3',
  epoch: 1,
  nextOffset: 0,
  lastHash: '0'.repeat(64),
}
const TOLD = {
  member: WISH.member,
  nextOffset: 7,
  renewed: ['x'],
  opened: [],
  closed: ['y'],
  isWhole: false,
  isFrozen: true,
}

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
const whole = fc.nat()
const entry = fc.record({
  ...{offset: whole, epoch: fc.integer({min: 1}), hash: hex(64), timeMs: whole},
  ...{actor: fc.string(), change: fc.string()},
})

/** What arrives at the other end. */
function overTheWire(value: Value): Value {
  const decoder = new Decoder({maxBytes: 10_000_000})
  decoder.push(encode(value))
  return decoder.next()?.value
}

describe('what members tell each other', () => {
  test('arrives as it was sent', () => {
    expect(readFollowWish(overTheWire(packFollowWish(WISH)))).toEqual(WISH)
    expect(readFollowTold(overTheWire(packFollowTold(TOLD)))).toEqual(TOLD)
    const {member, name, urls} = WISH
    const start = {
      lead: {member, name, urls},
      epoch: 3,
      nextOffset: 9,
      nowMs: 5,
      cellIden: 'c'.repeat(32),
      sinceMs: null,
    }
    expect(readFeedStart(overTheWire(packFeedStart(start)))).toEqual(start)
    const ids = fc.array(fc.string({maxLength: 100}))
    const steps = fc.record({entries: fc.array(entry), renewed: ids, nowMs: whole, nextOffset: whole})
    fc.assert(
      fc.property(steps, (step) => {
        expect(readFeedStep(overTheWire(packFeedStep(step)))).toEqual(step)
      }),
    )
  })

  test.each([
    ['about must be a map', 7],
    ['about.member must match', {...WISH, member: 'A'.repeat(32)}],
    ['about.name must match', {...WISH, name: 'a\nb'}],
    ['about.urls must not name users', {...WISH, urls: ['ssl://root:secret@01:1']}],
    ['about.urls must not have more than 16', {...WISH, urls: Array.from({length: 17}, () => 'ssl://a')}],
    ['about.epoch must be an integer from 1', {...WISH, epoch: 0}],
    ['about.nextOffset must be an integer from 0', {...WISH, nextOffset: 1.5}],
    ['about.lastHash must match', {...WISH, lastHash: '0'}],
  ])('%s', (said, value) => {
    expect(() => readFollowWish(value as Value)).toThrow(said)
  })

  test.each([
    ['told must be a map', []],
    ['told.isWhole must be true or false', {...TOLD, isWhole: 1}],
    ['told.renewed must hold ids', {...TOLD, renewed: [7]}],
    ['told.closed must be a list', {...TOLD, closed: 'y'}],
    ['told.opened must not have more than 100000', {...TOLD, opened: Array.from({length: 100_001}, () => 'a')}],
  ])('%s', (said, value) => {
    expect(() => readFollowTold(value as Value)).toThrow(said)
  })

  test('of a leader that speaks another language is refused as such, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({withMap: true}), (value) => {
        for (const read of [readFeedStep, readFeedStart]) {
          expect(() => read(value as Value)).toThrow('what the leader sends is not understood')
        }
      }),
    )
  })
})
