// What a live backup costs who writes meanwhile, beside a backup of the same store when it stands still: store, change log and backups as in the
// server, one writer that waits for each answer.
import {randomBytes} from 'node:crypto'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {NO_PROGRESS} from '../src/backup/progress.ts'
import {systemClock} from '../src/base/clock.ts'
import {createLog} from '../src/base/log.ts'
import {backUpOffline} from '../src/cell/offline-backup.ts'
import {ChangeLog, COMMIT_LIMITS} from '../src/nexus/change-log.ts'
import {Backups} from '../src/server/backups.ts'
import {SqliteStore} from '../src/store/sqlite.ts'
import type {NewEntry} from '../src/store/store.ts'
import {Histogram} from './histogram.ts'
import {type Line, line, median, rounds, shown} from './report.ts'

const CHANGE_BYTES = 16 * 1024
const FILL_BATCH = 128
const MB = 1e6
const STORE_BYTES = 1000 * MB
const QUIET_MS = 2000
const ROUNDS = 5
/** Of the peer, MB/s: one gzip process. */
const PEER_STREAM = 22
const never = new AbortController().signal

export async function* measureLiveBackup(count: number): AsyncGenerator<Line> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-bench-'))
  try {
    const dir = join(folder, 'cell')
    const most = Math.max(count, ROUNDS)
    await mkdir(dir)
    await fill(join(dir, 'registry.db'), STORE_BYTES)
    await writeFile(join(dir, 'cell.guid'), '0'.repeat(32))
    await using store = new SqliteStore(join(dir, 'registry.db'))
    const changes = new ChangeLog(store, {...COMMIT_LIMITS, head: await store.open()})
    const backups = await openBackups(dir, store)
    const samples: Sample[] = []
    for (let round = 0; round < most; round++) samples.push(await measureRound(backups, changes, dir))
    yield* writerLines(samples)
    const bytes = (await store.size()).bytes / MB
    yield await streamLine('own archive stream, zstd', bytes, 8, most, () => ownStream(backups))
    yield await streamLine('stock archive stream, gzip', bytes, 3, most, () => stockStream(backups))
    changes.close()
    await backups.close()
  } finally {
    await rm(folder, {recursive: true})
  }
}

interface Written {
  readonly p99Ms: number
  readonly longestMs: number
  readonly ratePerS: number
}

interface Sample {
  readonly alone: Written
  readonly during: Written
  /** Of the backup while somebody writes, and of that of a stopped cell. */
  readonly totalMs: number
  readonly offlineMs: number
}

function* writerLines(samples: readonly Sample[]): Generator<Line> {
  const of = (pick: (sample: Sample) => number) => samples.map(pick)
  const p99 = of(({during}) => during.p99Ms)
  const longest = of(({during}) => during.longestMs)
  const ratios = of(({totalMs, offlineMs}) => totalMs / offlineMs)
  const rates = `${shown(median(of(({during}) => during.ratePerS)))} changes/s, without ${shown(median(of(({alone}) => alone.ratePerS)))}`
  const mid = (pick: (sample: Sample) => number) => shown(median(of(pick)))
  yield line(
    'writer while 1 GB is backed up, p99',
    median(p99),
    'ms',
    {atMost: 10},
    `without ${mid(({alone}) => alone.p99Ms)} ms; ${rates}; ${rounds(p99)}`,
  )
  yield line(
    'longest pause of that writer',
    median(longest),
    'ms',
    {atMost: 50},
    `without ${mid(({alone}) => alone.longestMs)} ms; the peer 520 to 1730 ms; ${rounds(longest)}`,
  )
  const seconds = `${mid(({totalMs}) => totalMs / 1000)} s beside ${mid(({offlineMs}) => offlineMs / 1000)} s`
  const what = 'live backup of 1 GB while somebody writes, beside an offline one'
  yield line(what, median(ratios), 'x', {atMost: 1.5}, `${seconds}; ${rounds(ratios)}`)
}

async function measureRound(backups: Backups, changes: ChangeLog, dir: string): Promise<Sample> {
  const offlineMs = await timed(() => makeOffline(dir))
  await rm(offlinePlace(dir), {recursive: true})
  const alone = await writeDuring(changes, () => sleep(QUIET_MS))
  let totalMs = 0
  const during = await writeDuring(changes, async () => {
    totalMs = await timed(() => backups.run('bench', never))
  })
  await backups.remove('bench')
  return {alone, during, totalMs, offlineMs}
}

/** Of the same store, which nobody writes to. */
async function makeOffline(dir: string): Promise<void> {
  const to = offlinePlace(dir)
  await backUpOffline({from: dir, to, skip: [], progress: NO_PROGRESS, signal: never, wallMs: () => Date.now()})
}

function offlinePlace(dir: string): string {
  return `${dir}-offline`
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function streamLine(
  what: string,
  megabytes: number,
  factor: number,
  count: number,
  stream: () => Promise<number>,
): Promise<Line> {
  const rates: number[] = []
  for (let round = 0; round < count; round++) rates.push((megabytes * 1000) / (await stream()))
  const note = `of the size of the store; the peer ${PEER_STREAM} MB/s; ${rounds(rates)}`
  return line(what, median(rates), 'MB/s', {atLeast: factor * PEER_STREAM}, note)
}

/** Gives how long it takes from the manifest to the end: the copy before it is another row. */
async function ownStream(backups: Backups): Promise<number> {
  let began = Number.NaN
  for await (const {kind} of backups.stream(undefined, never)) if (kind === 'begin') began = performance.now()
  return performance.now() - began
}

async function stockStream(backups: Backups): Promise<number> {
  const name = await backups.run(undefined, never)
  const took = await timed(async () => {
    for await (const _piece of backups.archive(name, never));
  })
  await backups.remove(name)
  return took
}

function openBackups(dir: string, store: SqliteStore): Promise<Backups> {
  const log = createLog({level: 'error', structured: false, clock: systemClock, write: () => {}})
  return Backups.open({
    ...{dir, store, log, clock: systemClock},
    backupDir: join(dir, 'backups'),
    recordPath: join(dir, 'backup.state.json'),
    about: () => ({kind: 'registry', iden: '0'.repeat(32), type: 'registry', name: null, version: null}),
    minFreePercent: () => 0,
    maxAgeMs: () => null,
  })
}

async function fill(path: string, bytes: number): Promise<void> {
  await using store = new SqliteStore(path)
  await store.open()
  for (let written = 0; written < bytes; written += FILL_BATCH * CHANGE_BYTES) {
    await store.append(Array.from({length: FILL_BATCH}, () => change(CHANGE_BYTES)))
  }
}

/** Writes one change after the other until `work` is done. */
async function writeDuring(log: ChangeLog, work: () => Promise<void>): Promise<Written> {
  let isDone = false
  const working = work().finally(() => {
    isDone = true
  })
  const times = new Histogram()
  const began = performance.now()
  while (!isDone) {
    const asked = performance.now()
    await new Promise<number>((committed, failed) => log.propose({entry: change(200), committed, failed}))
    times.add(performance.now() - asked)
  }
  await working
  const ratePerS = (times.count * 1000) / (performance.now() - began)
  return {p99Ms: times.quantile(0.99), longestMs: times.quantile(1), ratePerS}
}

/** Half of a change is as good as random. */
function change(bytes: number): NewEntry {
  const text = randomBytes(bytes / 2).toString('hex')
  return {timeMs: 1_700_000_000_000, actor: 'bench', change: `{"v":1,"text":"${text}"}`, effect: {kind: 'none'}}
}
