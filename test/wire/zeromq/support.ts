// Real sockets on loopback for the tests of the wire.
import {once} from 'node:events'
import {connect, type Socket as TcpSocket} from 'node:net'
import {Dealer, Publisher as PubSocket, Router, type Socket, Subscriber, XSubscriber} from 'zeromq'
import type {Connection, Listener, ListenLimits, ListenOptions, Publisher} from '../../../src/wire/zeromq/listener.ts'
import {publish} from '../../../src/wire/zeromq/publisher.ts'
import {listen} from '../../../src/wire/zeromq/router-listener.ts'

export const ANY_PORT = 'tcp://127.0.0.1:0'

export const LIMITS: ListenLimits = {
  messageBytes: 64 * 1024,
  messagesPerS: 1_000_000,
  hwm: 10_000,
  handshakeMs: 60_000,
  connections: 1000,
}

export function unexpected(error: Error): void {
  throw error
}

export interface Handed {
  readonly from: Connection<string>
  readonly frames: readonly Buffer[]
}

/** Opens a listener that sends every message back, unless the options say otherwise, and keeps what was handed on. */
export async function openEcho(
  options: Partial<Omit<ListenOptions<string>, 'limits'>> & {limits?: Partial<ListenLimits>} = {},
): Promise<Listener & {readonly handed: Handed[]}> {
  const handed: Handed[] = []
  const {onMessage = (from, frames) => from.send(frames)} = options
  const listener = await listen<string>({
    address: ANY_PORT,
    onRefused: (from) => from.send(['refused']),
    onFailed: unexpected,
    ...options,
    limits: {...LIMITS, ...options.limits},
    onMessage: (from, frames) => {
      handed.push({from, frames})
      onMessage(from, frames)
    },
  })
  return Object.assign(listener, {handed})
}

export function openPublisher({hwm = 10_000, handshakeMs = LIMITS.handshakeMs} = {}): Promise<Publisher> {
  return publish({address: ANY_PORT, hwm, handshakeMs, onFailed: unexpected})
}

const opened: (Socket | TcpSocket)[] = []

/** To be called after each test: closes the peers that it opened. */
export function closePeers(): void {
  for (const peer of opened.splice(0)) 'destroy' in peer ? peer.destroy() : peer.close()
}

export function openDealer(port: number, options: ConstructorParameters<typeof Dealer>[0] = {}): Dealer {
  const dealer = new Dealer({linger: 0, ...options})
  dealer.connect(`tcp://127.0.0.1:${port}`)
  opened.push(dealer)
  return dealer
}

/** Opens a ROUTER on a free port, or on that one, for a test that plays the server. */
export async function openRouter(port = 0): Promise<{router: Router; port: number}> {
  const router = new Router({linger: 0})
  opened.push(router)
  return {router, port: await bindTo(router, port)}
}

export async function openPub(port = 0): Promise<{pub: PubSocket; port: number}> {
  const pub = new PubSocket({linger: 0, sendTimeout: 0})
  opened.push(pub)
  return {pub, port: await bindTo(pub, port)}
}

async function bindTo(socket: Socket, port: number): Promise<number> {
  await socket.bind(`tcp://127.0.0.1:${port}`)
  return Number(socket.lastEndpoint?.split(':').at(-1))
}

/** Connects by TCP, sends the bytes, and reads on and throws away, so that the end of the connection is seen. */
export async function openTcp(port: number, bytes: Uint8Array = Buffer.alloc(0)): Promise<TcpSocket> {
  const socket = connect(port, '127.0.0.1')
  opened.push(socket)
  socket.on('error', () => {}) // a reset is one of the ways to be turned away
  await once(socket, 'connect')
  socket.resume()
  socket.write(bytes)
  return socket
}

export function openSubscriber(
  port: number,
  topics: string[] = [''],
  options: ConstructorParameters<typeof Subscriber>[0] = {},
): Subscriber {
  const subscriber = new Subscriber({linger: 0, receiveHighWaterMark: 100_000, ...options})
  subscriber.subscribe(...topics)
  subscriber.connect(`tcp://127.0.0.1:${port}`)
  opened.push(subscriber)
  return subscriber
}

/** Subscribes to that many topics, and to `join` after them; a plain SUB socket would lose those beyond its high-water mark. */
export async function openFlood(port: number, topics: number): Promise<XSubscriber> {
  const flood = new XSubscriber({linger: 0, sendHighWaterMark: 0})
  opened.push(flood)
  flood.connect(`tcp://127.0.0.1:${port}`)
  for (let i = 0; i < topics; i++) await flood.send(`\x01a-topic-of-some-length-${i}`)
  await flood.send('\x01join')
  return flood
}

/** Publishes on `topic` until each of the subscribers has received it: then their subscriptions are known to the publisher. */
export async function joined(
  publisher: Pick<Publisher, 'publish'>,
  subscribers: {receive(): Promise<Buffer[]>}[],
  topic = 'join',
): Promise<void> {
  const ticks = setInterval(() => publisher.publish(topic, ''), 5)
  await Promise.all(subscribers.map((subscriber) => subscriber.receive()))
  clearInterval(ticks)
}

/** Gives the next event that is not one of those of `joined`. */
export async function nextEvent(subscriber: Subscriber): Promise<string[]> {
  for (;;) {
    const [topic, body] = await subscriber.receive()
    if (`${topic}` !== 'join') return [`${topic}`, `${body}`]
  }
}

/** Waits for an event of libzmq's monitor. */
export async function monitored(socket: Socket, type: string): Promise<void> {
  while ((await socket.events.receive()).type !== type);
}

/** Sends one message and gives the text of the next one received. */
export async function ask(dealer: Dealer, ...frames: string[]): Promise<string[]> {
  await dealer.send(frames)
  return (await dealer.receive()).map(String)
}
