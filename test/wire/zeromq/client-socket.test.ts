import {execFile} from 'node:child_process'
import {once} from 'node:events'
import {createServer} from 'node:net'
import {promisify} from 'node:util'
import {afterEach, describe, expect, onTestFinished, test} from 'vitest'
import {Reply} from 'zeromq'
import {ClientSocket, type ClientSocketOptions} from '../../../src/wire/zeromq/client-socket.ts'
import type {Connection} from '../../../src/wire/zeromq/listener.ts'
import {lastingPort} from '../../support/lasting-port.ts'
import {closePeers, openEcho, openRouter} from './support.ts'

afterEach(closePeers)

const PATIENT = {timeoutMs: 150_000}

function openClient(port: number, options: Partial<ClientSocketOptions> = {}): ClientSocket {
  return new ClientSocket({address: `tcp://127.0.0.1:${port}`, framing: 'envelope', ...options})
}

/** A server that answers in the form that the client wants, with the request's text in the answer. */
const openServer = (port = 0) =>
  openEcho({
    address: `tcp://127.0.0.1:${port}`,

    onMessage: (from, frames) => from.send([...(frames.length > 1 ? ['RESPONSE'] : []), `re ${frames.at(-1)}`]),
  })

/** Opens a TCP server that does nothing but `onConnection`; gives its port. */
async function openTcpServer(greeting: Uint8Array): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(greeting)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

describe('a request', () => {
  test('in an envelope gets the JSON of its answer', async () => {
    await using server = await openServer()
    await using client = openClient(server.port)
    expect(`${await client.request('{"a": 1}', PATIENT)}`).toBe('re {"a": 1}')
    expect(server.handed[0]?.frames.map(String)).toEqual(['REQ', '{"a": 1}'])
  })

  test('in an envelope takes the answer of CGSE 0.10 as well', async () => {
    await using server = await openEcho({onMessage: (from) => from.send(['REP', 'yes'])})
    await using client = openClient(server.port)
    expect(`${await client.request('{}', PATIENT)}`).toBe('yes')
  })

  test('without envelope is one frame both ways', async () => {
    await using server = await openServer()
    await using client = openClient(server.port, {framing: 'bare'})
    expect(`${await client.request('{}', PATIENT)}`).toBe('re {}')
    expect(server.handed[0]?.frames.map(String)).toEqual(['{}'])
  })

  test('of the plain form is understood by a REP socket, and the answer by us', async () => {
    const reply = new Reply({linger: 0})
    onTestFinished(() => reply.close())
    await reply.bind('tcp://127.0.0.1:0')
    await using client = openClient(Number(reply.lastEndpoint?.split(':').at(-1)), {framing: 'plain'})
    const answer = client.request('{"a": 1}', PATIENT)
    const [request] = await reply.receive()
    await reply.send([`re ${request}`])
    expect(`${await answer}`).toBe('re {"a": 1}')
  })

  test('waits for those before it, so that each gets its own answer', async () => {
    let open = 0
    let most = 0
    await using server = await openEcho({
      onMessage: (from, frames) => {
        most = Math.max(most, ++open)
        setImmediate(() => {
          open--
          from.send(['RESPONSE', `re ${frames[1]}`])
        })
      },
    })
    await using client = openClient(server.port)
    const texts = Array.from({length: 200}, (_, i) => `${i}`)
    const answers = await Promise.all(texts.map((text) => client.request(text, PATIENT)))
    expect(answers.map(String)).toEqual(texts.map((text) => `re ${text}`))
    expect(most).toBe(1)
  })

  test('comes from a routing id that begins with the name of the client', async () => {
    await using server = await openServer()
    await using client = openClient(server.port, {name: 'camera 1'})
    await client.request('{}', PATIENT)
    expect(server.handed[0]?.from.id).toMatch(/^camera 1-[0-9a-f-]{36}$/)
  })

  test('is answered by a server that comes later', async () => {
    const port = await lastingPort()
    await using client = openClient(port)
    const answer = client.request('{}', PATIENT)
    await using server = await openServer(port)
    expect(`${await answer}`).toBe('re {}')
    expect(server.handed).toHaveLength(1)
  })
})

