// Strangers on all listeners of a cell, before any login: what they send is refused, what they hold costs little, and everybody else is served.
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {connect as connectTcp, type Socket} from 'node:net'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {connect} from 'node:tls'
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest'
import {encode} from '../../src/wire/msgpack/encode.ts'
import {ask} from '../support/https.ts'
import {RawClient} from '../support/raw-client.ts'
import {ServedCell} from '../support/served-cell.ts'
import {bodyOf, callMessage, errorOf, RawLink} from '../wire/telepath/raw-link.ts'

/** More than anything here may cost, and far less than what is sent. */
const MOST_GROWTH_MB = 250
const GREETING_BYTES = 64 * 1024

let cell: ServedCell
let plain: ServedCell
beforeAll(async () => {
  ;[cell, plain] = await Promise.all([
    ServedCell.start({certificates: ['root', 'eve']}),
    ServedCell.start({isPlain: true, conf: {'auth:anon': 'nobody'}}),
  ])
  await cell.addUser('eve')
  await plain.addUser('nobody')
})
afterAll(async () => {
  await cell?.[Symbol.asyncDispose]()
  await plain?.[Symbol.asyncDispose]()
})

function residentMb(served: ServedCell): number {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${served.server.pid}/status`, 'utf8')) ?? []
  return Number(kb) / 1024
}

/** Between two questions of who is honest: all the while, and no load of its own. */
const PACE_MS = 20

/** Asks over ZeroMQ and, as root, over the UNIX socket all the while; disposing of it tells how often it was answered. */
class Honest implements AsyncDisposable {
  #isOver = false
  #answers = 0
  readonly #asking: Promise<unknown>

  constructor(served: ServedCell) {
    this.#asking = Promise.all([this.#byZeromq(served), this.#byTelepath(served)])
  }

  async #byZeromq(served: ServedCell): Promise<void> {
    using client = new RawClient(served.server.ports.req)
    while (!this.#isOver) {
      expect(await client.health()).toMatchObject({success: true})
      this.#answers += 1
      await delay(PACE_MS)
    }
  }

  async #byTelepath(served: ServedCell): Promise<void> {
    while (!this.#isOver) {
      await using root = await served.local()
      expect(await root.call('getCellType', {timeoutMs: 60_000})).toBe('cell')
      this.#answers += 1
      await delay(PACE_MS)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#asking
    expect(this.#answers).toBeGreaterThan(0)
  }
}

/** Opens a TCP connection; what happens to it is the test's affair. */
async function tcp(port: number): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** However it ends. */
function closing(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  return new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())))
}

/** Gives what came until the end. */
async function allOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await closing(socket)
  return Buffer.concat(chunks)
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const GARBAGE: Readonly<Record<string, Buffer>> = {
  'HTTP on the Telepath port': Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(10)),
  'a ClientHello': hex('16 0301 0200 01 0001fc 0303').subarray(0, 11),
  'a type that does not exist': hex('c1'),
  'an ext of an unknown type': hex('c7 01 63 00'),
  'a text of 4 GiB': hex('92 db ffffffff'),
  'bytes of 4 GiB': hex('92 c6 ffffffff'),
  'a list of 4 G items': hex('dd ffffffff'),
  'a map of 4 G keys': hex('df ffffffff'),
  'lists in lists in lists': Buffer.alloc(100_000, 0x91),
  'maps in keys of maps': Buffer.alloc(100_000, 0x81),
  'one byte too many': Buffer.concat([hex('92 c6 00010001'), Buffer.alloc(GREETING_BYTES + 1)]),
  zeros: Buffer.alloc(1_000_000),
}

test.each(Object.entries(GARBAGE))('%s: the link ends, nothing is told', async (_, bytes) => {
  await using _honest = new Honest(plain)
  const {telepath} = await plain.listeners()
  const ends = [await tcp(telepath), connectTcp(join(plain.dir, 'sock'))].map((socket) => {
    socket.on('error', () => undefined)
    const received = allOf(socket)
    socket.write(bytes)
    socket.end()
    return received
  })
  for (const end of ends) expect((await end).length).toBe(0)
})

// Both wait for the time that a handshake may take.
test('garbage on the TLS ports ends with nothing but an alert or a 400, and who is slow is cut off in time on every listener', async () => {
  await using _honest = new Honest(cell)
  await using _other = new Honest(plain)
  await Promise.all([sendGarbage(), dripSlowly()])
})

/** Garbage, TLS of others and HTTP. */
async function sendGarbage(): Promise<void> {
  const {telepath, https} = await cell.listeners()
  const send = async (port: number, bytes: Buffer) => {
    const socket = await tcp(port)
    const received = allOf(socket)
    socket.write(bytes)
    return received
  }
  const all = [telepath, https].flatMap((port) => Object.values(GARBAGE).map((bytes) => send(port, bytes)))
  for (const got of await Promise.all(all)) {
    expect(got.length).toBeLessThan(20)
    expect(got.toString('latin1')).not.toMatch(/Error|node/)
  }
  const socket = connect({host: '127.0.0.1', port: https, rejectUnauthorized: false})
  const answer = allOf(socket)
  socket.write(encode(['tele:syn', {vers: [3, 0], name: '*'}]))
  expect((await answer).toString('latin1')).toMatch(/^HTTP\/1\.1 400 /)
}

/** Bytes that come one by one, with TLS or without. */
async function dripSlowly(): Promise<void> {
  const ports = [await plain.listeners(), await cell.listeners()].flatMap(({telepath, https}) => [telepath, https])
  const hello = GARBAGE['a ClientHello'] as Buffer
  const slow = await Promise.all(
    ports.flatMap((port) => [
      tcp(port),
      tcp(port).then((socket) => {
        socket.write(hello)
        return socket
      }),
    ]),
  )
  const opened = connect({host: '127.0.0.1', port: (await cell.listeners()).https, rejectUnauthorized: false})
  onTestFinished(() => void opened.destroy())
  await once(opened, 'secureConnect')
  opened.write('GET /api/v1/active HTTP/1.1\r\nX-Slow: ')
  const drip = setInterval(() => {
    opened.write('a')
    for (const socket of slow) socket.write(Buffer.of(0x91))
  }, 500)
  onTestFinished(() => clearInterval(drip))
  await Promise.all([...slow, opened].map(allOf))
}

test('two thousand connections that say nothing, half of a handshake, or half of a message cost little', async () => {
  await using _honest = new Honest(cell)
  await using _other = new Honest(plain)
  const before = residentMb(cell) + residentMb(plain)
  const {telepath, https} = await cell.listeners()
  const {telepath: tele} = await plain.listeners()
  const half = Buffer.concat([hex('92 c6 0000ff00'), Buffer.alloc(32_000)])
  const sockets: Socket[] = []
  for (let index = 0; index < 500; index += 1) {
    const [one, two, three, four] = await Promise.all([tcp(telepath), tcp(https), tcp(tele), tcp(tele)])
    two.write(GARBAGE['a ClientHello'] as Buffer)
    three.write(half)
    sockets.push(one, two, three, four)
  }
  expect(residentMb(cell) + residentMb(plain) - before).toBeLessThan(MOST_GROWTH_MB)
  for (const socket of sockets) socket.destroy()
})

test('large messages under way have a bound together, also where a session is open at the same address', async () => {
  await using _honest = new Honest(plain)
  await using session = await RawLink.open((await plain.listeners()).telepath)
  await session.greet('*')
  const before = residentMb(plain)
  const part = Buffer.concat([hex('92 c6 03f00000'), Buffer.alloc(30 * 2 ** 20)])
  const links = await Promise.all(Array.from({length: 40}, async () => tcp((await plain.listeners()).telepath)))
  const ends = links.map((link) => allOf(link).then(() => 'closed'))
  for (const link of links) link.write(part)
  // What fits stays, the others are closed.
  let closed = 0
  for (const end of ends) void end.then(() => (closed += 1))
  await expect.poll(() => closed).toBeGreaterThanOrEqual(40 - 9)
  expect(residentMb(plain) - before).toBeLessThan(256 * 2 + MOST_GROWTH_MB)
  for (const link of links) link.destroy()
})

test('a flood of calls whose answers nobody reads is not read any further', async () => {
  await using _honest = new Honest(plain)
  using link = await RawLink.open((await plain.listeners()).telepath)
  const sess = await link.greet('*')
  link.socket.pause()
  const before = residentMb(plain)
  const calls = Buffer.concat(Array.from({length: 2000}, () => Buffer.from(encode(callMessage(sess, 'getPermDefs')))))
  const drained = async () => link.socket.write(calls) || (await Promise.race([once(link.socket, 'drain'), quiet()]))
  for (let round = 0; round < 50; round += 1) if ((await drained()) === 'stuck') break
  expect(link.socket.writableLength).toBeGreaterThan(0)
  expect(residentMb(plain) - before).toBeLessThan(MOST_GROWTH_MB)
})

/** Long enough for a server that reads. */
async function quiet(): Promise<'stuck'> {
  await using other = await plain.local()
  for (let call = 0; call < 200; call += 1) await other.call('getCellIden')
  return 'stuck'
}

test('a session is of no use to another certificate, to another family, or to who guesses', async () => {
  const {telepath} = await cell.listeners()
  const open = async (user: string) => {
    const socket = connect({host: '127.0.0.1', port: telepath, ...(await cell.keysOf(user))})
    await once(socket, 'secureConnect')
    return new RawLink(socket)
  }
  using root = await open('root')
  using eve = await open('eve')
  using local = await RawLink.open(join(cell.dir, 'sock'))
  const sess = await root.greet('*')
  const own = await eve.greet('*')
  expect(await root.call(sess, 'getCellUser')).toMatchObject({retn: [true, {name: 'root'}]})
  expect(await eve.call(own, 'getCellUser')).toMatchObject({retn: [true, {name: 'eve'}]})
  expect(errorOf(await eve.call(sess, 'getCellUser'))).toBe('NoSuchObj')
  expect(errorOf(await local.call(sess, 'getCellUser'))).toBe('NoSuchObj')
  for (const guess of [null, '', 0, 'f'.repeat(32), [sess], {sess}, true, '*', '__proto__', 'constructor']) {
    eve.send(['t2:init', {todo: ['getCellUser', [], {}], name: null, sess: guess}])
    expect(errorOf(bodyOf(await eve.next()))).toBe('NoSuchObj')
  }
  for (const name of ['_session', 'constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'x'.repeat(100_000)]) {
    eve.send(['t2:init', {todo: [name, [], {}], name: null, sess: own}])
    expect(['NoSuchMeth', 'BadMesgFormat']).toContain(errorOf(bodyOf(await eve.next())))
    const named = await eve.call(own, 'getCellUser', [], name)
    if (name !== '') expect(errorOf(named)).toBe('NoSuchObj')
  }
})

test('what a request may not have is refused over HTTPS, and others go on', async () => {
  await using _honest = new Honest(cell)
  const {https} = await cell.listeners()
  const status = async (path: string, asked: Parameters<typeof ask>[2] = {}) => (await ask(https, path, asked)).status
  const login = {user: 'eve', passwd: 'x'}
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  expect(await status('/api/v1/login', {body: deep})).toBe(400)
  expect(await status('/api/v1/login', {body: '{"user":"eve","passwd":"x","__proto__":{"admin":true}}'})).toBe(400)
  expect(await status('/api/v1/login', {body: {...login, passwd: 'x'.repeat(GREETING_BYTES)}})).toBe(413)
  expect(await status(`/${'a'.repeat(20_000)}`)).toBe(431)
  expect(await status('/api/v1/active', {headers: {'x-filler': 'a'.repeat(17_000)}})).toBe(431)
})
