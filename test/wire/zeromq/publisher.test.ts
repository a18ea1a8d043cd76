import {once} from 'node:events'
import type {Worker} from 'node:worker_threads'
import {afterEach, describe, expect, test} from 'vitest'
import type {Subscriber} from 'zeromq'
import {publish} from '../../../src/wire/zeromq/publisher.ts'
import {lastingPort} from '../../support/lasting-port.ts'
import {
  ANY_PORT,
  ask,
  closePeers,
  joined,
  LIMITS,
  monitored,
  nextEvent,
  openDealer,
  openEcho,
  openFlood,
  openPublisher,
  openSubscriber,
  openTcp,
  unexpected,
} from './support.ts'

afterEach(closePeers)

/** Gives the bodies of events up to the one whose body is `last`. */
async function bodiesUntil(last: string, subscriber: Subscriber): Promise<string[]> {
  const bodies: string[] = []
  while (bodies.at(-1) !== last) bodies.push((await nextEvent(subscriber))[1] ?? '')
  return bodies
}

const numbers = (count: number) => Array.from({length: count}, (_, i) => `${i}`)

describe('events', () => {
  test('reach ten subscribers, all of 5000 and in order', async () => {
    await using publisher = await openPublisher()
    const subscribers = numbers(10).map(() => openSubscriber(publisher.port))
    await joined(publisher, subscribers)
    const received = subscribers.map((subscriber) => bodiesUntil('4999', subscriber))
    for (const body of numbers(5000)) publisher.publish('register', body)
    for (const bodies of await Promise.all(received)) expect(bodies).toEqual(numbers(5000))
    expect(publisher.dropped).toBe(0)
  })

  test('keep the order of the calls over many turns', async () => {
    await using publisher = await openPublisher()
    const subscriber = openSubscriber(publisher.port)
    await joined(publisher, [subscriber])
    const received = bodiesUntil('999', subscriber)
    for (const body of numbers(1000)) {
      publisher.publish('register', body)
      if (Number(body) % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await received).toEqual(numbers(1000))
  })

  test('have two frames, topic and body, in UTF-8', async () => {
    await using publisher = await openPublisher()
    const subscriber = openSubscriber(publisher.port)
    await joined(publisher, [subscriber])
    publisher.publish('register', '{"name": "Zürich ☃"}')
    expect(await nextEvent(subscriber)).toEqual(['register', '{"name": "Zürich ☃"}'])
  })

  test('go to those who asked for the topic', async () => {
    await using publisher = await openPublisher()
    const [all, some] = [openSubscriber(publisher.port), openSubscriber(publisher.port, ['expire', 'join'])]
    await joined(publisher, [all, some])
    publisher.publish('register', '1')
    publisher.publish('expire', '2')
    expect(await nextEvent(all)).toEqual(['register', '1'])
    expect(await nextEvent(some)).toEqual(['expire', '2'])
  })

  test('that a subscriber does not read are lost to that subscriber only', async () => {
    await using publisher = await openPublisher({hwm: 100})
    const [reader, sleeper] = [
      openSubscriber(publisher.port),
      openSubscriber(publisher.port, [''], {receiveHighWaterMark: 1}),
    ]
    await joined(publisher, [reader])
    await joined(publisher, [sleeper])
    const bulk = 'x'.repeat(16 * 1024)
    for (const body of numbers(2000)) {
      publisher.publish('register', `${body} ${bulk}`)
      // The reader keeps up, so nothing may be lost to it.
      expect((await nextEvent(reader))[1]?.startsWith(`${body} `)).toBe(true)
    }
    publisher.publish('register', 'end')
    expect(await nextEvent(reader)).toEqual(['register', 'end'])
    const seen: number[] = []
    const ticks = setInterval(() => publisher.publish('register', 'awake'), 5)
    for (;;) {
      const [, body = ''] = await nextEvent(sleeper)
      if (body === 'awake') break
      seen.push(Number.parseInt(body, 10))
    }
    clearInterval(ticks)
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.length).toBeLessThan(2000)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })
})

