// One process of Telepath clients that know of the protocol only what a call takes: the request is encoded once, and an answer is compared with
// the first one, byte by byte. First line in: a `Target`; each further line is a `Phase`, answered by its result.
import type {Socket} from 'node:net'
import {createInterface} from 'node:readline'
import type {TLSSocket} from 'node:tls'
import {decode} from '../src/wire/msgpack/decode.ts'
import {encode} from '../src/wire/msgpack/encode.ts'
import {Histogram} from './histogram.ts'
import type {CallsResult, OpensResult, Phase, Target} from './telepath-load.ts'
import {connected, contextOf, greeted} from './telepath-session.ts'

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
const target: Target = JSON.parse((await lines.next()).value ?? '')
const secureContext = contextOf(target)
/** Of so many calls of a link one is timed: looking at the clock would cost as much as a tenth of a call. */
const TIMED_OF = 16

/** Sockets of sessions that stay open. */
const idle: Socket[] = []
let links: Promise<readonly Link[]> | undefined

function run(phase: Phase): Promise<unknown> {
  if (phase.kind === 'calls') return calls(phase.durationMs)
  if (phase.kind === 'opens') return opens(phase.count, phase.atOnce, phase.resumed)
  if (phase.kind === 'idle') return openIdle(phase.sessions, phase.linksEach)
  return allClosed()
}

/** A link on which one call after the other is made. */
class Link {
  readonly #socket: Socket
  readonly #request: Buffer
  #answer: Buffer | undefined
  #received = 0
  #onAnswer: (() => void) | undefined

  constructor(socket: Socket, request: Buffer) {
    this.#socket = socket
    this.#request = request
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => {
      if (this.#onAnswer) fail('the server closed a link')
    })
  }

  call(onAnswer: () => void): void {
    this.#onAnswer = onAnswer
    this.#socket.write(this.#request)
  }

  #take(chunk: Buffer): void {
    this.#answer ??= firstAnswer(chunk)
    const expected = this.#answer
    if (!chunk.equals(expected.subarray(this.#received, this.#received + chunk.length)))
      fail('an answer is not like the first')
    this.#received += chunk.length
    if (this.#received < expected.length) return
    this.#received = 0
    this.#onAnswer?.()
  }
}

function firstAnswer(bytes: Buffer): Buffer {
  const [type, body] = decode(bytes) as [string, {retn: [boolean, unknown]}]
  if (type !== 't2:fini' || body.retn[0] !== true) fail(`the server refused the call: ${JSON.stringify([type, body])}`)
  return Buffer.from(bytes)
}

/** One link for each client, all of one session, made once. */
async function openLinks(): Promise<readonly Link[]> {
  const {socket, sess} = await openSession()
  idle.push(socket)
  const request = encode(['t2:init', {todo: [target.method, [], {}], name: null, sess}])
  return Promise.all(
    Array.from(
      {length: target.links},
      async () => new Link(await connected(target, secureContext), Buffer.from(request)),
    ),
  )
}

async function calls(durationMs: number): Promise<CallsResult> {
  links ??= openLinks()
  const all = await links
  const latencies = new Histogram()
  const {promise, resolve} = Promise.withResolvers<void>()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + durationMs
  let [underWay, made, nowMs] = [all.length, 0, startMs]
  for (const link of all) {
    let [sentMs, left] = [startMs, 0]
    const onAnswer = () => {
      made++
      if (left-- === 0) {
        nowMs = performance.now()
        if (sentMs > 0) latencies.add(nowMs - sentMs)
        sentMs = 0
        left = TIMED_OF
      } else if (left === 0) sentMs = performance.now()
      if (nowMs < endMs) link.call(onAnswer)
      else if (--underWay === 0) resolve()
    }
    link.call(onAnswer)
  }
  await promise
  const {user, system} = process.cpuUsage(cpu)
  const seconds = (performance.now() - startMs) / 1000
  return {calls: made, seconds, cpuUs: user + system, latencies: latencies.toJSON()}
}

/** Connects, logs in, and closes, so many times. */
async function opens(count: number, atOnce: number, resumed: boolean): Promise<OpensResult> {
  const ticket = resumed ? await takeTicket() : undefined
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  let [left, reused] = [count, 0]
  const one = async () => {
    while (left-- > 0) {
      const {socket} = await openSession(ticket)
      if (target.tls && (socket as TLSSocket).isSessionReused()) reused++
      socket.destroy()
    }
  }
  await Promise.all(Array.from({length: atOnce}, one))
  const {user, system} = process.cpuUsage(cpu)
  return {count, reused, seconds: (performance.now() - startMs) / 1000, cpuUs: user + system}
}

async function openIdle(sessions: number, linksEach: number): Promise<{open: number}> {
  for (let i = 0; i < sessions; i++) {
    idle.push((await openSession()).socket)
    for (let n = 1; n < linksEach; n++) idle.push(await connected(target, secureContext))
  }
  return {open: idle.length}
}

/** Waits until the server has closed all of them. */
async function allClosed(): Promise<{closed: number}> {
  await Promise.all(
    idle.map((socket) => socket.destroyed || new Promise((resolve) => socket.resume().once('close', resolve))),
  )
  return {closed: idle.length}
}

async function takeTicket(): Promise<Buffer> {
  const socket = (await connected(target, secureContext)) as TLSSocket
  const ticket = new Promise<Buffer>((resolve) => socket.once('session', resolve))
  await greeted(socket, target)
  const taken = await ticket
  socket.destroy()
  return taken
}

async function openSession(ticket?: Buffer): Promise<{socket: Socket; sess: string}> {
  const socket = await connected(target, secureContext, ticket)
  return {socket, sess: await greeted(socket, target)}
}

function fail(why: string): never {
  console.error(`telepath-worker: ${why}`)
  process.exit(1)
}

console.log(JSON.stringify({ready: true}))
for await (const line of {[Symbol.asyncIterator]: () => lines}) console.log(JSON.stringify(await run(JSON.parse(line))))
process.exit()
