// One process of the load: some clients, each with so many requests under way. First line in: a `LoadShare`; it connects and answers
// {"ready": true}. Each further line is a `Phase`, answered by a `PhaseResult` when it is over and everything is answered.
import {createInterface} from 'node:readline'
import {Histogram} from './histogram.ts'
import type {LoadShare, Phase, PhaseResult} from './load.ts'
import {encodeMessage, ZmtpClient} from './zmtp-client.ts'

const FAILURES = [Buffer.from('"success": false'), Buffer.from('"success":false')]
/** Longer answers are not searched for a failure: those are short. */
const FAILURE_BYTES = 500

interface Client {
  readonly link: ZmtpClient
  /** When the requests under way were sent; answers come in the same order. */
  readonly sentMs: number[]
  onAnswer: (payload: Buffer) => void
}

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
const share: LoadShare = JSON.parse((await lines.next()).value ?? '')
const clients = await Promise.all(Array.from({length: share.clients}, openClient))
const messages = numberedMessages()
console.log(JSON.stringify({ready: true}))
for await (const line of {[Symbol.asyncIterator]: () => lines}) console.log(JSON.stringify(await run(JSON.parse(line))))
for (const {link} of clients) link.close()

function openClient(): Promise<Client> {
  const {promise, resolve} = Promise.withResolvers<Client>()
  const link = new ZmtpClient(
    share.host,
    share.port,
    () => resolve(client),
    (payload) => client.onAnswer(payload),
  )
  const client: Client = {link, sentMs: [], onAnswer: () => {}}
  return promise
}

function* numberedMessages(): Generator<Buffer, never> {
  const encoded = share.payloads.map((text) => (text.includes('{n}') ? text : encodeMessage(framed(text))))
  for (let n = share.first; ; n += share.step) {
    const message = encoded[n % encoded.length] as string | Buffer
    yield typeof message === 'string' ? encodeMessage(framed(message.replaceAll('{n}', `${n}`))) : message
  }
}

function framed(payload: string): string[] {
  if (share.framing === 'bare') return [payload]
  return [share.framing === 'plain' ? '' : 'REQ', payload]
}

async function run(phase: Phase): Promise<PhaseResult> {
  const latencies = new Histogram()
  const {promise: isOver, resolve: over} = Promise.withResolvers<void>()
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  const endMs = startMs + (phase.durationMs ?? Number.POSITIVE_INFINITY)
  let [left, underWay, failed] = [phase.count ?? Number.POSITIVE_INFINITY, 0, 0]
  const send = (client: Client, nowMs: number) => {
    if (left === 0 || nowMs >= endMs) return
    left--
    underWay++
    client.sentMs.push(nowMs)
    client.link.send(messages.next().value)
  }
  for (const client of clients) {
    client.onAnswer = (payload) => {
      const nowMs = performance.now()
      latencies.add(nowMs - (client.sentMs.shift() ?? nowMs))
      if (payload.length < FAILURE_BYTES && FAILURES.some((text) => payload.includes(text))) failed++
      underWay--
      send(client, nowMs)
      if (underWay === 0) over()
    }
    for (let i = 0; i < share.outstanding; i++) send(client, performance.now())
  }
  if (underWay > 0) await isOver
  const {user, system} = process.cpuUsage(cpu)
  const seconds = (performance.now() - startMs) / 1000
  return {failed, seconds, cpuUs: user + system, latencies: latencies.toJSON()}
}
