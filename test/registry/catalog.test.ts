import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {Catalog} from '../../src/registry/catalog.ts'
import {Instance} from '../../src/registry/instance.ts'
import {makeService} from '../support/service.ts'

const MAINTENANCE = {reason: 'new lens', sinceS: 1, by: 'test'}
const IDS = ['a', 'b', 'c', 'd', 'e', 'f']
const LABELS = ['x', 'y', 'z']

type Step =
  | {readonly kind: 'put'; readonly id: string; readonly tags: readonly string[]}
  | {readonly kind: 'remove' | 'critical' | 'renew' | 'maintain' | 'operate'; readonly id: string}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({kind: fc.constant('put' as const), id: fc.constantFrom(...IDS), tags: fc.subarray(LABELS)}),
  fc.record({
    kind: fc.constantFrom(
      'remove' as const,
      'critical' as const,
      'renew' as const,
      'maintain' as const,
      'operate' as const,
    ),
    id: fc.constantFrom(...IDS),
  }),
)

/** The same catalog as plain lists, with no index. */
class Model {
  entries: {id: string; seq: number; tags: readonly string[]; isPassing: boolean; isMaintained: boolean}[] = []
  nextSeq = 1

  put(id: string, tags: readonly string[]): number {
    const old = this.entries.find((entry) => entry.id === id)
    const entry = {id, seq: old?.seq ?? this.nextSeq++, tags, isPassing: true, isMaintained: false}
    this.entries = [...this.entries.filter((one) => one !== old), entry].sort((a, b) => a.seq - b.seq)
    return entry.seq
  }
}

function apply(catalog: Catalog, model: Model, {kind, id, ...rest}: Step): void {
  if (kind === 'put') {
    const tags = 'tags' in rest ? rest.tags : []
    const seq = model.put(id, tags)
    const service = makeService({id, tags, name: `name-${id.charCodeAt(0) % 2}`})
    catalog.put(new Instance(service, seq, 1, 1), service.labels)
    return
  }
  const instance = catalog.get(id)
  const entry = model.entries.find((one) => one.id === id)
  expect(instance === undefined).toBe(entry === undefined)
  if (instance === undefined || entry === undefined) return
  if (kind === 'remove') {
    catalog.remove(instance)
    model.entries = model.entries.filter((one) => one !== entry)
  } else if (kind === 'critical') {
    catalog.setHealth(instance, 'critical')
    entry.isPassing = false
  } else if (kind === 'maintain' || kind === 'operate') {
    entry.isMaintained = kind === 'maintain'
    catalog.setMaintenance(instance, entry.isMaintained ? MAINTENANCE : undefined)
  } else {
    catalog.renew(instance, 2, 2)
    entry.isPassing = true
  }
}

/** The same numbers in every run (xorshift32). */
let state = 2463534242
const random = () => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) / 2 ** 32
}

