import fc from 'fast-check'
import {expect, test} from 'vitest'
import {findParting, type PlaceOf} from '../../src/nexus/parting.ts'

/** A log as its hashes; each stands for all before it. */
function placesOf(entries: readonly string[], first: number, asked: number[] = []): PlaceOf {
  return async (offset) => {
    asked.push(offset)
    const hash = offset >= first && offset < entries.length ? entries.slice(0, offset + 1).join() : undefined
    return {hash, first, nextOffset: entries.length, epoch: 1}
  }
}

const log = fc.array(fc.constantFrom('a', 'b'), {maxLength: 40})
const many = (text: string, count: number) => Array.from({length: count}, () => text)

test('two logs part at the first offset that is not the same in both', async () => {
  await fc.assert(
    fc.asyncProperty(log, log, log, fc.nat(10), fc.nat(10), async (same, one, other, firstOne, firstOther) => {
      const [here, there] = [
        [...same, ...one],
        [...same, ...other],
      ]
      const [keptHere, keptThere] = [Math.min(firstOne, here.length), Math.min(firstOther, there.length)]
      const first = Math.max(keptHere, keptThere)
      let expected = here.findIndex((entry, at) => entry !== there[at])
      if (expected === -1) expected = Math.min(here.length, there.length)
      const found = await findParting(placesOf(here, keptHere), placesOf(there, keptThere))
      expect(found.offset).toBe(Math.max(first, expected))
      if (found.isExact && found.offset > first) expect(found.offset).toBe(expected)
      if (expected > first) expect(found.isExact).toBe(true)
    }),
  )
})

test('a long log is asked for few places', async () => {
  const same = many('a', 1000)
  const asked: number[] = []
  const place = await findParting(placesOf([...same, 'b'], 0, asked), placesOf([...same, 'c', 'c'], 0))
  expect(place).toEqual({offset: 1000, isExact: true})
  expect(asked.length).toBeLessThan(15)
})

test('logs that differ from the first entry on that both keep may have parted before', async () => {
  const found = await findParting(placesOf(many('a', 10), 4), placesOf(many('b', 10), 0))
  expect(found).toEqual({offset: 4, isExact: false})
})
