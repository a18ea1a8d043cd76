/**
 * Rules in their two forms: `[false, ['axon', 'upload']]` in messages, `!axon.upload` for people. The text form loses where the elements
 * of a path begin when they hold dots themselves; the form in messages does not.
 */
import {RegistryError} from '../base/errors.ts'
import type {Rule} from './model.ts'

/** Largest number of rules in one list (of a user, of a role, of either in a gate). More are refused. */
const MAX_RULES = 1000
/** Longest path, in elements and in UTF-16 units. */
const MAX_ELEMENTS = 64
const MAX_LENGTH = 1024

/**
 * Reads `axon.upload` (allow) or `!axon.upload` (deny).
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function parseRule(text: string): Rule {
  const allow = !text.startsWith('!')
  return readRule([allow, (allow ? text : text.slice(1)).split('.')], JSON.stringify(text.slice(0, MAX_LENGTH)))
}

/** Gives the text form of a rule. */
export function printRule([allow, path]: Rule): string {
  return `${allow ? '' : '!'}${path.join('.')}`
}

/**
 * Checks a list of rules that came from outside and gives it as values of our own.
 *
 * @throws RegistryError `REG_BAD_REQUEST`, in Telepath `SchemaViolation` as the peer has it
 */
export function readRules(value: unknown): readonly Rule[] {
  if (!Array.isArray(value)) throw badRule('the rules', 'must be a list')
  if (value.length > MAX_RULES) throw badRule('the rules', `must not be more than ${MAX_RULES}`)
  return value.map((rule, index) => readRule(rule, `rule ${index}`))
}

/**
 * Checks one rule that came from outside. `what` names it in the error.
 *
 * @throws RegistryError as `readRules`
 */
export function readRule(value: unknown, what = 'the rule'): Rule {
  if (!Array.isArray(value) || value.length !== 2) throw badRule(what, 'must be a pair of allow and path')
  const [allow, path] = value as [unknown, unknown]
  if (typeof allow !== 'boolean') throw badRule(what, 'must begin with true or false')
  return [allow, readPath(path, what)]
}

/**
 * Checks the path of a permission: at least one element, none of them empty.
 *
 * @throws RegistryError as `readRules`
 */
export function readPath(value: unknown, what = 'the permission'): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) throw badRule(what, 'must have a path of at least one element')
  if (value.length > MAX_ELEMENTS) throw badRule(what, `must not have more than ${MAX_ELEMENTS} elements`)
  let length = 0
  return value.map((element: unknown) => {
    if (typeof element !== 'string' || element === '') throw badRule(what, 'must have elements that are not empty')
    length += element.length
    if (length > MAX_LENGTH) throw badRule(what, `must not be longer than ${MAX_LENGTH} characters`)
    return element
  })
}

/** Tells whether two rules say the same about the same path. */
export function isSameRule(one: Rule, other: Rule): boolean {
  return one[0] === other[0] && one[1].length === other[1].length && covers(one[1], other[1])
}

/** Tells whether a rule of `path` speaks about `asked`: it is the same path, or one above it. */
export function covers(path: readonly string[], asked: readonly string[]): boolean {
  return path.length <= asked.length && path.every((element, index) => element === asked[index])
}

function badRule(what: string, how: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${what} ${how}`, {telepath: 'SchemaViolation'})
}
