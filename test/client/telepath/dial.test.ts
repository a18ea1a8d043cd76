import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import {type AddressInfo, createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {TLSSocket} from 'node:tls'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {dial} from '../../../src/client/telepath/dial.ts'
import {openTelepath} from '../../../src/client/telepath/open.ts'
import {type TeleEnv, withTeleEnv} from '../../../src/client/telepath/tele-env.ts'
import {DEFAULT_TTL_MS} from '../../../src/pki/issuer.ts'
import {clientCertificate} from '../../../src/pki/peer-certificate.ts'
import {hostKeys, ServerTls} from '../../../src/pki/server-tls.ts'
import {Daemon} from '../../../src/wire/telepath/daemon.ts'
import type {Greeting} from '../../../src/wire/telepath/share.ts'
import {emptyCerts, NETWORK, type TestCerts} from '../../pki/certs.ts'
import {silentLog} from '../../wire/telepath/silent-log.ts'

let dir: string
let certs: TestCerts
let env: TeleEnv
let daemon: Daemon
let port: number
const greeted: Greeting[] = []
const resumed: boolean[] = []

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-dial-'))
  certs = await emptyCerts()
  const terms = {nowMs: Date.now() - 1000, ttlMs: DEFAULT_TTL_MS}
  await certs.issue('ca', NETWORK, terms)
  await certs.issue('host', `cell.${NETWORK}`, terms)
  await certs.issue('user', `visi@${NETWORK}`, terms)
  env = await withTeleEnv({dir, serviceDir: dir, certDirs: [certs.path]})
  const tls = await ServerTls.open(() => hostKeys(certs.dir, `cell.${NETWORK}`, NETWORK), 'required')
  daemon = new Daemon({
    log: silentLog(),
    synapseVersion: [2, 256, 0],
    greet: (greeting) => {
      greeted.push(greeting)
      const info = {classes: ['a.Cell'], methods: new Map([['name', {isGenerator: false}]])}
      return {share: {info, call: () => ({kind: 'value', value: 'here'})}}
    },
  })
  const certificate = (socket: TLSSocket) => {
    resumed.push(socket.isSessionReused())
    return clientCertificate(socket, Date.now(), {isRevoked: () => false})
  }
  const listener = await daemon.listenTls({host: '127.0.0.1', port: 0, tls: {options: tls.options, certificate}})
  port = listener.port
})
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await env?.[Symbol.asyncDispose]()
  await certs?.[Symbol.asyncDispose]()
  await rm(dir, {recursive: true})
})

describe('TLS', () => {
  const url = (query: string, user = '') => `ssl://${user}127.0.0.1:${port}${query}`
  const hostname = `hostname=cell.${NETWORK}`

  test('comes with the certificate of the user, and resumes it on further links', async () => {
    greeted.length = 0
    resumed.length = 0
    await using proxy = await openTelepath(url(`?${hostname}`, 'visi@'), {env, spareLinks: 0})
    expect(await proxy.call('name')).toBe('here')
    expect(greeted).toMatchObject([
      {auth: {user: 'visi', passwd: null}, peer: {family: 'tls', certificate: {name: `visi@${NETWORK}`}}},
    ])
    expect(resumed).toEqual([false, true])
  })

  test.each([
    [`?${hostname}&certname=visi@${NETWORK}`, ''],
    [`?${hostname}&certname=visi@a.b.${NETWORK}`, ''],
    [`?${hostname}`, 'visi@'],
  ])('finds the certificate for %s', async (query, user) => {
    await using proxy = await openTelepath(url(query, user), {env})
    expect(await proxy.call('name')).toBe('here')
  })

  test.each([
    ['another name', '?hostname=newp.demo.net', 'visi@', 'BadCertHost'],
    ['the address as the name', `?certname=visi@${NETWORK}`, '', 'BadCertHost'],
    ['another hash', '?certhash=00', '', 'LinkBadCert'],
  ])('is refused for a peer with %s', async (_what, query, user, telepath) => {
    await expect(openTelepath(url(query, user), {env})).rejects.toMatchObject({code: 'REG_CERT_INVALID', telepath})
  })

  test('is refused without the certificate that the URL names', async () => {
    await expect(openTelepath(url(`?${hostname}`, 'newp@'), {env})).rejects.toMatchObject({
      code: 'REG_CERT_MISSING',
      telepath: 'NoSuchCert',
    })
  })

  test('says that the listener wants one, or that it may', async () => {
    const opening = openTelepath(url(`?${hostname}`, 'visi:secret@'), {env})
    await expect(opening).rejects.toMatchObject({code: expect.stringMatching(/^REG_(CERT_INVALID|LINK_CLOSED)$/)})
    const error = await opening.catch((thrown: Error & {hints: string[]}) => thrown)
    expect(`${String(error)} ${'hints' in error ? error.hints.join() : ''}`).toContain('certificate')
  })

  test('is refused for an authority that is not known', async () => {
    await using bare = await withTeleEnv({dir, serviceDir: dir})
    await expect(openTelepath(url(`?${hostname}`), {env: bare})).rejects.toMatchObject({
      code: 'REG_CERT_INVALID',
      message: expect.stringContaining(`ssl://127.0.0.1:${port}`),
    })
  })
})

test('a socket whose queue is full is tried until there is room', async () => {
  const path = join(dir, 'full')
  const server = createServer((socket) => socket.end()).listen({path, backlog: 1})
  await once(server, 'listening')
  const signal = AbortSignal.timeout(150_000)
  const place = {kind: 'unix', path, share: '*'} as const
  const sockets = await Promise.all(Array.from({length: 50}, () => dial(place, undefined, 'the socket', signal)))
  expect(sockets).toHaveLength(50)
  for (const socket of sockets) socket.destroy()
  server.close()
})

describe('what cannot be reached says why', () => {
  test('nobody there', async () => {
    await expect(env.open('tcp://127.0.0.1:1')).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      telepath: 'LinkErr',
      message: 'cannot connect to tcp://127.0.0.1:1: nobody listens there',
    })
  })

  test('no socket, or a path too long for one', async () => {
    await expect(env.open(`cell://${dir}/newp`)).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      telepath: 'LinkErr',
      message: expect.stringContaining('no such socket'),
    })
    await expect(env.open(`cell://${dir}/${'x'.repeat(100)}`)).rejects.toMatchObject({
      code: 'REG_USAGE',
      message: expect.stringContaining('107 bytes'),
    })
  })

  test('no TLS there', async () => {
    const server = createServer((socket) => void socket.end('HTTP/1.1 400 no\r\n\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port: plain} = server.address() as AddressInfo
    await expect(env.open(`ssl://127.0.0.1:${plain}`)).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      message: expect.stringContaining('does not speak TLS'),
    })
    server.close()
  })

  test('no answer in time', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port: silent} = server.address() as AddressInfo
    for (const url of [`ssl://127.0.0.1:${silent}`, `tcp://127.0.0.1:${silent}`]) {
      await expect(env.open(url, {connectMs: 50})).rejects.toMatchObject({code: 'REG_TIMED_OUT'})
    }
    server.close()
  })
})

test.each([
  ['tcp://nowhere.invalid:1', 'it has to resolve'],
  ['tcp://127.0.0.1:1', 'registry status --url cell://DIR'],
  ['cell:///nowhere', 'registry serve DIR'],
])('who cannot connect to %s is told what to look at', async (url, hint) => {
  const error = await openTelepath(url).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({code: 'REG_UNREACHABLE', hints: expect.arrayContaining([expect.stringContaining(hint)])})
})
