// What a trim of a long log costs who writes meanwhile: the store behind the change log, as in the server, one writer that waits for each answer.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {ChangeLog, COMMIT_LIMITS} from '../src/nexus/change-log.ts'
import {SqliteStore} from '../src/store/sqlite.ts'
import type {Effect, NewEntry} from '../src/store/store.ts'
import {type Line, line, median, rounds, shown} from './report.ts'

const ENTRIES = 1_000_000
const FILL_BATCH = 1000
const INSTANCES = 5000
const QUIET_MS = 2000
const POLL_MS = 10
const MB = 1e6

export async function* measureTrim(count: number): AsyncGenerator<Line> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-bench-'))
  try {
    const samples: Sample[] = []
    for (let round = 0; round < count; round++) samples.push(await measureRound(join(folder, `${round}.db`)))
    const of = (pick: (sample: Sample) => number) => samples.map(pick)
    const freed = `${shown(median(of(({before}) => before / MB)))} MB become ${shown(median(of(({after}) => after / MB)))}`
    const total = of(({totalMs}) => totalMs / 1000)
    yield line(
      'trim of 1 000 000 entries, until the file is short',
      median(total),
      's',
      {atMost: 3},
      `${freed}; ${rounds(total)}`,
    )
    const pauses = of(({during}) => during.longestMs)
    const quiet = `without a trim ${shown(median(of(({alone}) => alone.longestMs)))} ms`
    const rates = `${shown(median(of(({during}) => during.ratePerS)))} changes/s, without ${shown(median(of(({alone}) => alone.ratePerS)))}`
    yield line(
      'longest pause of a writer meanwhile',
      median(pauses),
      'ms',
      {atMost: 20},
      `${quiet}; ${rates}; ${rounds(pauses)}`,
    )
  } finally {
    await rm(folder, {recursive: true})
  }
}

interface Written {
  readonly longestMs: number
  readonly ratePerS: number
}

interface Sample {
  readonly totalMs: number
  readonly before: number
  readonly after: number
  readonly alone: Written
  readonly during: Written
}

async function measureRound(path: string): Promise<Sample> {
  await fill(path)
  await using store = new SqliteStore(path)
  const log = new ChangeLog(store, {...COMMIT_LIMITS, head: await store.open()})
  const alone = await writeDuring(log, () => sleep(QUIET_MS))
  const before = (await store.size()).bytes
  let totalMs = 0
  const during = await writeDuring(log, async () => {
    const began = performance.now()
    const rotated = await propose(log, entry({kind: 'rotate'}))
    await propose(log, entry({kind: 'cull', offset: rotated}))
    while ((await store.size()).isFreeing) await sleep(POLL_MS)
    totalMs = performance.now() - began
  })
  const after = (await store.size()).bytes
  log.close()
  return {totalMs, before, after, alone, during}
}

async function fill(path: string): Promise<void> {
  await using store = new SqliteStore(path)
  await store.open()
  for (let offset = 0; offset < ENTRIES; offset += FILL_BATCH) {
    await store.append(Array.from({length: FILL_BATCH}, (_, index) => change(offset + index)))
  }
}

/** Writes one change after the other until `work` is done. */
async function writeDuring(log: ChangeLog, work: () => Promise<void>): Promise<Written> {
  let isDone = false
  const working = work().finally(() => {
    isDone = true
  })
  const began = performance.now()
  let changes = 0
  let longestMs = 0
  while (!isDone) {
    const asked = performance.now()
    await propose(log, change(changes))
    longestMs = Math.max(longestMs, performance.now() - asked)
    changes += 1
  }
  await working
  return {longestMs, ratePerS: (changes * 1000) / (performance.now() - began)}
}

function propose(log: ChangeLog, entry: NewEntry): Promise<number> {
  return new Promise((committed, failed) => log.propose({entry, committed, failed}))
}

function change(index: number): NewEntry {
  const seq = index % INSTANCES
  const service = JSON.stringify({
    id: `cam-${seq}`,
    name: 'cam',
    type: 'camera',
    metadata: {host: '10.0.0.1', port: 5000 + index},
  })
  return entry({kind: 'put', instance: {seq, service, lastHeartbeatS: 1_700_000_000}}, service)
}

function entry(effect: Effect, service = '{}'): NewEntry {
  return {
    timeMs: 1_700_000_000_000,
    actor: 'zmq:anon/006b8b4567',
    change: `{"v":1,"kind":"register","service":${service}}`,
    effect,
  }
}
