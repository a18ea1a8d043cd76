import {describe, expect, test} from 'vitest'
import {flagValue, liveValues} from '../../src/cli/live-names.ts'
import {candidateLine, readTyped} from '../../src/cli/shells.ts'

describe('what was typed', () => {
  test.each([
    ['registry ', [], ''],
    ['registry ser', [], 'ser'],
    ['registry  service   li', ['service'], 'li'],
    ['registry service ', ['service'], ''],
    ['./bin/registry x', [], 'x'],
    ['registry --name "a b" c', ['--name', 'a b'], 'c'],
    ["registry --name 'a b' --x='c d", ['--name', 'a b'], '--x=c d'],
    ['registry a\\ b c\\', ['a b'], 'c'],
    ['registry "a \\" b" ', ['a " b'], ''],
  ])('in bash is read from the line: %j', (line, words, current) => {
    expect(readTyped('bash', [line])).toEqual({words, current})
  })

  test('in the other shells comes as words, still quoted', () => {
    expect(readTyped('zsh', ['service', "'a b'", 'c\\ d'])).toEqual({words: ['service', 'a b'], current: 'c d'})
    expect(readTyped('fish', ['service', ''])).toEqual({words: ['service'], current: ''})
    expect(readTyped('zsh', [])).toEqual({words: [], current: ''})
  })
})

describe('a candidate', () => {
  test('for bash begins behind what bash has broken off, and is quoted', () => {
    const line = (value: string, current: string) => candidateLine('bash', {value, about: 'x'}, current)
    expect(line('--type', '--ty')).toBe('--type')
    expect(line('--type=cam', '--type=c')).toBe('cam')
    expect(line('aha:00.cam', 'aha:0')).toBe('00.cam')
    expect(line('a b$(rm)', 'a')).toBe('a\\ b\\$\\(rm\\)')
  })

  test('for zsh and fish comes with what it means, in one line', () => {
    const candidate = {value: 'aha:x', about: 'Two\n lines.'}
    expect(candidateLine('zsh', candidate, '')).toBe('aha\\:x:Two lines.')
    expect(candidateLine('fish', candidate, '')).toBe('aha:x\tTwo lines.')
    expect(candidateLine('fish', {value: 'x', about: ''}, '')).toBe('x')
  })
})

describe('live names', () => {
  const services = [
    {id: 'b', name: 'cam2', type: 'camera', tags: ['lab', 'cold']},
    {id: 'a', name: 'cam1', type: 'camera', tags: ['lab']},
    {id: 'c', name: '', type: undefined, tags: []},
  ]
  test('are distinct and sorted, without empty ones', () => {
    expect(liveValues('id', services)).toEqual(['a', 'b', 'c'])
    expect(liveValues('name', services)).toEqual(['cam1', 'cam2'])
    expect(liveValues('type', services)).toEqual(['camera'])
    expect(liveValues('tag', services)).toEqual(['cold', 'lab'])
  })

  test('are those of the registry that is being typed', () => {
    expect(flagValue(['service', 'list', '--url', 'zmq://a:1'], 'url')).toBe('zmq://a:1')
    expect(flagValue(['--url=zmq://a:1', '--url=zmq://b:1'], 'url')).toBe('zmq://b:1')
    expect(flagValue(['service', 'list'], 'url')).toBeUndefined()
    expect(flagValue(['service', '--url'], 'url')).toBeUndefined()
  })
})
