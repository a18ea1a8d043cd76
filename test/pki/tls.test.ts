import {once} from 'node:events'
import type {AddressInfo} from 'node:net'
import {connect, createServer, type TLSSocket} from 'node:tls'
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {factsOf} from '../../src/pki/certificate-facts.ts'
import {ClientTlsCache, type TlsTarget} from '../../src/pki/client-tls.ts'
import {clientCertificate, type PeerCertificate} from '../../src/pki/peer-certificate.ts'
import {Revocations} from '../../src/pki/revocation.ts'
import {type ClientAuth, hostKeys, ServerTls} from '../../src/pki/server-tls.ts'
import {certificateError, clientRefusal} from '../../src/pki/tls-reasons.ts'
import {certsWithCa, emptyCerts, NETWORK, type TestCerts} from './certs.ts'

const NOTHING_REVOKED = {isRevoked: () => false}
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
type Version = (typeof VERSIONS)[number]

/** TLS asks the real clock. */
const NOW_MS = Math.floor(Date.now() / 1000) * 1000
const DAY_MS = 86_400_000

let certs: TestCerts
beforeAll(async () => {
  certs = await certsWithCa()
  const terms = {nowMs: NOW_MS - 1000, ttlMs: DAY_MS, replace: true}
  await certs.issue('ca', NETWORK, terms)
  for (const name of ['a.demo.net', 'b.demo.net']) await certs.issue('host', name, terms)
  for (const name of ['visi@demo.net', 'fred@demo.net']) await certs.issue('user', name, terms)
  await certs.issue('user', 'late@demo.net', {...terms, nowMs: NOW_MS - 2 * DAY_MS})
  await certs.issue('user', 'early@demo.net', {...terms, nowMs: NOW_MS + DAY_MS / 2})
  await certs.issue('ca', 'other.net', {...terms, keyType: 'p256'})
  await certs.issue('user', 'eve@other.net', {...terms, signAs: 'other.net'})
})
afterAll(() => certs[Symbol.asyncDispose]())

/** What a listener found of one connection. */
type Found =
  | {readonly certificate: PeerCertificate | undefined; readonly isResumed: boolean}
  | {readonly refusal: string}

interface Listener {
  readonly port: number
  readonly tls: ServerTls
  /** What it finds of the next connection. */
  next(): Promise<Found>
}

interface ListenOptions {
  readonly version?: Version
  readonly auth?: ClientAuth
  readonly ca?: string | undefined
  readonly revoked?: {isRevoked(certificate: PeerCertificate): boolean}
  readonly nowMs?: () => number
}

async function listen({
  version = 'TLSv1.3',
  auth = 'required',
  ca = NETWORK,
  ...more
}: ListenOptions = {}): Promise<Listener> {
  const {revoked = NOTHING_REVOKED, nowMs = () => NOW_MS} = more
  const tls = await ServerTls.open(
    () => hostKeys(certs.dir, 'a.demo.net,b.demo.net', auth === 'none' ? undefined : ca),
    auth,
  )
  const waiting: ((found: Found) => void)[] = []
  const server = createServer({...tls.options, maxVersion: version}, (socket) => {
    socket.on('error', () => undefined)
    try {
      const certificate = clientCertificate(socket, nowMs(), revoked)
      waiting.shift()?.({certificate, isResumed: socket.isSessionReused()})
      socket.on('data', (data) => socket.end(data))
    } catch (error) {
      waiting.shift()?.({refusal: (error as Error).message})
      socket.destroy()
    }
  })
  server.on('tlsClientError', (error, socket) => waiting.shift()?.({refusal: clientRefusal(error, socket)}))
  const watching = tls.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    watching[Symbol.dispose]()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    tls,
    next: () => new Promise((resolve) => waiting.push(resolve)),
  }
}

/** Connects, checks the peer, lets it send something back, and gives how it went. */
async function dial(
  clients: ClientTlsCache,
  target: TlsTarget,
  port: number,
): Promise<{isResumed: boolean; name: string | undefined}> {
  const tls = await clients.for(target)
  const socket: TLSSocket = connect({host: '127.0.0.1', port, ...tls.options})
  try {
    await once(socket, 'secureConnect')
    tls.verify(socket)
    const name = socket.getPeerCertificate().subject?.CN
    const isResumed = socket.isSessionReused()
    socket.write('x')
    socket.resume()
    await once(socket, 'close')
    return {isResumed, name: Array.isArray(name) ? name.join() : name}
  } finally {
    socket.destroy()
  }
}

const VISI = {hostname: 'a.demo.net', certname: 'visi@demo.net'}

