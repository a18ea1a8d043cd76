import {readFile} from 'node:fs/promises'
import type {Socket} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import fc from 'fast-check'
import {afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {Subscriber} from 'zeromq'
import {type Answer, decodeAnswer, RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {frame, GREETING, openTcp, openZmtp, ready} from '../support/zmtp-bytes.ts'
import {IS_LONG} from './rounds.ts'

const RUNS = IS_LONG ? 1500 : 60
/** What the server may have grown by after all of this; most of it is what libzmq and V8 keep for the next time. */
const GROWTH_BYTES = 200e6
const MIB = 1024 * 1024

let server: TestServer
let honest: RawClient
let rssBefore: number

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

beforeAll(async () => {
  server = await startServer()
  honest = new RawClient(server.ports.req)
  await honest.register('honest', {type: 'honest'})
  rssBefore = await rssOf(server.pid)
})
afterAll(async () => {
  honest.close()
  await server[Symbol.asyncDispose]()
})

// Whatever was sent to it, the server is the same process, gives honest clients right answers on every port, and says nothing of a mistake.
afterEach(async () => {
  expect(await honest.get('honest')).toMatchObject({success: true, service: {id: 'honest', name: 'honest', port: 1}})
  expect(await honest.ask({})).toEqual({success: false, error: 'Missing required field: action'})
  expect(await honest.ask({action: 'register', service_info: {}})).toMatchObject({error: /name/})
  using heart = new RawClient(server.ports.hb)
  const [beat] = await heart.exchange([JSON.stringify({service_id: 'honest'})])
  expect(JSON.parse(`${beat}`)).toMatchObject({success: true})

  const events = new Subscriber({linger: 0})
  onTestFinished(() => events.close())
  events.subscribe('')
  events.connect(`tcp://127.0.0.1:${server.ports.pub}`)
  let heard: Record<string, unknown> | undefined
  const hear = async () => {
    // Others may be heard as well.
    while ((heard?.['data'] as {service_id?: string} | undefined)?.service_id !== 'plain') {
      const [, body] = await events.receive()
      heard = JSON.parse(`${body}`.replaceAll(/-?(NaN|Infinity)/g, 'null'))
    }
  }
  const hearing = hear()
  let isHeard = false
  const heardOf = hearing.finally(() => {
    isHeard = true
  })
  while (!isHeard) {
    // Plain, without tags and type: what stood in a polluted prototype would show.
    const info = {id: 'plain', name: 'n', host: 'h', port: 1}
    expect(await honest.ask({action: 'register', service_info: info, ttl: 9})).toMatchObject({service_id: 'plain'})
    await Promise.race([heardOf, delay(20)])
  }
  await heardOf
  expect(heard).toEqual({
    type: 'register',
    timestamp: expect.any(Number),
    data: {service_id: 'plain', service_info: {id: 'plain', name: 'n', host: 'h', port: 1}},
  })
  expect((await honest.get('plain'))['service']).toEqual({
    ...{id: 'plain', name: 'n', host: 'h', port: 1, metadata: {}, ttl: 9, tags: []},
    ...{last_heartbeat: expect.any(Number), health: 'passing'},
  })
  expect(honest.unasked).toEqual([])
  expect(server.output()).not.toMatch(/REG_INTERNAL|\n\s+at |ERROR|CRITICAL/)
  expect((await rssOf(server.pid)) - rssBefore).toBeLessThan(GROWTH_BYTES)
})

/** JSON texts that something could stumble over. */
const ODD_TEXTS = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-0',
    '-1',
    '1e308',
    '1e999',
    '0.1',
    '123456789012345678901234567890',
    'NaN',
    '-Infinity',
  ],
  ...[
    '""',
    '"x"',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\n"',
    '"__proto__"',
    '"constructor"',
    '"é☃𝒳"',
  ],
  ...[
    '[]',
    '[[]]',
    '[null]',
    '["t","t"]',
    '[1,2]',
    '{}',
    '{"a":1,"a":2}',
    '{"__proto__":{"tags":["evil"]}}',
    '{"type":5}',
    '{"toJSON":1}',
  ],
  `"${'x'.repeat(300)}"`,
  `"${'x'.repeat(70_000)}"`,
  `"${'\\u00e9'.repeat(3000)}"`,
  `[${'"t",'.repeat(300)}"t"]`,
  `${'['.repeat(60)}${']'.repeat(60)}`,
  `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`,
  '['.repeat(5000),
]
const POISON =
  '{"tags":["evil"],"type":"evil","metadata":{"evil":1},"singleton":true,"action":"list","service_id":"honest","id":"evil"}'
