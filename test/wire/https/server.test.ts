import {once} from 'node:events'
import {connect as connectPlain} from 'node:net'
import {connect as connectTls, type TLSSocket} from 'node:tls'
import {describe, expect, test} from 'vitest'
import {selfSignedHost} from '../../../src/pki/issuer.ts'
import {ServerTls} from '../../../src/pki/server-tls.ts'
import type {HttpsLimits, HttpsRoute, HttpsWebsocket} from '../../../src/wire/https/messages.ts'
import {type HttpsServer, openHttps} from '../../../src/wire/https/server.ts'
import {type Asked, ask, type Got, received} from '../../support/https.ts'
import {TestWebsocket} from '../../support/websocket.ts'

const LIMITS: HttpsLimits = {
  bodyBytes: 1000,
  strangerBytes: 100,
  bodyDepth: 8,
  headerBytes: 4096,
  headersMs: 5000,
  requestMs: 5000,
  handshakeMs: 5000,
  idleMs: 5000,
  stalledMs: 5000,
  connections: 20,
  connectionsPerAddress: 10,
  websocketBacklogBytes: 200_000,
}

const TERMS = {nowMs: Date.now(), ttlMs: 86_400_000}
const PAIR = await selfSignedHost('tester', 'p256', TERMS)

interface Options {
  readonly limits?: Partial<HttpsLimits>
  readonly isBehindProxy?: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly load?: () => Promise<{readonly key: string; readonly cert: string}>
}

/** A server with a few routes, and what its observer hears. */
class Server {
  readonly answered: {readonly path: string; readonly status: number; readonly remote: string}[] = []
  readonly refused: string[] = []
  readonly sockets: HttpsWebsocket[] = []
  readonly begun = Promise.withResolvers<void>()
  readonly release = Promise.withResolvers<void>()
  readonly tls: ServerTls
  #server: HttpsServer | undefined

  private constructor(tls: ServerTls) {
    this.tls = tls
  }

  static async open({
    limits,
    isBehindProxy = false,
    headers = {},
    load = async () => PAIR,
  }: Options = {}): Promise<Server> {
    const tls = await ServerTls.open(async () => ({hosts: [{name: 'tester', ...(await load())}]}), 'none')
    const server = new Server(tls)
    server.#server = await openHttps<string>({
      bind: '127.0.0.1',
      port: 0,
      tls,
      limits: {...LIMITS, ...limits},
      isBehindProxy,
      headers,
      routes: server.#routes(),
      websockets: [{path: '/socket', admit: () => 'someone', open: (socket) => server.sockets.push(socket)}],
      observer: {
        onAnswered: ({path, remoteAddress}, status) => server.answered.push({path, status, remote: remoteAddress}),
        onConnectionRefused: (_address, why) => server.refused.push(why),
      },
      describe: (error) => ({status: 500, body: {said: String(error)}}),
    })
    return server
  }

  get port(): number {
    return this.#server?.port ?? 0
  }

  get connections(): number {
    return this.#server?.connections ?? 0
  }

  ask(path: string, asked?: Asked): Promise<Got> {
    return ask(this.port, path, asked ?? {})
  }

  async connect(): Promise<TLSSocket> {
    const socket = connectTls({host: '127.0.0.1', port: this.port, rejectUnauthorized: false})
    await once(socket, 'secureConnect')
    return socket
  }

  /** Sends bytes and gives all that comes back until the server closes. */
  async exchange(bytes: string | Buffer): Promise<string> {
    const socket = await this.connect()
    socket.write(bytes)
    return received(socket)
  }

  async stop(graceMs = 2000): Promise<void> {
    await this.#server?.stop(graceMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0)
  }

  #routes(): HttpsRoute<string>[] {
    const admit = () => 'someone'
    const body = {type: 'object', properties: {text: {type: 'string'}}}
    return [
      {method: 'GET', path: '/hello', admit, handle: () => ({status: 200, body: {hello: 'world'}})},
      {
        method: 'POST',
        path: '/echo',
        body,
        admit,
        handle: (_request, who, value) => ({status: 200, body: {who, value}}),
      },
      {
        method: 'POST',
        path: '/open',
        body,
        isForStrangers: true,
        admit,
        handle: () => ({status: 200, body: 'taken'}),
      },
      {method: 'GET', path: '/at/{place}', admit, handle: ({params}) => ({status: 200, body: params})},
      {
        method: 'POST',
        path: '/never',
        body,
        admit: () => {
          throw new Error('not you')
        },
        handle: () => ({status: 200, body: 'admitted'}),
      },
      {
        method: 'GET',
        path: '/slow',
        admit,
        handle: async () => {
          this.begun.resolve()
          await this.release.promise
          return {status: 200, body: 'at last'}
        },
      },
    ]
  }
}

