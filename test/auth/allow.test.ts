import {readFileSync} from 'node:fs'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {decide, decideForRole, reasonText} from '../../src/auth/allow.ts'
import type {Directory, Gate, GateEntry, Role, Rule, User} from '../../src/auth/model.ts'

interface Vector {
  readonly user: {
    readonly admin: boolean
    readonly locked: boolean
    readonly rules: readonly Rule[]
    readonly gate: {readonly admin: boolean; readonly rules: readonly Rule[]}
    readonly roles: readonly {readonly rules: readonly Rule[]; readonly gate: {readonly rules: readonly Rule[]}}[]
    /** In which the roles were granted. */
    readonly order: readonly number[]
  }
  readonly asked: {readonly path: readonly string[]; readonly gate: string | null; readonly default: boolean | null}
  readonly gate: string
  readonly allowed: boolean | null
  readonly deepdeny: boolean | null
  readonly reason: string
  readonly roles: readonly (boolean | null)[]
  readonly names: readonly string[]
}

const [version, ...VECTORS] = readFileSync(new URL('../vectors/auth-allow.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))

describe('the decision', () => {
  test('is that of Synapse 2.256.0, with its reason, in 300 recorded cases', () => {
    expect(version).toEqual({synapse: '2.256.0'})
    expect(VECTORS).toHaveLength(300)
    for (const vector of VECTORS as Vector[]) {
      const {directory, user, roles} = worldOf(vector)
      const {path, gate} = vector.asked
      const question = {path, gate: gate ?? undefined, byDefault: vector.asked.default ?? undefined}
      const decision = decide(directory, user, question)
      const found = {
        allowed: decision.isAllowed,
        reason: reasonText(decision),
        deepdeny: decide(directory, user, {...question, deepDeny: true}).isAllowed,
        roles: roles.map((role) => decideForRole(directory, role, question).isAllowed),
      }
      // Null at the peer: nothing is said and no default was given. Here that is false, and the reason tells.
      expect(found, JSON.stringify(vector)).toEqual({
        allowed: vector.allowed ?? false,
        reason: vector.reason,
        deepdeny: vector.deepdeny ?? false,
        roles: vector.roles.map((one) => one ?? false),
      })
    }
  })

  test('is that of the first rule that a plain list of all rules has', () => {
    fc.assert(
      fc.property(world, fc.option(fc.boolean(), {nil: undefined}), fc.boolean(), (given, byDefault, withGate) => {
        const {directory, user, gate, path} = given
        const question = {path, byDefault, gate: withGate ? gate.iden : undefined}
        expect(decide(directory, user, question).isAllowed).toBe(naive(given, withGate, byDefault))
      }),
      {numRuns: 1000},
    )
  })

  test('names the rule and the role that won', () => {
    const role: Role = {iden: 'r', name: 'readers', rules: [[false, ['axon', 'del']]]}
    const user = makeUser({roles: ['gone', 'r']})
    const directory = directoryOf([role], [])
    const decision = decide(directory, user, {path: ['axon', 'del', 'x'], byDefault: true})
    expect(decision).toEqual({isAllowed: false, reason: {kind: 'rule', rule: [false, ['axon', 'del']], role}})
    expect(reasonText(decision)).toBe('Matched role rule (!axon.del) for role readers.')
  })

  test('needs no rule to be an error: what nobody speaks of is the default', () => {
    const decision = decide(directoryOf([], []), makeUser({}), {path: ['a']})
    expect(decision).toEqual({isAllowed: false, reason: {kind: 'default'}})
  })

  test('of a whole tree is no when a part of it is denied, for who asks so', () => {
    const user = makeUser({
      rules: [
        [true, ['axon']],
        [false, ['axon', 'del']],
      ],
    })
    const directory = directoryOf([], [])
    expect(decide(directory, user, {path: ['axon']}).isAllowed).toBe(true)
    expect(decide(directory, user, {path: ['axon'], deepDeny: true})).toEqual({
      isAllowed: false,
      reason: {kind: 'rule', rule: [false, ['axon', 'del']]},
    })
    expect(decide(directory, user, {path: ['axon', 'del'], deepDeny: true}).isAllowed).toBe(true)
  })
})

interface World {
  readonly directory: Directory
  readonly user: User
  readonly roles: readonly Role[]
  readonly gate: Gate
  readonly path: readonly string[]
}

const path = fc.array(fc.constantFrom('a', 'b', 'c'), {minLength: 1, maxLength: 3})
const rules: fc.Arbitrary<readonly Rule[]> = fc.array(fc.tuple(fc.boolean(), path), {maxLength: 3})
const rarely = fc.nat(9).map((number) => number === 0)
const world: fc.Arbitrary<World> = fc
  .record({
    isAdmin: rarely,
    isLocked: rarely,
    isGateAdmin: rarely,
    own: rules,
    inGate: rules,
    roles: fc.array(fc.record({own: rules, inGate: rules}), {maxLength: 3}),
    path,
  })
  .map(({isAdmin, isLocked, isGateAdmin, own, inGate, roles: given, path: asked}) => {
    const roles = given.map((one, index) => ({iden: `role${index}`, name: `role ${index}`, rules: one.own}))
    const user = makeUser({isAdmin, isLocked, rules: own, roles: roles.map((role) => role.iden)})
    const gate: Gate = {
      iden: 'gate',
      type: 'thing',
      users: new Map([[user.iden, {rules: inGate, isAdmin: isGateAdmin}]]),
      roles: new Map(given.map((one, index) => [`role${index}`, {rules: one.inGate, isAdmin: false}])),
    }
    return {directory: directoryOf(roles, [gate]), user, roles, gate, path: asked}
  })

/** The same by another way: one list of all rules as text, and the first that is a prefix. */
function naive({user, roles, gate, path: asked}: World, withGate: boolean, byDefault = false): boolean {
  const entry = gate.users.get(user.iden)
  if (user.isLocked) return false
  if (user.isAdmin || (withGate && entry?.isAdmin === true)) return true
  const all: Rule[] = []
  if (withGate) all.push(...(entry?.rules ?? []))
  all.push(...user.rules)
  if (withGate) for (const role of roles) all.push(...(gate.roles.get(role.iden)?.rules ?? []))
  for (const role of roles) all.push(...role.rules)
  const text = (elements: readonly string[]) => `${elements.join('/')}/`
  return all.find(([, elements]) => text(asked).startsWith(text(elements)))?.[0] ?? byDefault
}

function worldOf({user: given, gate, names}: Vector): Omit<World, 'path' | 'gate'> {
  const roles = given.roles.map((role, index) => ({
    iden: `${index}`.padStart(32, '0'),
    name: names[index] ?? '',
    rules: role.rules,
  }))
  const user = makeUser({
    isAdmin: given.admin,
    isLocked: given.locked,
    rules: given.rules,
    roles: given.order.flatMap((index) => roles[index]?.iden ?? []),
  })
  const entries = given.roles.map((role, index): [string, GateEntry] => [
    roles[index]?.iden ?? '',
    {rules: role.gate.rules, isAdmin: false},
  ])
  const users = new Map([[user.iden, {rules: given.gate.rules, isAdmin: given.gate.admin}]])
  const directory = directoryOf(roles, [{iden: gate, type: 'thing', users, roles: new Map(entries)}])
  return {directory, user, roles}
}

function makeUser(given: Partial<User>): User {
  return {
    iden: 'f'.repeat(32),
    name: 'visi',
    email: null,
    rules: [],
    roles: [],
    isAdmin: false,
    isLocked: false,
    isArchived: false,
    ...given,
  }
}

function directoryOf(roles: readonly Role[], gates: readonly Gate[]): Directory {
  return {
    user: () => undefined,
    role: (iden) => roles.find((role) => role.iden === iden),
    gate: (iden) => gates.find((gate) => gate.iden === iden),
  }
}
