// Our registry as an AHA beside a real one: look-ups, lists, registrations, provisioning, and what happens when it is started again.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {synapsePython} from '../scripts/peers.ts'
import {AHA_NAME, NETWORK, OurAha} from '../test/interop/our-aha.ts'
import {SynapseService} from '../test/interop/synapse-world.ts'
import {AhaLoad, type AhaTarget, nameOf, registration} from './aha-load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {loadNote} from './requests.ts'
import {type Cost, TelepathLoad, type Todo} from './telepath-load.ts'

const LINKS = 50
const FEW = 10
const SOME = 2000
const MANY = 10_000
const WARM_UP_MS = 200
const MEASURED_MS = 500
const SLICES = 4
const REGISTERED = 500
const VISIBLE = 200
const PROVISIONED = 100
const PROVISIONED_AT_ONCE = 4
const SESSIONS = 200
const LINKS_EACH = 6
const SETTLE_MS = 1000

interface Side extends AsyncDisposable {
  readonly pid: number
  readonly target: AhaTarget
  readonly load: AhaLoad
  /** Stops it and starts it again, and gives how long the start took, ms. */
  restart(): Promise<number>
}

interface Both extends AsyncDisposable {
  readonly own: Side
  readonly peer: Side
}

async function startOwn(): Promise<Side> {
  await using stack = new AsyncDisposableStack()
  const aha = stack.use(await OurAha.start({'log:level': 'warning'}))
  const target = targetOf(aha.server.dir, aha.port)
  const load = stack.use(await AhaLoad.start(target))
  const started = stack.move()
  return {
    get pid() {
      return aha.server.pid
    },
    target,
    load,
    restart: async () => {
      await aha.server.stop()
      return timed(() => aha.server.start())
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

async function startPeer(): Promise<Side> {
  await using stack = new AsyncDisposableStack()
  const listen = `ssl://127.0.0.1:0?hostname=${AHA_NAME}`
  const service = stack.use(
    await SynapseService.start('aha', {
      network: NETWORK,
      keyBits: 4096, // as it makes them by itself
      conf: {
        'aha:network': NETWORK,
        'dns:name': AHA_NAME,
        'dmon:listen': `${listen}&ca=${NETWORK}`,
        'provision:listen': listen,
      },
    }),
  )
  const target = targetOf(service.dir, service.ports.telepath)
  const load = stack.use(await AhaLoad.start(target))
  const started = stack.move()
  return {
    get pid() {
      return service.pid
    },
    target,
    load,
    restart: async () => {
      await service.stop()
      return timed(() => service.start())
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

async function startBoth(): Promise<Both> {
  await using stack = new AsyncDisposableStack()
  const own = stack.use(await startOwn())
  const peer = stack.use(await startPeer())
  const started = stack.move()
  return {own, peer, [Symbol.asyncDispose]: () => started.disposeAsync()}
}

function targetOf(dir: string, port: number): AhaTarget {
  const user = join(dir, 'certs', 'users', `root@${NETWORK}`)
  const ca = join(dir, 'certs', 'cas', `${NETWORK}.crt`)
  return {host: '127.0.0.1', port, tls: {ca, cert: `${user}.crt`, key: `${user}.key`, hostname: AHA_NAME}}
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

/** Clients that make these calls in turn, one call after the other on each link. */
async function startCalls(side: Side, links: number, todos: readonly Todo[]): Promise<TelepathLoad> {
  return TelepathLoad.start({...side.target, method: '', todos, links}, side.pid, await synapsePython())
}

type Sample = {readonly own: Cost; readonly peer: Cost}

async function compare(both: Both, links: number, todos: readonly Todo[], count: number): Promise<readonly Sample[]> {
  await using own = await startCalls(both.own, links, todos)
  await using peer = await startCalls(both.peer, links, todos)
  const samples: Sample[] = []
  for (let round = 0; round < count; round++) {
    samples.push({peer: await peer.calls(MEASURED_MS, WARM_UP_MS), own: await own.calls(MEASURED_MS, WARM_UP_MS)})
  }
  return samples
}

function ratioLine(
  what: string,
  of: 'ratePerS' | 'cpuUs',
  samples: readonly Sample[],
  limit: NonNullable<Line['limit']>,
): Line {
  const ratios = samples.map(({own, peer}) => own[of] / peer[of])
  const side = (name: 'own' | 'peer') => {
    const mid = (pick: (cost: Cost) => number) => shown(median(samples.map((sample) => pick(sample[name]))))
    return `${mid(({cpuUs}) => cpuUs)} us, ${mid(({ratePerS}) => ratePerS)}/s`
  }
  const note = `${side('own')} beside ${side('peer')}; ${loadNote(samples.map(({own}) => own))}; ${rounds(ratios)}`
  return line(what, median(ratios), 'x', limit, note)
}

const lookUp = (index: number): Todo => ['getAhaSvc', [`${nameOf(index)}.${NETWORK}`], {}]

/** All rows, in the order in which the registries fill. */
export async function* measureAha(count: number): AsyncGenerator<Line> {
  {
    await using both = await startBoth()
    for (const {load} of [both.own, both.peer]) await load.fill(0, FEW)
    yield* lookUps(both, count)
    yield* registrations(both, count)
    yield await visibility(both)
    yield await provisioning(both, count)
    yield await starting(both, count)
    for (const {load} of [both.own, both.peer]) await load.fill(0, MANY)
    yield await listing(both, count)
  }
  yield await growth(count)
  yield* returning(count)
}

async function* lookUps(both: Both, count: number): AsyncGenerator<Line> {
  const samples = await compare(both, LINKS, [lookUp(1)], SLICES * count)
  yield ratioLine(`getAhaSvc, TLS, ${LINKS} links: rate, own / peer`, 'ratePerS', samples, {atLeast: 2})
  yield ratioLine(`getAhaSvc, TLS, ${LINKS} links: CPU per call, own / peer`, 'cpuUs', samples, {atMost: 0.4})
}

async function* registrations(both: Both, count: number): AsyncGenerator<Line> {
  const todos = Array.from({length: REGISTERED}, (_, index) => registration(nameOf(index), index))
  const samples = await compare(both, LINKS, todos, SLICES * count)
  yield ratioLine(`addAhaSvc, ${LINKS} links, durable: rate, own / peer`, 'ratePerS', samples, {atLeast: 1})
}

async function visibility(both: Both): Promise<Line> {
  const peer = quantiles(await both.peer.load.visible(VISIBLE))
  const own = quantiles(await both.own.load.visible(VISIBLE))
  const note = `p50 ${shown(own.p50)}; peer ${shown(peer.p50)} and ${shown(peer.p99)}, of ${VISIBLE}`
  return line('registration to visible at another client: p99', own.p99, 'ms', {atMost: 20}, note)
}

function quantiles(values: readonly number[]): {readonly p50: number; readonly p99: number} {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return {p50: at(0.5), p99: at(0.99)}
}

async function provisioning(both: Both, count: number): Promise<Line> {
  const rates: {own: number; peer: number}[] = []
  for (let round = 0; round < count; round++) {
    const peer = await both.peer.load.provision(PROVISIONED / 4, PROVISIONED_AT_ONCE)
    rates.push({peer, own: await both.own.load.provision(PROVISIONED, PROVISIONED_AT_ONCE)})
  }
  const ratios = rates.map(({own, peer}) => own / peer)
  const mid = (side: 'own' | 'peer') => shown(median(rates.map((rate) => rate[side])))
  const note = `${mid('own')}/s beside ${mid('peer')}/s, ${PROVISIONED_AT_ONCE} at a time; ${rounds(ratios)}`
  return line('mint, redeem and sign for a service: rate, own / peer', median(ratios), 'x', {atLeast: 3}, note)
}

async function listing(both: Both, count: number): Promise<Line> {
  const samples = await compare(both, 1, [['getAhaSvcs', [], {}]], count)
  const times = (side: 'own' | 'peer') => samples.map((sample) => 1000 / sample[side].ratePerS)
  const note = `peer ${shown(median(times('peer')))} ms; ${loadNote(samples.map(({own}) => own))}; ${rounds(times('own'))}`
  return line(`getAhaSvcs of ${MANY}`, median(times('own')), 'ms', {atMost: 25}, note)
}

async function starting(both: Both, count: number): Promise<Line> {
  const times: {own: number; peer: number}[] = []
  for (let round = 0; round < count; round++) {
    const peer = await both.peer.restart()
    times.push({peer: peer / 1000, own: (await both.own.restart()) / 1000})
  }
  const own = times.map((time) => time.own)
  const note = `${REGISTERED} entries; peer ${shown(median(times.map(({peer}) => peer)))} s; ${rounds(own)}`
  return line('ready after a restart', median(own), 's', {atMost: 0.5}, note)
}

async function growth(count: number): Promise<Line> {
  await using own = await startOwn()
  const costs = async () => {
    await using load = await startCalls(own, LINKS, [lookUp(1)])
    const all: number[] = []
    for (let round = 0; round < SLICES * count; round++) all.push((await load.calls(MEASURED_MS, WARM_UP_MS)).cpuUs)
    return median(all)
  }
  await own.load.fill(0, FEW)
  const few = await costs()
  await own.load.fill(FEW, SOME)
  const some = await costs()
  const note = `${shown(some)} us beside ${shown(few)} us`
  return line(`getAhaSvc among ${SOME} / among ${FEW}: CPU per call`, some / few, 'x', {atMost: 1.2}, note)
}

/** Real services have sessions of some six links; all of them come back at once. */
async function* returning(count: number): AsyncGenerator<Line> {
  await using own = await startOwn()
  await own.load.sessions(SESSIONS, LINKS_EACH)
  const seconds: number[] = []
  for (let round = 1; round <= count; round++) {
    const startMs = Date.now()
    await own.restart()
    seconds.push(((await own.load.back(round)) - startMs) / 1000)
  }
  const what = `${SESSIONS} sessions of ${LINKS_EACH} links, RSA-2048 certificates`
  yield line(`${what}: all back after a restart`, median(seconds), 's', {atMost: 5}, rounds(seconds))
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  yield line(`${what}: memory`, residentMb(own.pid), 'MB', {atMost: 200}, '')
}

function residentMb(pid: number): number {
  const [, kb = ''] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
  return (Number(kb) * 1024) / 1e6
}
