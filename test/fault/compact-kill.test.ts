// A start that writes the database anew and is killed before any step of that: the database is whole, as it was or compacted, and the next start goes on.
import assert from 'node:assert/strict'
import {cp, mkdir, mkdtemp, readdir, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {readCompacted} from '../../src/server/compact-record.ts'
import {compactStore} from '../../src/server/compact-store.ts'
import {verifyStoreFile} from '../../src/store/adopt.ts'
import {storeCensus} from '../../src/store/census.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {StoreHead} from '../../src/store/store.ts'
import {Child} from '../support/child.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'
import {IS_LONG} from './rounds.ts'

const BALLAST = 8_000_000
/** What is in it takes less. */
const COMPACT_MAX = 500_000
const ENTRIES = 50

let home: string
let head: StoreHead
let census: Awaited<ReturnType<typeof storeCensus>>
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-compact-kill-'))
  const path = join(home, 'first', 'registry.db')
  await mkdir(join(home, 'first'))
  {
    await using store = new SqliteStore(path)
    await store.open()
    for (let entry = 0; entry < ENTRIES; entry++) {
      await store.append([{timeMs: entry, actor: 'test', change: `{"entry":${entry}}`, effect: {kind: 'none'}}])
    }
  }
  head = await headOf(path)
  {
    using database = new DatabaseSync(path)
    database.exec(
      `CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (zeroblob(${BALLAST})); DROP TABLE ballast`,
    )
  }
  census = await storeCensus(path)
})
afterAll(() => rm(home, {recursive: true, force: true}))

async function headOf(path: string): Promise<StoreHead> {
  await using store = new SqliteStore(path, {frees: false})
  return await store.open()
}

/** Lets it do so many steps on a new copy and kills it before the next; gives what it was about to do, undefined when it was done before. */
async function killedAfter(dir: string, steps: number): Promise<string | undefined> {
  await cp(join(home, 'first'), dir, {recursive: true})
  await using child = new Child(new URL('compact-child.ts', import.meta.url), [dir])
  for (let done = 0; ; done++) {
    const line = await child.line()
    assert(line !== undefined, 'it ended too early')
    if (line === 'done') return undefined
    if (done === steps) return line
    child.send('go on')
  }
}

async function assertWhole(dir: string, step: string): Promise<boolean> {
  const path = join(dir, 'registry.db')
  const {size} = await stat(path)
  await verifyStoreFile(path, head)
  assert.deepEqual(await storeCensus(path), census, step)
  return size < COMPACT_MAX
}

async function stepsOf(dir: string): Promise<readonly string[]> {
  await cp(join(home, 'first'), dir, {recursive: true})
  await using child = new Child(new URL('compact-child.ts', import.meta.url), [dir])
  const steps: string[] = []
  for (let line = await child.line(); line !== 'done'; line = await child.line()) {
    assert(line !== undefined, 'it ended too early')
    steps.push(line)
    child.send('go on')
  }
  return steps
}

test('killed before any step of it, the database is whole, and the next start compacts it', async () => {
  const steps = await stepsOf(join(home, 'whole'))
  expect(steps).toContain('rename tmp/registry.db registry.db')
  expect(await assertWhole(join(home, 'whole'), 'whole')).toBe(true)
  // In the short form before each that gives a file its name, and after that.
  const isShort = (at: number) => [steps[at], steps[at - 1]].some((step) => step?.startsWith('rename'))
  const rounds = steps.keys().filter((at) => IS_LONG || isShort(at))
  const outcomes = new Set<boolean>()
  for (const round of rounds) {
    const dir = join(home, `round-${round}`)
    const step = `${await killedAfter(dir, round)}`
    const isCompact = await assertWhole(dir, step)
    outcomes.add(isCompact)
    const lines: string[] = []
    await compactStore(join(dir, 'registry.db'), {log: silentLog(lines), minFreePercent: 0, clock: {wallMs: () => 2}})
    expect(lines.join('\n')).toMatch(isCompact ? /little would be won/ : /store\.compacted/)
    expect(await assertWhole(dir, step)).toBe(true)
    if (!isCompact) expect(await readCompacted(dir)).toMatchObject({init: {time: 2}})
    expect(await readdir(join(dir, 'tmp')).catch(() => [])).toEqual([])
    expect(await headOf(join(dir, 'registry.db'))).toEqual(head)
    await rm(dir, {recursive: true})
  }
  expect(outcomes).toEqual(new Set([true, false]))
}, 300_000)
