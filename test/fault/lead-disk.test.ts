// A member of a cell whose disk is full. The leader refuses changes, wherever they are asked, and gives the lead away only by force; a mirror falls behind
// and says why, while the leader goes on. With room again both are as if nothing had been.
import {execFileSync} from 'node:child_process'
import {expect, onTestFinished, test} from 'vitest'
import {MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell} from '../support/member-cell.ts'
import {RawClient} from '../support/raw-client.ts'
import {ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'

const CHANGES = 20
/** How large a file may be that it writes to: with 0 it writes to none. */
const limitTo = ({pid}: Member, bytes: number | 'unlimited') =>
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])

interface Health {
  readonly status: string
  readonly components: readonly {readonly mesg: string}[]
}

async function healthOf(member: Member): Promise<Health> {
  return (await callAsRoot(member, 'getHealthCheck')) as unknown as Health
}

const doneSince = (history: ToldHistory, since: number) =>
  history.all.slice(since).filter(({outcome}) => outcome === 'done').length

async function writtenCell() {
  const cell = await MemberCell.start()
  onTestFinished(() => cell[Symbol.asyncDispose]())
  const history = new ToldHistory()
  const [leader, mirror] = await cell.settled()
  const writers = cell.members.map((member, at) => new MarkingWriters(member, 'ab'[at] ?? '', history))
  await until(() => history.done.length >= CHANGES)
  const end = async () => {
    for (const writer of writers) await writer.end()
    await verifyCell(cell, history)
  }
  return {cell, history, leader, mirror, end}
}

test('a mirror without room falls behind and says why, and the leader goes on; with room again it has all', async () => {
  const {history, leader, mirror, end} = await writtenCell()
  limitTo(mirror, 0)
  await until(async () => (await healthOf(mirror)).status !== 'nominal')
  expect(JSON.stringify(await healthOf(mirror))).toMatch(/SQLITE_(FULL|IOERR)/)
  const since = history.all.length
  await until(
    () => history.all.slice(since).filter(({lane, outcome}) => lane[1] === 'a' && outcome === 'done').length > CHANGES,
  )
  await expect(callAsRoot(mirror, 'promote', true)).rejects.toThrow()
  expect((await healthOf(leader)).status).not.toBe('failed')
  using reader = new RawClient(mirror.ports.req)
  expect(await reader.get('za0')).toMatchObject({success: true})
  limitTo(mirror, 'unlimited')
  const later = history.all.length
  await until(
    () => history.all.slice(later).filter(({lane, outcome}) => lane[1] === 'b' && outcome === 'done').length > CHANGES,
  )
  await until(async () => (await healthOf(mirror)).status === 'nominal')
  await end()
})

test('a leader without room refuses changes at both, and does not give the lead away half; with room again it takes them', async () => {
  const {history, leader, mirror, end} = await writtenCell()
  limitTo(leader, 0)
  await until(async () => (await healthOf(leader)).status !== 'nominal')
  const since = history.all.length
  await until(() => history.all.slice(since).filter(({outcome}) => outcome === 'not done').length > CHANGES)
  expect(history.all.slice(since + CHANGES).some(({outcome}) => outcome === 'done')).toBe(false)
  await expect(callAsRoot(mirror, 'promote', true)).rejects.toThrow()
  for (const {ports} of [leader, mirror]) {
    using reader = new RawClient(ports.req)
    expect(await reader.get('za0')).toMatchObject({success: true})
  }
  limitTo(leader, 'unlimited')
  const later = history.all.length
  await until(() => doneSince(history, later) > CHANGES)
  await callAsRoot(mirror, 'promote', true)
  await end()
})
