// The clocks of the members stand hours apart and are put forward and back while both are written to and the lead moves: leases do not run out by it,
// a mirror is not late by it, and the history is that of the log.
import {mkdtemp, rename, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {MarkingWriters} from '../support/marking-writers.ts'
import {callAsRoot, type Member, MemberCell} from '../support/member-cell.ts'
import {RawClient} from '../support/raw-client.ts'
import {ToldHistory, verifyCell} from '../support/told-history.ts'
import {until} from '../support/wire.ts'
import {IS_LONG} from './rounds.ts'

const HOUR_MS = 3_600_000
/** Where the clocks of the first and the second member stand, one after the other. */
const STEPS: readonly (readonly [number, number])[] = [
  [0, 2 * HOUR_MS],
  [-2 * HOUR_MS, 2 * HOUR_MS],
  [2 * HOUR_MS, -2 * HOUR_MS],
  [0, 0],
]
const ROUNDS = IS_LONG ? Array.from({length: 5}, () => STEPS).flat() : STEPS.slice(1, 3)
/** Far less than a step, far more than the test takes between two renewals. */
const TTL_S = 900
const CHANGES = 20
const LATE_MS = 60_000

test('clocks that are put forward and back end no lease, make no mirror late, and lose nothing', {
  timeout: 180_000 + ROUNDS.length * 120_000,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'registry-clocks-'))
  const clocks = ['one', 'two'].map((name) => join(dir, name)) as [string, string]
  for (const clock of clocks) await writeFile(clock, '0')
  await using _folder = {[Symbol.asyncDispose]: () => rm(dir, {recursive: true})}
  await using cell = await MemberCell.start({env: [{TEST_CLOCK: clocks[0]}, {TEST_CLOCK: clocks[1]}]})
  const history = new ToldHistory()
  await withTtl(cell.members[0])
  const writers = cell.members.map((member, at) => new MarkingWriters(member, 'ab'[at] ?? '', history))
  for (const step of ROUNDS) {
    await Promise.all(clocks.map((clock, at) => setClock(clock, step[at] ?? 0)))
    await Promise.all(cell.members.map((member, at) => seen(member, step[at] ?? 0)))
    await done(history)
    const [, mirror] = await cell.settled()
    expect(await lagOf(mirror)).toBeLessThan(LATE_MS)
    await callAsRoot(mirror, 'promote', true)
    await cell.settled()
    await done(history)
    for (const {ports} of cell.members) {
      using client = new RawClient(ports.req)
      expect(await client.get('leased')).toMatchObject({success: true, service: {health: 'passing'}})
    }
  }
  for (const writer of writers) await writer.end()
  await verifyCell(cell, history)
})

async function withTtl({ports}: Member): Promise<void> {
  using client = new RawClient(ports.req)
  expect(await client.register('leased', {metadata: {mark: 'mark-zleased-0'}}, TTL_S)).toMatchObject({success: true})
}

/** The server never sees half of it. */
async function setClock(path: string, besideMs: number): Promise<void> {
  await writeFile(`${path}.new`, String(besideMs))
  await rename(`${path}.new`, path)
}

/** Waits until a server tells the time that its clock shows. */
async function seen({ports}: Member, besideMs: number): Promise<void> {
  using client = new RawClient(ports.req)
  await until(async () => {
    const {timestamp} = await client.health()
    return Math.abs(Number(timestamp) * 1000 - Date.now() - besideMs) < LATE_MS
  })
}

async function done(history: ToldHistory): Promise<void> {
  const since = history.all.length
  await until(() => history.all.slice(since).filter(({outcome}) => outcome === 'done').length >= CHANGES)
}

async function lagOf(member: Member): Promise<number> {
  const [self] = (await callAsRoot(member, 'getMembers')) as unknown as readonly {readonly lagMs: number | null}[]
  return self?.lagMs ?? 0
}