const GET_HELLO = 'GET /hello HTTP/1.1\r\nhost: x\r\n\r\n'
const notJson = {status: 'err', code: 'SchemaViolation', mesg: 'Invalid JSON content.'}

describe('an answer', () => {
  test('is JSON that no browser runs, frames, keeps or shows to a page from elsewhere', async () => {
    await using server = await Server.open()
    const {status, headers, json} = await server.ask('/hello')
    expect({status, json}).toEqual({status: 200, json: {hello: 'world'}})
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=UTF-8',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    })
    expect(headers).not.toHaveProperty('server')
    expect(headers).not.toHaveProperty('x-powered-by')
  })

  test('has the headers of the configuration, which are stronger than its own, also when it is a refusal', async () => {
    await using server = await Server.open({headers: {'Cache-Control': 'private', 'X-More': '1'}})
    for (const path of ['/hello', '/nothing']) {
      expect((await server.ask(path)).headers).toMatchObject({'cache-control': 'private', 'x-more': '1'})
    }
  })

  test('is told to the observer with its status', async () => {
    await using server = await Server.open()
    await server.ask('/hello?secret=1')
    await server.ask('/nothing')
    expect(server.answered).toEqual([
      {path: '/hello', status: 200, remote: '127.0.0.1'},
      {path: '/nothing', status: 404, remote: '127.0.0.1'},
    ])
  })

  test('comes also when the request arrives byte by byte', async () => {
    await using server = await Server.open()
    const socket = await server.connect()
    const text = 'POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 13\r\n\r\n{"text":"hi"}'
    for (const byte of text) {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await received(socket)).toMatch(/^HTTP\/1.1 200 OK[\s\S]*\{"who":"someone","value":\{"text":"hi"\}\}$/)
  })
})

describe('a request that leads nowhere', () => {
  test('to an unknown path is a 404 as JSON', async () => {
    await using server = await Server.open()
    const {status, json} = await server.ask('/nothing')
    expect({status, json}).toEqual({
      status: 404,
      json: {status: 'err', code: 'NoSuchPath', mesg: 'There is nothing at /nothing.'},
    })
  })

  test('with a method that the path does not have is a 405 that names those it has', async () => {
    await using server = await Server.open()
    const {status, headers} = await server.ask('/hello', {method: 'DELETE'})
    expect({status, allow: headers.allow}).toEqual({status: 405, allow: 'GET, OPTIONS'})
    const options = await server.ask('/at/home', {method: 'OPTIONS'})
    expect({status: options.status, allow: options.headers.allow}).toEqual({status: 204, allow: 'GET, OPTIONS'})
  })

  test.each([
    ['an element beyond 128 characters', `/at/${'x'.repeat(129)}`, 400],
    ['a broken escape', '/at/%zz', 400],
  ])('because of %s is refused', async (_what, path, status) => {
    await using server = await Server.open()
    const got = await server.ask(path)
    expect(got.status).toBe(status)
    expect(got.json).toMatchObject({status: 'err'})
    expect(got.headers).toMatchObject({'x-content-type-options': 'nosniff', 'cache-control': 'no-store'})
  })

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['two lengths', 'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n'],
    [
      'two framings',
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a line feed in a header', 'GET /hello HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n'],
  ])('because it is %s gets a 400 as JSON, and the connection ends', async (_what, bytes) => {
    await using server = await Server.open()
    const got = await server.exchange(bytes)
    expect(got).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
    expect(got).toContain('x-content-type-options: nosniff')
    expect(got).toContain('"status":"err","code":"BadHttpParam"')
  })

  test('because a route fails gets what the owner makes of the error', async () => {
    await using server = await Server.open()
    expect(await server.ask('/never', {body: {}})).toMatchObject({status: 500, json: {said: 'Error: not you'}})
  })
})

