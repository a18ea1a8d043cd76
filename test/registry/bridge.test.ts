import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {infoOfEntry, labelOfName, placeLabel, ZeromqView, zeromqIdOf} from '../../src/registry/bridge.ts'
import {Catalog} from '../../src/registry/catalog.ts'
import {Instance} from '../../src/registry/instance.ts'
import {readService} from '../../src/registry/service.ts'

const NETWORK = 'loop.link'
const ANY_UNIT = fc.nat({max: 0x10_ffff}).map((point) => String.fromCodePoint(point))

class World {
  readonly catalog = new Catalog('random', placeLabel)
  readonly view = new ZeromqView(this.catalog, NETWORK)
  #seq = 0

  add(id: string, info: object = {}): Instance {
    const value = {id, name: id, host: 'h', port: 7, ...info}
    const service = readService({value, text: JSON.stringify(value), ttl: 30}, () => '')
    if ('error' in service) throw new Error(service.error)
    this.#seq += 1
    const instance = new Instance(service, this.catalog.get(id)?.seq ?? this.#seq, 0, 0)
    this.catalog.put(instance, service.labels)
    return instance
  }

  /** The id of the instance that has a name in AHA, with `-` when it is offline. */
  holder(label: string): string | undefined {
    const info = this.view.get(`${label}.zmq.${NETWORK}`)?.info
    if (info === undefined) return undefined
    return `${'online' in info ? '' : '-'}${(info['zmq'] as {id: string}).id}`
  }

  names(): readonly string[] {
    return this.view
      .list()
      .map(({full}) => full)
      .sort()
  }
}

describe('the name that a ZeroMQ service has in AHA', () => {
  test.each([
    ['camera', 'camera'],
    ['CORTEX', 'cortex'],
    [`axon.${NETWORK}`, 'axon-loop-link'],
    ['Zürich camera_1', 'z-rich-camera-1'],
    ['a\n\u0001b', 'a--b'],
    ['☃', undefined],
    ['..', undefined],
    ['', undefined],
    ['x'.repeat(63), 'x'.repeat(63)],
    ['x'.repeat(64), undefined],
  ])('of %j is %j', (name, label) => {
    expect(labelOfName(name)).toBe(label)
  })

  test('is one label of the zone, whatever the name is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({unit: ANY_UNIT, maxLength: 90})), (name) => {
        const label = labelOfName(name)
        if (label !== undefined) expect(label).toMatch(/^[a-z0-9-]{1,63}$/)
      }),
    )
  })
})

