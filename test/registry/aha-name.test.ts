import {describe, expect, test} from 'vitest'
import {expandName, placeName} from '../../src/registry/aha-name.ts'

const OWN = 'loop.vertex.link'

describe('a name that ends in three dots', () => {
  test('is one of the own network, others stay as they are', () => {
    expect(expandName('axon...', OWN)).toBe('axon.loop.vertex.link')
    expect(expandName('00.axon...', OWN)).toBe('00.axon.loop.vertex.link')
    expect(expandName('axon', OWN)).toBe('axon')
    expect(expandName('axon..', OWN)).toBe('axon..')
  })
})

describe('the place of a name', () => {
  const inOwn = {full: '00.axon.loop.vertex.link', name: '00.axon', network: OWN}

  test.each([
    ['00.axon', OWN],
    ['00.axon.loop.vertex.link', undefined],
    ['00.axon...', undefined],
    ['00.axon.loop', 'vertex.link'],
    ['00', 'axon.loop.vertex.link'],
  ])('%s in %s is one of the own network, whichever way it is cut', (name, network) => {
    expect(placeName(name, network, OWN)).toEqual(inOwn)
  })

  test.each([
    ['axon.other.net', undefined, {full: 'axon.other.net', name: 'axon', network: 'other.net'}],
    ['00.axon.other.net', undefined, {full: '00.axon.other.net', name: '00', network: 'axon.other.net'}],
    ['00.axon', 'other.net', {full: '00.axon.other.net', name: '00.axon', network: 'other.net'}],
    ['axon', OWN, {full: 'axon.loop.vertex.link', name: 'axon', network: OWN}],
    ['xloop.vertex.link', undefined, {full: 'xloop.vertex.link', name: 'xloop', network: 'vertex.link'}],
  ])('%s in %s is cut where the peer cuts it', (name, network, place) => {
    expect(placeName(name, network, OWN)).toEqual(place)
  })

  test.each([
    ['axon', undefined, 'Name must contain at least one "."'],
    ['', OWN, 'empty parts'],
    ['axon', '', 'empty parts'],
    ['axon...', OWN, 'empty parts'],
    ['.axon', OWN, 'empty parts'],
    ['a\u0000b', OWN, 'control characters'],
    ['axon', 'net\n', 'control characters'],
    ['a\u0085b...', undefined, 'control characters'],
    ['a'.repeat(250), OWN, 'must not exceed 256 characters'],
  ])('%s in %s is none', (name, network, text) => {
    expect(() => placeName(name, network, OWN)).toThrow(text)
  })
})
