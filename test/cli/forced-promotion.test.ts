import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {promoteByForce} from '../../src/cli/forced-promotion.ts'
import type {LeadTarget} from '../../src/cli/lead-command.ts'
import {FencedAha, fullName, memberOf} from '../support/fenced-aha.ts'

const FIRST = fullName('00.axon')
const FENCE = {leader: fullName('02.axon'), sinceMs: 0, refused: 0, lastMs: null}

let aha: FencedAha
let said: string[]
beforeEach(async () => {
  aha = await FencedAha.open()
  said = []
})

/** Promotes `01.axon` in place of `00.axon`; the service answers so. Gives those who were kept from leading when it was asked. */
async function force(answer: Error | null, options: {allowsReturn?: boolean; wasFenced?: boolean} = {}) {
  const {allowsReturn = false, wasFenced = false} = options
  const asked: (readonly string[])[] = []
  const members = [memberOf('01.axon', 'mirror'), memberOf('00.axon', 'offline', wasFenced ? FENCE : undefined)]
  const target = {
    before: {me: members[0], members, isListed: true, isNamed: true, leaderAlias: 'axon'},
    groups: {env: async () => ({askAha: aha.askAha})},
    cell: {
      call: async () => {
        asked.push(await aha.fenced())
        if (answer !== null) throw answer
        return answer
      },
    },
  } as unknown as LeadTarget
  const {signal} = new AbortController()
  const say = (text: string) => said.push(text)
  const kept = await promoteByForce(target, {timeoutMs: 1000, signal, allowsReturn, say}).catch(
    (error: unknown) => error,
  )
  return {kept, asked}
}

describe('a forced promotion', () => {
  test('keeps the old leader from the lead before it is asked for', async () => {
    expect(await force(null)).toEqual({kept: [FIRST], asked: [[FIRST]]})
    expect(await aha.fenced()).toEqual([FIRST])
  })

  test('lets the old leader again when it is refused, unless it was not let before', async () => {
    const refused = new RegistryError('REG_DENIED', 'newp', {telepath: 'AuthDeny'})
    expect((await force(refused)).asked).toEqual([[FIRST]])
    expect(await aha.fenced()).toEqual([])
    await force(refused, {wasFenced: true})
    expect(await aha.fenced()).toEqual([FIRST])
  })

  test.each(['REG_LINK_CLOSED', 'REG_TIMED_OUT'] as const)(
    'keeps it so when nothing is known of it: %s',
    async (code) => {
      await force(new RegistryError(code, 'silence', {telepath: 'TimeOut'}))
      expect(await aha.fenced()).toEqual([FIRST])
      expect(said).toEqual([`kept from leading, whatever came of it: ${FIRST}`])
    },
  )

  test('keeps nobody from the lead when that is wanted', async () => {
    expect(await force(null, {allowsReturn: true})).toEqual({kept: [], asked: [[]]})
  })

  test('does not happen when the AHA refuses to keep the old one from the lead', async () => {
    aha.user = 'visi'
    const {kept, asked} = await force(null)
    expect(asked).toEqual([])
    expect(kept).toMatchObject({code: 'REG_DENIED', message: expect.stringContaining('nothing was done')})
  })
})
