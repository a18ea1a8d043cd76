import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {
  assertDemotable,
  assertPromotable,
  behindOf,
  forcedNext,
  forcedWarnings,
  leadersOf,
  type Member,
  type MemberState,
  problemsOf,
  roleOf,
  type Situation,
} from '../../src/registry/leadership.ts'

const STATE: MemberState = {
  ...{isActive: false, isReady: true, hasUplink: true, isReadOnly: false, nexusIndex: 10},
  ...{mirror: 'aha://root@axon...', version: '1.0.0', synapseVersion: '2.256.0', startedMs: 0},
}

const member = (name: string, state: Partial<MemberState> | undefined, more: Partial<Member> = {}): Member => ({
  ...{name: `${name}.axon.net`, shortName: `${name}.axon`, runId: name, address: null},
  ...{isOnline: true, isPromotable: true},
  state: state === undefined ? undefined : {...STATE, ...state},
  ...more,
})
const leader = (name = '00', more: Partial<MemberState> = {}) =>
  member(name, {isActive: true, hasUplink: false, mirror: null, ...more})
const offline = (name = '00') => member(name, undefined, {isOnline: false})
const silent = (name: string, code: 'REG_TIMED_OUT' | 'REG_DENIED') =>
  member(name, undefined, {error: new RegistryError(code, 'it says why')})

/** The first one is who is asked. */
const situation = (members: readonly [Member, ...Member[]], more: Partial<Situation> = {}): Situation => ({
  ...{me: members[0], members, isListed: true, isNamed: true},
  ...more,
})

const refusal = (check: () => unknown): unknown => {
  try {
    return check()
  } catch (error) {
    return error instanceof RegistryError ? {code: error.code, message: error.message, hints: error.hints} : error
  }
}

test('a mirror that is kept from leading is not promoted, in either way, before it is let again', () => {
  const fence = {leader: '01.axon.net', sinceMs: 0, refused: 0, lastMs: null}
  const about = situation([member('00', {}, {fence}), leader('01')])
  for (const isForced of [false, true])
    expect(refusal(() => assertPromotable(about, isForced))).toEqual({
      code: 'REG_CONFLICT',
      message:
        'the AHA keeps 00.axon.net from leading: 01.axon.net was promoted in its place at 1970-01-01T00:00:00.000Z, by force',
      hints: ['when it mirrors the new leader: registry promote aha://00.axon.net --allow-return'],
    })
})

describe('the services of a cell', () => {
  test('are leader or mirror by what they say, and how far behind is counted from the leader', () => {
    const [lead, mirror, unknown] = [leader('00', {nexusIndex: 12}), member('01', {}), offline('02')]
    const all = [lead, mirror, unknown]
    expect(all.map(roleOf)).toEqual(['leader', 'mirror', 'unknown'])
    expect(all.map((one) => behindOf(one, all))).toEqual([undefined, 2, undefined])
    expect(leadersOf(all)).toEqual([lead])
    expect(behindOf(member('01', {nexusIndex: 13}), all)).toBe(0)
    expect(behindOf(mirror, [mirror])).toBeUndefined()
  })

  test.each<[string, readonly Member[], readonly string[]]>([
    ['all is well', [leader(), member('01', {})], []],
    ['a mirror is behind', [leader('00', {nexusIndex: 99}), member('01', {})], []],
    ['who asks may not ask one of them', [leader(), silent('01', 'REG_DENIED')], []],
    ['nobody leads', [member('00', {}), member('01', {})], ['nobody leads']],
    ['the leader is gone', [offline(), member('01', {})], ['00.axon.net is offline']],
    [
      'two lead',
      [leader(), leader('01')],
      ['00.axon.net and 01.axon.net lead at the same time: each has changes that the other lacks'],
    ],
    ['one does not answer', [leader(), silent('01', 'REG_TIMED_OUT')], ['01.axon.net does not answer: it says why']],
    [
      'one has lost its leader',
      [leader(), member('01', {hasUplink: false})],
      ['01.axon.net has no connection to its leader'],
    ],
    ['one is not ready', [leader(), member('01', {isReady: false})], ['01.axon.net has not caught up yet']],
  ])('have the problems that people are told: %s', (_, members, problems) => {
    expect(problemsOf(members)).toEqual(problems)
  })
})

