import {beforeEach, describe, expect, test} from 'vitest'
import type {Rule} from '../../src/auth/model.ts'
import {
  adminStep,
  archivedStep,
  change,
  dropRule,
  emailStep,
  grantStep,
  lockedStep,
  passwdStep,
  putRule,
  replaceRules,
  revokeStep,
  type Step,
} from '../../src/cli/holder-change.ts'
import {differences, userDetails, userPairs} from '../../src/cli/holder-text.ts'
import {CellAdmin} from '../../src/client/admin.ts'
import type {CellRole, CellUser} from '../../src/client/admin-values.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'

const [UPLOAD, DEL, HEALTH]: readonly [Rule, Rule, Rule] = [
  [true, ['axon', 'upload']],
  [false, ['axon', 'del']],
  [true, ['health']],
]
const OWN = {holder: 'user', gate: undefined} as const

let admin: CellAdmin
let calls: DirectCall
let visi: CellUser
let keepers: CellRole
beforeEach(async () => {
  const cell = await TestCell.open()
  calls = new DirectCall(await cell.session(undefined))
  admin = new CellAdmin(calls)
  visi = await admin.addUser('visi', undefined)
  keepers = await admin.addRole('keepers')
  calls.called.length = 0
})

const run = async (steps: readonly Step<CellUser>[], isDry = false) => {
  const changed = await change(admin, visi, steps, {isDry, again: () => admin.user('visi')})
  visi = await admin.user('visi')
  return changed
}
const asked = () => calls.called.filter((method) => !method.startsWith('get'))

describe('a change', () => {
  const STEPS: readonly (readonly [string, () => readonly Step<CellUser>[]])[] = [
    ['admin', () => [adminStep(true, undefined)]],
    ['email', () => [emailStep('A@B.c')]],
    ['a lock', () => [lockedStep(true)]],
    ['an archive, which locks', () => [archivedStep(true)]],
    ['rules', () => [replaceRules(OWN, [UPLOAD, DEL])]],
    ['a rule', () => [putRule(OWN, UPLOAD, 0, visi)]],
    ['a rule far behind the end', () => [putRule(OWN, UPLOAD, 99, visi)]],
    ['a role', () => [grantStep(keepers, undefined)]],
    ['a role before all others', () => [grantStep(keepers, 0)]],
    ['several things', () => [adminStep(true, undefined), lockedStep(true), emailStep('a@b.c')]],
  ]

  test.each(STEPS)('comes to what it was said to come to: %s', async (_, steps) => {
    const dry = await run(steps(), true)
    expect([asked(), dry.isChanged]).toEqual([[], true])
    const done = await run(steps())
    expect(done.after).toEqual(dry.after)
    expect(done.isChanged).toBe(true)
  })

  test('of what is so already asks for nothing', async () => {
    const done = await run([adminStep(false, undefined), lockedStep(false), revokeStep(keepers), emailStep(null)])
    expect([done.isChanged, asked()]).toEqual([false, []])
  })

  test('of a password is made although nobody can see it', async () => {
    expect(await run([passwdStep('not so secret')])).toMatchObject({isChanged: true})
    expect(asked()).toEqual(['setUserPasswd'])
  })

  test('that fails half-way says what was done', async () => {
    await admin.setEmail((await admin.addUser('other', undefined)).iden, 'taken@b.c')
    await expect(run([adminStep(true, undefined), emailStep('taken@b.c'), lockedStep(true)])).rejects.toMatchObject({
      code: 'REG_CONFLICT',
      telepath: 'DupUserEmail',
      message: expect.stringMatching(/ \(done before that: admin\)$/),
      info: {done: ['admin']},
    })
    await expect(run([emailStep('taken@b.c')])).rejects.toMatchObject({
      message: expect.not.stringContaining('done before'),
    })
  })
})

describe('a rule', () => {
  beforeEach(() => run([replaceRules(OWN, [UPLOAD, DEL])]))

  test('that is put again moves', async () => {
    expect((await run([putRule(OWN, DEL, 0, visi)])).after.rules).toEqual([DEL, UPLOAD])
    expect((await run([putRule(OWN, DEL, 1, visi)])).after.rules).toEqual([UPLOAD, DEL])
    expect((await run([putRule(OWN, DEL, 1, visi)])).isChanged).toBe(false)
  })

  test('goes to the place that is named', async () => {
    expect((await run([putRule(OWN, HEALTH, 1, visi)])).after.rules).toEqual([UPLOAD, HEALTH, DEL])
  })

  test('is taken out, if it is there', async () => {
    expect((await run([dropRule(OWN, UPLOAD, visi)])).after.rules).toEqual([DEL])
    expect(() => dropRule(OWN, UPLOAD, visi)).toThrow(expect.objectContaining({code: 'REG_NOT_FOUND'}))
    expect(() => dropRule({...OWN, gate: 'f00d'}, DEL, visi)).toThrow('at the gate f00d')
  })

  test('belongs to one gate, or to none; a gate that says nothing vanishes', () => {
    const place = {holder: 'user', gate: 'f00d'} as const
    const atGate = putRule(place, HEALTH, 0, visi).apply(visi)
    expect(atGate).toMatchObject({rules: visi.rules, gates: [{iden: 'f00d', isAdmin: false, rules: [HEALTH]}]})
    const asAdmin = adminStep(true, 'f00d').apply(atGate)
    expect(asAdmin).toMatchObject({isAdmin: false, gates: [{iden: 'f00d', isAdmin: true, rules: [HEALTH]}]})
    const emptied = dropRule(place, HEALTH, asAdmin).apply(asAdmin)
    expect(emptied.gates).toEqual([{iden: 'f00d', isAdmin: true, rules: []}])
    expect(adminStep(false, 'f00d').apply(emptied).gates).toEqual([])
  })
})

describe('what people read', () => {
  test('tells the difference, and nothing else', async () => {
    const {before, after} = await run([replaceRules(OWN, [UPLOAD, DEL]), adminStep(true, undefined)])
    expect(differences(userPairs(before), userPairs(after))).toBe(
      'admin  no -> yes\nrules  - -> axon.upload, !axon.del',
    )
    expect(differences(userPairs(after), userPairs(after))).toBe('')
  })

  test('numbers the rules, of gates too', () => {
    const user = {...visi, rules: [UPLOAD, DEL], gates: [{iden: 'f00d', isAdmin: true, rules: [HEALTH]}]}
    const text = userDetails(user)
    expect(text).toMatch(/^rules +0 {2}axon\.upload\n +1 {2}!axon\.del$/m)
    expect(text).toMatch(/^gate f00d rules +0 {2}health$/m)
  })
})