describe('after a request that was given up', () => {
  test('the late answer goes to nobody, and the next request gets its own, from a new routing id', async () => {
    const late: (() => void)[] = []
    await using server = await openEcho({
      onMessage: (from, frames) => {
        const answer = () => from.send(['RESPONSE', `re ${frames[1]}`])
        if (`${frames[1]}` === 'slow') late.push(answer)
        else {
          for (const send of late.splice(0)) send()
          answer()
        }
      },
    })
    await using client = openClient(server.port)
    expect(`${await client.request('first', PATIENT)}`).toBe('re first')
    const slow = client.request('slow', {timeoutMs: 100})
    const next = client.request('next', PATIENT)
    await expect(slow).rejects.toMatchObject({code: 'REG_TIMED_OUT', message: expect.stringContaining('within 100 ms')})
    expect(`${await next}`).toBe('re next')
    expect(`${await client.request('last', PATIENT)}`).toBe('re last')
    const ids = server.handed.map(({from}) => from.id)
    expect(ids[1]).toBe(ids[0])
    expect(ids[2]).not.toBe(ids[1])
    expect(ids[3]).toBe(ids[2])
  })

  test('by its signal, the same', async () => {
    const slow: Connection<string>[] = []
    const {promise: arrived, resolve} = Promise.withResolvers<void>()
    await using server = await openEcho({
      onMessage: (from, frames) => {
        if (`${frames[1]}` !== 'slow') from.send(['RESPONSE', `re ${frames[1]}`])
        else {
          slow.push(from)
          resolve()
        }
      },
    })
    await using client = openClient(server.port)
    const abort = new AbortController()
    const given = client.request('slow', {...PATIENT, signal: abort.signal})
    const next = client.request('next', PATIENT)
    await arrived
    abort.abort(new Error('changed my mind'))
    slow[0]?.send(['RESPONSE', 're slow'])
    await expect(given).rejects.toMatchObject({code: 'REG_CANCELLED', cause: {message: 'changed my mind'}})
    expect(`${await next}`).toBe('re next')
  })

  test('while it waited behind another, the other goes on', async () => {
    const {promise: arrived, resolve} = Promise.withResolvers<Connection<string>>()
    await using server = await openEcho({onMessage: (from) => resolve(from)})
    await using client = openClient(server.port)
    const first = client.request('first', PATIENT)
    const second = client.request('second', {timeoutMs: 20})
    await expect(second).rejects.toMatchObject({code: expect.stringMatching(/^REG_(TIMED_OUT|UNREACHABLE)$/)})
    ;(await arrived).send(['RESPONSE', 're first'])
    expect(`${await first}`).toBe('re first')
    expect(server.handed).toHaveLength(1)
  })

  test('so after an answer that nobody asked for: its connection is thrown away', async () => {
    await using server = await openServer()
    await using client = openClient(server.port)
    await client.request('1', PATIENT)
    while (server.dropped === 0) {
      server.handed[0]?.from.send(['RESPONSE', 'once more'])
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(`${await client.request('2', PATIENT)}`).toBe('re 2')
  })
})

const failureOf = (request: Promise<unknown>): Promise<unknown> => request.catch((error: unknown) => error)

describe('a request fails', () => {
  test('as unreachable when nothing listens, when its time is over', async () => {
    const port = await lastingPort()
    await using client = openClient(port)
    await expect(client.request('{}', {timeoutMs: 150})).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      message: `no connection to 127.0.0.1:${port}: nothing listens there, or no way leads there`,
    })
  })

  test('as unreachable as early as it is told to', async () => {
    const port = await lastingPort()
    await using client = openClient(port)
    const failed = client.request('{}', {timeoutMs: 3_600_000, connectMs: 50})
    await expect(failed).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
  })

  test('as unreachable when a connection is lost and does not come back', async () => {
    const server = await openEcho({onMessage: (from, frames) => from.send(['RESPONSE', ...frames.slice(1)])})
    await using client = openClient(server.port)
    await client.request('{}', PATIENT)
    await server.close()
    await expect(client.request('{}', {timeoutMs: 3_600_000, connectMs: 100})).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      message: `no connection to 127.0.0.1:${server.port}: it was lost`,
    })
  })

  test.each([
    {what: 'says something else', greeting: Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian\r\n'.repeat(5))},
    {what: 'says nothing', greeting: Buffer.alloc(0)},
  ])('as unreachable when what listens $what', async ({greeting}) => {
    const port = await openTcpServer(greeting)
    await using client = openClient(port)
    // Asked again until the connection is known: it is made by another thread, which may come late.
    await expect
      .poll(() => failureOf(client.request('{}', {timeoutMs: 3_600_000, connectMs: 300})))
      .toMatchObject({
        code: 'REG_UNREACHABLE',
        message: `no connection to 127.0.0.1:${port}: what listens there does not speak ZeroMQ`,
      })
  })

  test('as timed out when a ZeroMQ server does not answer', async () => {
    const {port} = await openRouter()
    await using client = openClient(port)
    // Before it is connected it is unreachable.
    await expect.poll(() => failureOf(client.request('{}', {timeoutMs: 300}))).toMatchObject({code: 'REG_TIMED_OUT'})
  })

  test.each([
    {framing: 'envelope' as const, frames: ['', '{}']},
    {framing: 'envelope' as const, frames: ['RESPONSE']},
    {framing: 'plain' as const, frames: ['{}']},
    {framing: 'bare' as const, frames: ['RESPONSE', '{}']},
  ])('as a bad answer when a $framing request is answered by $frames', async ({framing, frames}) => {
    await using server = await openEcho({onMessage: (from) => from.send(frames)})
    await using client = openClient(server.port, {framing})
    await expect(client.request('{}', PATIENT)).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('at once when its signal was aborted before, and nothing is sent', async () => {
    await using server = await openServer()
    await using client = openClient(server.port)
    const failed = client.request('no', {...PATIENT, signal: AbortSignal.abort('reason')})
    await expect(failed).rejects.toMatchObject({code: 'REG_CANCELLED', cause: 'reason'})
    await client.request('yes', PATIENT)
    expect(server.handed.map(({frames}) => `${frames[1]}`)).toEqual(['yes'])
  })

  test('when too many wait', async () => {
    const {port} = await openRouter()
    const client = openClient(port)
    const waiting = Array.from({length: 1001}, () => client.request('{}', PATIENT))
    const settled = Promise.allSettled(waiting)
    await expect(client.request('{}', PATIENT)).rejects.toMatchObject({
      code: 'REG_TIMED_OUT',
      message: expect.stringContaining('1000 requests wait already'),
    })
    await client.close()
    for (const one of await settled) expect(one).toMatchObject({status: 'rejected', reason: {code: 'REG_CANCELLED'}})
  })

  test('when the client is closed, before and after', async () => {
    const {router, port} = await openRouter()
    const client = openClient(port)
    const requests = [client.request('1', PATIENT), client.request('2', PATIENT)]
    const settled = Promise.allSettled(requests)
    await router.receive()
    await Promise.all([client.close(), client.close()])
    for (const one of await settled) expect(one).toMatchObject({status: 'rejected', reason: {code: 'REG_CANCELLED'}})
    await expect(client.request('3', PATIENT)).rejects.toMatchObject({code: 'REG_CANCELLED'})
  })

  test('when the address is none', async () => {
    await using client = new ClientSocket({address: 'tcp://nowhere', framing: 'envelope'})
    await expect(client.request('{}', PATIENT)).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
  })
})

test('a process ends by itself once its sockets are closed', async () => {
  await using server = await openServer()
  const child = new URL('closing-child.ts', import.meta.url).pathname
  const {stdout} = await promisify(execFile)(process.execPath, [child, `${server.port}`], {timeout: 150_000})
  expect(stdout).toBe('re {}\nREG_TIMED_OUT\nclosed\n')
})
