// Whether a large catalog makes requests slower: two servers side by side, a lone client on each, in turn.
import {startServer} from '../test/support/server.ts'
import {LoadClients} from './load.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {discover, fill, get, list, renew, someIds, TENTH} from './services.ts'

const FEW = 100
const MANY = 100_000
const WARM_UP_MS = 300
const MEASURED_MS = 300
/** Short rounds and many: the times of a lone client swing by themselves. */
const MIN_ROUNDS = 15
const LISTS = 15
/** Different services asked for. */
const ASKED = 10_000

const REQUESTS: readonly {name: string; payloads: (services: number) => string[]}[] = [
  {name: 'get', payloads: (services) => someIds(services, ASKED).map(get)},
  {name: 'discover', payloads: () => Array.from({length: 50}, (_, i) => discover(i))},
  {name: 'renew', payloads: (services) => someIds(services, ASKED).map(renew)},
]

export async function* measureGrowth(count: number): AsyncGenerator<Line> {
  await using small = await startServer()
  await using large = await startServer()
  await fill({port: small.ports.req, count: FEW})
  await fill({port: large.ports.req, count: MANY})
  for (const {name, payloads} of REQUESTS) {
    await using few = await connect(small.ports.req, payloads(FEW))
    await using many = await connect(large.ports.req, payloads(MANY))
    await few.run({durationMs: WARM_UP_MS})
    await many.run({durationMs: WARM_UP_MS})
    const pairs: {few: number; many: number}[] = []
    for (let round = 0; round < Math.max(count, MIN_ROUNDS); round++) {
      pairs.push({few: await p50(few), many: await p50(many)})
    }
    const ratios = pairs.map((pair) => pair.many / pair.few)
    const note = `p50 ${shown(median(pairs.map((pair) => pair.many)))} ms beside ${shown(median(pairs.map((pair) => pair.few)))}; ${rounds(ratios)}`
    yield line(`${name} with 100 000 services beside 100`, median(ratios), 'x', {atMost: 1.3}, note)
  }
  yield await measureLongList(large.ports.req)
}

/** Lists 10 000 services when one of them has just changed, so that no earlier answer can be used. */
async function measureLongList(port: number): Promise<Line> {
  const members = Array.from({length: LISTS}, (_, i) => `svc-${i * 10}`)
  await using load = await connect(
    port,
    members.flatMap((id) => [renew(id), list(TENTH)]),
  )
  const times: number[] = []
  for (const _ of members) {
    await load.run({count: 1})
    times.push(await p50(load, {count: 1}))
  }
  return line('list of 10 000, freshly built', median(times), 'ms', {atMost: 15}, `2.5 MB, received; ${rounds(times)}`)
}

function connect(port: number, payloads: readonly string[]): Promise<LoadClients> {
  return LoadClients.connect({port, framing: 'envelope', payloads, clients: 1})
}

async function p50(load: LoadClients, phase: {count: number} | {durationMs: number} = {durationMs: MEASURED_MS}) {
  const {failed, p50Ms} = await load.run(phase)
  if (failed > 0) throw new Error(`${failed} requests failed`)
  return p50Ms
}
