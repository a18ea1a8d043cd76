// What a mirror costs its leader, how far it is behind, how fast it catches up, and how long writers wait while the lead moves.
import {setTimeout as sleep} from 'node:timers/promises'
import type {TestServer} from '../test/support/server.ts'
import {Histogram} from './histogram.ts'
import {cpuUsOf, LoadClients, type LoadResult} from './load.ts'
import {MirrorPair, startAlone} from './mirror-pair.ts'
import {measureForced, measureGraceful} from './promotions.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, PROBE, registrations} from './services.ts'
import {encodeSubscription, ZmtpClient} from './zmtp-client.ts'

const OFFERED_PER_S = 2000
const CLIENTS = 20
const WARM_UP_MS = 1000
const MEASURED_MS = 4000
const MISSED_ENTRIES = 100_000
/** Some of an event that tells it from all others. */
const EVENT_ID = /"id": ?"(lag-\d+)"/
const PROBE_EVERY_MS = 50

interface Cost extends LoadResult {
  /** CPU of the whole server process for one change. */
  readonly cpuUs: number
}

export async function* measureMirror(count: number): AsyncGenerator<Line> {
  {
    await using pair = await MirrorPair.start()
    yield* measureCost(pair, count)
    yield await measureLag(pair, count)
    yield await measureCatchUp(pair, count)
    yield await measureGraceful(pair, count)
  }
  yield await measureForced(count)
}

async function* measureCost({leader}: MirrorPair, count: number): AsyncGenerator<Line> {
  await using alone = await startAlone()
  await using aloneLoad = await connect(alone, 'svc-')
  await using leaderLoad = await connect(leader, 'svc-')
  const pairs: {without: Cost; with: Cost}[] = []
  for (let round = 0; round < count; round++) {
    pairs.push({without: await cost(aloneLoad, alone.pid), with: await cost(leaderLoad, leader.pid)})
  }
  const ratios = pairs.map((pair) => pair.with.cpuUs / pair.without.cpuUs)
  const of = (pick: (pair: {without: Cost; with: Cost}) => number) => shown(median(pairs.map(pick)))
  const cpu = `${of((pair) => pair.with.cpuUs)} us beside ${of((pair) => pair.without.cpuUs)}, at ${OFFERED_PER_S} changes/s; ${unconfirmed(pairs.flatMap((pair) => [pair.with, pair.without]))}${rounds(ratios)}`
  yield line('one mirror: CPU of its leader per change, with / without', median(ratios), 'x', {atMost: 1.25}, cpu)
  const rates = pairs.map((pair) => pair.with.ratePerS / pair.without.ratePerS)
  const rate = `${of((pair) => pair.with.ratePerS)}/s beside ${of((pair) => pair.without.ratePerS)}, ${OFFERED_PER_S} offered; ${rounds(rates)}`
  yield line('the same: rate, with / without', median(rates), 'x', {atLeast: 0.98}, rate)
}

async function cost(load: LoadClients, pid: number): Promise<Cost> {
  await load.run({durationMs: WARM_UP_MS, ratePerS: OFFERED_PER_S})
  const before = cpuUsOf(pid)
  const result = await load.run({durationMs: MEASURED_MS, ratePerS: OFFERED_PER_S})
  return {...result, cpuUs: (cpuUsOf(pid) - before) / result.requests}
}

async function measureLag({leader, mirror}: MirrorPair, count: number): Promise<Line> {
  await using load = await connect(leader, 'lag-')
  const events = new EventTimes()
  using _leader = await subscribe(leader, leader, (id) => events.atLeader(id))
  using _mirror = await subscribe(mirror, leader, (id) => events.atMirror(id))
  const samples: Histogram[] = []
  const answered: LoadResult[] = []
  for (let round = 0; round < count; round++) {
    await load.run({durationMs: WARM_UP_MS, ratePerS: OFFERED_PER_S})
    await events.allThere()
    events.lags = new Histogram()
    answered.push(await load.run({durationMs: MEASURED_MS, ratePerS: OFFERED_PER_S}))
    await events.allThere()
    samples.push(events.lags)
  }
  const p99s = samples.map((lags) => lags.quantile(0.99))
  const of = (share: number) => shown(median(samples.map((lags) => lags.quantile(share))))
  const note = `p50 ${of(0.5)} ms, max ${of(1)} ms, from the event of the leader to that of the mirror; the leader answers within ${shown(median(answered.map(({p99Ms}) => p99Ms)))} ms, p99; ${unconfirmed(answered)}${rounds(p99s)}`
  return line(`mirror behind its leader at ${OFFERED_PER_S} changes/s, p99`, median(p99s), 'ms', {atMost: 30}, note)
}

