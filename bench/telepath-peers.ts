// Our cell beside a real one of Synapse, on TCP and on TLS with client certificates, measured by the same clients.
import {cp, mkdtemp, readFile} from 'node:fs/promises'
import {cpus, tmpdir} from 'node:os'
import {join} from 'node:path'
import {synapsePython} from '../scripts/peers.ts'
import {SynapseAgent} from '../test/interop/synapse-agent.ts'
import {SynapseService} from '../test/interop/synapse-world.ts'
import {startServer} from '../test/support/server.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {loadNote} from './requests.ts'
import {type Cost, pin, type Target, TelepathLoad} from './telepath-load.ts'
import {HOST, METHOD, NETWORK, USER} from './telepath-names.ts'

const PASSWD = 'secret'
const LINKS = 50
const ALL_CORES = `0-${cpus().length - 1}`
const WARM_UP_MS = 200
/** Short slices, and more of them: both sides see the same load of the machine. */
const MEASURED_MS = 500
const SLICES = 4
const OPENS = 300
const RESUMED = 1000
const IDLE_SESSIONS = 50
const STOPS_WITHIN_MS = 15_000

type Family = 'tcp' | 'tls'

interface Server extends AsyncDisposable {
  readonly pid: number
  /** Where and how to log in, with so many links. */
  target(links: number): Target
  /** URL for the real client. */
  readonly url: string
  /** Asks it to stop and gives how long that took, ms; at most `withinMs`. */
  stop(withinMs: number): Promise<number>
}

interface Both extends AsyncDisposable {
  readonly own: Server
  readonly peer: Server
  readonly agent: SynapseAgent
}

async function openBoth(family: Family): Promise<Both> {
  await using stack = new AsyncDisposableStack()
  const agent = stack.use(await SynapseAgent.start({network: NETWORK}))
  // Each side has keys of the length that it makes by itself.
  const own = stack.use(await startOwn(family, await makeCerts(agent, join(agent.home, 'own'), 2048)))
  const peer = stack.use(await startPeer(family, await makeCerts(agent, join(agent.home, 'peer'), 4096)))
  const started = stack.move()
  return {own, peer, agent, [Symbol.asyncDispose]: () => started.disposeAsync()}
}

async function makeCerts(agent: SynapseAgent, path: string, bits: number): Promise<string> {
  const signed = [['host', HOST, NETWORK] as const, ['user', USER, NETWORK] as const]
  await agent.makeCerts(path, [['ca', NETWORK], ...signed], bits)
  return path
}

const listenUrl = (family: Family) =>
  family === 'tcp' ? 'tcp://127.0.0.1:0' : `ssl://127.0.0.1:0?hostname=${HOST}&ca=${NETWORK}`

const configuration = (family: Family) => ({
  'auth:passwd': PASSWD,
  'aha:network': NETWORK,
  'dmon:listen': listenUrl(family),
})

