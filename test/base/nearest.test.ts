import {describe, expect, test} from 'vitest'
import {nearestName} from '../../src/base/nearest.ts'

const NAMES = ['service', 'serve', 'status', 'config', 'zmq:req:port', 'zmq:rep:port']

describe('the nearest name', () => {
  test.each([
    ['servce', 'service'],
    ['sevre', 'serve'],
    ['stauts', 'status'],
    ['CONFIG', 'config'],
    ['zmq:rq:port', 'zmq:req:port'],
    ['confg', 'config'],
    ['serv', 'serve'],
  ])('of %s is %s', (word, name) => {
    expect(nearestName(word, NAMES)).toBe(name)
  })

  test.each(['', 'x', 'frobnicate', 'cfg-of-mine'])('of %j is none', (word) => {
    expect(nearestName(word, NAMES)).toBeUndefined()
  })

  test('two letters swapped count as one mistake', () => {
    expect(nearestName('ab', ['ba'])).toBe('ba')
    expect(nearestName('ab', ['cd'])).toBeUndefined()
  })
})
