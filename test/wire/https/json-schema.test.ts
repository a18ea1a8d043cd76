import {describe, expect, test} from 'vitest'
import {assertCheckable, problemWith} from '../../../src/wire/https/json-schema.ts'

const SCHEMA = {
  type: 'object',
  properties: {
    name: {type: 'string', description: 'a name'},
    age: {type: ['integer', 'null'], minimum: 1},
    flag: {type: 'boolean'},
    rules: {type: 'array', items: {type: 'array', minItems: 2, maxItems: 2}},
    inner: {type: 'object', properties: {x: {type: 'number'}}, additionalProperties: false},
  },
  required: ['name'],
}

describe('a value', () => {
  test.each([
    {name: 'x'},
    {name: '', age: 1, flag: false, rules: [], inner: {}},
    {name: 'x', age: null, rules: [[1, 2]], inner: {x: 1.5}, more: 'is not looked at'},
  ])('fits', (value) => {
    expect(problemWith(SCHEMA, value)).toBeUndefined()
  })

  test.each<[unknown, string]>([
    [[], 'body must be object'],
    [null, 'body must be object'],
    ['x', 'body must be object'],
    [{name: 5}, 'body/name must be string'],
    [{name: null}, 'body/name must be string'],
    [{name: 'x', age: 1.5}, 'body/age must be integer or null'],
    [{name: 'x', age: Number.NaN}, 'body/age must be integer or null'],
    [{name: 'x', age: 1e300}, 'body/age must be integer or null'],
    [{name: 'x', age: 0}, 'body/age must be at least 1'],
    [{name: 'x', flag: 1}, 'body/flag must be boolean'],
    [{name: 'x', rules: {}}, 'body/rules must be array'],
    [{name: 'x', rules: [[1, 2], [1]]}, 'body/rules/1 must have at least 2 items'],
    [{name: 'x', rules: [[1, 2, 3]]}, 'body/rules/0 must have at most 2 items'],
    [{name: 'x', inner: {y: 1}}, 'body/inner must have nothing else'],
    [{name: 'x', inner: {x: '1'}}, 'body/inner/x must be number'],
  ])('%j does not fit', (value, text) => {
    expect(problemWith(SCHEMA, value)).toEqual({text, missing: undefined})
  })

  test('does not have what its prototype has', () => {
    expect(problemWith({type: 'object', properties: {}, required: ['toString']}, {})).toEqual({
      text: 'body must have toString',
      missing: 'toString',
    })
    const proto = Object.defineProperty({}, '__proto__', {value: 1, enumerable: true})
    expect(problemWith({...SCHEMA, required: [], additionalProperties: false}, proto)?.text).toBe(
      'body must have nothing else',
    )
  })
})

test('a schema with a keyword that is not checked is refused', () => {
  expect(() => assertCheckable(SCHEMA)).not.toThrow()
  for (const bad of [
    {type: 'string', pattern: 'x'},
    {properties: {a: {enum: []}}},
    {items: {oneOf: []}},
    {additionalProperties: {}},
  ]) {
    expect(() => assertCheckable(bad)).toThrow()
  }
})
