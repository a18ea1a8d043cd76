import {once} from 'node:events'
import {setImmediate as turn} from 'node:timers/promises'
import {afterEach, describe, expect, onTestFinished, test, vi} from 'vitest'
import {Request} from 'zeromq'
import type {Connection} from '../../../src/wire/zeromq/listener.ts'
import {Peer, Peers} from '../../../src/wire/zeromq/peers.ts'
import {listen} from '../../../src/wire/zeromq/router-listener.ts'
import {lastingPort} from '../../support/lasting-port.ts'
import {ANY_PORT, ask, closePeers, LIMITS, monitored, openDealer, openEcho, openTcp, unexpected} from './support.ts'

afterEach(closePeers)

describe('messages', () => {
  test.each([
    {name: 'envelope', frames: ['REQ', '{"action":"health"}']},
    {name: 'plain', frames: ['', '{"action":"health"}']},
    {name: 'REQ with envelope', frames: ['', 'REQ', '{"action":"health"}']},
    {name: 'bare', frames: ['{"action":"health"}']},
    {name: 'one empty frame', frames: ['']},
    {name: 'more frames than anybody needs', frames: ['REQ', '{}', '', 'x', '']},
  ])('of the form $name pass untouched in both directions', async ({frames}) => {
    await using echo = await openEcho()
    expect(await ask(openDealer(echo.port), ...frames)).toEqual(frames)
    expect(echo.handed.map((message) => message.frames.map(String))).toEqual([frames])
  })

  test('of a REQ socket come with its empty frame and are answered with it', async () => {
    await using echo = await openEcho()
    const request = new Request({linger: 0})
    onTestFinished(() => request.close())
    request.connect(`tcp://127.0.0.1:${echo.port}`)
    await request.send('{}')
    expect((await request.receive()).map(String)).toEqual(['{}'])
    expect(echo.handed[0]?.frames.map(String)).toEqual(['', '{}'])
  })

  test('keep any bytes', async () => {
    await using echo = await openEcho()
    const bytes = Buffer.from(Array.from({length: 1024}, (_, i) => i % 256))
    const dealer = openDealer(echo.port)
    await dealer.send([bytes])
    expect((await dealer.receive())[0]?.equals(bytes)).toBe(true)
  })

  test('of a burst are handed on in order, per connection, and all are answered', async () => {
    const [dealers, messages] = [5, 2000]
    await using echo = await openEcho()
    const answers = await Promise.all(
      Array.from({length: dealers}, async () => {
        const dealer = openDealer(echo.port, {sendHighWaterMark: messages, receiveHighWaterMark: messages})
        for (let i = 0; i < messages; i++) await dealer.send(['REQ', `${i}`])
        const texts: string[] = []
        while (texts.length < messages) texts.push(`${(await dealer.receive())[1]}`)
        return texts
      }),
    )
    const inOrder = Array.from({length: messages}, (_, i) => `${i}`)
    for (const texts of answers) expect(texts).toEqual(inOrder)
    const perConnection = Map.groupBy(echo.handed, (message) => message.from)
    expect(perConnection.size).toBe(dealers)
    for (const handed of perConnection.values()) expect(handed.map(({frames}) => `${frames[1]}`)).toEqual(inOrder)
  })
})

