import {beforeEach, describe, expect, test} from 'vitest'
import {assertMayLift, fenceOldLeaders, liftFences} from '../../src/client/leader-fence.ts'
import type {Member} from '../../src/registry/leadership.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {FencedAha, fullName, memberOf} from '../support/fenced-aha.ts'

const {signal} = new AbortController()

let aha: FencedAha
beforeEach(async () => {
  aha = await FencedAha.open()
})

const group = (me: Member, ...others: readonly Member[]) => ({
  ...{me, members: [me, ...others], isListed: true, isNamed: true, leaderAlias: 'axon'},
})

describe('before a mirror is promoted by force', () => {
  test.each<[string, readonly Member[], readonly string[]]>([
    [
      'who had the name of the leader last, and is away',
      [memberOf('00.axon', 'offline'), memberOf('02.axon', 'offline')],
      ['00.axon'],
    ],
    ['who leads', [memberOf('00.axon', 'leader')], ['00.axon']],
    [
      'who leads by what it says, although another one had the name',
      [memberOf('00.axon', 'mirror'), memberOf('02.axon', 'leader')],
      ['02.axon'],
    ],
    ['nobody else', [memberOf('02.axon', 'mirror')], []],
  ])('is kept from leading: %s', async (_, others, wanted) => {
    const {names, why} = await fenceOldLeaders(aha, group(memberOf('01.axon', 'mirror'), ...others), signal)
    expect([names, why]).toEqual([wanted.map(fullName), undefined])
    expect(await aha.fenced()).toEqual(wanted.map(fullName))
  })

  test('nobody is, where no name of the leader is, or the AHA is a real one', async () => {
    const me = memberOf('01.axon', 'mirror')
    const known = group(me, memberOf('00.axon', 'leader'))
    expect((await fenceOldLeaders(aha, {...known, leaderAlias: null}, signal)).why).toContain('no')
    const real = {
      askAha: async <T>(ask: (proxy: TelepathProxy) => Promise<T>) =>
        ask({info: {methods: new Map()}} as unknown as TelepathProxy),
    }
    expect((await fenceOldLeaders(real, known, signal)).why).toContain('real Synapse one')
    await expect(liftFences(real, [fullName('00.axon')], signal)).rejects.toMatchObject({code: 'REG_CONFLICT'})
  })

  test('a dry run says who would be, and keeps nobody', async () => {
    const known = group(memberOf('01.axon', 'mirror'), memberOf('00.axon', 'leader'))
    expect(await fenceOldLeaders(aha, known, signal, true)).toEqual({names: [fullName('00.axon')]})
    expect(await aha.fenced()).toEqual([])
    await expect(assertMayLift(aha, signal)).resolves.toBeUndefined()
  })

  test('it takes an administrator of the AHA', async () => {
    aha.user = 'visi'
    const known = group(memberOf('01.axon', 'mirror'), memberOf('00.axon', 'leader'))
    for (const isDry of [false, true]) {
      await expect(fenceOldLeaders(aha, known, signal, isDry)).rejects.toMatchObject({telepath: 'AuthDeny'})
    }
    await expect(assertMayLift(aha, signal)).rejects.toMatchObject({telepath: 'AuthDeny'})
  })
})

test('those are named that may lead again', async () => {
  await fenceOldLeaders(aha, group(memberOf('01.axon', 'mirror'), memberOf('00.axon', 'leader')), signal)
  expect(await liftFences(aha, ['00.axon', '02.axon'].map(fullName), signal)).toEqual([fullName('00.axon')])
  expect(await aha.fenced()).toEqual([])
})
