// How many durable registrations share one commit.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {startServer, type TestServer} from '../test/support/server.ts'
import {LoadClients} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {loadNote, type Sample, sample} from './requests.ts'
import {registrations} from './services.ts'

/** Place of `iChange` in the wal-index: SQLite counts there each transaction that it commits (sqlite.org/walformat.html, section 2.1). */
const TRANSACTIONS_AT = 8

/** Gives how many transactions were committed to the store of a running registry since it was started, modulo 2^32. */
function transactionsOf(dir: string): number {
  return readFileSync(join(dir, 'registry.db-shm')).readUInt32LE(TRANSACTIONS_AT)
}

const CASES = [
  {clients: 50, outstanding: 1, atLeast: 15, what: 'register, 50 clients: per commit'},
  {clients: 1, outstanding: 64, atLeast: 20, what: 'register, one client with 64 outstanding: per commit'},
]

export async function* measureCommits(count: number): AsyncGenerator<Line> {
  for (const {what, atLeast, clients, outstanding} of CASES) {
    await using server = await startServer()
    const samples: (Sample & {perCommit: number})[] = []
    const payloads = registrations('svc-')
    await using load = await LoadClients.connect({
      port: server.ports.req,
      framing: 'envelope',
      payloads,
      clients,
      outstanding,
    })
    for (let round = 0; round < count; round++) samples.push(await measure(load, server))
    const perCommit = samples.map((one) => one.perCommit)
    const of = (pick: (one: Sample) => number) => shown(median(samples.map(pick)))
    const note = `${of((one) => one.ratePerS)}/s, ${of((one) => one.cpuUs)} us, p50 ${of((one) => one.p50Ms)} ms, p99 ${of((one) => one.p99Ms)} ms; ${loadNote(samples)}; ${rounds(perCommit)}`
    yield line(what, median(perCommit), 'requests', {atLeast}, note)
  }
}

async function measure(load: LoadClients, server: TestServer): Promise<Sample & {perCommit: number}> {
  await load.run({durationMs: 500})
  const before = transactionsOf(server.dir)
  const result = await sample(load, server.pid, 0)
  return {...result, perCommit: result.requests / (transactionsOf(server.dir) - before)}
}
