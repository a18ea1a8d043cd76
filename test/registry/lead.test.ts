import {describe, expect, test} from 'vitest'
import {
  decodeLead,
  decodeLeadChange,
  decodeLeadMember,
  encodeLeadChange,
  encodeLeadRecord,
  isLeading,
  type Lead,
  type LeadChange,
  type LeadState,
  leadAfter,
} from '../../src/registry/lead.ts'

const ONE = '1'.repeat(32)
const TWO = '2'.repeat(32)
const EMPTY: LeadState = {lead: undefined, members: new Map()}
const FOUNDED: Lead = {member: ONE, name: 'aha.loop.link', urls: ['ssl://aha:1'], epoch: 1, how: 'founded', from: null}
const CHANGES: readonly LeadChange[] = [
  {kind: 'lead:take', ...FOUNDED},
  {kind: 'lead:member', member: TWO, name: '01.aha', urls: []},
  {kind: 'lead:take', member: TWO, name: '01.aha', urls: ['ssl://01:1'], epoch: 2, how: 'handed-over', from: ONE},
  {kind: 'lead:forget', member: ONE},
]

describe('who leads', () => {
  test('a cell without mirrors is led by whoever it is', () => {
    expect(isLeading(EMPTY, ONE)).toBe(true)
    expect(isLeading(EMPTY, TWO)).toBe(true)
  })

  test('the newest to take the lead leads alone, and those who came stay members until they are forgotten', () => {
    const [founded, joined, moved, forgotten] = CHANGES as [LeadChange, LeadChange, LeadChange, LeadChange]
    const three = [founded, joined, moved].reduce(leadAfter, EMPTY)
    expect(three.lead).toMatchObject({member: TWO, epoch: 2})
    expect([isLeading(three, ONE), isLeading(three, TWO)]).toEqual([false, true])
    expect([...three.members.keys()]).toEqual([ONE, TWO])
    expect(three.members.get(TWO)?.urls).toEqual(['ssl://01:1'])
    const four = leadAfter(three, forgotten)
    expect([...four.members.keys()]).toEqual([TWO])
    expect(four.lead).toEqual(three.lead)
  })

  test('a name belongs to one member: who is made anew under it takes the place of the one before, but not the lead', () => {
    const [founded, joined] = CHANGES as [LeadChange, LeadChange]
    const state = [founded, joined].reduce(leadAfter, EMPTY)
    const again = {kind: 'lead:member', member: '3'.repeat(32), name: '01.aha', urls: []} as const
    expect([...leadAfter(state, again).members.keys()]).toEqual([ONE, again.member])
    const like = {kind: 'lead:member', member: '4'.repeat(32), name: FOUNDED.name, urls: []} as const
    expect([...leadAfter(state, like).members.keys()]).toEqual([ONE, TWO, like.member])
  })
})

describe('the text of a change', () => {
  test.each(CHANGES)('$kind is read as it was written', (change) => {
    expect(decodeLeadChange(encodeLeadChange(change))).toEqual(change)
  })

  test('a leader and a member are read from the store as they were written', () => {
    expect(decodeLead(encodeLeadRecord(FOUNDED))).toEqual(FOUNDED)
    const {member, name, urls} = FOUNDED
    expect(decodeLeadMember(encodeLeadRecord({member, name, urls}))).toEqual({member, name, urls})
  })

  test.each([
    ['another version', '{"v":2,"kind":"lead:forget","member":"11111111111111111111111111111111"}'],
    ['another kind', '{"v":1,"kind":"lead:lose","member":"11111111111111111111111111111111"}'],
    ['no iden', '{"v":1,"kind":"lead:forget","member":"one"}'],
    ['no epoch', encodeLeadChange({kind: 'lead:take', ...FOUNDED, epoch: 0})],
    ['another way', encodeLeadChange({kind: 'lead:take', ...FOUNDED, how: 'won' as 'forced'})],
  ])('%s is refused', (_, text) => {
    expect(() => decodeLeadChange(text)).toThrow(TypeError)
  })
})
