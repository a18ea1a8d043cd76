/** The password policy (`auth:passwd:policy`): what a new password must look like, in the peer's words. */
import {RegistryError} from '../base/errors.ts'

/** The policy, checked. What is null is not asked. */
export interface PasswordPolicy {
  readonly complexity: Complexity | null
  /** Wrong passwords in a row after which a user is locked. */
  readonly attempts: number | null
  /** How many passwords back none may be used again. */
  readonly previous: number | null
}

interface Complexity {
  /** Shortest password, in characters. */
  readonly length: number | null
  /** Length of a run of neighbouring characters (`abc`, `321`) that is too long. */
  readonly sequences: number | null
  readonly classes: readonly CharacterClass[]
}

/** A kind of characters. Null for `valid` switches it off: then its characters are refused, unless all four are off. */
interface CharacterClass {
  readonly kind: keyof typeof CLASSES
  readonly count: number | null
  readonly valid: string | null
}

/** How a class is called in its violation, and what belongs to it when the policy does not say. */
const CLASSES = {
  upper: {name: 'uppercase', valid: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'},
  lower: {name: 'lowercase', valid: 'abcdefghijklmnopqrstuvwxyz'},
  special: {name: 'special', valid: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'},
  number: {name: 'digit', valid: '0123456789'},
} as const

/** No policy: any password that is not empty. */
export const NO_POLICY: PasswordPolicy = {complexity: null, attempts: null, previous: null}

/** Each one excluded costs a whole hash (75 ms) at every change of password. */
const MAX_PREVIOUS = 32
const MAX_COUNT = 1000
/** Violations of this kind name at most so many places. */
const MAX_PLACES = 8

/**
 * Reads the option. Absent and null mean no policy; unknown members are refused.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`
 */
export function readPolicy(value: unknown): PasswordPolicy {
  if (value === undefined || value === null) return NO_POLICY
  const members = readMembers(value, '', ['complexity', 'attempts', 'previous'])
  return {
    complexity: readComplexity(members['complexity']),
    attempts: readNumber(members, 'attempts', 1, MAX_COUNT),
    previous: readNumber(members, 'previous', 1, MAX_PREVIOUS),
  }
}

/**
 * Says what is wrong with a new password, in the peer's words and order; empty when nothing is. Passwords used before are the caller's to check.
 *
 * One text is not the peer's: it lists the characters that are not valid, and so a part of the password, in the error; ours says where they stand.
 */
export function violationsOf({complexity}: PasswordPolicy, passwd: string): readonly string[] {
  if (complexity === null) return []
  const characters = [...passwd]
  const found: string[] = []
  const {length, sequences, classes} = complexity
  if (length !== null && characters.length < length) found.push(`Password must be at least ${length} characters.`)
  for (const {kind, count, valid} of classes) {
    if (valid === null || count === null) continue
    const number = characters.filter((one) => valid.includes(one)).length
    if (number >= count) continue
    found.push(`Password must contain at least ${count} ${CLASSES[kind].name} characters, ${number} found.`)
  }
  const places = invalidPlaces(classes, characters)
  if (places !== '') found.push(`Password contains invalid characters, at position ${places}.`)
  if (sequences !== null && hasSequence(characters, sequences)) {
    found.push(`Password must not contain forward/reverse sequences longer than ${sequences} characters.`)
  }
  return found
}

/** The violation when a password was used before. */
export function reuseViolation(previous: number): string {
  return `Password cannot be the same as previous ${previous} password(s).`
}

/** Makes the error of a password that the policy refuses. */
export function policyError(violations: readonly string[]): RegistryError {
  const lines = violations.map((violation) => `  - ${violation}`)
  const text = ['Cannot change password due to the following policy violations:', ...lines].join('\n')
  return new RegistryError('REG_BAD_REQUEST', text, {info: {failures: violations}})
}

function invalidPlaces(classes: readonly CharacterClass[], characters: readonly string[]): string {
  const valid = new Set(classes.flatMap((one) => [...(one.valid ?? '')]))
  if (valid.size === 0) return ''
  const places = characters.flatMap((one, index) => (valid.has(one) ? [] : [index + 1]))
  return places.length <= MAX_PLACES ? places.join(', ') : `${places.slice(0, MAX_PLACES).join(', ')}, …`
}

function hasSequence(characters: readonly string[], length: number): boolean {
  const codes = characters.map((one) => one.codePointAt(0) ?? 0)
  return [1, -1].some((step) => {
    let run = 1
    return codes.some((code, index) => {
      run = index > 0 && code === (codes[index - 1] ?? 0) + step ? run + 1 : 1
      return run >= length
    })
  })
}

function readComplexity(value: unknown): Complexity | null {
  if (value === undefined || value === null) return null
  const kinds = Object.keys(CLASSES) as (keyof typeof CLASSES)[]
  const names = kinds.flatMap((kind) => [`${kind}:count`, `${kind}:valid`])
  const members = readMembers(value, 'complexity', ['length', 'sequences', ...names])
  return {
    length: readNumber(members, 'length', 1, MAX_COUNT),
    sequences: readNumber(members, 'sequences', 2, MAX_COUNT),
    classes: kinds.map((kind) => ({
      kind,
      count: members[`${kind}:count`] === undefined ? 0 : readNumber(members, `${kind}:count`, 0, MAX_COUNT),
      valid: readValid(members, `${kind}:valid`, CLASSES[kind].valid),
    })),
  }
}

function readValid(members: Readonly<Record<string, unknown>>, name: string, otherwise: string): string | null {
  const value = members[name]
  if (value === undefined) return otherwise
  if (value === null || (typeof value === 'string' && value !== '')) return value
  throw badPolicy(`${name} must be characters or null`)
}

function readNumber(
  members: Readonly<Record<string, unknown>>,
  name: string,
  least: number,
  most: number,
): number | null {
  const value = members[name]
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw badPolicy(`${name} must be a whole number from ${least} to ${most}, or null`)
}

function readMembers(value: unknown, where: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  const name = where === '' ? 'it' : where
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badPolicy(`${name} must be an object`)
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw badPolicy(`${name} has no ${JSON.stringify(unknown)}; it has ${known.join(', ')}`)
  return value as Readonly<Record<string, unknown>>
}

function badPolicy(text: string): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `auth:passwd:policy: ${text}`, {info: {option: 'auth:passwd:policy'}})
}