const PROTOTYPE_KEYS = [
  '__proto__',
  '\\u005f_proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'valueOf',
  '',
]
const ODD_KEYS = [...PROTOTYPE_KEYS, 'id', 'action', 'critical', '\\u0069d']
const SERVICE_KEYS = ['id', 'name', 'host', 'port', 'metadata', 'ttl', 'tags', 'last_heartbeat', 'health']
const FIELDS = [
  'id',
  'name',
  'host',
  'port',
  'type',
  'tags',
  'metadata',
  'singleton',
  'allow_duplicate_service_type',
  'ttl',
  'health',
  'last_heartbeat',
]
const ACTIONS = [
  'register',
  'deregister',
  'renew',
  'get',
  'list',
  'discover',
  'health',
  'info',
  'terminate',
  'Register',
  '',
]

const oddText = fc.oneof(
  {weight: 3, arbitrary: fc.constantFrom(...ODD_TEXTS, POISON)},
  fc.json({maxDepth: 4}),
  fc.string({unit: 'binary', maxLength: 40}).map((text) => JSON.stringify(text)),
)
const member = fc.tuple(fc.constantFrom(...FIELDS, ...ODD_KEYS), oddText).map(([key, text]) => `"${key}":${text}`)
const serviceInfo = fc.tuple(fc.array(member, {maxLength: 5}), fc.boolean()).map(([odd, isFirst]) => {
  const plain = ['"name":"f"', '"host":"h"', '"port":1']
  return `{${(isFirst ? [...odd, ...plain] : [...plain, ...odd]).join(',')}}`
})
const request = fc
  .tuple(
    fc.constantFrom(...ACTIONS),
    fc.oneof({weight: 4, arbitrary: serviceInfo}, oddText),
    fc.array(fc.tuple(fc.constantFrom('service_id', 'service_type', 'ttl', 'name', 'tag', ...ODD_KEYS), oddText), {
      maxLength: 4,
    }),
  )
  .map(([action, info, more]) => {
    const members = more.map(([key, text]) => `"${key}":${text}`)
    return `{${[`"action":${JSON.stringify(action)}`, `"service_info":${info}`, ...members].join(',')}}`
  })
const mutated = fc
  .tuple(
    request,
    fc.array(fc.tuple(fc.double({min: 0, max: 1, noNaN: true}), fc.nat(255), fc.nat(3)), {minLength: 1, maxLength: 4}),
  )
  .map(([text, changes]) => {
    let bytes = Buffer.from(text)
    for (const [place, byte, kind] of changes) {
      const at = Math.floor(place * bytes.length)
      if (kind === 0) bytes[Math.min(at, bytes.length - 1)] = byte
      else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)])
      else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + byte)])
      else bytes = bytes.subarray(0, at)
    }
    return bytes
  })
const bytes = fc.uint8Array({maxLength: 200}).map((array) => Buffer.from(array))
const payload = fc.oneof(
  {weight: 5, arbitrary: request.map((text) => Buffer.from(text))},
  {weight: 3, arbitrary: mutated},
  bytes,
  oddText.map((text) => Buffer.from(text)),
  fc.string({unit: 'binary'}).map((text) => Buffer.from(text)),
)

async function ask(text: string): Promise<Answer> {
  return decodeAnswer(await honest.exchange(['REQ', text]))
}

/** Asks something whose answer can be that of no other request. */
let asked = 0
async function expectOwnAnswer(client: RawClient): Promise<void> {
  const action = `no-action-${asked++}`
  expect(await client.ask({action})).toEqual({success: false, error: `Unknown action: ${action}`})
}

function isAnswer(answer: Answer): boolean {
  return answer.success === true || (answer.success === false && typeof answer.error === 'string')
}

