// Who may not go on is cut off: his Telepath links, his HTTPS sessions and websockets. Each cut is awaited, and named in the failure when it
// does not come.
import {once} from 'node:events'
import {connect, type TLSSocket} from 'node:tls'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {ask, connectTo, sessionOf} from '../support/https.ts'
import {ServedCell} from '../support/served-cell.ts'
import {TestWebsocket} from '../support/websocket.ts'
import {callMessage, RawLink} from '../wire/telepath/raw-link.ts'

const WITHIN_MS = 150_000
const WAYS = ['lock', 'archive', 'delete', 'new password', 'no password', 'revoke'] as const
type Way = (typeof WAYS)[number]
const nameOf = (way: Way) => `u-${way.replace(' ', '-')}`

let cell: ServedCell
beforeAll(async () => {
  cell = await ServedCell.start({certificates: ['root', ...WAYS.map(nameOf)]})
})
afterAll(() => cell?.[Symbol.asyncDispose]())

/** Fails with `what` when it does not happen in time. */
async function inTime<T>(what: string, event: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${WITHIN_MS} ms`)), WITHIN_MS)
  })
  try {
    return await Promise.race([event, late])
  } finally {
    clearTimeout(timer)
  }
}

async function bar(way: Way, iden: string): Promise<void> {
  switch (way) {
    case 'lock':
      await cell.asRoot('setUserLocked', iden, true)
      return
    case 'archive':
      await cell.asRoot('setUserArchived', iden, true)
      return
    case 'delete':
      await cell.asRoot('delUser', iden)
      return
    case 'new password':
      await cell.asRoot('setUserPasswd', iden, 'another')
      return
    case 'no password':
      await cell.asRoot('setUserPasswd', iden, null)
      return
    case 'revoke':
      await cell.revoke(nameOf(way))
  }
}

/** Reads a stream to its end, and gives what it failed with. */
async function drain(stream: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of stream);
    return undefined
  } catch (error) {
    return error
  }
}

/** Links by hand: one with the session, one that has called for it, one that has said nothing. */
async function openLinks(user: string) {
  const {telepath} = await cell.listeners()
  const open = async () => {
    const socket = connect({host: '127.0.0.1', port: telepath, ...(await cell.keysOf(user))})
    await once(socket, 'secureConnect')
    return new RawLink(socket)
  }
  const [control, pool, silent] = [await open(), await open(), await open()]
  const sess = await control.greet('*')
  await pool.call(sess, 'getCellIden')
  return {control, pool, silent, sess}
}

async function behold(socket: TLSSocket, headers: Record<string, string>): Promise<TestWebsocket> {
  const opened = await TestWebsocket.open(socket, '/api/v1/behold', headers)
  opened.sendText('{"type":"call:init"}')
  expect(await opened.message(0)).toMatchObject({type: 'init'})
  return opened
}

describe.each(WAYS)('%s', (way) => {
  test('cuts control link, pool links, streams, HTTPS sessions and websockets; others stay', async () => {
    const name = nameOf(way)
    const iden = await cell.addUser(name, 'secret')
    await cell.asRoot('setUserAdmin', iden, true)
    const {https} = await cell.listeners()
    const keys = await cell.keysOf(name)
    const {control, pool, silent, sess} = await openLinks(name)
    await using proxy: TelepathProxy = await cell.byCertificate(name, 2)
    const watching = drain(proxy.stream('watch', {timeoutMs: 0}))
    await using other = await cell.byCertificate('root')
    const cookie = sessionOf(await ask(https, '/api/v1/login', {body: {user: name, passwd: 'secret'}}))
    const byCookie = {cookie: `sess=${cookie}`}
    const status = (headers: Record<string, string>, tls = {}) =>
      ask(https, '/api/v1/auth/users', {headers, tls}).then((got) => got.status)
    const kept = await connectTo(https, keys)
    const socketOfCookie = await behold(await connectTo(https, {}), byCookie)
    const socketOfCertificate = await behold(kept, {})
    expect([await status(byCookie), await status({}, keys)]).toEqual([200, 200])

    await bar(way, iden)
    await Promise.all([
      inTime('the control link', control.ended()),
      inTime('the pool link', pool.ended()),
      inTime('the session of the client', proxy.closed),
      inTime('the stream', watching).then((error) => expect(error).toBeInstanceOf(Error)),
      inTime('the websocket of the certificate', socketOfCertificate.closed()),
      ...(way === 'revoke' ? [] : [inTime('the websocket of the cookie', socketOfCookie.closed())]),
    ])
    if (!silent.isEnded) {
      silent.send(callMessage(sess, 'getCellIden'))
      expect(JSON.stringify(await silent.next())).toContain('NoSuchObj')
    }
    // Of his certificate the password, and so the session it opened, knows nothing; and the other way round.
    expect(await status(byCookie)).toBe(way === 'revoke' ? 200 : 401)
    const isByCertificateStill = way.endsWith('password')
    expect(await status({}, keys)).toBe(isByCertificateStill ? 200 : 401)
    const again = cell.byCertificate(name).then(async (opened) => opened.close().then(() => 'opened'), String)
    expect(await again).toMatch(isByCertificateStill ? /^opened$/ : /Error/)
    expect(await other.call('getCellType')).toBe('cell')
    for (const link of [control, pool, silent]) link[Symbol.dispose]()
    for (const {socket} of [socketOfCookie, socketOfCertificate]) socket.destroy()
  })
})

test('a TLS session of before the revocation cannot be resumed into a login, on either listener', async () => {
  await using own = await ServedCell.start({certificates: ['root', 'eve']})
  await own.asRoot('setUserAdmin', await own.addUser('eve'), true)
  const keys = await own.keysOf('eve')
  const {telepath, https} = await own.listeners()
  const first = async (port: number, hello: (socket: TLSSocket) => void) => {
    const socket = connect({host: '127.0.0.1', port, ...keys})
    const session = once(socket, 'session')
    await once(socket, 'secureConnect')
    hello(socket)
    const [ticket] = (await session) as [Buffer]
    socket.destroy()
    return ticket
  }
  const hello = (socket: TLSSocket) => void new RawLink(socket).greet('*').catch(() => undefined)
  const tickets = {
    telepath: await first(telepath, hello),
    https: await first(https, (socket) => socket.write('GET /api/v1/active HTTP/1.1\r\nHost: h\r\n\r\n')),
  }
  const resume = async (port: number, session: Buffer) => {
    const socket = connect({host: '127.0.0.1', port, ...keys, session})
    await once(socket, 'secureConnect')
    return socket
  }
  const before = await resume(telepath, tickets.telepath)
  expect(before.isSessionReused()).toBe(true)
  using good = new RawLink(before)
  expect(await good.greet('*')).toMatch(/^[0-9a-f]{32}$/)

  await own.revoke('eve')
  await inTime('the resumed link', good.ended())
  using bad = new RawLink(await resume(telepath, tickets.telepath))
  bad.send(['tele:syn', {vers: [3, 0], name: '*'}])
  expect(await inTime('the link resumed after that', bad.ended())).toEqual([])
  const got = await ask(https, '/api/v1/auth/users', {tls: {...keys, session: tickets.https}})
  expect(got.status).toBe(401)
})
