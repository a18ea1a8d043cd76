import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Member, MemberState, Situation} from '../../src/registry/leadership.ts'
import {assertNobodyIsCutOff, assertTrimmable, followersOf, lastToGo} from '../../src/registry/trim.ts'

const STATE: MemberState = {
  ...{isActive: false, isReady: true, hasUplink: true, isReadOnly: false, nexusIndex: 10},
  ...{mirror: 'aha://root@axon...', version: '1.0.0', synapseVersion: '2.256.0', startedMs: 0},
}
const member = (name: string, state: Partial<MemberState> | undefined, more: Partial<Member> = {}): Member => ({
  ...{name, shortName: name, runId: name, address: null, isOnline: true, isPromotable: true},
  state: state === undefined ? undefined : {...STATE, ...state},
  ...more,
})
const LEADER = member('00', {isActive: true, hasUplink: false, mirror: null})
const situation = (...members: readonly [Member, ...Member[]]): Situation => ({
  ...{me: members[0], members, isListed: true, isNamed: true},
})
const thrownBy = (act: () => void) => {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
const failed = (code: 'REG_TIMED_OUT' | 'REG_DENIED') => ({error: new RegistryError(code, 'it says why')})

describe('a log is trimmed', () => {
  test('at the leader, and only while one leads', () => {
    expect(thrownBy(() => assertTrimmable(situation(LEADER, member('01', {}))))).toBeUndefined()
    expect(thrownBy(() => assertTrimmable(situation(member('01', {}), LEADER)))).toMatchObject({
      code: 'REG_CONFLICT',
      message: '01 does not lead: the leader trims its log, and its mirrors do the same',
      hints: ['registry trim aha://00'],
    })
    expect(thrownBy(() => assertTrimmable(situation(LEADER, member('01', {isActive: true}))))).toMatchObject({
      code: 'REG_CONFLICT',
      info: {name: '01'},
    })
  })

  test('for those who are there; who does not let the caller in is asked by its leader', () => {
    const others = [
      member('01', {}),
      member('02', undefined, {isOnline: false}),
      member('03', undefined, failed('REG_TIMED_OUT')),
      member('04', undefined, failed('REG_DENIED')),
      member('05', {hasUplink: false}),
    ]
    const {present, away} = followersOf(situation(LEADER, ...others))
    expect(present.map(({name}) => name)).toEqual(['01', '04'])
    expect(away.map(({why}) => why)).toEqual([
      '02 is offline',
      '03 does not answer: it says why',
      '05 has no connection to its leader',
    ])
    expect(thrownBy(() => assertNobodyIsCutOff(away, 'aha://axon...'))).toMatchObject({
      code: 'REG_UNREACHABLE',
      message: expect.stringContaining('02 is offline; 03 does not answer: it says why; 05'),
      info: {away: ['02', '03', '05']},
    })
    expect(thrownBy(() => assertNobodyIsCutOff([], 'aha://axon...'))).toBeUndefined()
  })
})

describe('the entries that stay', () => {
  test('are as many as asked for, or all', () => {
    const log = fc.record({oldest: fc.nat(1000), entries: fc.integer({min: 1, max: 1000})})
    fc.assert(
      fc.property(log, fc.nat(2000), ({oldest, entries}, keep) => {
        const index = oldest + entries
        const last = lastToGo({index, oldest}, keep)
        expect(last === undefined ? entries : index - 1 - last).toBe(Math.min(keep, entries))
      }),
    )
  })

  test('are none of an empty log', () => {
    expect(lastToGo({index: 7, oldest: null}, 0)).toBeUndefined()
  })
})