describe('one request port', () => {
  test('gives every enveloped request exactly one answer, in order, whatever its payload', async () => {
    using client = new RawClient(server.ports.req)
    await fc.assert(
      fc.asyncProperty(fc.array(payload, {minLength: 1, maxLength: 20}), async (payloads) => {
        const answers = payloads.flatMap((bytes) => [
          client.exchange(['REQ', bytes]).then((frames) => expect(isAnswer(pythonAnswer(frames))).toBe(true)),
          expectOwnAnswer(client),
        ])
        await Promise.all(answers)
        expect([client.outstanding, client.unasked]).toEqual([0, []])
      }),
      {numRuns: RUNS},
    )
  })

  test.each(PROTOTYPE_KEYS)('takes %s as a key like any other', async (key) => {
    const info = `{"id":"p","name":"n","host":"h","port":1,"${key}":${POISON},"nested":{"${key}":${POISON}}}`
    expect(await ask(`{"action":"register","service_info":${info},"${key}":${POISON}}`)).toMatchObject({
      service_id: 'p',
    })
    const {service} = await ask('{"action":"get","service_id":"p"}')
    const [plain, kept] = [JSON.parse(JSON.stringify(service)), JSON.parse(info)]
    expect(Object.keys(plain).sort()).toEqual([...new Set([...Object.keys(kept), ...SERVICE_KEYS])].sort())
    expect(plain).toMatchObject({id: 'p', tags: [], metadata: {}, nested: kept.nested})
    expect(await ask(`{"${key}":${POISON}}`)).toEqual({success: false, error: 'Missing required field: action'})
    expect(await ask(`{"action":"deregister","service_id":"p","${key}":${POISON}}`)).toMatchObject({success: true})
  })

  test('takes what is just within its limits and refuses what is just beyond', async () => {
    const padded = (bytes: number) => {
      const head = '{"action":"health","filler":"'
      return `${head}${'x'.repeat(bytes - head.length - 2)}"}`
    }
    using client = new RawClient(server.ports.req)
    expect(decodeAnswer(await client.exchange(['REQ', padded(MIB)]))).toMatchObject({success: true, status: 'ok'})
    const nested = (levels: number) => `{"action":"health","deep":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
    expect(decodeAnswer(await client.exchange(['REQ', nested(64)]))).toMatchObject({success: true})
    expect(decodeAnswer(await client.exchange(['REQ', nested(65)]))).toEqual({
      success: false,
      error: 'JSON nested deeper than 64 levels',
    })
    const registration = (bytes: number) => {
      const head = '{"id":"big","name":"n","host":"h","port":1,"filler":"'
      return `{"action":"register","service_info":${head}${'x'.repeat(bytes - head.length - 2)}"}}`
    }
    expect(decodeAnswer(await client.exchange(['REQ', registration(65_536)]))).toMatchObject({success: true})
    expect(decodeAnswer(await client.exchange(['REQ', registration(65_537)]))).toEqual({
      success: false,
      error: 'service_info is larger than 64 KiB',
    })
    await client.deregister('big')
    client.post(['REQ', padded(MIB + 1)])
    await client.disconnected()
    // It has connected again by itself.
    expect(await client.health()).toMatchObject({success: true})
  })

  test('takes requests of any number and kind of frames, and answers others in their order', async () => {
    using odd = new RawClient(server.ports.req)
    using heart = new RawClient(server.ports.hb)
    using client = new RawClient(server.ports.req)
    const short = fc.oneof(
      fc
        .constantFrom('', 'REQ', 'REQ_NO_REPLY', 'NOTIF', 'HB', 'RESPONSE', '{', '{}', '{"action":"health"}', '\0')
        .map((text) => Buffer.from(text)),
      bytes,
    )
    const part = fc.oneof(short, payload)
    // Short ones: how large a message of many frames may be is up to libzmq, which has no limit for it.
    const many = fc.tuple(short, fc.constantFrom(100, 1000)).map(([one, times]) => Array<Buffer>(times).fill(one))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({weight: 9, arbitrary: fc.array(part, {minLength: 1, maxLength: 6})}, many), {maxLength: 10}),
        async (messages) => {
          for (const message of messages) {
            odd.post(message)
            heart.post(message)
          }
          await expectOwnAnswer(client)
        },
      ),
      {numRuns: RUNS / 2},
    )
  })

  test('stands clients that all claim one routing id', async () => {
    const clients = Array.from({length: 12}, () => new RawClient(server.ports.req, {routingId: 'the-same'}))
    for (let round = 0; round < 20; round += 1) {
      for (const client of clients) client.post(['REQ', '{"action":"list"}'])
      await expectOwnAnswer(honest)
    }
    for (const client of clients) client.close()
  })
})

/** NaN and the like come back as they were sent. */
function pythonAnswer(frames: readonly Buffer[]): Answer {
  const text = `${frames[1]}`.replaceAll(/(?<=[:[,])-?(NaN|Infinity)(?=[,\]}])/g, 'null')
  return decodeAnswer([frames[0] ?? Buffer.alloc(0), Buffer.from(text)])
}

const TLS_HELLO = Buffer.from('160301020001000 1fc0303'.replaceAll(' ', '') + '5a'.repeat(100), 'hex')
const HTTP = Buffer.from('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')

/** What a peer sends: after a handshake as a socket of this type, or without one. */
interface Rude {
  readonly as: string | undefined
  readonly bytes: Buffer
}

