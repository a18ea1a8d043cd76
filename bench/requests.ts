// What a request costs the server at 50 clients, beside a bare echo of the same frames.
import {startServer} from '../test/support/server.ts'
import {LineChild} from './child.ts'
import {cpuUsOf, LoadClients, type LoadResult} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, discover, fill, get, HEALTH, renew, someIds} from './services.ts'

export const CLIENTS = 50
export const SERVICES = 100
const WARM_UP_MS = 500
const MEASURED_MS = 1500

export interface RequestCase {
  readonly name: string
  readonly port: 'req' | 'hb'
  readonly framing: 'envelope' | 'bare'
  readonly payloads: readonly string[]
}

const ids = someIds(SERVICES, SERVICES)

export const REQUESTS: readonly RequestCase[] = [
  {name: 'get', port: 'req', framing: 'envelope', payloads: ids.map(get)},
  {name: 'discover', port: 'req', framing: 'envelope', payloads: ids.map((_, i) => discover(i))},
  {name: 'renew', port: 'req', framing: 'envelope', payloads: ids.map(renew)},
  {name: 'heartbeat', port: 'hb', framing: 'bare', payloads: ids.map(renew)},
  {name: 'health', port: 'req', framing: 'envelope', payloads: [HEALTH]},
]

export interface Sample extends LoadResult {
  /** CPU of the whole server process for one request. */
  readonly cpuUs: number
}

/** Lets the load run against the process that serves it. Throws when a request is refused. */
export async function sample(load: LoadClients, pid: number, warmUpMs = WARM_UP_MS): Promise<Sample> {
  await load.run({durationMs: warmUpMs})
  const before = cpuUsOf(pid)
  const result = await load.run({durationMs: MEASURED_MS})
  const cpuUs = (cpuUsOf(pid) - before) / result.requests
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.requests} requests failed`)
  return {...result, cpuUs}
}

/** Says whether the load, not the server, was what could not go faster. */
export function loadNote(samples: readonly Pick<Sample, 'loadCores'>[]): string {
  const cores = median(samples.map(({loadCores}) => loadCores))
  return `load ${cores.toFixed(2)} cores${cores > 0.9 ? ': the bottleneck, rates are lower bounds' : ''}`
}

export async function* measureRequests(count: number): AsyncGenerator<Line> {
  await using server = await startServer()
  await fill({port: server.ports.req, count: SERVICES})
  for (const one of REQUESTS) {
    const port = server.ports[one.port]
    const answer = await ask(port, one.payloads[0] ?? '', one.framing)
    await using echo = new LineChild('./echo.ts', one.framing === 'envelope' ? ['RESPONSE', answer] : [answer])
    const {port: echoPort} = await echo.read<{port: number}>()
    await using echoLoad = await LoadClients.connect({...one, port: echoPort, clients: CLIENTS})
    await using ownLoad = await LoadClients.connect({...one, port, clients: CLIENTS})
    const pairs: {echo: Sample; own: Sample}[] = []
    for (let round = 0; round < count; round++) {
      pairs.push({echo: await sample(echoLoad, echo.pid), own: await sample(ownLoad, server.pid)})
    }
    const ratios = pairs.map((pair) => pair.own.cpuUs / pair.echo.cpuUs)
    const of = (pick: (pair: {echo: Sample; own: Sample}) => number) => shown(median(pairs.map(pick)))
    const note =
      `${of(({own}) => own.cpuUs)} us beside ${of(({echo}) => echo.cpuUs)}; ${of(({own}) => own.ratePerS)}/s, ` +
      `p99 ${of(({own}) => own.p99Ms)} ms; ${loadNote(pairs.map(({own}) => own))}; ${rounds(ratios)}`
    yield line(`${one.name}: CPU per request beside a bare echo`, median(ratios), 'x', {atMost: 1.3}, note)
  }
}