describe.each(VERSIONS)('with %s', (version) => {
  test('client and listener know each other by their names', async () => {
    const listener = await listen({version})
    const found = listener.next()
    expect(
      await dial(new ClientTlsCache(certs.dir), {...VISI, certname: 'visi@00.axon.demo.net'}, listener.port),
    ).toEqual({
      isResumed: false,
      name: 'a.demo.net',
    })
    const facts = factsOf(await certs.dir.certificate('user', 'visi@demo.net'))
    expect(await found).toMatchObject({certificate: {name: 'visi@demo.net', issuer: NETWORK, serial: facts.serial}})
  })

  test('a second connection resumes, and the listener still knows who it is', async () => {
    const listener = await listen({version})
    const clients = new ClientTlsCache(certs.dir)
    const first = listener.next()
    await dial(clients, VISI, listener.port)
    const second = listener.next()
    expect(await dial(clients, VISI, listener.port)).toMatchObject({isResumed: true})
    expect(await second).toEqual({...(await first), isResumed: true})
  })

  test('a certificate that is revoked meanwhile cannot resume', async () => {
    const revoked = new Set<string>()
    const listener = await listen({version, revoked: {isRevoked: ({serial}) => revoked.has(serial)}})
    const clients = new ClientTlsCache(certs.dir)
    await dial(clients, VISI, listener.port)
    revoked.add(factsOf(await certs.dir.certificate('user', 'visi@demo.net')).serial)
    const found = listener.next()
    await dial(clients, VISI, listener.port).catch(() => undefined)
    expect(await found).toEqual({refusal: expect.stringContaining('visi@demo.net (of demo.net')})
    expect(await found).toEqual({refusal: expect.stringContaining('is revoked')})
  })

  test('a certificate that expires meanwhile cannot resume', async () => {
    let nowMs = NOW_MS
    const listener = await listen({version, nowMs: () => nowMs})
    const clients = new ClientTlsCache(certs.dir)
    await dial(clients, VISI, listener.port)
    nowMs += 2 * DAY_MS
    const found = listener.next()
    await dial(clients, VISI, listener.port).catch(() => undefined)
    expect(await found).toEqual({refusal: expect.stringContaining('has expired')})
  })

  test('no session of before new keys can be resumed', async () => {
    const listener = await listen({version})
    const clients = new ClientTlsCache(certs.dir)
    await dial(clients, VISI, listener.port)
    await listener.tls.reload()
    expect(await dial(clients, VISI, listener.port)).toMatchObject({isResumed: false})
  })

  test.each([
    ['of an unknown authority', 'eve@other.net', 'unknown authority'],
    ['that has expired', 'late@demo.net', 'has expired'],
    ['that is not valid yet', 'early@demo.net', 'not valid yet'],
    ['which it does not have', undefined, 'no certificate was given'],
  ])('a client with a certificate %s is refused, and the listener knows why', async (_, certname, reason) => {
    const listener = await listen({version})
    const found = listener.next()
    await dial(new ClientTlsCache(certs.dir), {hostname: 'a.demo.net', certname}, listener.port).catch(() => undefined)
    expect(await found).toEqual({refusal: expect.stringContaining(reason)})
  })

  test('a client takes no other name than the expected one', async () => {
    const listener = await listen({version})
    const wrong = dial(new ClientTlsCache(certs.dir), {...VISI, hostname: 'c.demo.net'}, listener.port)
    await expect(wrong).rejects.toMatchObject({
      ...{telepath: 'BadCertHost', info: {expected: 'c.demo.net', got: 'a.demo.net'}},
    })
  })

  test('a client that does not know the authority of the listener refuses it', async () => {
    const elsewhere = await emptyCerts()
    onTestFinished(() => elsewhere[Symbol.asyncDispose]())
    const listener = await listen({version, auth: 'none'})
    const error = await dial(new ClientTlsCache(elsewhere.dir), {hostname: 'a.demo.net'}, listener.port).catch((e) => e)
    expect(certificateError(error)?.message).toContain('unknown authority')
  })

  test('a pinned certificate is enough without any authority, and shows none', async () => {
    const elsewhere = await emptyCerts()
    onTestFinished(() => elsewhere[Symbol.asyncDispose]())
    const listener = await listen({version, auth: 'none'})
    const clients = new ClientTlsCache(elsewhere.dir)
    const {fingerprint256} = await certs.dir.certificate('host', 'a.demo.net')
    const certhash = fingerprint256.replaceAll(':', '').toLowerCase()
    const target = {hostname: 'whatever', certhash}
    expect(await dial(clients, target, listener.port)).toMatchObject({isResumed: false})
    expect(await dial(clients, target, listener.port)).toMatchObject({isResumed: true})
    for (const other of [certhash.toUpperCase(), '00', '']) {
      const refused = dial(clients, {hostname: 'whatever', certhash: other}, listener.port)
      await expect(refused).rejects.toMatchObject({telepath: 'LinkBadCert'})
    }
  })
})

