// The lead goes back and forth between two built servers while both are written to, over ZeroMQ and over Telepath.
import {expect, test} from 'vitest'
import {Subscriber} from 'zeromq'
import {MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell, roleOf} from '../support/member-cell.ts'
import {ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'
import {IS_LONG} from './rounds.ts'

const MOVES = IS_LONG ? 100 : 6
/** Those who write see so many of their changes done between two moves. */
const CHANGES = 60

/** The marks of the events of a member, in order. */
class Listener implements Disposable {
  readonly marks: string[] = []
  readonly #socket = new Subscriber({linger: 0, receiveHighWaterMark: 0})

  constructor({ports}: Member) {
    this.#socket.subscribe('register')
    this.#socket.connect(`tcp://127.0.0.1:${ports.pub}`)
    void this.#read().catch(() => undefined) // the socket was closed
  }

  async #read(): Promise<void> {
    for await (const frames of this.#socket)
      this.marks.push(...(`${frames.at(-1)}`.match(/\bmark-z[a-z0-9]+-\d+\b/) ?? []))
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}

test(`no acknowledged change is lost or applied twice in ${MOVES} promotions, and both sides have the same log and tell the same events`, {
  timeout: 60_000 + MOVES * 3000,
}, async () => {
  await using cell = await MemberCell.start()
  const history = new ToldHistory()
  using one = new Listener(cell.members[0])
  using two = new Listener(cell.members[1])
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
  const registered = entries.flatMap(({change}) => change.match(/\bmark-z[a-z0-9]+-\d+\b/) ?? [])
  const last = registered.at(-1) ?? ''
  for (const [at, {marks}] of [one, two].entries()) {
    await until(() => marks.includes(last))
    const from = registered.indexOf(begun[at] ?? '')
    expect(marks.slice(marks.indexOf(begun[at] ?? ''))).toEqual(registered.slice(from))
  }
})