describe('a connection', () => {
  test('is the same object for each message of the peer and keeps what was put on it', async () => {
    await using echo = await openEcho({
      onMessage: (from) => {
        from.state = `${from.state ?? ''}x`
        from.send([from.state])
      },
    })
    const [first, second] = [openDealer(echo.port), openDealer(echo.port)]
    expect(await ask(first, '1')).toEqual(['x'])
    expect(await ask(first, '2')).toEqual(['xx'])
    expect(await ask(second, '1')).toEqual(['x'])
  })

  test.each([
    {routingId: 'cam 1-52b0~', id: 'cam 1-52b0~'},
    {routingId: 'bad\n', id: '0x6261640a'},
    {routingId: 'ü', id: '0xc3bc'},
  ])('prints its id as text or as hex: $id', async ({routingId, id}) => {
    await using echo = await openEcho({onMessage: (from) => from.send([from.id])})
    expect(await ask(openDealer(echo.port, {routingId}), '?')).toEqual([id])
  })

  test('may be taken over by a peer that comes back with its id while the former link still stands', async () => {
    await using echo = await openEcho()
    expect(await ask(openDealer(echo.port, {routingId: 'cam'}), '1')).toEqual(['1'])
    expect(await ask(openDealer(echo.port, {routingId: 'cam', linger: 0}), '2')).toEqual(['2'])
  })

  test('prints the id that libzmq made as hex', async () => {
    await using echo = await openEcho({onMessage: (from) => from.send([from.id])})
    expect(await ask(openDealer(echo.port), '?')).toEqual([expect.stringMatching(/^0x00[0-9a-f]{8}$/)])
  })

  test('is forgotten only after half of the limit in other peers, and at the latest after the limit', () => {
    const peers = new Peers<string>({...LIMITS, connections: 8}, () => {})
    const peer = (n: number): Connection<string> => peers.get(Buffer.from(`peer${n}`))
    peer(0).state = 'kept'
    for (let n = 1; n <= 4; n++) peer(n)
    expect(peer(0).state).toBe('kept')
    for (let n = 5; n <= 12; n++) peer(n)
    expect(peer(0).state).toBeUndefined()
  })

  test('that talks is not forgotten, however many come and go', () => {
    const peers = new Peers<string>({...LIMITS, connections: 8}, () => {})
    const talker = Buffer.from('talker')
    peers.get(talker).state = 'kept'
    for (let n = 0; n < 1000; n++) {
      peers.get(Buffer.from(`peer${n}`))
      if (n % 4 === 0) expect(peers.get(talker).state).toBe('kept')
    }
  })
})

describe('the rate limit', () => {
  test('refuses the excess of one connection, in order, and no other', async () => {
    await using echo = await openEcho({limits: {messagesPerS: 1}})
    const [greedy, modest] = [openDealer(echo.port), openDealer(echo.port)]
    const answers: string[] = []
    for (let i = 0; i < 20; i++) await greedy.send('x')
    while (answers.length < 20) answers.push(`${(await greedy.receive())[0]}`)
    expect(answers[0]).toBe('x')
    expect(answers.filter((answer) => answer === 'refused').length).toBeGreaterThan(10)
    expect(await ask(modest, 'y')).toEqual(['y'])
  })

  test('may be set while a peer is connected', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(5000)
    const limits = {messagesPerS: 2}
    const peer = new Peer(Buffer.from('p'), limits, () => {})
    const admitted = () => Array.from({length: 100}, () => peer.admit()).filter(Boolean).length
    expect(admitted()).toBe(2)
    limits.messagesPerS = 50
    clock.mockReturnValue(6000)
    expect(admitted()).toBe(50)
    clock.mockRestore()
  })

  test('allows a second of messages at once, then as many as time has passed, and never saves up more', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(5000)
    const peer = new Peer(Buffer.from('p'), {messagesPerS: 10}, () => {})
    const admitted = (tries: number) => Array.from({length: tries}, () => peer.admit()).filter(Boolean).length
    expect(admitted(15)).toBe(10)
    clock.mockReturnValue(5350)
    expect(admitted(15)).toBe(3)
    clock.mockReturnValue(5400)
    expect(admitted(15)).toBe(1)
    clock.mockReturnValue(60_000)
    expect(admitted(15)).toBe(10)
    clock.mockRestore()
  })
})

