import {once} from 'node:events'
import {connect, createServer, type Socket} from 'node:net'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {Decoder} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {Link, tuneSocket} from '../../../src/wire/telepath/link.ts'
import {RawLink} from './raw-link.ts'

/** A link, and the raw other end of it. */
interface Pair {
  readonly link: Link
  readonly peer: RawLink
  readonly messages: Value[]
  /** Resolves with the reason when the link is closed. */
  readonly closed: Promise<Error | undefined>
}

const server = createServer()
const sockets: Socket[] = []

beforeEach(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await new Promise((resolve) => {
    server.close(resolve)
  })
})

async function pair(onMessage: (message: Value, link: Link) => void = () => {}, pipelinedBytes = 1000): Promise<Pair> {
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const address = server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  const [other] = await accepted
  sockets.push(socket, other)
  const messages: Value[] = []
  const {promise: closed, resolve} = Promise.withResolvers<Error | undefined>()
  const owner = {
    onMessage: (message: Value) => {
      messages.push(message)
      onMessage(message, link)
    },
    onClosed: resolve,
  }
  const link = new Link(socket, {decoder: new Decoder({maxBytes: 1_000_000}), owner, pipelinedBytes})
  return {link, peer: new RawLink(other), messages, closed}
}

describe('a link', () => {
  test('is told without a reason when the peer ends it in order, or when it is closed here', async () => {
    const [ended, closed] = [await pair(), await pair()]
    ended.peer.socket.end()
    expect(await ended.closed).toBeUndefined()
    closed.link.send(encode('last'))
    closed.link.close()
    expect(closed.link.isEnded).toBe(true)
    expect(await closed.peer.ended()).toEqual(['last'])
    expect(await closed.closed).toBeUndefined()
  })

  test('gives the reason when the connection is reset, when what comes is unreadable, and when it is cut with one', async () => {
    const [reset, unreadable, cut] = [await pair(), await pair(), await pair()]
    reset.peer.socket.resetAndDestroy()
    expect(await reset.closed).toMatchObject({code: 'ECONNRESET'})
    unreadable.peer.write(Buffer.of(0x01, 0xc1))
    expect(await unreadable.closed).toBeInstanceOf(RegistryError)
    expect(unreadable.messages).toEqual([1])
    cut.link.destroy(new Error('enough'))
    expect(await cut.closed).toMatchObject({message: 'enough'})
  })

  test('sends all of one turn in one piece, and what is large in pieces, all in order', async () => {
    const {link, peer} = await pair()
    for (let i = 0; i < 100; i++) link.send(encode(i))
    for (let i = 0; i < 100; i++) expect(await peer.next()).toBe(i)
    expect(peer.received).toHaveLength(1)
    const large = Buffer.alloc(40_000)
    for (let i = 0; i < 20; i++) link.send(encode([i, large]))
    for (let i = 0; i < 20; i++) expect(await peer.next()).toEqual([i, large])
  })

  test('sends nothing after its end', async () => {
    const {link, peer} = await pair()
    link.close()
    link.send(encode('late'))
    expect(await peer.ended()).toEqual([])
    await link.drained()
  })

  test('hands out no message while it is held, then all of them', async () => {
    const {link, peer, messages} = await pair((message, self) => {
      if (message === 'hold') self.hold()
      self.send(encode(message))
    })
    peer.send(1, 'hold', 2, 3)
    expect([await peer.next(), await peer.next()]).toEqual([1, 'hold'])
    expect(messages).toEqual([1, 'hold'])
    link.release()
    expect([await peer.next(), await peer.next()]).toEqual([2, 3])
  })

  test('reads no more than its share while it is held, and goes on afterwards', async () => {
    const {link, peer, messages} = await pair((message, self) => {
      if (message === 'hold') self.hold()
    })
    peer.send('hold')
    const piece = Buffer.alloc(100_000)
    peer.send(...Array.from({length: 200}, () => piece))
    // More than the kernel keeps: it must be stuck, or it was read.
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate)
    expect(peer.socket.writableLength).toBeGreaterThan(0)
    link.release()
    await once(peer.socket, 'drain')
    peer.socket.end()
    await peer.ended()
    expect(messages).toHaveLength(201)
  })

  test('says when the peer does not take what it sends, and when it does again', async () => {
    const {link, peer} = await pair()
    peer.socket.pause()
    const piece = encode(Buffer.alloc(100_000))
    let sent = 0
    for (; !link.isFull || sent < 200; sent++) link.send(piece)
    const drained = link.drained()
    peer.socket.resume()
    await drained
    expect(link.isFull).toBe(false)
    for (let i = 0; i < sent; i++) expect(await peer.next()).toHaveLength(100_000)
  })

  test('that ends wakes up who waits for the peer to read', async () => {
    const {link, peer} = await pair()
    peer.socket.pause()
    while (!link.isFull) link.send(encode(Buffer.alloc(1_000_000)))
    const drained = link.drained()
    link.destroy()
    await drained
  })
})

test('sockets are tuned as those of the peers: probes when idle, at once when something is written', async () => {
  const {peer} = await pair()
  const calls: unknown[][] = []
  const spied = {
    setNoDelay: (...given: unknown[]) => calls.push(given),
    setKeepAlive: (...given: unknown[]) => calls.push(given),
  }
  tuneSocket(spied as unknown as Socket)
  expect(calls).toEqual([[true], [true, 3000, 3000, 5]])
  tuneSocket(peer.socket)
})