describe('what one peer does to the event port is not felt by the others:', () => {
  test('a subscription longer than any topic cuts its sender off', async () => {
    await using publisher = await openPublisher()
    const honest = openSubscriber(publisher.port)
    await joined(publisher, [honest])
    const rude = openSubscriber(publisher.port, ['x'.repeat(200), 'join'])
    await joined(publisher, [rude])
    const cut = monitored(rude, 'disconnect')
    rude.subscribe('x'.repeat(300))
    await cut
    publisher.publish('register', 'after')
    expect(await nextEvent(honest)).toEqual(['register', 'after'])
  })

  test('garbage, and 200 connections that say nothing', async () => {
    await using publisher = await openPublisher({handshakeMs: 500})
    const silent = await Promise.all(numbers(200).map(() => openTcp(publisher.port)))
    const ends = silent.map((socket) => once(socket, 'close'))
    await Promise.all(
      [Buffer.alloc(500, 0xa5), Buffer.from('16030100f8010000f40303', 'hex')].map((b) => openTcp(publisher.port, b)),
    )
    const honest = openSubscriber(publisher.port)
    await joined(publisher, [honest])
    publisher.publish('register', 'after')
    expect(await nextEvent(honest)).toEqual(['register', 'after'])
    await Promise.all(ends)
  })

  // libzmq walks all 60 000 topics for each of the 20, in the thread of the socket. Were that the listener's thread, answers and events
  // would stop and go on together; as it is, events stop while answers go on, and then they come again.
  test('60 000 subscriptions, after which 20 subscribers leave', async () => {
    await using publisher = await openPublisher()
    await using echo = await openEcho()
    const flood = await openFlood(publisher.port, 60_000)
    const leaving = numbers(20).map(() => openSubscriber(publisher.port))
    const survivor = openSubscriber(publisher.port)
    await joined(publisher, [flood, survivor, ...leaving])
    let answersSinceEvent = 0
    const reading = (async () => {
      while ((await nextEvent(survivor))[1] !== 'end') answersSinceEvent = 0
    })()
    const dealer = openDealer(echo.port)
    for (let i = 0; leaving.length > 0 || answersSinceEvent < 30; i++) {
      if (i === 20) for (const subscriber of leaving.splice(0)) subscriber.close()
      publisher.publish('tick', '')
      expect(await ask(dealer, `${i}`)).toEqual([`${i}`])
      answersSinceEvent++
    }
    publisher.publish('tick', 'end')
    await reading
  })
})

describe('when the publishing thread does not get on', () => {
  test('the newest events are dropped and counted, beyond 200 000', async () => {
    await using publisher = await openPublisher({hwm: 1_000_000})
    const subscriber = openSubscriber(publisher.port, ['register', 'join'])
    await joined(publisher, [subscriber])
    // Within one turn nothing can be acknowledged.
    await new Promise((resolve) => setImmediate(resolve))
    for (let i = 0; i < 200_010; i++) publisher.publish('other', '')
    publisher.publish('register', 'one too many')
    expect(publisher.dropped).toBeGreaterThanOrEqual(11)
    // When those before are acknowledged, events are taken again.
    const ticks = setInterval(() => publisher.publish('register', 'taken again'), 5)
    expect(await nextEvent(subscriber)).toEqual(['register', 'taken again'])
    clearInterval(ticks)
  })

  test('the newest events are dropped and counted, beyond 64 Mi characters', async () => {
    await using publisher = await openPublisher()
    const body = 'x'.repeat(1024 * 1024)
    for (let i = 0; i < 64; i++) publisher.publish('register', body)
    expect(publisher.dropped).toBe(0)
    publisher.publish('register', 'x')
    expect(publisher.dropped).toBe(1)
  })
})

describe('opening and ending', () => {
  test('a taken port is refused, naming it', async () => {
    await using publisher = await openPublisher()
    const address = ANY_PORT.replace(/0$/, `${publisher.port}`)
    await expect(publish({address, hwm: 10, handshakeMs: 500, onFailed: unexpected})).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1:${publisher.port}: the port is taken by another program`,
      info: {reason: 'EADDRINUSE'},
    })
  })

  test('close sends what was published before, in order, megabytes too', async () => {
    const publisher = await openPublisher()
    const subscriber = openSubscriber(publisher.port, [''], {receiveHighWaterMark: 10})
    await joined(publisher, [subscriber])
    const bulk = 'x'.repeat(16 * 1024)
    for (const body of numbers(1000)) publisher.publish('register', `${body} ${bulk}`)
    const closed = Promise.all([publisher.close(), publisher.close()])
    publisher.publish('register', 'too late')
    for (const body of numbers(1000)) expect((await nextEvent(subscriber))[1]?.split(' ')[0]).toBe(body)
    await closed
  })

  test('close ends although a subscriber does not read', async () => {
    const publisher = await openPublisher()
    const subscriber = openSubscriber(publisher.port, [''], {receiveHighWaterMark: 1})
    await joined(publisher, [subscriber])
    const body = 'x'.repeat(1024 * 1024)
    for (let i = 0; i < 50; i++) publisher.publish('register', body)
    await publisher.close()
  })

  test('the port is free again after close', async () => {
    const port = await lastingPort()
    const address = ANY_PORT.replace(/0$/, `${port}`)
    const open = () => publish({address, hwm: 10, handshakeMs: 500, onFailed: unexpected})
    const first = await open()
    await first.close()
    await using second = await open()
    expect(second.port).toBe(port)
  })

  test('the death of the thread is told once, and what is published then is counted as dropped', async () => {
    const made = once(process, 'worker')
    const failures: Error[] = []
    await using publisher = await publish({...LIMITS, address: ANY_PORT, onFailed: (error) => failures.push(error)})
    const [worker]: Worker[] = await made
    await worker?.terminate()
    expect(failures).toMatchObject([{code: 'REG_LISTEN_FAILED', message: 'the thread of the events ended with 1'}])
    publisher.publish('register', 'x')
    expect(publisher.dropped).toBe(1)
    await publisher.close()
    expect(failures).toHaveLength(1)
  })
})
