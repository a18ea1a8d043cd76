// Forced promotions while the old leader is there, does not run, or its link is cut, and both are written to. When the old leader is back, and from its first contact on,
// it acknowledges nothing, tells no events and answers nothing for the cell; what only it had is in a file, and it follows again.
import {readFile} from 'node:fs/promises'
import {expect, test} from 'vitest'
import type {RejoinReport} from '../../src/cli/rejoin-text.ts'
import {runCli} from '../support/cli.ts'
import {EventMarks, MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell} from '../support/member-cell.ts'
import {RawClient} from '../support/raw-client.ts'
import {marksIn, ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'
import {IS_LONG} from './rounds.ts'

/** What becomes of the old leader before the link is mended. */
const WAYS = [
  'leads on alone, as it hears from nobody',
  'is cut off, and asks',
  'leads on, starts again and leads alone',
  'is cut off without a word',
  'is there all the while',
  'does not run',
] as const
const ROUNDS = IS_LONG ? 50 : 2
const CHANGES = 25

test(`in ${ROUNDS} forced promotions the old leader does no harm when it is back, and each acknowledged change is there or in its file`, {
  timeout: 180_000 + ROUNDS * 120_000,
}, async () => {
  await using cell = await MemberCell.start({conf: {'leader:confirm': '500ms'}})
  const history = new ToldHistory()
  const lost = new Set<string>()
  const {members} = cell
  const writers = new Map(members.map((member) => [member, startWriting(cell, member, history)]))
  for (let round = 0; round < ROUNDS; round += 1) {
    const way = WAYS[round % WAYS.length]
    const [old, next] = await cell.settled()
    await done(history, CHANGES)
    const fenced = timesOf(old, 'lead.fenced')
    const ends = {apart: timesOf(old, 'lead.apart'), follows: timesOf(old, 'lead.follows')}
    if (way === 'is cut off without a word') cell.wire.mute()
    else if (way?.includes('cut off') || way?.includes('leads')) cell.wire.cut()
    if (way === 'does not run') await old.stop()
    if (way === 'leads on, starts again and leads alone') await old.kill().then(() => old.start())
    if (way?.includes('leads')) await done(history, CHANGES, laneOf(cell, old))
    await callAsRoot(next, 'promote', false)
    await done(history, CHANGES, laneOf(cell, next))

    if (way === 'does not run') await old.start()
    using events = new EventMarks(old)
    cell.wire.mend()
    await old.said('lead.fenced', fenced + 1)
    const contact = history.all.length
    await until(() => timesOf(old, 'lead.apart') > ends.apart || timesOf(old, 'lead.follows') > ends.follows)
    if (timesOf(old, 'lead.apart') > ends.apart) {
      await until(() => asked(history, contact, laneOf(cell, old)).length > CHANGES)
      await assertSilent(old)
      await writers.get(old)?.end()
      const after = asked(history, contact, 'za', 'ta', 'zb', 'tb').map(({mark}) => mark)
      expect(asked(history, contact, laneOf(cell, old)).filter(({outcome}) => outcome === 'done')).toEqual([])
      expect(events.marks.filter((mark) => after.includes(mark))).toEqual([])
      await old.stop()
      for (const mark of await rejoin(old)) lost.add(mark)
      expect(after.filter((mark) => lost.has(mark))).toEqual([])
      await old.start()
      writers.set(old, startWriting(cell, old, history))
    }
  }
  for (const one of writers.values()) await one.end()
  const entries = await verifyCell(cell, history, lost)
  expect(entries.flatMap(({change}) => marksIn(change)).filter((mark) => lost.has(mark))).toEqual([])
  expect(lost.size).toBeGreaterThan(0)
})

/** Letter of the lanes of those who write to a member. */
function laneOf({members}: MemberCell, member: Member): 'a' | 'b' {
  return member === members[0] ? 'a' : 'b'
}

function startWriting(cell: MemberCell, member: Member, history: ToldHistory): MarkingWriters {
  return new MarkingWriters(member, laneOf(cell, member), history)
}

function timesOf(member: Member, event: string): number {
  return member.output().split(event).length - 1
}

/** What was asked for since then in lanes with one of these beginnings; `a` and `b` are both of a member's. */
function asked({all}: ToldHistory, since: number, ...lanes: readonly string[]) {
  return all.slice(since).filter(({lane}) => lanes.some((one) => lane.startsWith(one) || lane.slice(1).startsWith(one)))
}

/** Waits until so many more changes are done, of those that are asked from now on. */
async function done(history: ToldHistory, count: number, ...lanes: readonly string[]): Promise<void> {
  const since = history.all.length
  const of = lanes.length === 0 ? ['a', 'b'] : lanes
  await until(() => asked(history, since, ...of).filter(({outcome}) => outcome === 'done').length >= count)
}

/** It answers nothing for the cell. */
async function assertSilent(member: Member): Promise<void> {
  using client = new RawClient(member.ports.req)
  for (const request of [
    {action: 'list'},
    {action: 'get', service_id: 'za0'},
    {action: 'discover', service_type: 'x'},
  ]) {
    expect(await client.ask(request)).toMatchObject({success: false, error: expect.stringContaining('took the lead')})
  }
  await expect(callAsRoot(member, 'getAhaSvc', 'x.demo.net')).rejects.toThrow('took the lead')
}

/** Gives the marks of what only this member had. */
async function rejoin({dir}: Member): Promise<readonly string[]> {
  const {status, stdout, stderr} = await runCli(['rejoin', dir, '--yes', '--json'])
  if (status !== 0) throw new Error(`rejoin ended with ${status}: ${stdout}${stderr}`)
  const {lost} = JSON.parse(stdout) as RejoinReport
  return lost.file === null ? [] : marksIn(await readFile(lost.file, 'utf8'))
}
