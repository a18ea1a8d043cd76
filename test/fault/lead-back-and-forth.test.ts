// The lead goes back and forth between two built servers while both are written to, over ZeroMQ and over Telepath.
import {expect, test} from 'vitest'
import {EventMarks, MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell, roleOf} from '../support/member-cell.ts'
import {marksIn, ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'
import {IS_LONG} from './rounds.ts'

const MOVES = IS_LONG ? 100 : 6
/** Those who write see so many of their changes done between two moves. */
const CHANGES = 60

test(`no acknowledged change is lost or applied twice in ${MOVES} promotions, and both sides have the same log and tell the same events`, {
  timeout: 180_000 + MOVES * 30_000,
}, async () => {
  await using cell = await MemberCell.start()
  const history = new ToldHistory()
  using one = new EventMarks(cell.members[0])
  using two = new EventMarks(cell.members[1])
  const writers = cell.members.map((member, at) => new MarkingWriters(member, 'ab'[at] ?? '', history))
  await until(() => one.marks.length > 0 && two.marks.length > 0)
  const begun = [one.marks.at(-1) ?? '', two.marks.at(-1) ?? '']
  for (let move = 0; move < MOVES; move += 1) {
    const [leader, mirror] = move % 2 === 0 ? cell.members : (cell.members.toReversed() as [Member, Member])
    const enough = history.done.length + CHANGES
    await until(() => history.done.length >= enough)
    await callAsRoot(mirror, 'promote', true)
    expect(await roleOf(mirror)).toBe('leads')
    await leader.said('mirror.attached', Math.floor(move / 2) + (leader === cell.members[0] ? 1 : 2))
  }
  for (const writer of writers) await writer.end()
  await cell.settled()
  const entries = await verifyCell(cell, history)
  const registered = entries.flatMap(({change}) => marksIn(change).filter((mark) => mark.startsWith('mark-z')))
  const last = registered.at(-1) ?? ''
  for (const [at, {marks}] of [one, two].entries()) {
    await until(() => marks.includes(last))
    const from = registered.indexOf(begun[at] ?? '')
    expect(marks.slice(marks.indexOf(begun[at] ?? ''))).toEqual(registered.slice(from))
  }
})