const unshaken = (bytes: Buffer): Rude => ({as: undefined, bytes})
const RUDE: readonly Rude[] = [
  unshaken(Buffer.alloc(0)),
  unshaken(Buffer.from([0xff])),
  unshaken(TLS_HELLO),
  unshaken(HTTP),
  unshaken(Buffer.from(`POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n${'x'.repeat(5000)}`)),
  ...[1, 9, 10, 11, 12, 33, 63].map((length) => unshaken(GREETING.subarray(0, length))),
  ...['DEALER', 'SUB', 'REQ', 'ROUTER', 'NOTHING', ''].map((type) => unshaken(Buffer.concat([GREETING, ready(type)]))),
  unshaken(Buffer.concat([GREETING, ready('DEALER'), frame(Buffer.from('too early'))])),
  unshaken(Buffer.concat([GREETING, Buffer.from([0x04, 0xff])])),
  unshaken(Buffer.concat([GREETING, Buffer.from([0x06]), Buffer.alloc(8, 0xff)])),
  // ZMTP 1, which has no handshake: an identity, then a message.
  unshaken(Buffer.from('\x01\x00\x10\x00{"action":"get"}', 'latin1')),
  {as: 'DEALER', bytes: frame(Buffer.from('x'), 0, 2 ** 52)},
  {as: 'DEALER', bytes: frame(Buffer.alloc(100), 0, MIB + 1)},
  {as: 'DEALER', bytes: Buffer.concat(Array<Buffer>(1000).fill(frame(Buffer.alloc(0), 1)))},
  {as: 'DEALER', bytes: Buffer.concat([frame(Buffer.from('REQ'), 1), frame(Buffer.from('{"action":"list"}'))])},
  {as: 'REQ', bytes: frame(Buffer.from('{"action":"list"}'))},
  {as: 'DEALER', bytes: frame(Buffer.from('\x07UNKNOWNabc'), 4)},
  {as: 'DEALER', bytes: frame(Buffer.from([4, 0x50, 0x49, 0x4e, 0x47]), 4)},
  {as: 'DEALER', bytes: frame(Buffer.from('\x04PING\x00\x00ctx', 'latin1'), 4)},
  {as: 'DEALER', bytes: frame(Buffer.from('\x05ERROR\xff', 'latin1'), 4)},
  ...['\x01', '\x00', '\x02', '', '\x01register', '\x00never'].map((text) => ({
    as: 'SUB',
    bytes: frame(Buffer.from(text, 'latin1')),
  })),
  {as: 'SUB', bytes: frame(Buffer.alloc(300, 1))},
  {as: 'SUB', bytes: frame(Buffer.from('\x09SUBSCRIBEregister', 'latin1'), 4)},
]

const type = fc.constantFrom('DEALER', 'REQ', 'SUB', 'XSUB', undefined)
const rude: fc.Arbitrary<Rude> = fc.oneof(
  fc.constantFrom(...RUDE),
  fc.record({as: type, bytes: fc.uint8Array({maxLength: 400}).map((array) => Buffer.from(array))}),
  fc.record({
    as: type,
    bytes: fc
      .array(fc.tuple(bytes, fc.nat(7)), {maxLength: 20})
      .map((frames) => Buffer.concat(frames.map(([body, flags]) => frame(body, flags)))),
  }),
  fc
    .tuple(fc.constantFrom(...RUDE), fc.nat(200))
    .map(([{as, bytes: whole}, cut]) => ({as, bytes: whole.subarray(0, cut)})),
)

describe('raw bytes', () => {
  test('on any port, from many at a time, do nothing to others', async () => {
    const {req, pub, hb} = server.ports
    const sockets = new Set<Socket>()
    let shaken = 0
    const end = () => {
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    }
    onTestFinished(end)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(req, pub, hb),
        fc.array(rude, {minLength: 1, maxLength: 8}),
        fc.boolean(),
        async (port, peers, stays) => {
          for (const {as, bytes} of peers) {
            // A type that the port does not want is cut off in its handshake, which is one of the ends.
            const socket = await (as === undefined ? openTcp(port) : openZmtp(port, as)).catch(() => undefined)
            if (socket === undefined) continue
            shaken += as === undefined ? 0 : 1
            socket.write(bytes)
            sockets.add(socket)
            if (!stays) socket.end()
          }
          await expectOwnAnswer(honest)
          if (sockets.size > 200) end()
        },
      ),
      {numRuns: RUNS},
    )
    expect(shaken, 'peers that came through the handshake').toBeGreaterThan(RUNS / 4)
  })
})