describe('a promotion', () => {
  const check = (of: Situation, isForced = false) => refusal(() => assertPromotable(of, isForced))

  test('is allowed of a mirror whose leader answers', () => {
    expect(check(situation([member('01', {}), leader()]))).toBeUndefined()
    expect(check(situation([member('01', {}), leader(), offline('02')]))).toBeUndefined()
  })

  test('of a member of our own is typed where its certificates are', () => {
    const [me, mirror] = [
      {...leader(), url: 'cell:///srv/one'},
      {...member('01', {}), url: 'ssl://01.axon.net:27492'},
    ]
    expect(check(situation([me, mirror]))).toMatchObject({
      hints: ['on the machine of 01.axon.net: registry promote cell://DIR', 'registry status cell:///srv/one'],
    })
  })

  test('is refused of a leader, which names its mirrors, and of who is alone', () => {
    for (const isForced of [false, true]) {
      expect(check(situation([leader(), member('01', {})]), isForced)).toEqual({
        code: 'REG_CONFLICT',
        message: '00.axon.net is no mirror: it leads',
        hints: ['registry promote aha://01.axon.net', 'registry status aha://00.axon.net'],
      })
      expect(check(situation([leader()]), isForced)).toMatchObject({
        code: 'REG_CONFLICT',
        message: '00.axon.net is no mirror: it leads and has no mirrors',
      })
      expect(check(situation([leader(), offline('01')]), isForced)).toMatchObject({
        message: '00.axon.net is no mirror: it leads and none of its mirrors can be asked',
      })
    }
  })

  test.each<[string, Situation, string, string]>([
    [
      'it has no name in AHA',
      situation([member('01', {})], {isNamed: false, isListed: false}),
      'REG_CONFLICT',
      '01.axon.net has no name in AHA, by which its leader would hand over to it',
    ],
    [
      'its leader is offline',
      situation([member('01', {}), offline(), member('02', {})]),
      'REG_UNREACHABLE',
      'the leader of 01.axon.net cannot be reached: no service of its cell leads; 00.axon.net is offline; 02.axon.net is a mirror too',
    ],
    [
      'its leader does not answer',
      situation([member('01', {}), silent('00', 'REG_TIMED_OUT')]),
      'REG_UNREACHABLE',
      'the leader of 01.axon.net cannot be reached: no service of its cell leads; 00.axon.net cannot be asked: it says why',
    ],
    [
      'it has lost its leader, and AHA cannot be asked',
      situation([member('01', {hasUplink: false})], {isListed: false}),
      'REG_UNREACHABLE',
      'the leader of 01.axon.net cannot be reached: it has no connection to aha://root@axon...',
    ],
    [
      'it has not caught up',
      situation([member('01', {isReady: false, nexusIndex: 5}), leader('00', {nexusIndex: 800})]),
      'REG_CONFLICT',
      '01.axon.net has not caught up with its leader yet: it is at index 5',
    ],
  ])('is refused when %s, and only then not forced', (_, of, code, message) => {
    expect(check(of)).toMatchObject({code, message})
    expect(check(of, true)).toBeUndefined()
  })

  test('is left to the service when AHA cannot be asked', () => {
    expect(check(situation([member('01', {})], {isListed: false}))).toBeUndefined()
  })
})

describe('a forced promotion', () => {
  test('tells from which offset on changes are lost, and who is further', () => {
    const ahead = member('02', {nexusIndex: 12})
    expect(forcedWarnings(situation([member('01', {}), offline(), ahead, member('03', {})]))).toEqual([
      '01.axon.net has the changes below index 10: what the leader wrote from there on is lost',
      '02.axon.net is ahead, at index 12: promote it instead, or it goes apart from the new leader',
    ])
  })

  test('warns of a leader that answers', () => {
    const [first] = forcedWarnings(situation([member('01', {}), leader('00', {nexusIndex: 11})]))
    expect(first).toBe(
      '00.axon.net leads and answers, at index 11: without --failure nothing is lost; with it two lead at the same time',
    )
  })

  test('says what is to be done with the old leader, and nothing of other mirrors', () => {
    const steps = [
      '00.axon.net must not start again as it is: it would lead beside 01.axon.net. Empty its directory, then:',
      'registry provision service 00.axon --mirror axon',
    ]
    for (const old of [offline(), leader(), silent('00', 'REG_TIMED_OUT')]) {
      expect(forcedNext(situation([member('01', {}), old, member('02', {})]), 'axon')).toEqual(steps)
    }
    const ours = {...situation([member('01', {}), offline(), offline('02')]), isFencing: true}
    const since = [leader('01'), offline(), member('02', {})]
    expect(forcedNext(ours, null, [], since)).toEqual([
      expect.stringMatching(/^00.axon.net follows when/),
      'registry rejoin DIR',
    ])
    expect(forcedNext(situation([member('01', {}), offline()]), null)[1]).toBe('registry provision service 00.axon')
  })
})

describe('a demotion', () => {
  const check = (of: Situation) => refusal(() => assertDemotable(of))

  test('gives those that can take over, the one that is furthest first', () => {
    const [near, far] = [member('01', {nexusIndex: 9}), member('02', {nexusIndex: 10})]
    expect(check(situation([leader(), near, far, offline('03')]))).toEqual([far, near])
    // The service may know what who asks may not.
    expect(check(situation([leader(), silent('01', 'REG_DENIED')]))).toHaveLength(1)
    expect(check(situation([leader()], {isListed: false}))).toEqual([])
  })

  test('is refused of a mirror, which names its leader', () => {
    expect(check(situation([member('01', {}), leader()]))).toEqual({
      code: 'REG_CONFLICT',
      message: '01.axon.net does not lead: it mirrors aha://root@axon...',
      hints: ['registry demote aha://00.axon.net'],
    })
  })

  test('is refused when nobody can take over, with the reason for each', () => {
    const others = [
      offline('01'),
      member('02', {}, {isPromotable: false}),
      silent('03', 'REG_TIMED_OUT'),
      leader('04'),
      member('05', {isReady: false}),
    ]
    expect(check(situation([leader(), ...others]))).toMatchObject({
      code: 'REG_CONFLICT',
      message:
        '00.axon.net has no mirror that could lead; 01.axon.net is offline; 02.axon.net is not promotable; ' +
        '03.axon.net does not answer; 04.axon.net leads too; 05.axon.net has not caught up',
    })
    expect(check(situation([leader()], {isNamed: false}))).toMatchObject({code: 'REG_CONFLICT'})
  })
})
