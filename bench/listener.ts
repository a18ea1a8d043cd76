// Compares the listener with the bare echo: rate and CPU per request, same frames, in alternating rounds.
// `node bench/listener.ts [CLIENTS] [OUTSTANDING] [ANSWER_BYTES] [PROCESSES]`
import {LineChild} from './child.ts'
import {LoadClients, type LoadResult} from './load.ts'

const ROUNDS = 5
const WARM_UP_MS = 700
const MEASURED_MS = 1500

const [clients = 50, outstanding = 1, answerBytes = 300, processes = 1] = process.argv.slice(2).map(Number)
const answer = [
  'RESPONSE',
  JSON.stringify({success: true, service: {padding: 'x'.repeat(Math.max(0, answerBytes - 43))}}),
]
const payloads = ['{"action": "get", "service_id": "camera-1"}']

interface Round extends LoadResult {
  readonly cpuUs: number
}

interface Figures {
  readonly cpuUs: number
}

async function measure(child: LineChild, port: number): Promise<Round> {
  await using load = await LoadClients.connect({port, framing: 'envelope', payloads, clients, outstanding, processes})
  await load.run({durationMs: WARM_UP_MS})
  const before = await child.ask<Figures>('?')
  const result = await load.run({durationMs: MEASURED_MS})
  const after = await child.ask<Figures>('?')
  return {...result, cpuUs: (after.cpuUs - before.cpuUs) / result.requests}
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

await using echo = new LineChild('./echo.ts', answer)
await using own = new LineChild('./listener-echo.ts', answer)
const servers = [
  {name: 'echo', child: echo, port: (await echo.read<{port: number}>()).port, rounds: [] as Round[]},
  {name: 'listener', child: own, port: (await own.read<{port: number}>()).port, rounds: [] as Round[]},
]
for (let round = 0; round < ROUNDS; round++) {
  for (const server of servers) server.rounds.push(await measure(server.child, server.port))
}
for (const {name, rounds} of servers) {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick))
  console.log(
    `${name.padEnd(9)} CPU ${of((r) => r.cpuUs).toFixed(1)} us  rate ${of((r) => r.ratePerS).toFixed(0)} /s  ` +
      `p50 ${of((r) => r.p50Ms).toFixed(2)} ms  p99 ${of((r) => r.p99Ms).toFixed(2)} ms  load ${of((r) => r.loadCores).toFixed(2)} cores`,
  )
}
const ratios = servers[1]?.rounds.map((round, i) => round.cpuUs / (servers[0]?.rounds[i]?.cpuUs ?? Number.NaN)) ?? []
console.log(`CPU, listener / echo: ${median(ratios).toFixed(3)} (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`)
