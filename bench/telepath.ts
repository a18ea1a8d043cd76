// What Telepath itself costs: our daemon beside a bare server of Node that decodes and encodes the same messages.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {CertDir} from '../src/pki/cert-dir.ts'
import {DEFAULT_TTL_MS, issueInto} from '../src/pki/issuer.ts'
import {LineChild} from './child.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {loadNote} from './requests.ts'
import {type Cost, type Target, TelepathLoad} from './telepath-load.ts'
import {HOST, METHOD, NETWORK, USER} from './telepath-names.ts'

const LINKS = 50
const WARM_UP_MS = 700
const MEASURED_MS = 1500
const IDLE_SESSIONS = 2000
/** What a stock client has at least: the link of its session, and one for calls. */
const LINKS_EACH = 2
const SETTLE_MS = 1500
const IDLE_MS = 5000

type Kind = 'daemon' | 'bare'

interface Figures {
  readonly cpuUs: number
  readonly rssBytes: number
  readonly sessions: number
}

/** A server of either kind, and where it is. */
interface Server {
  readonly child: LineChild
  readonly target: (links: number) => Target
}

export async function* measureTelepath(count: number): AsyncGenerator<Line> {
  await using certs = await makeCerts()
  for (const path of [undefined, certs.path]) yield await callCost(count, path)
  yield* idleCost(certs.path)
}

async function start(kind: Kind, certs: string | undefined): Promise<Server> {
  const child = new LineChild('./telepath-server.ts', certs === undefined ? [kind] : [kind, certs])
  const {port} = await child.read<{port: number}>()
  const user = join(certs ?? '', 'users', USER)
  const tls = {ca: join(certs ?? '', 'cas', `${NETWORK}.crt`), cert: `${user}.crt`, key: `${user}.key`, hostname: HOST}
  const where = {host: '127.0.0.1', port, method: METHOD, ...(certs === undefined ? {} : {tls})}
  return {child, target: (links) => ({...where, links})}
}

async function callCost(count: number, certs: string | undefined): Promise<Line> {
  await using stack = new AsyncDisposableStack()
  const loads: [Kind, TelepathLoad][] = []
  for (const kind of ['bare', 'daemon'] as const) {
    const {child, target} = await start(kind, certs)
    stack.use(child)
    loads.push([kind, stack.use(await TelepathLoad.start(target(LINKS), child.pid))])
  }
  const costs = {bare: [] as Cost[], daemon: [] as Cost[]}
  for (let round = 0; round < count; round++) {
    for (const [kind, load] of loads) costs[kind].push(await load.calls(MEASURED_MS, WARM_UP_MS))
  }
  const ratios = costs.daemon.map(({cpuUs}, round) => cpuUs / (costs.bare[round]?.cpuUs ?? Number.NaN))
  const side = (kind: Kind): string =>
    `${shown(median(costs[kind].map(({cpuUs}) => cpuUs)))} us, ${shown(median(costs[kind].map(({ratePerS}) => ratePerS)))}/s`
  const what = `Telepath, ${certs === undefined ? 'TCP' : 'TLS'}, ${LINKS} links: CPU per call, own / bare Node`
  const note = `${side('daemon')} beside ${side('bare')}; ${loadNote(costs.daemon)}; ${rounds(ratios)}`
  return line(what, median(ratios), 'x', {atMost: 1.6}, note)
}

async function* idleCost(certs: string): AsyncGenerator<Line> {
  const bareBytes = await withIdle('bare', certs, async ({bytes}) => bytes)
  const own = await withIdle('daemon', certs, async ({bytes, child, load}) => {
    const before = await child.ask<Figures>('?')
    await delay(IDLE_MS)
    const after = await child.ask<Figures>('?')
    return {bytes, idle: (after.cpuUs - before.cpuUs) / IDLE_MS / 10, goneMs: await leave(child, load)}
  })
  const links = IDLE_SESSIONS * LINKS_EACH
  const above = (own.bytes - bareBytes) / links / 1000
  const note = `${shown(own.bytes / links / 1000)} kB beside ${shown(bareBytes / links / 1000)}`
  yield line('Telepath, idle TLS link: memory above a bare one', above, 'kB', {atMost: 20}, note)
  const session = own.bytes / IDLE_SESSIONS / 1000
  yield line(`Telepath, idle TLS session of ${LINKS_EACH} links: memory`, session, 'kB', {atMost: 160}, '')
  // What the question itself costs is a tenth of this.
  yield line(
    `Telepath, ${links} idle TLS links: CPU`,
    own.idle,
    '% of a core',
    {atMost: 0.2},
    `over ${IDLE_MS / 1000} s`,
  )
  yield line(`Telepath, ${IDLE_SESSIONS} TLS sessions leave at once: noticed`, own.goneMs / 1000, 's', {atMost: 1}, '')
}

interface Idle {
  readonly child: LineChild
  readonly load: TelepathLoad
  /** What the links take. */
  readonly bytes: number
}

async function withIdle<Result>(kind: Kind, certs: string, use: (idle: Idle) => Promise<Result>): Promise<Result> {
  const {child, target} = await start(kind, certs)
  await using _ = child
  await using load = await TelepathLoad.start(target(0), child.pid)
  const before = await child.ask<Figures>('?')
  await load.idle(IDLE_SESSIONS, LINKS_EACH)
  await delay(SETTLE_MS)
  const {rssBytes, sessions} = await child.ask<Figures>('?')
  if (sessions !== IDLE_SESSIONS) throw new Error(`${sessions} sessions are open, not ${IDLE_SESSIONS}`)
  return await use({child, load, bytes: rssBytes - before.rssBytes})
}

/** Ends all clients at once and gives how long the server took to notice, ms. */
async function leave(child: LineChild, load: TelepathLoad): Promise<number> {
  process.kill(load.pid, 'SIGKILL')
  const startMs = performance.now()
  await child.ask('gone')
  return performance.now() - startMs
}

/** Keys of the length that our own commands make. */
async function makeCerts(): Promise<{readonly path: string} & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'registry-bench-certs-'))
  const order = {nowMs: Date.now() - 60_000, ttlMs: DEFAULT_TTL_MS, keyType: 'rsa2048', replace: false} as const
  const dir = new CertDir(path)
  await issueInto(dir, {...order, purpose: 'ca', name: NETWORK, signAs: undefined})
  await issueInto(dir, {...order, purpose: 'host', name: HOST, signAs: NETWORK})
  await issueInto(dir, {...order, purpose: 'user', name: USER, signAs: NETWORK})
  return {path, [Symbol.asyncDispose]: () => rm(path, {recursive: true})}
}
