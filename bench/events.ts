// Whether every subscriber gets every event, in order and in time.
import {startServer, type TestServer} from '../test/support/server.ts'
import {LoadClients} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, PROBE} from './services.ts'
import {type EventResult, Subscribers} from './subscribers.ts'

const REGISTRATIONS = 5000
const PER_SECOND = 200
/** Five samples of five seconds each. */
const PER_SPAN = 1000
const UNPACED = 50_000

/** Carries its number and when it was sent. */
const NUMBERED = JSON.stringify({
  action: 'register',
  service_info: {id: 'ev-{n}', name: 'ev-{n}', host: '127.0.0.1', port: 5000, type: 'event', metadata: {N: 0}},
  ttl: 86_400,
}).replace('{"N":0}', '{"n":{n},"sent":{ms}}')

export async function* measureEvents(): AsyncGenerator<Line> {
  yield* measurePaced()
  yield await measureUnpaced()
}

async function* measurePaced(): AsyncGenerator<Line> {
  await using server = await startServer()
  await using subscribers = await subscribe(server, 200, 2)
  await using load = await connect(server, 1)
  const sending = load.run({count: REGISTRATIONS, ratePerS: PER_SECOND})
  const result = await subscribers.until(REGISTRATIONS)
  const {failed, loadCores} = await sending
  const p99s = result.spans.map((span) => span.quantile(0.99))
  const maxMs = Math.max(...result.spans.map((span) => span.quantile(1)))
  yield lost(
    '200 subscribers, 200 registrations/s: events lost or out of order',
    result,
    200 * (REGISTRATIONS - failed),
  )
  const note = `from the sending of the request; p50 ${shown(median(result.spans.map((span) => span.quantile(0.5))))} ms, max ${shown(maxMs)} ms; load ${loadCores.toFixed(2)} cores; ${rounds(p99s)}`
  yield line('the same: event after its request, p99', median(p99s), 'ms', {atMost: 50}, note)
}

async function measureUnpaced(): Promise<Line> {
  await using server = await startServer()
  await using subscribers = await subscribe(server, 10, 1)
  await using load = await connect(server, 64)
  const sending = load.run({count: UNPACED})
  const result = await subscribers.until(UNPACED)
  const {failed, ratePerS} = await sending
  const what = '10 subscribers, one client registering as fast as it can: events lost or out of order'
  return lost(what, result, 10 * (UNPACED - failed), `${shown(ratePerS)}/s; `)
}

function subscribe({ports}: TestServer, subscribers: number, processes: number): Promise<Subscribers> {
  const probe = () => ask(ports.req, PROBE)
  return Subscribers.connect({port: ports.pub, subscribers, processes, times: 'sent', perSpan: PER_SPAN, probe})
}

function connect({ports}: TestServer, outstanding: number): Promise<LoadClients> {
  return LoadClients.connect({port: ports.req, framing: 'envelope', payloads: [NUMBERED], clients: 1, outstanding})
}

function lost(what: string, {events, disordered}: EventResult, expected: number, note = ''): Line {
  const count = Math.abs(expected - events) + disordered
  return line(what, count, 'events', {atMost: 0}, `${note}${events} of ${expected} came, ${disordered} out of order`)
}
