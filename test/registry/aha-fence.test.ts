import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {AhaEntry} from '../../src/registry/aha-entry.ts'
import {
  type AhaFenceChange,
  decodeFence,
  decodeFenceChange,
  encodeFence,
  encodeFenceChange,
  fenceAfter,
  fenceOf,
} from '../../src/registry/aha-fence.ts'

const name = fc.constantFrom('00.axon.net', '01.axon.net', 'ü"\\.net')
const contact = {run: fc.constantFrom('r1', 'r2'), atMs: fc.nat(), from: fc.constantFrom('10.0.0.7', '::1')}
const set = fc.record({
  kind: fc.constant('aha:fence:set'),
  name,
  iden: fc.constantFrom('i1', 'i2'),
  alias: fc.constant('axon.net'),
  leader: name,
  sinceMs: fc.nat(),
} as const)
const change: fc.Arbitrary<AhaFenceChange> = fc.oneof(
  set,
  fc.record({kind: fc.constant('aha:fence:refuse'), name, ...contact} as const),
  fc.record({kind: fc.constant('aha:fence:lift'), name, why: fc.constantFrom('asked', 'provisioned')} as const),
)

function entry(label: string, info: object = {}): AhaEntry {
  const own = {urlinfo: {}, iden: 'i1', leader: 'axon', ...info}
  return {full: `${label}.net`, name: label, network: 'net', info: own}
}

describe('a fence', () => {
  test('is the same when it is read from the log and from the store', () => {
    fc.assert(
      fc.property(fc.array(change, {maxLength: 8}), (changes) => {
        for (const one of changes) expect(decodeFenceChange(encodeFenceChange(one))).toEqual(one)
        const left = changes.reduce<ReturnType<typeof fenceAfter>>((old, one) => fenceAfter(one, old), undefined)
        if (left !== undefined) expect(decodeFence(encodeFence(left))).toEqual(left)
      }),
    )
  })

  test('is lifted, and set anew it does not know who came back before', () => {
    const made = fenceOf(entry('00.axon'), entry('01.axon'), 5)
    const back = fenceAfter({kind: 'aha:fence:refuse', name: made.name, run: 'r1', atMs: 6, from: 'x'}, made)
    expect(back).toMatchObject({alias: 'axon.net', leader: '01.axon.net', back: {run: 'r1', atMs: 6}})
    expect(fenceAfter({kind: 'aha:fence:set', ...made, sinceMs: 7}, back)).toEqual({...made, sinceMs: 7})
    expect(fenceAfter({kind: 'aha:fence:lift', name: made.name, why: 'asked'}, back)).toBeUndefined()
  })

  test.each([
    ['another cell', entry('00.axon'), entry('01.axon', {iden: 'i2'})],
    ['no cell at all', entry('00.axon', {iden: null}), entry('01.axon', {iden: null})],
    ['itself', entry('00.axon'), entry('00.axon')],
    ['a service without a name for its leader', entry('00.axon', {leader: null}), entry('01.axon')],
    ['the name of the leader', entry('axon'), entry('01.axon')],
  ])('is not made for %s', (_, of, leader) => {
    expect(() => fenceOf(of, leader, 5)).toThrow(expect.objectContaining({code: 'REG_BAD_REQUEST'}))
  })

  test.each(['{"v":2,"kind":"aha:fence:set"}', '{"v":1,"kind":"aha:fence:lift","name":"a","why":"newp"}', '[]', '{'])(
    'is not read from %s',
    (text) => {
      expect(() => decodeFenceChange(text)).toThrow()
    },
  )
})
