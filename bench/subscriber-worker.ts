// One process of subscribers. First line in: a `SubscriberShare`; it connects and answers {"ready": true} when each subscriber has got an
// event. `{"until": N}` is answered by a `Seen` when each has got N events since then, or when none has come for `QUIET_MS`.
// `{"leave": true}` ends all connections at once.
import {createInterface} from 'node:readline'
import {Histogram} from './histogram.ts'
import type {Seen, SubscriberShare} from './subscribers.ts'
import {encodeSubscription, ZmtpClient} from './zmtp-client.ts'

const QUIET_MS = 8000
const PROBE = Buffer.from('"probe-')
const EXPIRE = Buffer.from('{"type":"expire"')

interface Subscriber {
  readonly link: ZmtpClient
  isReached: boolean
  count: number
  /** Number of the newest event; events are numbered from 0 by their sender. */
  newest: number
}

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
const share: SubscriberShare = JSON.parse((await lines.next()).value ?? '')
const startOf = share.times === 'sent' ? sentMs : dueMs
const reached = Promise.withResolvers<void>()
const spans: Histogram[] = []
let [disordered, lastEventMs, goal, unmet, met] = [0, 0, Number.POSITIVE_INFINITY, share.subscribers, () => {}]
const subscribers = Array.from({length: share.subscribers}, subscribe)
await reached.promise
console.log(JSON.stringify({ready: true}))
for await (const line of {[Symbol.asyncIterator]: () => lines}) {
  const {until} = JSON.parse(line)
  if (until === undefined) for (const {link} of subscribers) link.close()
  else await wait(until)
  console.log(JSON.stringify(seen()))
}
for (const {link} of subscribers) link.close()

function subscribe(): Subscriber {
  const link = new ZmtpClient({
    host: '127.0.0.1',
    port: share.port,
    type: 'SUB',
    onReady: () => {
      for (let n = 0; n < share.idleTopics; n++) link.send(encodeSubscription(idleTopic()))
      link.send(encodeSubscription(''))
    },
    onMessage: (body) => take(subscriber, body),
  })
  const subscriber: Subscriber = {link, isReached: false, count: 0, newest: -1}
  return subscriber
}

/** A topic that no event has, and that shares little with the others: what costs libzmq the most. */
function idleTopic(): string {
  return Array.from({length: 12}, () => String.fromCharCode(33 + Math.random() * 90)).join('')
}

function take(subscriber: Subscriber, body: Buffer): void {
  if (body.includes(PROBE)) {
    subscriber.isReached = true
    if (subscribers.every((one) => one.isReached)) reached.resolve()
    return
  }
  if (share.times === 'due' && !body.subarray(0, EXPIRE.length).equals(EXPIRE)) return
  const nowMs = performance.timeOrigin + performance.now()
  const text = body.toString('latin1')
  const number = share.times === 'sent' ? Number(/"n": ?(\d+)/.exec(text)?.[1]) : subscriber.count
  if (number <= subscriber.newest) disordered++
  subscriber.newest = number
  const span = Math.floor(number / share.perSpan)
  spans[span] ??= new Histogram()
  spans[span].add(Math.max(0, nowMs - startOf(text)))
  lastEventMs = performance.now()
  if (++subscriber.count === goal && --unmet === 0) met()
}

/** When the request was sent that the event is about: the sender has written it down. */
function sentMs(text: string): number {
  return Number(/"sent": ?([\d.]+)/.exec(text)?.[1])
}

/** When the lease had ended and its grace was over. */
function dueMs(text: string): number {
  const lastS = Number(/"last_heartbeat": ?(\d+)/.exec(text)?.[1])
  const ttlS = Number(/"ttl": ?(\d+)/.exec(text)?.[1])
  return (lastS + ttlS + 1) * 1000
}

function wait(until: number): Promise<void> {
  const {promise, resolve} = Promise.withResolvers<void>()
  lastEventMs = performance.now()
  const quiet = setInterval(() => {
    if (performance.now() - lastEventMs > QUIET_MS) met()
  }, 100)
  goal = until
  unmet = subscribers.filter(({count}) => count < until).length
  met = () => {
    clearInterval(quiet)
    resolve()
  }
  if (unmet === 0) met()
  return promise
}

function seen(): Seen {
  const counts = subscribers.map(({count}) => count)
  return {
    events: counts.reduce((sum, count) => sum + count, 0),
    fewest: Math.min(...counts),
    disordered,
    spans: spans.map((span) => span.toJSON()),
  }
}
