// Leases that end among many that do not, and all at once.
import {copyFile, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {startServer, type TestServer} from '../test/support/server.ts'
import {LoadClients, type LoadResult} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, countServices, fill, get, PROBE, registrations, renew} from './services.ts'
import {Subscribers} from './subscribers.ts'

const MANY = 100_000
/** Leases that end in each second, and for so many seconds: a span of two seconds is one sample. */
const PER_SECOND = 100
const SECONDS = 10
const FIRST_TTL_S = 4
/** Time for a start and for connecting before all leases end. */
const ALL_TTL_S = 5
const ROUNDS = 5
const OTHERS = 100
const OTHERS_PER_S = 500
const POLL_MS = 20

export async function* measureExpiry(): AsyncGenerator<Line> {
  yield await measureSteady()
  yield* measureAllAtOnce()
}

/** Every second 100 leases end, all on the second, as leases do. */
async function measureSteady(): Promise<Line> {
  await using server = await startServer({conf: {'lease:grace': '0s'}})
  await fill({port: server.ports.req, count: MANY})
  await using subscribers = await subscribe(server, 2 * PER_SECOND)
  await registerShortLived(server.ports.req)
  const {spans, fewest} = await subscribers.until(SECONDS * PER_SECOND)
  if (fewest !== SECONDS * PER_SECOND) throw new Error(`${fewest} expire events came`)
  const p99s = spans.map((span) => span.quantile(0.99))
  const maxMs = Math.max(...spans.map((span) => span.quantile(1)))
  const note = `100/s of 100 000 leases end; p50 ${shown(median(spans.map((span) => span.quantile(0.5))))} ms, max ${shown(maxMs)} ms; ${rounds(p99s)}`
  return line('expire event after it is due, p99', median(p99s), 'ms', {atMost: 50}, note)
}

async function registerShortLived(port: number): Promise<void> {
  const payloads = Array.from({length: SECONDS}, (_, i) => registrations('short-', FIRST_TTL_S + i)[0] ?? '')
  await using load = await LoadClients.connect({port, framing: 'envelope', payloads, clients: 10})
  const {failed} = await load.run({count: SECONDS * PER_SECOND})
  if (failed > 0) throw new Error(`${failed} registrations failed`)
}

function subscribe({ports}: TestServer, perSpan: number): Promise<Subscribers> {
  const probe = () => ask(ports.req, PROBE)
  return Subscribers.connect({port: ports.pub, subscribers: 1, times: 'due', perSpan, probe})
}

/** A start gives every lease its full time again, so all end in the same second. */
async function* measureAllAtOnce(): AsyncGenerator<Line> {
  await using server = await startServer({conf: {'lease:grace': '1h'}})
  await fill({port: server.ports.req, count: MANY, ttlS: ALL_TTL_S})
  await server.stop()
  await rename(join(server.dir, 'registry.db'), join(server.dir, 'filled.db'))
  await writeFile(join(server.dir, 'cell.yaml'), '"lease:grace": "0s"\n', {mode: 0o600})
  const results: Awaited<ReturnType<typeof expireAll>>[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (const end of ['', '-wal', '-shm']) await rm(join(server.dir, `registry.db${end}`), {force: true})
    await copyFile(join(server.dir, 'filled.db'), join(server.dir, 'registry.db'))
    await server.start()
    results.push(await expireAll(server))
    await server.stop()
  }
  const gone = results.map(({goneS}) => goneS)
  const p99s = results.map(({others}) => others.p99Ms)
  const events = results.map((result) => result.events).join(' ')
  const maxMs = Math.max(...results.map(({others}) => others.maxMs))
  yield line(
    '100 000 leases end at once: all gone',
    median(gone),
    's',
    {atMost: 2.5},
    `${rounds(gone)}; events ${events}`,
  )
  const note = `${OTHERS_PER_S}/s get and renew of others in the 1.5 s from then on; max ${shown(maxMs)} ms; ${rounds(p99s)}`
  yield line('the same: other requests, p99', median(p99s), 'ms', {atMost: 50}, note)
}

async function expireAll(server: TestServer): Promise<{goneS: number; others: LoadResult; events: number}> {
  const {port, dueMs} = await readyToEnd(server)
  await using subscribers = await subscribe(server, MANY)
  await using load = await LoadClients.connect({
    port,
    framing: 'envelope',
    payloads: Array.from({length: OTHERS}, (_, i) => [get(`other-${i}`), renew(`other-${i}`)]).flat(),
    clients: 10,
  })
  await load.run({count: 100})
  const left = dueMs - Date.now()
  if (left < 0) throw new Error('the leases ended before everything was set up')
  await delay(left)
  const measured = load.run({durationMs: 1500, ratePerS: OTHERS_PER_S})
  while ((await countServices(port)) > OTHERS + 1) await delay(POLL_MS)
  const goneS = (Date.now() - dueMs) / 1000
  const others = await measured
  if (others.failed > 0) throw new Error(`${others.failed} other requests failed`)
  const {fewest} = await subscribers.until(MANY)
  return {goneS, others, events: fewest}
}

/** Registers what stays; says when the leases of what was there at the start end. */
async function readyToEnd(server: TestServer): Promise<{port: number; dueMs: number}> {
  const port = server.ports.req
  const {registry} = JSON.parse(await ask(port, '{"action":"info","services":false}'))
  await fill({port, count: OTHERS, prefix: 'other-'})
  return {port, dueMs: (registry.started + ALL_TTL_S + 1) * 1000}
}
