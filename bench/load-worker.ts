// One process of the load: some clients, each with so many requests under way. First line in: a `LoadShare`; it connects and answers
// {"ready": true}. Each further line is a `Phase`, answered by a `PhaseResult` when it is over and everything is answered.
import {createInterface} from 'node:readline'
import {setTimeout as delay} from 'node:timers/promises'
import {Histogram} from './histogram.ts'
import type {LoadShare, Phase, PhaseResult} from './load.ts'
import {encodeMessage, ZmtpClient} from './zmtp-client.ts'

const FAILURES = [Buffer.from('"success": false'), Buffer.from('"success":false')]
/** Longer answers are not searched for a failure: those are short. */
const FAILURE_BYTES = 500

interface Client {
  readonly link: ZmtpClient
  /** When the requests under way were sent, or were due; answers come in the same order. */
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
  const link = new ZmtpClient({
    host: share.host,
    port: share.port,
    onReady: () => resolve(client),
    onMessage: (payload) => client.onAnswer(payload),
  })
  const client: Client = {link, sentMs: [], onAnswer: () => {}}
  return promise
}

function* numberedMessages(): Generator<Buffer, never> {
  const encoded = share.payloads.map((text) => (/\{n\}|\{ms\}/.test(text) ? text : encodeMessage(framed(text))))
  for (let n = share.first; ; n += share.step) {
    const message = encoded[n % encoded.length] as string | Buffer
    yield typeof message === 'string' ? encodeMessage(framed(filled(message, n))) : message
  }
}

function filled(text: string, n: number): string {
  return text.replaceAll('{n}', `${n}`).replaceAll('{ms}', (performance.timeOrigin + performance.now()).toFixed(2))
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
  let [left, underWay, failed, isSending] = [phase.count ?? Number.POSITIVE_INFINITY, 0, 0, true]
  const send = (client: Client, atMs: number) => {
    if (left === 0 || atMs >= endMs) return
    left--
    underWay++
    client.sentMs.push(atMs)
    client.link.send(messages.next().value)
  }
  for (const client of clients) {
    client.onAnswer = (payload) => {
      const nowMs = performance.now()
      latencies.add(nowMs - (client.sentMs.shift() ?? nowMs))
      if (payload.length < FAILURE_BYTES && FAILURES.some((text) => payload.includes(text))) failed++
      underWay--
      if (phase.ratePerS === undefined) send(client, nowMs)
      if (underWay === 0 && !isSending) over()
    }
  }
  if (phase.ratePerS === undefined) {
    for (const client of clients) for (let i = 0; i < share.outstanding; i++) send(client, performance.now())
  } else {
    await pace(1000 / phase.ratePerS, startMs, Math.min(endMs, startMs + (left * 1000) / phase.ratePerS), send)
  }
  isSending = false
  if (underWay > 0) await isOver
  const {user, system} = process.cpuUsage(cpu)
  const seconds = (performance.now() - startMs) / 1000
  return {failed, seconds, cpuUs: user + system, latencies: latencies.toJSON()}
}

/** Sends every `stepMs`, from the clients in turn, whatever is answered. */
async function pace(
  stepMs: number,
  startMs: number,
  endMs: number,
  send: (client: Client, dueMs: number) => void,
): Promise<void> {
  for (let sent = 0; startMs + sent * stepMs < endMs; ) {
    for (const nowMs = performance.now(); startMs + sent * stepMs <= nowMs; sent++) {
      send(clients[sent % clients.length] as Client, startMs + sent * stepMs)
    }
    await delay(1)
  }
}
