import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {AhaDirectory, mirrorsAmong, oneOfEachRun} from '../../src/registry/aha-directory.ts'
import type {AhaEntry} from '../../src/registry/aha-entry.ts'

interface Facts {
  readonly run?: string
  readonly iden?: string
  readonly leader?: string
  readonly ready?: boolean
  readonly online?: string
}

function entry(full: string, facts: Facts = {}, network = full.slice(full.indexOf('.') + 1)): AhaEntry {
  const name = full.slice(0, -network.length - 1)
  return {full, name, network, info: {urlinfo: {}, iden: 'i1', run: 'r1', ready: true, online: 't1', ...facts}}
}

function directoryOf(...entries: readonly AhaEntry[]): AhaDirectory {
  const directory = new AhaDirectory()
  directory.put(entries.map((value) => ({key: value.full, value})))
  return directory
}

const names = (entries: readonly AhaEntry[]): readonly string[] => entries.map(({full}) => full)

describe('the services of AHA', () => {
  test('are listed in order of network and name', () => {
    const directory = directoryOf(entry('b.net'), entry('00.axon.net', {}, 'net'), entry('z.a.net'), entry('a.net'))
    expect(names(directory.list())).toEqual(['z.a.net', '00.axon.net', 'a.net', 'b.net'])
    expect(names(directory.list('net'))).toEqual(['00.axon.net', 'a.net', 'b.net'])
    expect(directory.list('newp')).toEqual([])
    directory.put([{key: 'a.net', value: undefined}])
    directory.put([{key: '0.net', value: entry('0.net')}])
    expect(names(directory.list('net'))).toEqual(['0.net', '00.axon.net', 'b.net'])
  })

  test('are found by their cell, wherever they went', () => {
    const directory = directoryOf(entry('b.net'), entry('a.net'), entry('c.net', {iden: 'i2'}))
    expect(names(directory.ofIden('i1'))).toEqual(['a.net', 'b.net'])
    directory.put([{key: 'b.net', value: entry('b.net', {iden: 'i2'})}])
    expect(names(directory.ofIden('i1'))).toEqual(['a.net'])
    expect(names(directory.ofIden('i2'))).toEqual(['b.net', 'c.net'])
    directory.put([{key: 'a.net', value: undefined}])
    expect(directory.ofIden('i1')).toEqual([])
  })

  const record = fc
    .tuple(fc.constantFrom('a.n', 'b.n', 'a.m', 'c.m'), fc.constantFrom(undefined, 'i1', 'i2'))
    .map(([key, iden]) => ({key, value: iden === undefined ? undefined : entry(key, {iden})}))

  test('have indexes that fit what is in them, whatever happened; a copy goes its own way', () => {
    fc.assert(
      fc.property(fc.array(record), fc.array(record), (first, second) => {
        const directory = new AhaDirectory()
        directory.put(first)
        const copy = directory.copy()
        const before = names(copy.list())
        directory.list()
        directory.put(second)
        const kept = new Map([...first, ...second].map(({key, value}) => [key, value]))
        const wanted = [...kept.values()].filter((value) => value !== undefined)
        expect(new Set(directory.list())).toEqual(new Set(wanted))
        for (const iden of ['i1', 'i2']) {
          expect(directory.ofIden(iden)).toEqual(directory.list().filter((one) => one.info['iden'] === iden))
        }
        expect(directory.size).toBe(wanted.length)
        expect(names(copy.list())).toEqual(before)
      }),
    )
  })
})

describe('one entry of each start', () => {
  const leader = entry('00.axon.net', {run: 'r0', leader: 'axon'}, 'net')
  const alias = entry('axon.net', {run: 'r0', leader: 'axon'})
  const mirror = entry('01.axon.net', {run: 'r1', leader: 'axon'}, 'net')

  test('is its own and not the alias', () => {
    expect(oneOfEachRun([alias, leader, mirror], undefined)).toEqual([leader, mirror])
  })

  test('is the alias where there is no other', () => {
    expect(oneOfEachRun([alias, mirror], undefined)).toEqual([mirror, alias])
  })

  test('leaves out the start of who asks', () => {
    expect(oneOfEachRun([alias, leader, mirror], 'r0')).toEqual([mirror])
  })

  test('is the first of several', () => {
    expect(oneOfEachRun([mirror, entry('02.axon.net', {run: 'r1', leader: 'axon'}, 'net')], undefined)).toEqual([
      mirror,
    ])
  })
})

describe('mirrors', () => {
  const leader = entry('00.axon.net', {run: 'r0', leader: 'axon'}, 'net')
  const alias = entry('axon.net', {run: 'r0', leader: 'axon'})
  const mirror = entry('01.axon.net', {run: 'r1', leader: 'axon'}, 'net')

  test('are those that take calls and do not lead', () => {
    const unready = entry('02.axon.net', {run: 'r2', leader: 'axon', ready: false}, 'net')
    const {online: _, ...offline} = entry('03.axon.net', {run: 'r3', leader: 'axon'}, 'net').info
    const gone = {...entry('03.axon.net', {}, 'net'), info: {...offline, urlinfo: {}}}
    expect(mirrorsAmong([leader, alias, mirror, unready, gone])).toEqual([mirror])
  })

  test('are all, without a leader that could be told', () => {
    expect(mirrorsAmong([leader, mirror])).toEqual([leader, mirror])
  })
})
