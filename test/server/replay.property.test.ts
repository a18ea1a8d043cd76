import fc from 'fast-check'
import {expect, test} from 'vitest'
import {FakeClock} from '../support/api.ts'
import {run, turn} from '../support/replay-calls.ts'
import {ReplayMember} from '../support/replay-member.ts'

/** What a log says of what was done: without its times. */
const said = (lines: readonly string[]) =>
  lines.flatMap((line) => /aha\.(?:service|pool)\.(?:added|removed|offline|member-[a-z]+).*/.exec(line)?.[0] ?? [])

async function expectSame(leader: ReplayMember, mirror: ReplayMember, eventsBefore: number): Promise<void> {
  expect(mirror.changes.head).toEqual(leader.changes.head)
  const stored = await mirror.stored()
  expect(stored).toEqual(await leader.stored())
  expect(mirror.visible()).toEqual(leader.visible())
  // What is stored is what is seen.
  expect(await mirror.visibleAgain()).toEqual(leader.visible())
  const served = mirror.visible().catalog.map(([seq, service]) => ({seq, service}))
  expect(stored.instances).toEqual(served)
  const counts = {services: served.length, records: stored.records.length}
  const whole = {damage: undefined, differing: [], differingRecords: [], ...counts}
  expect([await leader.check(), await mirror.check()]).toMatchObject([whole, whole])
  expect(mirror.api.events.slice(eventsBefore)).toEqual(leader.api.events.slice(eventsBefore))
  expect([mirror.barred, said(mirror.lines)]).toEqual([leader.barred, said(leader.lines)])
}

test('whatever is asked of a leader: who replays its log has the same, and can go on with it', async () => {
  const turns = fc.array(turn, {maxLength: 30, size: 'max'})
  await fc.assert(
    fc.asyncProperty(turns, turns, turns, fc.integer({min: 1, max: 20}), async (first, second, third, step) => {
      const one = await ReplayMember.leader(new FakeClock())
      const other = await ReplayMember.mirrorOf(one, new FakeClock(1_900_000_000_000))
      one.lines.length = 0
      other.lines.length = 0
      try {
        await run(one, first)
        await other.follow(one, step)
        await expectSame(one, other, 0)
        const events = one.api.events.length
        other.lead()
        await run(other, second)
        await one.follow(other, step)
        await expectSame(other, one, events)
        const later = one.api.events.length
        one.lead()
        await run(one, third)
        await other.follow(one, 1000)
        await expectSame(one, other, later)
      } finally {
        one.close()
        other.close()
      }
    }),
    {numRuns: 60},
  )
})
