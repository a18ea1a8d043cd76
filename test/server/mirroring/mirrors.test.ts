import {expect, test} from 'vitest'
import {systemClock} from '../../../src/base/clock.ts'
import {Mirrors, SILENT_MS} from '../../../src/server/mirroring/mirrors.ts'
import {FakeClock} from '../../support/api.ts'
import {stopClock} from '../../support/stopped-clock.ts'

const ABOUT = {member: 'a'.repeat(32), name: '01', urls: [], run: '1'.repeat(32), version: '1.2.3'}
const PLACE = {sessionId: 's1', address: '10.0.0.7'}

function world() {
  const clock = new FakeClock()
  const mirrors = new Mirrors(clock)
  const told: string[] = []
  mirrors.onChange((event, {name}) => told.push(`${event} ${name}`))
  return {clock, mirrors, told}
}

test('a mirror is there from its attachment to the end of its link, and tells how far it is', () => {
  const {clock, mirrors, told} = world()
  {
    using _ = mirrors.attach(ABOUT, PLACE, 5, () => undefined)
    mirrors.noteLog(ABOUT.member, 9)
    clock.nowMs += 700
    expect(mirrors.lagOf(ABOUT.member, 9)).toEqual({entries: 4, ms: 700})
    mirrors.ack(ABOUT.member, 's1', 9)
    expect(mirrors.lagOf(ABOUT.member, 9)).toEqual({entries: 0, ms: 0})
    expect(mirrors.attached.get(ABOUT.member)).toMatchObject({nextOffset: 9, address: '10.0.0.7'})
  }
  expect([mirrors.attached.size, mirrors.lagOf(ABOUT.member, 9), told]).toEqual([
    0,
    undefined,
    ['attached 01', 'lost 01'],
  ])
})

test('nobody but the session that follows may tell', () => {
  const {mirrors} = world()
  using _ = mirrors.attach(ABOUT, PLACE, 5, () => undefined)
  expect(() => mirrors.ack(ABOUT.member, 'other', 9)).toThrow('this session follows no log')
  expect(() => mirrors.ack('b'.repeat(32), 's1', 9)).toThrow('this session follows no log')
})

test('the same start takes the place of its older link; another process with the same iden is refused while that one is heard of', () => {
  const {clock, mirrors} = world()
  const reasons: string[] = []
  const old = mirrors.attach(ABOUT, PLACE, 5, ({message}) => reasons.push(message))
  using _ = mirrors.attach(ABOUT, {...PLACE, sessionId: 's2'}, 7, () => undefined)
  old[Symbol.dispose]()
  expect([reasons.length, mirrors.attached.get(ABOUT.member)?.sessionId]).toEqual([1, 's2'])
  const copy = {...ABOUT, run: '2'.repeat(32)}
  const attach = () => mirrors.attach(copy, {...PLACE, sessionId: 's3'}, 5, () => undefined)
  expect(attach).toThrow('01 (10.0.0.7) has the same member iden as 01 (10.0.0.7)')
  clock.nowMs += 3001
  using _restarted = attach()
  expect(mirrors.attached.get(ABOUT.member)?.sessionId).toBe('s3')
})

test('one that is silent for too long is let go as if its link had broken, and its session is cut; it may come back', async () => {
  const time = stopClock()
  const cut: string[] = []
  const mirrors = new Mirrors(systemClock, (sessionId) => cut.push(sessionId))
  const told: string[] = []
  mirrors.onChange((event, {name}) => told.push(`${event} ${name}`))
  const reasons: string[] = []
  const old = mirrors.attach(ABOUT, PLACE, 5, ({message}) => reasons.push(message))
  await time.pass(SILENT_MS - 1)
  mirrors.ack(ABOUT.member, 's1', 9)
  await time.pass(SILENT_MS - 1)
  expect([mirrors.size, told, cut]).toEqual([1, ['attached 01'], []])
  await time.pass(1)
  expect([mirrors.size, told, cut, reasons]).toEqual([
    0,
    ['attached 01', 'lost 01'],
    ['s1'],
    ['01 said nothing for 10 s'],
  ])
  expect(() => mirrors.ack(ABOUT.member, 's1', 9)).toThrow('this session follows no log')
  using _ = mirrors.attach(ABOUT, {...PLACE, sessionId: 's2'}, 9, () => undefined)
  old[Symbol.dispose]()
  expect([mirrors.attached.get(ABOUT.member)?.sessionId, told.at(-1)]).toEqual(['s2', 'attached 01'])
})

test('who left, or whose place another link of it took, is not let go later', async () => {
  const time = stopClock()
  const cut: string[] = []
  const mirrors = new Mirrors(systemClock, (sessionId) => cut.push(sessionId))
  const reasons: string[] = []
  mirrors.attach(ABOUT, PLACE, 5, ({message}) => reasons.push(message))
  const again = mirrors.attach(ABOUT, {...PLACE, sessionId: 's2'}, 5, ({message}) => reasons.push(message))
  again[Symbol.dispose]()
  await time.pass(2 * SILENT_MS)
  expect([cut, reasons]).toEqual([['s1'], ['the same mirror attached anew']])
})

test('who waits for a mirror hears when it has all, over a break of its link', async () => {
  const {mirrors} = world()
  const caughtUp = mirrors.caughtUp(ABOUT.member, 9, new AbortController().signal)
  mirrors.attach(ABOUT, PLACE, 5, () => undefined)[Symbol.dispose]()
  using _ = mirrors.attach(ABOUT, PLACE, 7, () => undefined)
  mirrors.ack(ABOUT.member, 's1', 9)
  expect(await caughtUp).toBe(true)
  const never = new AbortController()
  const late = mirrors.caughtUp(ABOUT.member, 10, never.signal)
  never.abort()
  expect(await late).toBe(false)
})