describe('a body', () => {
  test('is read whatever it says that it is', async () => {
    await using server = await Server.open()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const got = await server.ask('/echo', {body: '{"text":"a"}', headers: {'content-type': type}})
      expect(got.json, type).toEqual({who: 'someone', value: {text: 'a'}})
    }
  })

  test('is not looked at where none is wanted', async () => {
    await using server = await Server.open()
    expect(await server.ask('/hello', {method: 'GET', body: 'nope'})).toMatchObject({status: 200})
    expect(await server.ask('/hello', {headers: {'content-type': 'application/json'}})).toMatchObject({status: 200})
  })

  test('up to the limit is taken, one byte more is not', async () => {
    await using server = await Server.open()
    const ofLength = (bytes: number) => `{"text":"${'x'.repeat(bytes - 11)}"}`
    expect((await server.ask('/echo', {body: ofLength(1000)})).status).toBe(200)
    expect(await server.ask('/echo', {body: ofLength(1001)})).toMatchObject({status: 413, json: {code: 'HitLimit'}})
  })

  test('is smaller where nobody has to log in', async () => {
    await using server = await Server.open()
    const ofLength = (length: number) => JSON.stringify({text: 'x'.repeat(length - JSON.stringify({text: ''}).length)})
    expect(await server.ask('/open', {body: ofLength(100)})).toMatchObject({status: 200})
    expect(await server.ask('/open', {body: ofLength(101)})).toMatchObject({status: 413, json: {code: 'HitLimit'}})
  })

  test('that is larger than the limit is cut off also when its length is not said', async () => {
    await using server = await Server.open()
    const chunk = `${(600).toString(16)}\r\n${'x'.repeat(600)}\r\n`
    const got = await server.exchange(
      `POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
    )
    expect(got).toMatch(/^HTTP\/1.1 413 /)
  })

  test.each([
    ['is no JSON', 'nope'],
    ['is empty', ''],
    ['is not UTF-8', 'latin1'],
    ['nests too deeply', `${'['.repeat(9)}${']'.repeat(9)}`],
  ])('that %s is refused', async (_what, body) => {
    await using server = await Server.open()
    const bytes = body === 'latin1' ? Buffer.from([0x22, 0xff, 0x22]) : Buffer.from(body)
    const head = `POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`
    const got = await server.exchange(Buffer.concat([Buffer.from(head), bytes]))
    expect(got).toMatch(/^HTTP\/1.1 400 /)
    expect(got).toContain(JSON.stringify(notJson))
  })

  test('keeps keys with escapes apart (nodejs/node#63785)', async () => {
    await using server = await Server.open()
    await server.ask('/echo', {body: String.raw`{"\\":1}`})
    const got = await server.ask('/echo', {body: String.raw`{"\u00e9":1}`})
    expect(got.json).toEqual({who: 'someone', value: {é: 1}})
  })

  test('of somebody who is not let in is not waited for', async () => {
    await using server = await Server.open()
    const socket = await server.connect()
    socket.write('POST /never HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1.1 500 /)
    socket.destroy()
  })
})

describe('a client that takes its time', () => {
  test('over the TLS handshake is cut', async () => {
    await using server = await Server.open({limits: {handshakeMs: 100}})
    const socket = connectPlain({host: '127.0.0.1', port: server.port})
    await once(socket.resume(), 'close')
    expect(server.refused).toEqual(['ERR_TLS_HANDSHAKE_TIMEOUT'])
  })

  test('over its headers is told so and cut', async () => {
    await using server = await Server.open({limits: {headersMs: 100}})
    const got = await server.exchange('GET /hello HTTP/1.1\r\nhost: x\r\na: ')
    expect(got).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n[\s\S]*"code":"TimeOut"/)
  })

  test('and sends nothing at all is cut', async () => {
    await using server = await Server.open({limits: {headersMs: 100}})
    expect(await server.exchange('')).toMatch(/^HTTP\/1.1 408 /)
  })

  test('over its body is told so and cut', async () => {
    await using server = await Server.open({limits: {headersMs: 100, requestMs: 100}})
    const got = await server.exchange('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{')
    expect(got).toMatch(/^HTTP\/1.1 408 /)
  })

  test('until its next request is cut', async () => {
    await using server = await Server.open({limits: {idleMs: 100}})
    expect(await server.exchange(GET_HELLO)).toMatch(/^HTTP\/1.1 200 /)
  })
})

describe('headers', () => {
  test('beyond the limit are a 431 as JSON', async () => {
    await using server = await Server.open()
    const got = await server.exchange(`GET /hello HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(5000)}\r\n\r\n`)
    expect(got).toMatch(/^HTTP\/1.1 431 [\s\S]*"code":"HitLimit"/)
  })

  test('of a proxy count only behind one', async () => {
    const headers = {'x-forwarded-for': '198.51.100.7'}
    await using open = await Server.open()
    await using hidden = await Server.open({isBehindProxy: true})
    await open.ask('/hello', {headers})
    await hidden.ask('/hello', {headers})
    expect([open.answered[0]?.remote, hidden.answered[0]?.remote]).toEqual(['127.0.0.1', '198.51.100.7'])
  })
})

describe('connections', () => {
  async function fill(server: Server, count: number): Promise<TLSSocket[]> {
    return Promise.all(Array.from({length: count}, () => server.connect()))
  }

  test('of one address are limited, and one that ends makes room', async () => {
    await using server = await Server.open({limits: {connectionsPerAddress: 3}})
    const [first, ...others] = await fill(server, 3)
    await expect(server.connect()).rejects.toThrow()
    expect(server.refused).toEqual(['too many connections of one address'])
    expect(server.connections).toBe(3)
    first?.end(GET_HELLO.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'))
    if (first) await received(first)
    const again = await server.connect()
    for (const socket of [...others, again]) socket.destroy()
  })

  test('of one address are not limited behind a proxy, but all are', async () => {
    await using server = await Server.open({limits: {connections: 4, connectionsPerAddress: 2}, isBehindProxy: true})
    const open = await fill(server, 4)
    await expect(server.connect()).rejects.toThrow()
    expect(server.refused).toEqual(['too many connections'])
    for (const socket of open) socket.destroy()
  })

  test('that do not speak TLS are noted', async () => {
    await using server = await Server.open()
    const socket = connectPlain({host: '127.0.0.1', port: server.port})
    socket.on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await once(socket.resume(), 'close')
    expect(server.refused).toEqual(['ERR_SSL_HTTP_REQUEST'])
  })

  test('do not negotiate TLS before 1.2', async () => {
    await using server = await Server.open()
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const [error] = (await once(socket, 'error')) as [Error & {code: string}]
    expect(error.code).toMatch(/PROTOCOL|ALERT/)
  })
})

describe('new keys', () => {
  test('are shown to new connections, and bad ones leave all as it was', async () => {
    const other = await selfSignedHost('other', 'p256', TERMS)
    const pairs = [PAIR, other, {key: PAIR.key, cert: other.cert}]
    await using server = await Server.open({load: async () => pairs.shift() ?? PAIR})
    const nameShown = async () => {
      const socket = await server.connect()
      const {subject} = socket.getPeerCertificate()
      socket.destroy()
      return subject.CN
    }
    expect(await nameShown()).toBe('tester')
    await server.tls.reload()
    expect(await nameShown()).toBe('other')
    await expect(server.tls.reload()).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    expect(await nameShown()).toBe('other')
  })
})

describe('stopping', () => {
  test('lets what is under way be answered, and takes no more', async () => {
    const server = await Server.open()
    const idle = await server.connect()
    const answer = server.ask('/slow')
    await server.begun.promise
    const stopped = server.stop()
    await received(idle)
    await expect(server.connect()).rejects.toThrow()
    server.release.resolve()
    expect(await answer).toMatchObject({status: 200, json: 'at last'})
    await stopped
  })

  test('cuts what is not done in time', async () => {
    const server = await Server.open()
    const socket = await server.connect()
    socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
    await server.begun.promise
    const got = received(socket)
    await server.stop(50)
    expect(await got).toBe('')
    server.release.resolve()
  })

  test('does not wait for a handshake', async () => {
    const server = await Server.open()
    const socket = connectPlain({host: '127.0.0.1', port: server.port})
    await once(socket, 'connect')
    await expect.poll(() => server.connections).toBe(1)
    const cut = once(socket.resume(), 'close')
    await server.stop(60_000)
    await cut
  })

  test('is refused to be started on a port that is taken', async () => {
    await using server = await Server.open()
    const taken = openHttps<string>({
      bind: '127.0.0.1',
      port: server.port,
      tls: server.tls,
      limits: LIMITS,
      isBehindProxy: false,
      headers: {},
      routes: [],
      websockets: [],
      observer: {onAnswered: () => undefined, onConnectionRefused: () => undefined},
      describe: () => ({status: 500, body: ''}),
    })
    await expect(taken).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      message: expect.stringContaining('the port is taken by another program'),
    })
  })
})

describe('a websocket', () => {
  async function pair(server: Server): Promise<{client: TestWebsocket; socket: HttpsWebsocket}> {
    const client = await TestWebsocket.open(await server.connect(), '/socket')
    const socket = server.sockets[0]
    if (socket === undefined) throw new Error('no socket')
    return {client, socket}
  }

  test('carries JSON to the client and texts to the owner', async () => {
    await using server = await Server.open()
    const {client, socket} = await pair(server)
    const heard = Promise.withResolvers<string>()
    socket.onMessage(heard.resolve)
    client.sendText('hé')
    expect(await heard.promise).toBe('hé')
    socket.send({a: 1})
    expect(await client.message(0)).toEqual({a: 1})
    expect(server.answered).toEqual([{path: '/socket', status: 101, remote: '127.0.0.1'}])
    client.socket.destroy()
  })

  test('ends with the code that the owner gives, and the owner hears of the end', async () => {
    await using server = await Server.open()
    const {client, socket} = await pair(server)
    const closed = new Promise<void>((resolve) => socket.onClosed(resolve))
    socket.close(1008, 'no more')
    expect(await client.closed()).toBe(1008)
    client.socket.destroy()
    await closed
    expect(socket.isOpen).toBe(false)
    socket.send('not sent, and no error')
  })

  test('is cut when a frame is larger than a body of strangers may be', async () => {
    await using server = await Server.open()
    const {client} = await pair(server)
    client.announce(101)
    expect(await client.closed()).toBe(1009)
    client.socket.destroy()
  })

  test('takes no bytes, only text', async () => {
    await using server = await Server.open()
    const {client, socket} = await pair(server)
    socket.onMessage(() => undefined)
    client.sendFrame(2, Buffer.from('x'))
    expect(await client.closed()).toBe(1003)
    client.socket.destroy()
  })

  test('of a client that does not read is cut off before much waits for it', async () => {
    await using server = await Server.open()
    const {client, socket} = await pair(server)
    const closed = new Promise<void>((resolve) => socket.onClosed(resolve))
    const large = 'x'.repeat(100_000)
    for (let sent = 0; sent < 1000 && socket.isOpen; sent += 1) {
      socket.send(large)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(socket.isOpen).toBe(false)
    await closed
    client.socket.destroy()
  })

  test('is closed when the server stops', async () => {
    const server = await Server.open()
    const {client} = await pair(server)
    const stopped = server.stop(200)
    expect(await client.closed()).toBe(1001)
    await stopped
    client.socket.destroy()
  })

  test('is not opened on a path without one', async () => {
    await using server = await Server.open()
    await expect(TestWebsocket.open(await server.connect(), '/nothing')).rejects.toThrow('HTTP/1.1 404 Not Found')
  })
})
