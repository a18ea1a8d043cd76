import {once} from 'node:events'
import {connect as connectTcp} from 'node:net'
import {type ConnectionOptions, connect, type TLSSocket} from 'node:tls'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {clientCertificate} from '../../../src/pki/peer-certificate.ts'
import {hostKeys, ServerTls} from '../../../src/pki/server-tls.ts'
import {clientRefusal} from '../../../src/pki/tls-reasons.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import {Daemon} from '../../../src/wire/telepath/daemon.ts'
import type {DaemonLimits} from '../../../src/wire/telepath/limits.ts'
import type {ListenTls, TlsListener} from '../../../src/wire/telepath/listen.ts'
import {certsWithCa, NETWORK, type TestCerts} from '../../pki/certs.ts'
import {stopClock} from '../../support/stopped-clock.ts'
import {aborted, demoShare, TestShare, value} from './demo.ts'
import {bodyOf, callMessage, errorOf, RawLink} from './raw-link.ts'
import {silentLog} from './silent-log.ts'

const HOST = 'cell.demo.net'
const now = {nowMs: Date.now() - 60_000}
const nobodyRevoked = {isRevoked: () => false}
let certs: TestCerts

beforeAll(async () => {
  certs = await certsWithCa()
  await certs.issue('ca', NETWORK, {...now, replace: true, signAs: undefined})
  await certs.issue('host', HOST, now)
  for (const name of ['visi', 'other']) await certs.issue('user', name, now)
})

afterAll(async () => {
  await certs[Symbol.asyncDispose]()
})

class Tls implements AsyncDisposable {
  readonly daemon: Daemon
  readonly listener: TlsListener
  readonly lines: string[]
  readonly #links: RawLink[] = []

  private constructor(daemon: Daemon, listener: TlsListener, lines: string[]) {
    this.daemon = daemon
    this.listener = listener
    this.lines = lines
  }

  static async start(
    options: {tls?: Partial<ListenTls>; share?: TestShare; limits?: Partial<DaemonLimits>} = {},
  ): Promise<Tls> {
    const {tls = {}, share = demoShare(), limits = {}} = options
    const lines: string[] = []
    const keys = await ServerTls.open(() => hostKeys(certs.dir, HOST, NETWORK), 'required')
    const daemon = new Daemon({
      greet: ({peer}) => ({share, user: {iden: peer.certificate?.name ?? '', name: peer.certificate?.name ?? ''}}),
      log: silentLog(lines),
      synapseVersion: [2, 256, 0],
      limits,
    })
    const listener = await daemon.listenTls({
      host: '127.0.0.1',
      port: 0,
      tls: {
        options: keys.options,
        certificate: (socket) => clientCertificate(socket, Date.now(), nobodyRevoked),
        whyRefused: clientRefusal,
        ...tls,
      },
    })
    return new Tls(daemon, listener, lines)
  }

  async link(options: ConnectionOptions): Promise<RawLink> {
    const link = new RawLink(await secure(this.listener.port, options))
    this.#links.push(link)
    return link
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link[Symbol.dispose]()
    await this.daemon.stop({graceMs: 0})
  }
}

async function user(name: string): Promise<ConnectionOptions> {
  const [ca, cert, key] = [
    await certs.dir.read('ca', NETWORK, 'crt'),
    await certs.dir.read('user', name, 'crt'),
    await certs.dir.read('user', name, 'key'),
  ]
  return {ca, cert, key, servername: HOST}
}

async function secure(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({host: '127.0.0.1', port, ...options})
  await once(socket, 'secureConnect')
  return socket
}