async function measureCatchUp(pair: MirrorPair, count: number): Promise<Line> {
  const rates: number[] = []
  const leaderUs: number[] = []
  const mirrorUs: number[] = []
  const payloads = registrations('late-')
  const {req} = pair.leader.ports
  await using load = await LoadClients.connect({port: req, framing: 'envelope', payloads, clients: CLIENTS})
  for (let round = 0; round < count; round++) {
    await pair.mirror.stop()
    // What was not confirmed in time was written nevertheless.
    await load.run({count: MISSED_ENTRIES})
    const before = cpuUsOf(pair.leader.pid)
    const {entries, ms} = await pair.resume()
    rates.push((entries * 1000) / ms)
    leaderUs.push((cpuUsOf(pair.leader.pid) - before) / entries)
    mirrorUs.push(cpuUsOf(pair.mirror.pid) / entries)
  }
  const note = `after ${MISSED_ENTRIES} entries that it missed, from the link to the last of them; CPU of the leader ${shown(median(leaderUs))} us per entry, of the mirror with its start ${shown(median(mirrorUs))}; ${rounds(rates)}`
  return line('a mirror catches up', median(rates), 'entries/s', {atLeast: 30_000}, note)
}

/** Pairs the events of a change at both members, as they come in this process. */
class EventTimes {
  lags = new Histogram()
  readonly #underWay = new Map<string, number>()

  atLeader(id: string): void {
    const nowMs = performance.now()
    const mirrorMs = this.#underWay.get(id)
    if (mirrorMs === undefined) this.#underWay.set(id, nowMs)
    else this.#met(id, 0)
  }

  atMirror(id: string): void {
    const leaderMs = this.#underWay.get(id)
    if (leaderMs === undefined) this.#underWay.set(id, performance.now())
    else this.#met(id, performance.now() - leaderMs)
  }

  async allThere(): Promise<void> {
    while (this.#underWay.size > 0) await sleep(10)
  }

  #met(id: string, lagMs: number): void {
    this.#underWay.delete(id)
    this.lags.add(lagMs)
  }
}

/** Hears the events of one member; resolves when they reach it. */
async function subscribe(of: TestServer, leader: TestServer, onId: (id: string) => void): Promise<Disposable> {
  const reached = Promise.withResolvers<void>()
  const link: ZmtpClient = new ZmtpClient({
    host: '127.0.0.1',
    port: of.ports.pub,
    type: 'SUB',
    onReady: () => link.send(encodeSubscription('')),
    onMessage: (body) => {
      const id = EVENT_ID.exec(body.toString('latin1'))?.[1]
      if (id === undefined) reached.resolve()
      else onId(id)
    },
  })
  const probing = setInterval(() => void ask(leader.ports.req, PROBE).catch(() => {}), PROBE_EVERY_MS)
  await reached.promise
  clearInterval(probing)
  return {[Symbol.dispose]: () => link.close()}
}

function connect({ports}: TestServer, prefix: string): Promise<LoadClients> {
  const payloads = registrations(prefix)
  return LoadClients.connect({port: ports.req, framing: 'envelope', payloads, clients: CLIENTS})
}

/** On a machine with too much to do some changes are not confirmed in time: they are written nevertheless, and the line says how many. */
function unconfirmed(results: readonly Pick<LoadResult, 'failed' | 'requests'>[]): string {
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  const requests = results.reduce((sum, result) => sum + result.requests, 0)
  return failed === 0 ? '' : `${failed} of ${requests} not confirmed in time; `
}