describe('what one peer does to the port is not felt by the others:', () => {
  test('a frame beyond the limit cuts its sender off, unread', async () => {
    await using echo = await openEcho({limits: {messageBytes: 1000}})
    const [honest, other] = [openDealer(echo.port), openDealer(echo.port)]
    expect(await ask(honest, 'before')).toEqual(['before'])
    const cut = monitored(other, 'disconnect')
    await other.send('x'.repeat(1001))
    await cut
    expect(await ask(honest, 'x'.repeat(1000))).toEqual(['x'.repeat(1000)])
    expect(echo.handed.map(({frames}) => frames[0]?.length)).toEqual([6, 1000])
  })

  // What does not begin like ZMTP 2 or 3 is for libzmq a peer of ZMTP 1, which knows no handshake: it may stay, and say nothing.
  test.each([
    {name: 'garbage', bytes: Buffer.alloc(500, 0xa5), isCutOff: false},
    {name: 'an HTTP request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), isCutOff: false},
    {name: 'a TLS hello', bytes: Buffer.from('16030100f8010000f40303', 'hex'), isCutOff: false},
    {name: 'a frame of ZMTP 1 beyond any size', bytes: Buffer.from('ff7fffffffffffffff00', 'hex'), isCutOff: true},
    {name: 'half a ZMTP greeting', bytes: Buffer.from('ff00000000000000017f03', 'hex'), isCutOff: true},
    {name: 'a greeting and no handshake', bytes: Buffer.concat([greeting(), Buffer.from([4])]), isCutOff: true},
    {
      name: 'an endless command',
      bytes: Buffer.concat([greeting(), Buffer.from('067fffffffffffffff', 'hex')]),
      isCutOff: true,
    },
  ])('$name', async ({bytes, isCutOff}) => {
    await using echo = await openEcho({limits: {handshakeMs: 200}})
    const rude = await Promise.all(Array.from({length: 5}, () => openTcp(echo.port, bytes)))
    const ends = rude.map((socket) => once(socket, 'close'))
    const honest = openDealer(echo.port)
    for (let i = 0; i < 20; i++) expect(await ask(honest, `${i}`)).toEqual([`${i}`])
    if (isCutOff) await Promise.all(ends)
    expect(await ask(honest, 'after')).toEqual(['after'])
    expect(echo.handed).toHaveLength(21)
  })

  test('200 connections that say nothing, which are closed after the handshake time', async () => {
    await using echo = await openEcho({limits: {handshakeMs: 200}})
    const silent = await Promise.all(Array.from({length: 200}, () => openTcp(echo.port)))
    const ends = silent.map((socket) => once(socket, 'close'))
    expect(await ask(openDealer(echo.port), 'x')).toEqual(['x'])
    await Promise.all(ends)
  })

  test('a peer that does not read loses its own answers beyond the high-water mark, and they are counted', async () => {
    const big = Buffer.alloc(32 * 1024)
    await using echo = await openEcho({limits: {hwm: 10}, onMessage: (from, frames) => from.send([...frames, big])})
    const [deaf, honest] = [openDealer(echo.port, {receiveHighWaterMark: 1}), openDealer(echo.port)]
    while (echo.dropped === 0) {
      await deaf.send('x')
      await turn()
    }
    expect((await ask(honest, 'y'))[0]).toBe('y')
  })
})

/** The greeting of ZMTP 3.1 with the NULL mechanism. */
function greeting(): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1])
  bytes.write('NULL', 12)
  return bytes
}

