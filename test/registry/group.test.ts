import {describe, expect, test} from 'vitest'
import {Catalog} from '../../src/registry/catalog.ts'
import type {Strategy} from '../../src/registry/group.ts'
import {Instance} from '../../src/registry/instance.ts'
import {makeService} from '../support/service.ts'

/** A catalog of so many instances of one type, of which only some are passing. */
function catalogOf(count: number, passing: readonly number[], strategy: Strategy): Catalog {
  const catalog = new Catalog(strategy)
  for (let seq = 0; seq < count; seq += 1) {
    const service = makeService({id: `s${seq}`, type: 't'})
    const instance = new Instance(service, seq, 1, 1)
    catalog.put(instance, service.labels)
    if (!passing.includes(seq)) catalog.setHealth(instance, 'critical')
  }
  return catalog
}

describe.each(['random', 'round-robin', 'least-recent'] as const)('%s', (strategy) => {
  test.each([
    [200, [3, 77, 199]],
    [200, [0]],
    [9, [0, 1, 2, 4, 5, 6, 7, 8]],
  ])('of %i instances hands out every passing one and no other', (count, passing) => {
    const catalog = catalogOf(count, passing, strategy)
    const picks = Array.from({length: 600}, (_, turn) => catalog.pick('t', undefined, () => (turn % 599) / 599)?.id)
    expect(new Set(picks)).toEqual(new Set(passing.map((seq) => `s${seq}`)))
  })

  test('hands out nothing where none is passing', () => {
    expect(catalogOf(5, [], strategy).pick('t', undefined, Math.random)).toBeUndefined()
  })

  test('hands out each in turn, or evenly', () => {
    const catalog = catalogOf(40, [1, 2, 3, 4], strategy)
    const counts = new Map<string, number>()
    for (let turn = 0; turn < 4000; turn += 1) {
      const id = catalog.pick('t', undefined, () => (turn % 4000) / 4000)?.id ?? ''
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    expect([...counts.values()].map((count) => Math.round(count / 100))).toEqual([10, 10, 10, 10])
  })
})

test('an instance keeps its place in a group although others have left it', () => {
  const catalog = catalogOf(6, [0, 1, 2, 3, 4, 5], 'random')
  const again = (seq: number, info: object) => {
    const service = makeService({id: `s${seq}`, ...info})
    catalog.put(new Instance(service, seq, 1, 1), service.labels)
  }
  again(2, {type: 'other'})
  again(2, {type: 't'})
  again(4, {type: 't', host: 'elsewhere'})
  const order = [...(catalog.labelled('t')?.members() ?? [])].map(({id}) => id)
  expect(order).toEqual(['s0', 's1', 's2', 's3', 's4', 's5'])
  expect(catalog.labelled('other')).toBeUndefined()
})
