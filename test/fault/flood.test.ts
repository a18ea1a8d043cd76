import {execFileSync} from 'node:child_process'
import {once} from 'node:events'
import {readFile} from 'node:fs/promises'
import {connect, type Socket as TcpSocket} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, onTestFinished, test} from 'vitest'
import {Subscriber} from 'zeromq'
import {RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {frame, openZmtp} from '../support/zmtp-bytes.ts'
import {IS_LONG} from './rounds.ts'

async function rssOf({pid}: TestServer): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

function subscribe(server: TestServer, topics: readonly string[], options = {}): Subscriber {
  const subscriber = new Subscriber({linger: 0, receiveHighWaterMark: 0, ...options})
  onTestFinished(() => subscriber.close())
  subscriber.subscribe(...topics)
  // What happens before it is asked for the first time is never told: a handshake can be over by then.
  const {events} = subscriber
  expect(events.closed).toBe(false)
  subscriber.connect(`tcp://127.0.0.1:${server.ports.pub}`)
  return subscriber
}

/** Registers until all have received an event: then what they subscribed to before is known to the server. */
async function joined(client: RawClient, events: readonly Promise<unknown>[]): Promise<void> {
  const state = {isOver: false}
  const all = Promise.all(events).then(() => {
    state.isOver = true
  })
  while (!state.isOver) {
    await client.register('join')
    await Promise.race([all, delay(10)])
  }
}

/** Subscribes to so many topics, and to `register`; a subscriber of libzmq keeps back what is beyond its queue. Gives its first event. */
async function floodTopics(server: TestServer, count: number): Promise<{socket: TcpSocket; event: Promise<unknown>}> {
  const socket = await openZmtp(server.ports.pub, 'SUB')
  onTestFinished(() => {
    socket.destroy()
  })
  const topics = Array.from({length: count}, (_, index) => `flood/${index}/${'x'.repeat(40)}`)
  const subscriptions = [...topics, 'register'].map((topic) => frame(Buffer.from(`\x01${topic}`)))
  socket.write(Buffer.concat(subscriptions))
  const event = new Promise<void>((resolve) => {
    socket.on('data', (bytes) => {
      if (bytes.includes('join')) resolve()
    })
  })
  return {socket, event}
}

async function connected(subscriber: Subscriber): Promise<void> {
  while ((await subscriber.events.receive()).type !== 'handshake');
}

let asked = 0
/** Asks something whose answer can be that of no other request. */
async function expectOwnAnswer(client: RawClient): Promise<void> {
  const action = `no-action-${asked++}`
  expect(await client.ask({action})).toEqual({success: false, error: `Unknown action: ${action}`})
}

describe('subscribers', () => {
  test('of 60 000 topics, and 20 others that leave, keep no request from its answer and no event from the rest', async () => {
    await using server = await startServer()
    using client = new RawClient(server.ports.req)
    const flood = await floodTopics(server, 60_000)
    const leaving = Array.from({length: 20}, (_, index) => subscribe(server, [`own/${index}`, 'register']))
    await joined(client, [flood.event, ...leaving.map((subscriber) => subscriber.receive())])
    const before = asked
    const answers = []
    for (const subscriber of leaving) {
      subscriber.close()
      for (let count = 0; count < 50; count += 1) answers.push(expectOwnAnswer(client))
      answers.push(client.register('a').then(({success}) => expect(success).toBe(true)))
      await delay(5)
    }
    await Promise.all(answers)
    expect([asked - before, client.outstanding, client.unasked]).toEqual([1000, 0, []])
    flood.socket.destroy()
    await joined(client, [subscribe(server, ['register']).receive()])
  })

  test('that do not read lose their own events, those who read get all, and the memory is bounded', async () => {
    const [hwm, count, bytes] = [200, IS_LONG ? 20_000 : 3520, 20_000]
    await using server = await startServer({conf: {'zmq:pub:hwm': hwm, backend: 'memory'}})
    using client = new RawClient(server.ports.req)
    const reader = subscribe(server, ['register'])
    await joined(client, [reader.receive()])
    const idle = Array.from({length: 3}, () => subscribe(server, ['register'], {receiveHighWaterMark: 1}))
    await Promise.all(idle.map((subscriber) => connected(subscriber)))
    const rssBefore = await rssOf(server)
    const filler = 'x'.repeat(bytes)
    let heard = -1
    for (let first = 0; first < count; first += BATCH) {
      const numbers = Array.from({length: BATCH}, (_, index) => first + index)
      await Promise.all(numbers.map((number) => client.register('big', {metadata: {number, filler}})))
      while (heard < first + BATCH - 1) {
        const [, body] = await reader.receive()
        const {number} = JSON.parse(`${body}`).data.service_info.metadata ?? {}
        if (number === undefined) continue // of the joining
        expect(number).toBe(heard + 1)
        heard = number
      }
    }
    // What is kept of the log without a disk, what waits for each who does not read, and what V8 has not cleared away yet.
    const bound = LOG_BYTES + idle.length * hwm * (bytes + 1000) + 150e6
    expect((await rssOf(server)) - rssBefore).toBeLessThan(bound)
    expect(count * bytes * idle.length, 'what they would cost without a bound').toBeGreaterThan(bound)
  })
})

/**
 * Events at a time. libzmq hears only after each half of the mark (100) that a subscriber has read, and looks for that once in a millisecond or so:
 * up to 99 that were read and the whole batch before may still count as waiting. With these they stay below the mark of 200.
 */
const BATCH = 40

/** What a store in memory keeps of its log at the most. */
const LOG_BYTES = 16e6

describe('one connection beyond its rate', () => {
  test.each(['req', 'hb'] as const)('is refused the excess in order, on port %s, and no other is', async (port) => {
    await using server = await startServer({conf: {'zmq:rate': 50}})
    using greedy = new RawClient(server.ports[port])
    using modest = new RawClient(server.ports[port])
    // Bare, which both ports take, with an answer that names its request on the request port.
    const ask = async (client: RawClient, name: string) => {
      const [answer] = await client.exchange([JSON.stringify({action: name, service_id: name})], name)
      return JSON.parse(`${answer}`).error as string
    }
    const own = (name: string) =>
      port === 'req' ? `Unknown action: ${name}` : 'Service not found or could not be renewed'
    const SLOW = 'too many requests, slow down'
    const names = Array.from({length: 1000}, (_, index) => `n${index}`)
    const errors = await Promise.all(names.map((name) => ask(greedy, name)))
    expect(errors.slice(0, 50)).toEqual(names.slice(0, 50).map(own))
    expect(errors.filter((error) => error === SLOW).length).toBeGreaterThan(500)
    for (const [index, name] of names.entries()) expect([own(name), SLOW]).toContain(errors[index])
    for (let index = 0; index < 20; index += 1) expect(await ask(modest, `m${index}`)).toBe(own(`m${index}`))
    expect([greedy.unasked, modest.unasked]).toEqual([[], []])
  })
})

test('connections until no file can be opened any more keep none out for good and harm nobody who is connected', async () => {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  expect(await client.register('a')).toMatchObject({success: true})
  execFileSync('prlimit', ['--pid', String(server.pid), '--nofile=120:'])
  const {req, pub, hb} = server.ports
  const crowd: TcpSocket[] = []
  for (let count = 0; count < 300; count += 1) {
    const socket = connect([req, pub, hb][count % 3] ?? 0, '127.0.0.1')
    socket.on('error', () => undefined)
    crowd.push(socket)
  }
  await Promise.all(crowd.slice(0, 100).map((socket) => (socket.connecting ? once(socket, 'connect') : undefined)))
  using late = new RawClient(req)
  const lateAnswer = late.health()
  for (let count = 0; count < 50; count += 1) {
    expect(await client.register(`s${count}`)).toMatchObject({success: true})
    await expectOwnAnswer(client)
  }
  for (const socket of crowd) socket.destroy()
  expect(await lateAnswer).toMatchObject({success: true})
  expect(await server.stop()).toBe(0)
})
