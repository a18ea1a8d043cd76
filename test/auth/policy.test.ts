import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {NO_POLICY, policyError, readPolicy, reuseViolation, violationsOf} from '../../src/auth/policy.ts'

interface Vector {
  readonly policy: unknown
  readonly passwd: string
  readonly failures: readonly string[]
}

const [version, ...rows] = readFileSync(new URL('../vectors/auth-passwords.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
const VECTORS: readonly Vector[] = rows.filter((row) => 'failures' in row)

describe('the password policy', () => {
  test('refuses what Synapse 2.256.0 refuses, in its words', () => {
    expect(version).toEqual({synapse: '2.256.0'})
    expect(VECTORS.length).toBeGreaterThan(200)
    for (const {policy, passwd, failures} of VECTORS) {
      const found = violationsOf(readPolicy(policy), passwd)
      expect(found.map(withoutPlaces), JSON.stringify({policy, passwd})).toEqual(failures.map(withoutPlaces))
    }
  })

  test('never says which characters of the password are not valid, only where they stand', () => {
    const policy = readPolicy({complexity: {'special:valid': null}})
    expect(violationsOf(policy, 'ab§c😀d€')).toEqual(['Password contains invalid characters, at position 3, 5, 7.'])
    expect(violationsOf(policy, '§'.repeat(20))).toEqual([
      'Password contains invalid characters, at position 1, 2, 3, 4, 5, 6, 7, 8, ….',
    ])
  })

  test('comes as one error that lists all violations', () => {
    const policy = readPolicy({complexity: {length: 12, 'upper:count': 2, sequences: 3}, previous: 2})
    const error = policyError([...violationsOf(policy, 'abc'), reuseViolation(2)])
    expect(error).toMatchObject({code: 'REG_BAD_REQUEST', telepath: 'BadArg', info: {failures: {length: 4}}})
    expect(error.message).toBe(
      [
        'Cannot change password due to the following policy violations:',
        '  - Password must be at least 12 characters.',
        '  - Password must contain at least 2 uppercase characters, 0 found.',
        '  - Password must not contain forward/reverse sequences longer than 3 characters.',
        '  - Password cannot be the same as previous 2 password(s).',
      ].join('\n'),
    )
  })

  test('that is absent asks nothing', () => {
    expect(readPolicy(undefined)).toEqual(NO_POLICY)
    expect(readPolicy(null)).toEqual(NO_POLICY)
    expect(violationsOf(NO_POLICY, '')).toEqual([])
  })

  test.each([
    ['a list', [], 'must be an object'],
    ['an unknown member', {attempt: 3}, 'no "attempt"'],
    ['an unknown member of complexity', {complexity: {'upper:valid': 'A', uper: 1}}, 'complexity has no "uper"'],
    ['no attempt', {attempts: 0}, 'attempts must be'],
    ['a fraction', {complexity: {length: 1.5}}, 'length must be'],
    ['a sequence of one', {complexity: {sequences: 1}}, 'sequences must be'],
    ['no characters', {complexity: {'lower:valid': ''}}, 'lower:valid must be'],
    ['too many to remember', {previous: 33}, 'previous must be'],
  ])('is refused with %s', (_what, value, reason) => {
    expect(() => readPolicy(value)).toThrow(expect.objectContaining({code: 'REG_CONFIG_INVALID'}))
    expect(() => readPolicy(value)).toThrow(reason)
  })
})

/** The one text that differs on purpose: the peer lists the characters. */
function withoutPlaces(violation: string): string {
  return violation.replace(/^(Password contains invalid characters).*$/s, '$1')
}
