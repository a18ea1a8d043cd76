// Members of one cell that are killed again and again while the lead moves between them, at random and at each step: after each time one leads, and
// both have what writers were told, over ZeroMQ and over Telepath.
import {setTimeout as delay} from 'node:timers/promises'
import {test} from 'vitest'
import {MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell} from '../support/member-cell.ts'
import {ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'
import {IS_LONG} from './rounds.ts'

const CHANGES = 30
/** The longest time that a hand-over takes here. */
const RANDOM_MS = 60

type Victims = 'leader' | 'mirror' | 'both'
/** Who says it, and what. */
type Step = readonly [by: 'leader' | 'mirror', event: string] | 'random'

const STEPS: readonly Step[] = [
  ['mirror', 'lead.asking'],
  ['leader', 'lead.closing'],
  ['leader', 'lead.waiting'],
  ['leader', 'lead.giving'],
  ['leader', 'lead.given'],
  ['mirror', 'lead.leads'],
  'random',
]
const VICTIMS: readonly Victims[] = ['leader', 'mirror', 'both']
const ALL = STEPS.flatMap((step) => VICTIMS.map((victims) => [step, victims] as const))
const LONG_ROUNDS = 2 * ALL.length
const ROUNDS: readonly (readonly [Step, Victims])[] = IS_LONG
  ? Array.from({length: LONG_ROUNDS}, (_, round) => ALL[round % ALL.length] ?? ['random', 'both'])
  : [
      ['random', 'leader'],
      ['random', 'both'],
    ]

test(`after each of ${ROUNDS.length} kills in hand-overs one leads, and nothing acknowledged is lost or applied twice`, {
  timeout: 180_000 + ROUNDS.length * 120_000,
}, async () => {
  await using cell = await MemberCell.start({conf: {'leader:confirm': '2s'}})
  const history = new ToldHistory()
  for (const [step, victims] of ROUNDS) {
    const [leader, mirror] = await cell.settled()
    const writers = cell.members.map((member, at) => new MarkingWriters(member, 'ab'[at] ?? '', history))
    const enough = history.done.length + CHANGES
    await until(() => history.done.length >= enough)
    const dying = victims === 'both' ? cell.members : [victims === 'leader' ? leader : mirror]
    const moment = momentOf(step, {leader, mirror})
    // Whether it comes to its end depends on the moment.
    void callAsRoot(mirror, 'promote', true).catch(() => undefined)
    await moment
    await Promise.all(dying.map((member) => member.kill()))
    await Promise.all(dying.map((member) => member.start()))
    await cell.settled()
    const more = history.done.length + CHANGES
    await until(() => history.done.length >= more)
    for (const writer of writers) await writer.end()
    await verifyCell(cell, history)
    await cell.startAgain()
  }
})

function momentOf(step: Step, members: {readonly leader: Member; readonly mirror: Member}): Promise<void> {
  if (step === 'random') return delay(Math.random() * RANDOM_MS)
  const [by, event] = step
  const before = members[by].output().split(event).length - 1
  return members[by].said(event, before + 1)
}
