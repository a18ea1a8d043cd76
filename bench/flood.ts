// Whether honest requests notice that somebody has filled the event port with subscriptions while others come and go.
import {startServer} from '../test/support/server.ts'
import {LoadClients, type LoadResult} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, fill, get, HEALTH, PROBE, registrations, renew, someIds} from './services.ts'
import {Subscribers} from './subscribers.ts'

const TOPICS = 60_000
const LEAVING = 20
const ROUNDS = 5
const REQUESTS_PER_S = 500
const MEASURED_MS = 2000

export async function* measureFlood(): AsyncGenerator<Line> {
  await using server = await startServer()
  const {req, pub} = server.ports
  await fill({port: req, count: 100})
  const probe = () => ask(req, PROBE)
  await using load = await LoadClients.connect({
    port: req,
    framing: 'envelope',
    payloads: someIds(100, 20).flatMap((id, i) => [get(id), renew(id), HEALTH, registrations(`flood-${i}-`)[0] ?? '']),
    clients: 10,
  })
  const calm = await load.run({durationMs: MEASURED_MS, ratePerS: REQUESTS_PER_S})
  const subscription = {port: pub, times: 'due', perSpan: 1000, probe} as const
  await using _flood = await Subscribers.connect({...subscription, subscribers: 1, idleTopics: TOPICS})
  const results: LoadResult[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await using honest = await Subscribers.connect({...subscription, subscribers: LEAVING})
    const running = load.run({durationMs: MEASURED_MS, ratePerS: REQUESTS_PER_S})
    await honest.leave()
    results.push(await running)
  }
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  if (failed > 0) throw new Error(`${failed} requests failed`)
  const p99s = results.map(({p99Ms}) => p99Ms)
  const maxMs = Math.max(...results.map((result) => result.maxMs))
  const note = `${REQUESTS_PER_S}/s, p99 ${shown(calm.p99Ms)} ms before the flood; max ${shown(maxMs)} ms; ${rounds(p99s)}`
  yield line('20 subscribers leave among 60 000 topics: requests, p99', median(p99s), 'ms', {atMost: 20}, note)
}