describe('opening', () => {
  test('tells the port that the system chose', async () => {
    await using echo = await openEcho()
    expect(echo.port).toBeGreaterThan(0)
  })

  test('fails on a port that is taken, naming it', async () => {
    await using echo = await openEcho()
    const address = `tcp://127.0.0.1:${echo.port}`
    const second = listen({address, limits: LIMITS, onMessage: () => {}, onRefused: () => {}, onFailed: unexpected})
    await expect(second).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1:${echo.port}: the port is taken by another program`,
      info: {reason: 'EADDRINUSE'},
    })
    expect(await ask(openDealer(echo.port), 'still here')).toEqual(['still here'])
  })

  test('fails on an address of another machine', async () => {
    await expect(openEcho({address: 'tcp://192.0.2.1:0'})).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      message: 'cannot listen on 192.0.2.1:0: the address is not one of this machine',
    })
  })

  test('works on IPv6', async () => {
    await using echo = await openEcho({address: 'tcp://[::1]:0'})
    const dealer = openDealer(0, {ipv6: true})
    dealer.connect(`tcp://[::1]:${echo.port}`)
    dealer.disconnect('tcp://127.0.0.1:0')
    expect(await ask(dealer, 'x')).toEqual(['x'])
  })
})

describe('ending', () => {
  test('close lets every answer that was sent leave, megabytes too', async () => {
    const count = 500
    const bulk = 'x'.repeat(32 * 1024)
    const {promise: all, resolve} = Promise.withResolvers<void>()
    const echo = await openEcho({
      onMessage: (from, frames) => {
        from.send([...frames, bulk])
        if (echo.handed.length === count) resolve()
      },
    })
    const dealer = openDealer(echo.port, {sendHighWaterMark: count, receiveHighWaterMark: count})
    for (let i = 0; i < count; i++) await dealer.send(`${i}`)
    await all
    await echo.close()
    for (let i = 0; i < count; i++) expect(`${(await dealer.receive())[0]}`).toBe(`${i}`)
  })

  test('close ends although a peer does not read', async () => {
    const big = Buffer.alloc(1024 * 1024)
    const echo = await openEcho({onMessage: (from) => from.send([big])})
    const deaf = openDealer(echo.port, {receiveHighWaterMark: 1})
    for (let i = 0; i < 50; i++) await deaf.send('x')
    while (echo.handed.length < 50) await turn()
    await echo.close()
  })

  test('close may be called twice, with messages coming in', async () => {
    const echo = await openEcho()
    const dealer = openDealer(echo.port)
    await ask(dealer, 'x')
    for (let i = 0; i < 100; i++) await dealer.send('y')
    await Promise.all([echo.close(), echo.close()])
    await echo.close()
  })

  test('after pause no message is handed on, and those before can be answered', async () => {
    await using echo = await openEcho({onMessage: () => {}})
    const [early, late] = [openDealer(echo.port), openDealer(echo.port)]
    await early.send('before')
    while (echo.handed.length === 0) await turn()
    echo.pause()
    await late.send('after')
    echo.handed[0]?.from.send(['answer'])
    expect((await early.receive()).map(String)).toEqual(['answer'])
    await echo.close()
    expect(echo.handed).toHaveLength(1)
  })

  test('what is sent after close is dropped and counted', async () => {
    const echo = await openEcho()
    await ask(openDealer(echo.port), 'x')
    await echo.close()
    echo.handed[0]?.from.send(['late'])
    expect(echo.dropped).toBe(1)
  })

  test('an answer to a peer that has gone is dropped and counted', async () => {
    await using echo = await openEcho({onMessage: () => {}})
    const dealer = openDealer(echo.port)
    await dealer.send('x')
    while (echo.handed.length === 0) await turn()
    dealer.close()
    while (echo.dropped === 0) {
      echo.handed[0]?.from.send(['too late'])
      await turn()
    }
  })
})

test('a handler that throws fails the listener, which says so', async () => {
  const {promise: failed, resolve} = Promise.withResolvers<Error>()
  await using echo = await openEcho({
    onMessage: () => {
      throw new Error('a bug')
    },
    onFailed: resolve,
  })
  await openDealer(echo.port, {}).send('x')
  expect((await failed).message).toBe('a bug')
})

test('listens on the port named in the address', async () => {
  const port = await lastingPort()
  const address = ANY_PORT.replace(/0$/, `${port}`)
  const first = await openEcho({address})
  await first.close()
  await using second = await openEcho({address})
  expect(second.port).toBe(port)
})
