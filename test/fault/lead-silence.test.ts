// A leader and its mirror between which packets vanish: no link breaks. The mirror is promoted by force, and both are written to. The leader notices by
// itself that its mirror is silent, and takes nothing while it asks; from its first contact with the new leader on it acknowledges nothing.
import {expect, test} from 'vitest'
import {MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell, roleOf} from '../support/member-cell.ts'
import {type Told, ToldHistory} from '../support/told-history.ts'
import {until} from '../support/wire.ts'

const CHANGES = 20

test('a leader whose only mirror is silent stands still and asks, and is fenced by it after the first contact', async () => {
  await using cell = await MemberCell.start({conf: {'leader:confirm': '150s'}})
  const history = new ToldHistory()
  const [old, next] = await cell.settled()
  const writers = [new MarkingWriters(old, 'a', history), new MarkingWriters(next, 'b', history)]
  const of = (lane: string) => history.all.filter((told) => told.lane.slice(1).startsWith(lane))
  await until(() => of('a').filter(isDone).length >= CHANGES)

  cell.wire.mute()
  await callAsRoot(next, 'promote', false)
  await old.said('lead.confirming')
  expect(await roleOf(old)).toBe('confirms')
  expect(timesOf(old, 'mirroring.dropped')).toBe(1)
  const stands = history.all.length
  const since = (lane: string) => of(lane).filter((told) => history.all.indexOf(told) >= stands)
  await until(() => since('b').filter(isDone).length >= CHANGES)
  await until(() => since('a').filter(isRefused).length >= CHANGES)

  cell.wire.mend()
  await old.said('lead.fenced')
  const contact = history.all.length
  await until(() => of('a').filter((told) => history.all.indexOf(told) >= contact && isRefused(told)).length >= CHANGES)
  expect(since('a').filter(isDone)).toEqual([])
  for (const one of writers) await one.end()
})

test('a mirror that was silent for too long attaches again, and the leader takes changes again', async () => {
  await using cell = await MemberCell.start({conf: {'leader:confirm': '150s'}})
  const [leader, mirror] = await cell.settled()
  const attached = timesOf(mirror, 'mirror.attached')
  cell.wire.mute()
  await leader.said('lead.confirming')
  await mirror.said('mirror.not-linked')
  cell.wire.mend()
  await leader.said('lead.confirmed')
  await mirror.said('mirror.attached', attached + 1)
  await callAsRoot(leader, 'addRole', 'after')
  await cell.settled()
  expect(await callAsRoot(mirror, 'getRoleDefByName', 'after')).toMatchObject({name: 'after'})
  expect([timesOf(leader, 'lead.doubted'), timesOf(leader, 'lead.unconfirmed')]).toEqual([0, 0])
})

function isDone({outcome}: Told): boolean {
  return outcome === 'done'
}

function isRefused({outcome}: Told): boolean {
  return outcome === 'not done'
}

function timesOf(member: Member, event: string): number {
  return member.output().split(event).length - 1
}