describe('the view of AHA', () => {
  test('tells where the instance is and how ZeroMQ knows it', () => {
    const world = new World()
    world.add('cam-1', {name: 'Cam', host: '10.0.0.9', port: 5001, type: 'camera', tags: ['cold'], metadata: {big: 1}})
    expect(world.view.list()).toEqual([
      {
        ...{full: `cam.zmq.${NETWORK}`, name: 'cam.zmq', network: NETWORK},
        info: {
          urlinfo: {scheme: 'zmq', host: '10.0.0.9', port: 5001, path: ''},
          ready: true,
          online: expect.stringMatching(/^[0-9a-f]{32}$/),
          zmq: {id: 'cam-1', name: 'Cam', type: 'camera', tags: ['cold']},
        },
      },
    ])
  })

  test('shows one of those that have a name in common: the oldest that may be discovered, else the oldest, offline', () => {
    const world = new World()
    const [one, two, three] = ['1', '2', '3'].map((id, index) => world.add(id, {name: ['cam', 'CAM', 'cam'][index]}))
    if (one === undefined || two === undefined || three === undefined) throw new Error('three were made')
    expect([world.holder('cam'), world.names()]).toEqual(['1', [`cam.zmq.${NETWORK}`]])
    world.catalog.setHealth(one, 'critical')
    expect(world.holder('cam')).toBe('2')
    world.catalog.setMaintenance(two, {reason: 'lens', sinceS: 1, by: 'me'})
    expect(world.holder('cam')).toBe('3')
    world.catalog.remove(three)
    expect(world.holder('cam')).toBe('-1')
    world.catalog.renew(one, 5, 5)
    expect(world.holder('cam')).toBe('1')
    world.catalog.remove(one)
    world.catalog.remove(two)
    expect([world.holder('cam'), world.names()]).toEqual([undefined, []])
  })

  test('follows an instance that registers again somewhere else or under another name', () => {
    const world = new World()
    world.add('1', {name: 'cam', port: 1})
    expect(world.view.get(`cam.zmq.${NETWORK}`)?.info.urlinfo['port']).toBe(1)
    world.add('1', {name: 'cam', port: 2})
    expect(world.view.get(`cam.zmq.${NETWORK}`)?.info.urlinfo['port']).toBe(2)
    world.add('1', {name: 'lamp', port: 2})
    expect(world.names()).toEqual([`lamp.zmq.${NETWORK}`])
  })

  test('leaves out what is longer than 64 in full, and names that AHA has given away', () => {
    const world = new World()
    const longest = 'x'.repeat(64 - `.zmq.${NETWORK}`.length)
    world.add('1', {name: longest})
    world.add('2', {name: `${longest}x`})
    world.add('3', {name: 'mine'})
    expect(world.names()).toEqual([`mine.zmq.${NETWORK}`, `${longest}.zmq.${NETWORK}`])
    const view = new ZeromqView(world.catalog, NETWORK, new Set([`mine.zmq.${NETWORK}`]))
    expect(view.list().map(({full}) => full)).toEqual([`${longest}.zmq.${NETWORK}`])
    expect(view.owns(`mine.zmq.${NETWORK}`)).toBe(false)
    expect(view.owns(`other.zmq.${NETWORK}`)).toBe(true)
  })

  test('shows what a view of the same instances made anew shows, after any history', () => {
    const step = fc.record({
      id: fc.constantFrom('1', '2', '3', '4'),
      name: fc.constantFrom('a', 'A', 'b', 'a.b', '☃'),
      does: fc.constantFrom('add', 'remove', 'critical', 'renew'),
    })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const world = new World()
        for (const {id, name, does} of steps) {
          const instance = world.catalog.get(id)
          if (does === 'add') world.add(id, {name})
          else if (instance === undefined) continue
          else if (does === 'remove') world.catalog.remove(instance)
          else if (does === 'renew') world.catalog.renew(instance, 1, 1)
          else world.catalog.setHealth(instance, 'critical')
          world.view.list() // so that there is something to be remembered wrongly
        }
        const shown = [...world.view.list()].sort((a, b) => (a.full < b.full ? -1 : 1))
        expect(shown).toEqual(expected(world.catalog))
      }),
    )
  })
})

/** What the view is to show, found out by looking through all. */
function expected(catalog: Catalog): readonly unknown[] {
  const all = [...catalog.all()].sort((a, b) => a.seq - b.seq)
  const labels = [...new Set(all.flatMap(({name}) => labelOfName(name) ?? []))].sort((a, b) =>
    `${a}.` < `${b}.` ? -1 : 1,
  )
  return labels.map((label) => {
    const same = all.filter(({name}) => labelOfName(name) === label)
    const first = same.find(({health}) => health === 'passing')
    const id = (first ?? same[0])?.id
    const info = expect.objectContaining({zmq: expect.objectContaining({id}), ready: first !== undefined})
    return {full: `${label}.zmq.${NETWORK}`, name: `${label}.zmq`, network: NETWORK, info}
  })
}

describe('a service of AHA over ZeroMQ', () => {
  const entry = {full: `00.axon.${NETWORK}`, name: '00.axon', network: NETWORK}
  const urlinfo = {scheme: 'ssl', host: '10.0.0.7', port: 34_243, hostname: `00.axon.${NETWORK}`, passwd: 'secret'}

  test('says where it listens and which names it has, and nothing else that it told AHA', () => {
    const info = infoOfEntry({...entry, info: {leader: 'axon', urlinfo, iden: 'i', secret: 'secret', online: 'o'}})
    expect(info?.value).toEqual({
      ...{id: zeromqIdOf(entry.full), name: entry.full, host: '10.0.0.7', port: 34_243, protocol: 'ssl', type: 'axon'},
      tags: ['axon', 'aha'],
      metadata: {
        type: 'axon',
        aha: {name: '00.axon', network: NETWORK, leader: 'axon', scheme: 'ssl', hostname: `00.axon.${NETWORK}`},
      },
    })
    expect(info?.text).toBe(JSON.stringify(info?.value))
    expect(info?.text).not.toContain('secret')
  })

  test('has its own name as its type where it has no leader', () => {
    expect(infoOfEntry({...entry, name: 'jsonstor', info: {urlinfo}})?.value).toMatchObject({type: 'jsonstor'})
  })

  test.each([{...urlinfo, host: undefined}, {...urlinfo, port: '1'}, {}])(
    'is not shown without an address',
    (given) => {
      expect(infoOfEntry({...entry, info: {urlinfo: JSON.parse(JSON.stringify(given))}})).toBeUndefined()
    },
  )
})
