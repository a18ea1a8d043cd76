import {once} from 'node:events'
import {type AddressInfo, createServer, type Socket as TcpSocket} from 'node:net'
import {afterEach, describe, expect, test} from 'vitest'
import {type EventItem, EventSocket, type EventSocketOptions} from '../../../src/wire/zeromq/event-socket.ts'
import {lastingPort} from '../../support/lasting-port.ts'
import {ANY_PORT, closePeers, openPub, openPublisher} from './support.ts'

afterEach(closePeers)

function openEvents(port: number, options: Partial<EventSocketOptions> = {}): EventSocket {
  return new EventSocket({address: ANY_PORT.replace(/0$/, `${port}`), ...options})
}

const textOf = (item: EventItem) => (item.kind === 'event' ? `${item.topic} ${item.body}` : item.kind)

/** Reads items, as text, up to the one that is `last`; publishes `tick` events meanwhile if asked to. */
async function itemsUntil(last: string, items: AsyncIterator<EventItem>): Promise<string[]> {
  const texts: string[] = []
  while (texts.at(-1) !== last) {
    const {value, done} = await items.next()
    if (done) throw new Error(`ended after ${texts.join(', ')}`)
    texts.push(textOf(value))
  }
  return texts
}

/** Publishes the event every few milliseconds until the promise is settled: a subscription takes effect at its own time. */
async function publishingUntil<Result>(publish: () => void, until: Promise<Result>): Promise<Result> {
  const ticks = setInterval(publish, 5)
  try {
    return await until
  } finally {
    clearInterval(ticks)
  }
}

describe('a subscriber', () => {
  test('is told when it is connected, then gets the events in order', async () => {
    await using publisher = await openPublisher()
    await using events = openEvents(publisher.port)
    const items = events[Symbol.asyncIterator]()
    const start = publishingUntil(() => publisher.publish('tick', ''), itemsUntil('tick ', items))
    expect(await start).toEqual(['connected', 'tick '])
    for (let i = 0; i < 1000; i++) publisher.publish('register', `${i}`)
    const texts = (await itemsUntil('register 999', items)).filter((text) => text !== 'tick ')
    expect(texts).toEqual(Array.from({length: 1000}, (_, i) => `register ${i}`))
  })

  test('gets the topics it asked for', async () => {
    await using publisher = await openPublisher()
    await using events = openEvents(publisher.port, {topics: ['expire', 'end']})
    const items = events[Symbol.asyncIterator]()
    const publishBoth = () => {
      publisher.publish('register', '1')
      publisher.publish('expire', '2')
    }
    expect(await publishingUntil(publishBoth, itemsUntil('expire 2', items))).toEqual(['connected', 'expire 2'])
  })

  test('is told when the connection ends and when it is back', async () => {
    const first = await openPub(await lastingPort())
    await using events = openEvents(first.port)
    const items = events[Symbol.asyncIterator]()
    await itemsUntil('connected', items)
    first.pub.close()
    expect(await itemsUntil('disconnected', items)).toEqual(['disconnected'])
    const {pub} = await openPub(first.port)
    expect(await itemsUntil('connected', items)).toEqual(['connected'])
    await publishingUntil(() => void pub.send(['register', 'again']), itemsUntil('register again', items))
  })

  test('is told what it lost by reading too slowly, and goes on with what is new', async () => {
    await using publisher = await openPublisher()
    await using events = openEvents(publisher.port, {buffer: 100})
    const items = events[Symbol.asyncIterator]()
    await publishingUntil(() => publisher.publish('tick', ''), itemsUntil('tick ', items))
    await using witness = openEvents(publisher.port, {topics: ['end']})
    const witnessed = itemsUntil('end ', witness[Symbol.asyncIterator]())
    for (let i = 0; i < 1000; i++) publisher.publish('register', `${i}`)
    await publishingUntil(() => publisher.publish('end', ''), witnessed)
    const seen: EventItem[] = []
    do {
      const {value, done} = await items.next()
      if (done) throw new Error('ended')
      seen.push(value)
    } while (!seen.some((item) => textOf(item) === 'end '))
    const [first] = seen
    expect(first?.kind).toBe('lost')
    const registered = seen.flatMap((item) =>
      item.kind === 'event' && item.topic === 'register' ? [Number(item.body)] : [],
    )
    expect(first?.kind === 'lost' && first.count).toBeGreaterThanOrEqual(900)
    expect(registered.length).toBeLessThan(100)
    expect(registered).toEqual(registered.toSorted((a, b) => a - b))
  })

  test('still knows that it is connected when all that waited was dropped', async () => {
    const {pub, port} = await openPub()
    await using events = openEvents(port, {buffer: 5})
    await using witness = openEvents(port)
    const witnessed = witness[Symbol.asyncIterator]()
    await publishingUntil(() => void pub.send(['tick', '']), itemsUntil('tick ', witnessed))
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) await pub.send(['register', `${i}`])
      await itemsUntil('register 49', witnessed)
    }
    const items = events[Symbol.asyncIterator]()
    expect((await itemsUntil('lost', items)).slice(0, 2)).toEqual(['connected', 'lost'])
  })

  test('connects to a publisher that takes the place of something else', async () => {
    const connections: TcpSocket[] = []
    const other = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(Buffer.alloc(200, 0xff)) // libzmq gives up a peer that answers like this
      connections.push(socket)
    }).listen(await lastingPort(), '127.0.0.1')
    await once(other, 'listening')
    const {port} = other.address() as AddressInfo
    await using events = openEvents(port)
    const items = events[Symbol.asyncIterator]()
    await once(other, 'connection')
    for (const socket of connections) socket.destroy()
    const closed = once(other, 'close')
    other.close()
    await closed
    const {pub} = await openPub(port)
    await publishingUntil(() => void pub.send(['tick', '']), itemsUntil('tick ', items))
  })
})

test('the iteration ends when the socket is closed', async () => {
  const {port} = await openPub()
  const events = openEvents(port)
  const read = (async () => {
    const kinds: string[] = []
    for await (const item of events) kinds.push(item.kind)
    return kinds
  })()
  await Promise.all([events.close(), events.close()])
  expect(await read).toEqual([])
})

test('an address that cannot be one is refused at once', () => {
  expect(() => new EventSocket({address: 'tcp://nowhere'})).toThrow()
})