describe('the catalog', () => {
  test('agrees with plain lists after any steps: order, labels, names, health, and who can be picked', () => {
    fc.assert(
      fc.property(fc.array(step, {maxLength: 60}), (steps) => {
        const catalog = new Catalog()
        const model = new Model()
        for (const one of steps) apply(catalog, model, one)
        expect([...catalog.all()].map((instance) => instance.id).sort()).toEqual(model.entries.map(({id}) => id).sort())
        expect(catalog.critical).toBe(model.entries.filter(({isPassing}) => !isPassing).length)
        expect(catalog.maintained).toBe(model.entries.filter(({isMaintained}) => isMaintained).length)
        for (const label of LABELS) {
          const expected = model.entries.filter(({tags}) => tags.includes(label))
          expect([...(catalog.labelled(label)?.members() ?? [])].map(({id}) => id)).toEqual(expected.map(({id}) => id))
          const passing = expected.filter(({isPassing, isMaintained}) => isPassing && !isMaintained)
          const picked = new Set(Array.from({length: 200}, () => catalog.pick(label, undefined, random)?.id))
          expect([...picked].sort()).toEqual(passing.length === 0 ? [undefined] : passing.map(({id}) => id).sort())
          const both = passing.filter(({tags}) => tags.includes('x')).map(({id}) => id)
          expect(both.length === 0 ? [undefined] : both).toContain(catalog.pick(label, 'x', random)?.id)
        }
        for (const name of ['name-0', 'name-1']) {
          const expected = model.entries.filter(({id}) => `name-${id.charCodeAt(0) % 2}` === name)
          expect(
            catalog
              .named(name)
              .map(({id}) => id)
              .sort(),
          ).toEqual(expected.map(({id}) => id).sort())
        }
      }),
    )
  })

  test('keeps the place of an entry that registers again, and puts one that left at the end', () => {
    const catalog = new Catalog()
    const model = new Model()
    for (const id of ['a', 'b', 'c']) apply(catalog, model, {kind: 'put', id, tags: ['x']})
    apply(catalog, model, {kind: 'put', id: 'a', tags: ['x', 'y']})
    apply(catalog, model, {kind: 'remove', id: 'b'})
    apply(catalog, model, {kind: 'put', id: 'b', tags: ['x']})
    expect([...catalog.all()].map(({id}) => id)).toEqual(['a', 'c', 'b'])
    expect([...(catalog.labelled('x')?.members() ?? [])].map(({id}) => id)).toEqual(['a', 'c', 'b'])
  })

  test.each(['round-robin', 'least-recent'] as const)('hands out each passing instance in turn with %s', (strategy) => {
    const catalog = new Catalog(strategy)
    const model = new Model()
    for (const id of IDS) apply(catalog, model, {kind: 'put', id, tags: ['x']})
    const picks = IDS.map(() => catalog.pick('x', undefined, random)?.id)
    expect([...picks].sort()).toEqual(IDS)
  })

  test('least-recent hands out a newcomer before those that were handed out before it came back', () => {
    const catalog = new Catalog('least-recent')
    const model = new Model()
    for (const id of ['a', 'b']) apply(catalog, model, {kind: 'put', id, tags: ['x']})
    expect(catalog.pick('x', undefined, random)?.id).toBe('a')
    apply(catalog, model, {kind: 'put', id: 'c', tags: ['x']})
    expect([1, 2, 3].map(() => catalog.pick('x', undefined, random)?.id)).toEqual(['b', 'a', 'c'])
  })

  test('shows health and last heartbeat in the text of an instance', () => {
    const catalog = new Catalog()
    const service = makeService({id: 'a', metadata: {k: 1}})
    const instance = new Instance(service, 1, 100, 0)
    catalog.put(instance, service.labels)
    catalog.setHealth(instance, 'critical')
    expect(JSON.parse(instance.text())).toEqual({...JSON.parse(service.text), last_heartbeat: 100, health: 'critical'})
    expect(catalog.renew(instance, 160, 60_000)).toBe(true)
    expect(JSON.parse(instance.text())).toMatchObject({last_heartbeat: 160, health: 'passing'})
  })

  test.each(['round-robin', 'least-recent'] as const)('with %s passes over what is in maintenance', (strategy) => {
    const catalog = new Catalog(strategy)
    const model = new Model()
    for (const id of ['a', 'b', 'c']) apply(catalog, model, {kind: 'put', id, tags: ['x']})
    const pick = () => catalog.pick('x', undefined, random)?.id
    expect(pick()).toBe('a')
    apply(catalog, model, {kind: 'maintain', id: 'b'})
    expect([pick(), pick(), pick()]).toEqual(['c', 'a', 'c'])
    apply(catalog, model, {kind: 'operate', id: 'b'})
    expect([pick(), pick(), pick()].toSorted()).toEqual(['a', 'b', 'c'])
  })

  test('counts what is in maintenance, and no longer what left or registered again without', () => {
    const catalog = new Catalog()
    const model = new Model()
    const counts = ['put', 'maintain', 'remove', 'put', 'maintain', 'put'].map((kind) => {
      apply(catalog, model, kind === 'put' ? {kind, id: 'a', tags: []} : {kind: kind as 'maintain', id: 'a'})
      return catalog.maintained
    })
    expect(counts).toEqual([0, 1, 0, 0, 1, 0])
  })

  test('shows maintenance in the text of an instance, beside the health', () => {
    const catalog = new Catalog()
    const service = makeService({id: 'a'})
    const instance = new Instance(service, 1, 100, 0)
    catalog.put(instance, service.labels)
    const before = JSON.parse(instance.text())
    catalog.setMaintenance(instance, MAINTENANCE)
    const maintenance = {reason: 'new lens', since: 1, by: 'test'}
    expect(JSON.parse(instance.text())).toEqual({...before, maintenance})
    catalog.setHealth(instance, 'critical')
    expect(JSON.parse(instance.text())).toMatchObject({maintenance, health: 'critical'})
    expect([instance.maintenance, instance.isDiscoverable]).toEqual([MAINTENANCE, false])
    catalog.renew(instance, 100, 0)
    catalog.setMaintenance(instance, undefined)
    expect([JSON.parse(instance.text()), instance.maintenance, instance.isDiscoverable]).toEqual([
      before,
      undefined,
      true,
    ])
  })

  test('gives a group a new version with every change of a member', () => {
    const catalog = new Catalog()
    const service = makeService({id: 'a', tags: ['x']})
    const instance = new Instance(service, 1, 100, 0)
    catalog.put(instance, service.labels)
    const versions = [catalog.labelled('x')?.version]
    catalog.renew(instance, 101, 0)
    versions.push(catalog.labelled('x')?.version)
    catalog.setHealth(instance, 'critical')
    versions.push(catalog.labelled('x')?.version)
    catalog.setMaintenance(instance, MAINTENANCE)
    versions.push(catalog.labelled('x')?.version)
    expect(new Set(versions).size).toBe(4)
  })
})