async function startOwn(family: Family, certs: string): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-bench-'))
  await cp(certs, join(dir, 'certs'), {recursive: true})
  const server = await startServer({dir, conf: configuration(family)})
  const run = JSON.parse(await readFile(join(dir, 'run.json'), 'utf8')) as {telepath: {url: string}}
  return {
    pid: server.pid,
    ...reached(family, Number(new URL(run.telepath.url).port), certs),
    stop: (withinMs) => timed(server.stop(), withinMs),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function startPeer(family: Family, certs: string): Promise<Server> {
  const service = await SynapseService.start('cell', {
    network: NETWORK,
    keyBits: 4096,
    conf: configuration(family),
    prepare: (dir) => cp(certs, join(dir, 'certs'), {recursive: true}),
  })
  return {
    pid: service.pid,
    ...reached(family, service.ports.telepath, certs),
    stop: (withinMs) => timed(service.stop(withinMs), withinMs),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

function reached(family: Family, port: number, certs: string): Pick<Server, 'target' | 'url'> {
  const user = join(certs, 'users', USER)
  const way =
    family === 'tcp'
      ? {auth: {user: 'root', passwd: PASSWD}}
      : {tls: {ca: join(certs, 'cas', `${NETWORK}.crt`), cert: `${user}.crt`, key: `${user}.key`, hostname: HOST}}
  return {
    target: (links) => ({host: '127.0.0.1', port, method: METHOD, links, ...way}),
    url: family === 'tcp' ? `tcp://root:${PASSWD}@127.0.0.1:${port}/` : `ssl://root@${HOST}:${port}/`,
  }
}

async function timed(stopping: Promise<unknown>, withinMs: number): Promise<number> {
  const startMs = performance.now()
  await stopping
  return Math.min(performance.now() - startMs, withinMs)
}

type Sample<Of> = {readonly own: Of; readonly peer: Of}

/** Measures both in turn, so many times, with clients that stay connected on so many links, or connect anew for 0. */
async function compare<Of>(
  both: Both,
  links: number,
  count: number,
  measure: (load: TelepathLoad, server: Server) => Promise<Of>,
): Promise<Sample<Of>[]> {
  const python = links > 0 ? await synapsePython() : undefined
  await using ownLoad = await TelepathLoad.start(both.own.target(links), both.own.pid, python)
  await using peerLoad = await TelepathLoad.start(both.peer.target(links), both.peer.pid, python)
  const samples: Sample<Of>[] = []
  for (let round = 0; round < count; round++) {
    samples.push({peer: await measure(peerLoad, both.peer), own: await measure(ownLoad, both.own)})
  }
  return samples
}

type Measured = Pick<Cost, 'ratePerS' | 'cpuUs' | 'loadCores'>

/** Makes a line of the ratio own / peer of one figure. */
function ratioLine<Of extends Measured>(
  what: string,
  of: 'ratePerS' | 'cpuUs',
  samples: readonly Sample<Of>[],
  limit: NonNullable<Line['limit']>,
): Line {
  const ratios = samples.map(({own, peer}) => own[of] / peer[of])
  const side = (pick: (sample: Sample<Of>) => Of) => {
    const all = samples.map(pick)
    return `${shown(median(all.map(({cpuUs}) => cpuUs)))} us, ${shown(median(all.map(({ratePerS}) => ratePerS)))}/s`
  }
  const note = `${side(({own}) => own)} beside ${side(({peer}) => peer)}; ${loadNote(samples.map(({own}) => own))}; ${rounds(ratios)}`
  return line(what, median(ratios), 'x', limit, note)
}

/** The trivial call, on TCP and TLS: one link with both ends on one core, and 50 links. */
export async function* measureCalls(count: number): AsyncGenerator<Line> {
  for (const family of ['tcp', 'tls'] as const) {
    await using both = await openBoth(family)
    const one = await compare(both, 1, SLICES * count, async (load, server) => {
      pin([server.pid, load.pid], '0')
      const cost = await load.calls(MEASURED_MS, WARM_UP_MS)
      pin([server.pid, load.pid], ALL_CORES)
      return cost
    })
    yield ratioLine(`${family}, one link, both ends on one core: rate, own / peer`, 'ratePerS', one, {atLeast: 1.8})
    const many = await compare(both, LINKS, SLICES * count, (load) => load.calls(MEASURED_MS, WARM_UP_MS))
    yield ratioLine(`${family}, ${LINKS} links: rate, own / peer`, 'ratePerS', many, {atLeast: 1.8})
    yield ratioLine(`${family}, ${LINKS} links: CPU per call, own / peer`, 'cpuUs', many, {atMost: 0.5})
  }
}

/** TCP, TLS and login with a client certificate. */
export async function* measureLogins(count: number): AsyncGenerator<Line> {
  await using both = await openBoth('tls')
  const full = await compare(both, 0, count, (load) => load.opens(OPENS, false))
  yield ratioLine('connect, TLS, login with certificate: CPU, own / peer', 'cpuUs', full, {atMost: 0.3})
  const resumed = await compare(both, 0, count, (load) => load.opens(RESUMED, true))
  yield ratioLine('the same, TLS session resumed: CPU, own / peer', 'cpuUs', resumed, {atMost: 0.5})
}

/** How long a server takes to stop that has idle TLS sessions of the real client, each with the links of its pool. */
export async function* measureStop(count: number): AsyncGenerator<Line> {
  const samples: Sample<number>[] = []
  for (let round = 0; round < count; round++) {
    await using both = await openBoth('tls')
    samples.push({own: await stopTime(both, 'own'), peer: await stopTime(both, 'peer')})
  }
  const note = `${IDLE_SESSIONS} sessions; peer ${shown(median(samples.map(({peer}) => peer)) / 1000)} s`
  const seconds = samples.map(({own}) => own / 1000)
  yield line('SIGTERM with idle TLS sessions: ended', median(seconds), 's', {atMost: 1}, `${note}; ${rounds(seconds)}`)
}

async function stopTime(both: Both, side: 'own' | 'peer'): Promise<number> {
  const {agent, [side]: server} = both
  await cp(join(agent.home, side), agent.certs, {recursive: true, force: true})
  for (let i = 0; i < IDLE_SESSIONS; i++) {
    const proxy = await agent.open(server.url)
    await proxy.call(METHOD)
  }
  return server.stop(STOPS_WITHIN_MS)
}
