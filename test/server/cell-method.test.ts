import {describe, expect, test} from 'vitest'
import {bind, loggable, optional, required} from '../../src/server/cell-method.ts'

const THREE = [required('a'), required('b'), required('c')]
const MIXED = [required('a'), optional('b'), optional('c', 7)]

describe('arguments get the names of their parameters', () => {
  test('by place, by name, and by default', () => {
    expect(bind('f', MIXED, [1], {})).toEqual({a: 1, b: null, c: 7})
    expect(bind('f', MIXED, [1, 2], {c: 3})).toEqual({a: 1, b: 2, c: 3})
    expect(bind('f', MIXED, [], {c: 3, a: 1})).toEqual({a: 1, b: null, c: 3})
  })

  test('nil is a value, not an absent argument', () => {
    expect(bind('f', MIXED, [null], {c: null})).toEqual({a: null, b: null, c: null})
  })
})

// The texts are those of Python 3.11 for a method of these parameters.
describe.each([
  [THREE, [], {}, "f() missing 3 required positional arguments: 'a', 'b', and 'c'"],
  [THREE, [1], {}, "f() missing 2 required positional arguments: 'b' and 'c'"],
  [THREE, [1, 2], {}, "f() missing 1 required positional argument: 'c'"],
  [THREE, [], {b: 1}, "f() missing 2 required positional arguments: 'a' and 'c'"],
  [THREE, [1, 2, 3, 4], {}, 'f() takes 4 positional arguments but 5 were given'],
  [MIXED, [1, 2, 3, 4], {}, 'f() takes from 2 to 4 positional arguments but 5 were given'],
  [[], [1], {}, 'f() takes 1 positional argument but 2 were given'],
  [MIXED, [1], {a: 2}, "f() got multiple values for argument 'a'"],
  [MIXED, [1], {d: 2}, "f() got an unexpected keyword argument 'd'"],
  [MIXED, [1, 2, 3, 4], {d: 2}, "f() got an unexpected keyword argument 'd'"],
  [MIXED, [1], JSON.parse('{"__proto__": 2}'), "f() got an unexpected keyword argument '__proto__'"],
] as const)('%j called with %j %j', (params, args, kwargs, mesg) => {
  test(mesg, () => {
    expect(() => bind('f', params, args, kwargs)).toThrow(
      expect.objectContaining({message: mesg, telepath: 'TypeError'}),
    )
  })
})

test('the log shows what was given, and no secret', () => {
  const params = [required('name'), {name: 'word', isSecret: true}, optional('email')] as const
  const shown = loggable(params, {name: 'visi', word: 'planted', email: null})
  expect(JSON.stringify(shown)).toBe('{"name":"visi","word":"***"}')
})