describe('a listener with client certificates', () => {
  test('tells the owner whose certificate it is', async () => {
    await using served = await Tls.start()
    const link = await served.link(await user('visi'))
    await link.greet()
    const [session] = served.daemon.sessions()
    expect(session?.peer).toMatchObject({
      family: 'tls',
      address: '127.0.0.1',
      certificate: {name: 'visi', issuer: NETWORK},
    })
  })

  test('lets only the certificate use a session that opened it, wherever it comes from', async () => {
    await using served = await Tls.start()
    const {port} = await served.daemon.listenTcp({host: '127.0.0.1', port: 0})
    const sess = await (await served.link(await user('visi'))).greet()
    expect(await (await served.link(await user('visi'))).call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    expect(errorOf(await (await served.link(await user('other'))).call(sess, 'add', [1]))).toBe('NoSuchObj')
    using plain = await RawLink.open(port)
    expect(errorOf(await plain.call(sess, 'add', [1]))).toBe('NoSuchObj')
  })

  test('knows the certificate again on a resumed connection', async () => {
    await using served = await Tls.start()
    const socket = connect({host: '127.0.0.1', port: served.listener.port, ...(await user('visi'))})
    using first = new RawLink(socket)
    const given = once(socket, 'session')
    const sess = await first.greet()
    const [ticket] = (await given) as [Buffer]
    const resumed = await secure(served.listener.port, {...(await user('visi')), session: ticket})
    expect(resumed.isSessionReused()).toBe(true)
    using second = new RawLink(resumed)
    expect(await second.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
  })

  test('cuts those whose certificate is to be used no more, their calls and further links with them', async () => {
    const left = Promise.withResolvers<void>()
    const share = new TestShare('Any', {
      wait: async ({signal}) => {
        await aborted(signal)
        left.resolve()
        return value(null)
      },
      hi: () => value('hi'),
    })
    await using served = await Tls.start({share})
    const [control, link, other] = [
      await served.link(await user('visi')),
      await served.link(await user('visi')),
      await served.link(await user('other')),
    ]
    const [sess, others] = [await control.greet(), await other.greet()]
    link.send(callMessage(sess, 'wait'))
    await control.call(sess, 'hi')
    served.daemon.closePeers(({certificate}) => certificate?.name === 'visi')
    await Promise.all([control.ended(), link.ended(), left.promise])
    expect(await other.call(others, 'hi')).toEqual({retn: [true, 'hi']})
  })

  test('refuses a client without one, and one that its owner refuses, and says why', async () => {
    let isRefused = false
    const certificate: ListenTls['certificate'] = (socket) => {
      if (isRefused) throw new RegistryError('REG_CERT_INVALID', 'the certificate of visi is revoked')
      return clientCertificate(socket, Date.now(), nobodyRevoked)
    }
    await using served = await Tls.start({tls: {certificate}})
    const {ca, servername} = await user('visi')
    const none = await served.link({...(ca === undefined ? {} : {ca}), servername: servername ?? ''})
    expect(await none.ended()).toEqual([])
    isRefused = true
    const revoked = await served.link(await user('visi'))
    expect(await revoked.ended()).toEqual([])
    const reasons = served.lines.filter((line) => line.includes('telepath.tls.refused'))
    expect(reasons).toEqual([
      expect.stringMatching(/address=127\.0\.0\.1 .*no certificate was given/),
      expect.stringMatching(/address=127\.0\.0\.1 .*the certificate of visi is revoked/),
    ])
    expect(served.daemon.linkCount).toBe(0)
  })
})

describe('a TLS listener', () => {
  test('cuts clients that do not finish the handshake, and counts them as links', async () => {
    // What follows the handshake has all the time; that of the handshake is kept by Node.
    stopClock()
    await using served = await Tls.start({limits: {handshakeMs: 2000, links: 2}})
    const silent = await RawLink.open(served.listener.port)
    const half = await RawLink.open(served.listener.port)
    half.write(Buffer.of(22, 3, 1))
    const beyond = await RawLink.open(served.listener.port)
    await beyond.ended()
    expect(served.lines.join('\n')).toContain('limit=links')
    await Promise.all([silent.ended(), half.ended()])
    const link = await served.link(await user('visi'))
    await link.greet()
  })

  test('counts the handshake into the time before the login', async () => {
    await using served = await Tls.start({limits: {handshakeMs: 1000}})
    const link = await served.link(await user('visi'))
    expect(await link.ended()).toEqual([])
    expect(served.lines.join('\n')).toContain('limit=handshakeMs')
  })

  test('closes what speaks another protocol', async () => {
    await using served = await Tls.start()
    using plain = await RawLink.open(served.listener.port)
    plain.write(Buffer.from(encode(['tele:syn', {vers: [3, 0]}])))
    // At most the alert of TLS comes, which is no message.
    await once(plain.socket, 'close')
    expect(served.lines.join('\n')).toContain('telepath.tls.refused')
  })

  test('knows where a connection came from that is refused after its client has gone', async () => {
    await using served = await Tls.start()
    const {ca, servername} = await user('visi')
    const socket = connect({
      port: served.listener.port,
      ...(ca === undefined ? {} : {ca}),
      servername: servername ?? '',
    })
    socket.on('error', () => {})
    socket.once('secureConnect', () => socket.destroy())
    await expect.poll(() => served.lines.join('\n')).toMatch(/telepath\.tls\.refused address=127\.0\.0\.1 /)
  })

  test('takes new keys for connections to come, and keeps those that are open', async () => {
    await using served = await Tls.start()
    const before = await secure(served.listener.port, await user('visi'))
    const link = new RawLink(before)
    const sess = await link.greet()
    await certs.issue('host', HOST, {...now, replace: true})
    served.listener.setSecureContext(
      (await ServerTls.open(() => hostKeys(certs.dir, HOST, NETWORK), 'required')).options,
    )
    const after = await secure(served.listener.port, await user('visi'))
    expect(after.getPeerX509Certificate()?.serialNumber).not.toBe(before.getPeerX509Certificate()?.serialNumber)
    expect(await link.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    after.destroy()
    link[Symbol.dispose]()
  })

  test('ends idle links and unfinished handshakes at once when the daemon stops', async () => {
    await using served = await Tls.start()
    const [one, two] = [await served.link(await user('visi')), await served.link(await user('visi'))]
    await one.greet()
    const half = connectTcp(served.listener.port, '127.0.0.1')
    await once(half, 'connect')
    const closed = once(half, 'close')
    // Had it to wait for one of them, it would take all of this time, which is longer than a test may.
    await served.daemon.stop({graceMs: 600_000})
    expect(await one.ended()).toEqual([])
    expect(await two.ended()).toEqual([])
    await closed
  })

  test('sends what it answered before it ends a link', async () => {
    await using served = await Tls.start()
    const link = await served.link(await user('visi'))
    const sess = await link.greet()
    link.write(
      Buffer.concat([Buffer.from(encode(callMessage(sess, 'echo', [Buffer.alloc(500_000)]))), Buffer.of(0xc1)]),
    )
    expect(bodyOf(await link.next())).toMatchObject({retn: [true, {length: 500_000}]})
    await link.ended()
  })
})
