/**
 * The part of JSON schema that bodies of requests need. A whole validator would cost every process 10 MB and 100 ms at its start; this knows
 * what it does not know, and says so before the first request.
 */
import assert from 'node:assert/strict'
import type {BodyProblem, JsonSchema} from './messages.ts'

/** Keywords that are checked. */
const CHECKED = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'minLength',
])
/** Keywords that only describe. */
const DESCRIBING = new Set(['description', 'default'])

/** Asserts that all of a schema can be checked. */
export function assertCheckable(schema: JsonSchema): void {
  for (const keyword of Object.keys(schema)) {
    assert(CHECKED.has(keyword) || DESCRIBING.has(keyword), `the keyword ${keyword} is not checked`)
  }
  assert(!('additionalProperties' in schema) || schema['additionalProperties'] === false, 'only false is checked')
  for (const inner of Object.values(propertiesOf(schema))) assertCheckable(inner)
  if (isSchema(schema['items'])) assertCheckable(schema['items'])
}

/** Gives the first thing that is wrong with a value; undefined when it fits. */
export function problemWith(schema: JsonSchema, value: unknown, at = 'body'): BodyProblem | undefined {
  const types = [schema['type']].flat().filter((type) => type !== undefined)
  if (types.length > 0 && !types.some((type) => isOfType(value, String(type))))
    return wrong(at, `must be ${types.join(' or ')}`)
  if (typeof value === 'string') return textProblem(schema, value, at)
  if (typeof value === 'number') return numberProblem(schema, value, at)
  if (Array.isArray(value)) return listProblem(schema, value, at)
  return typeof value === 'object' && value !== null ? objectProblem(schema, value as Members, at) : undefined
}

type Members = Readonly<Record<string, unknown>>

function textProblem({minLength}: JsonSchema, value: string, at: string): BodyProblem | undefined {
  const isShort = typeof minLength === 'number' && value.length < minLength
  return isShort ? wrong(at, `must have at least ${minLength} characters`) : undefined
}

function numberProblem({minimum, maximum}: JsonSchema, value: number, at: string): BodyProblem | undefined {
  if (typeof minimum === 'number' && value < minimum) return wrong(at, `must be at least ${minimum}`)
  return typeof maximum === 'number' && value > maximum ? wrong(at, `must be at most ${maximum}`) : undefined
}

function listProblem(
  {items, minItems, maxItems}: JsonSchema,
  values: readonly unknown[],
  at: string,
): BodyProblem | undefined {
  if (typeof minItems === 'number' && values.length < minItems) return wrong(at, `must have at least ${minItems} items`)
  if (typeof maxItems === 'number' && values.length > maxItems) return wrong(at, `must have at most ${maxItems} items`)
  if (!isSchema(items)) return undefined
  for (const [index, value] of values.entries()) {
    const problem = problemWith(items, value, `${at}/${index}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

function objectProblem(schema: JsonSchema, members: Members, at: string): BodyProblem | undefined {
  const properties = propertiesOf(schema)
  for (const name of (schema['required'] ?? []) as readonly string[]) {
    if (!Object.hasOwn(members, name)) return {text: `${at} must have ${name}`, missing: name}
  }
  for (const [name, value] of Object.entries(members)) {
    const inner = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (inner === undefined && schema['additionalProperties'] === false) return wrong(at, 'must have nothing else')
    const problem = inner === undefined ? undefined : problemWith(inner, value, `${at}/${name}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

function wrong(at: string, how: string): BodyProblem {
  return {text: `${at} ${how}`, missing: undefined}
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'integer':
      return Number.isSafeInteger(value)
    default:
      return typeof value === type
  }
}

function propertiesOf(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  return (schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null
}
