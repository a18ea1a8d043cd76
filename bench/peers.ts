// Measures the registry beside the real servers, side by side in alternating rounds: cgse-core 0.25.11 on SQLite, and Synapse for Telepath:
// `npm run bench:peers`. Installs the peers below .cache when they are not there. Takes some four minutes.
import {ensurePeer, ensureSynapse} from '../scripts/peers.ts'
import {startPeerServer} from '../test/support/peer-server.ts'
import {startServer, type TestServer} from '../test/support/server.ts'
import {measureAha} from './aha-peers.ts'
import {LoadClients} from './load.ts'
import {runParts} from './parts.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {CLIENTS, loadNote, REQUESTS, type RequestCase, type Sample, SERVICES, sample} from './requests.ts'
import {fill, list, registrations, renew, someIds} from './services.ts'
import {measureCalls, measureLogins, measureStop} from './telepath-peers.ts'

const PEER = '0.25.11'
const CPU_LIMIT = 15
const LIST_LIMIT = 15
const REGISTER_LIMIT = 8
const LISTS_PER_RENEWAL = 10

interface Pair {
  readonly own: Sample
  readonly peer: Sample
}

async function compare(one: RequestCase, own: TestServer, peer: TestServer, count: number): Promise<Pair[]> {
  await using ownLoad = await LoadClients.connect({...one, port: own.ports[one.port], clients: CLIENTS})
  await using peerLoad = await LoadClients.connect({...one, port: peer.ports[one.port], clients: CLIENTS})
  const pairs: Pair[] = []
  for (let round = 0; round < count; round++) {
    pairs.push({peer: await sample(peerLoad, peer.pid), own: await sample(ownLoad, own.pid)})
  }
  return pairs
}

function cpuLine({name}: RequestCase, pairs: readonly Pair[]): Line {
  const ratios = pairs.map(({own, peer}) => peer.cpuUs / own.cpuUs)
  // Health asks nothing of the peer's database; no ratio is required of it.
  const limit = name === 'health' ? undefined : {atLeast: CPU_LIMIT}
  return line(`${name}: CPU per request, peer / own`, median(ratios), 'x', limit, noteOn(pairs, ratios))
}

function rateLine(what: string, pairs: readonly Pair[], atLeast: number): Line {
  const ratios = pairs.map(({own, peer}) => own.ratePerS / peer.ratePerS)
  return line(`${what}: rate, own / peer`, median(ratios), 'x', {atLeast}, noteOn(pairs, ratios))
}

function noteOn(pairs: readonly Pair[], ratios: readonly number[]): string {
  const of = (pick: (pair: Pair) => number) => shown(median(pairs.map(pick)))
  return (
    `${of(({own}) => own.cpuUs)} us, ${of(({own}) => own.ratePerS)}/s beside ${of(({peer}) => peer.cpuUs)} us, ` +
    `${of(({peer}) => peer.ratePerS)}/s; ${loadNote(pairs.map(({own}) => own))}; ${rounds(ratios)}`
  )
}

async function startBoth(): Promise<AsyncDisposable & {own: TestServer; peer: TestServer}> {
  await using stack = new AsyncDisposableStack()
  const own = stack.use(await startServer())
  const peer = stack.use(await startPeerServer(PEER, {cleanupIntervalS: 30}))
  for (const {ports} of [own, peer]) await fill({port: ports.req, count: SERVICES})
  const started = stack.move()
  return {own, peer, [Symbol.asyncDispose]: () => started.disposeAsync()}
}

async function* measureCpu(count: number): AsyncGenerator<Line> {
  await using both = await startBoth()
  for (const one of REQUESTS) yield cpuLine(one, await compare(one, both.own, both.peer, count))
}

async function* measureList(count: number): AsyncGenerator<Line> {
  await using both = await startBoth()
  // Every renewal changes the list: what did not change in it must not be encoded again.
  const payloads = someIds(SERVICES, SERVICES).flatMap((id) => [
    renew(id),
    ...Array(LISTS_PER_RENEWAL).fill(list(null)),
  ])
  const one: RequestCase = {name: 'list', port: 'req', framing: 'envelope', payloads}
  yield rateLine('list of 100, one renewal per 10', await compare(one, both.own, both.peer, count), LIST_LIMIT)
}

async function* measureRegister(count: number): AsyncGenerator<Line> {
  await using both = await startBoth()
  const one: RequestCase = {name: 'register', port: 'req', framing: 'envelope', payloads: registrations('new-')}
  yield rateLine('register, durable', await compare(one, both.own, both.peer, count), REGISTER_LIMIT)
}

await Promise.all([ensurePeer(PEER), ensureSynapse()])
await runParts('bench/peers.ts', {
  cpu: measureCpu,
  list: measureList,
  register: measureRegister,
  calls: measureCalls,
  logins: measureLogins,
  stop: measureStop,
  aha: measureAha,
})