describe('a listener', () => {
  test('shows the certificate of the host that is asked for, and else its first', async () => {
    const listener = await listen()
    const clients = new ClientTlsCache(certs.dir)
    expect(await dial(clients, {...VISI, hostname: 'b.demo.net'}, listener.port)).toMatchObject({name: 'b.demo.net'})
    await expect(dial(clients, {...VISI, hostname: '127.0.0.1'}, listener.port)).rejects.toMatchObject({
      info: {got: 'a.demo.net'},
    })
  })

  test('where certificates are optional knows who shows a good one, and takes others for nobody', async () => {
    const listener = await listen({auth: 'optional'})
    const names = []
    for (const certname of ['visi@demo.net', undefined, 'eve@other.net']) {
      const found = listener.next()
      await dial(new ClientTlsCache(certs.dir), {hostname: 'a.demo.net', certname}, listener.port)
      names.push(await found)
    }
    expect(names.map((found) => 'certificate' in found && found.certificate?.name)).toEqual([
      'visi@demo.net',
      undefined,
      undefined,
    ])
  })

  test('takes new keys without a restart, and keeps the old ones when the new ones do not fit', async () => {
    const own = await certsWithCa()
    onTestFinished(() => own[Symbol.asyncDispose]())
    const terms = {nowMs: NOW_MS, replace: true, ttlMs: DAY_MS}
    await own.issue('ca', NETWORK, terms)
    const first = await own.issue('host', 'a.demo.net', terms)
    const tls = await ServerTls.open(() => hostKeys(own.dir, 'a.demo.net', undefined), 'none')
    const server = createServer(tls.options, (socket) => socket.end())
    using _ = tls.attach(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const shown = async () => {
      const socket = connect({
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        rejectUnauthorized: false,
      })
      await once(socket, 'secureConnect')
      const {serialNumber} = socket.getPeerCertificate()
      socket.destroy()
      return serialNumber
    }
    expect(await shown()).toBe(first.serialNumber)
    const second = await own.issue('host', 'a.demo.net', terms)
    await tls.reload()
    expect(await shown()).toBe(second.serialNumber)
    await own.dir.replace('host', 'a.demo.net', 'key', await own.dir.read('ca', NETWORK, 'key'))
    await expect(tls.reload()).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    expect(await shown()).toBe(second.serialNumber)
  })

  test('cuts what is open when its certificate is revoked', async () => {
    const own = await certsWithCa()
    onTestFinished(() => own[Symbol.asyncDispose]())
    const terms = {nowMs: NOW_MS - 1000, replace: true, ttlMs: DAY_MS}
    await own.issue('ca', NETWORK, terms)
    await own.issue('host', 'a.demo.net', terms)
    const visi = await own.issue('user', 'visi@demo.net', terms)
    await using revocations = await Revocations.open(own.dir, {onProblem: (error) => expect.fail(error.message)})
    const tls = await ServerTls.open(() => hostKeys(own.dir, 'a.demo.net', NETWORK), 'required')
    const server = createServer(tls.options, (socket) => {
      const certificate = clientCertificate(socket, NOW_MS, revocations)
      revocations.onRevoked(() => certificate !== undefined && revocations.isRevoked(certificate) && socket.destroy())
      socket.on('error', () => undefined).write('ready')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const client = await new ClientTlsCache(own.dir).for(VISI)
    const socket = connect({host: '127.0.0.1', port: (server.address() as AddressInfo).port, ...client.options})
    await once(socket, 'data')
    await own.revoke(NETWORK, [visi])
    await once(socket, 'close')
  })
})

describe('a client', () => {
  test('takes a renewed certificate without a restart', async () => {
    const own = await certsWithCa()
    onTestFinished(() => own[Symbol.asyncDispose]())
    const clients = new ClientTlsCache(own.dir)
    await own.issue('user', 'visi@demo.net')
    const first = await clients.for(VISI)
    expect(await clients.for(VISI)).toBe(first)
    await own.issue('user', 'visi@demo.net', {replace: true})
    expect(await clients.for(VISI)).not.toBe(first)
  })

  test('without the wanted certificate, or its key, does not even connect', async () => {
    const own = await certsWithCa()
    onTestFinished(() => own[Symbol.asyncDispose]())
    const clients = new ClientTlsCache(own.dir)
    await expect(clients.for(VISI)).rejects.toMatchObject({telepath: 'NoSuchCert'})
    await own.issue('user', 'visi@demo.net')
    await own.dir.remove('user', 'visi@demo.net', 'key')
    await expect(clients.for(VISI)).rejects.toMatchObject({telepath: 'NoCertKey'})
  })
})
