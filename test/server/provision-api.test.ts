import {X509Certificate} from 'node:crypto'
import {describe, expect, onTestFinished, test} from 'vitest'
import {FETCH_AGAIN_MS} from '../../src/registry/ticket.ts'
import {ticketSecrets} from '../../src/server/ticket-secrets.ts'
import {idenIn, NETWORK, newKey, type ProvisionSession, TestProvision} from '../support/provision.ts'

const HOST = `00.axon.${NETWORK}`
const ROOT = `root@${NETWORK}`
const NO_SUCH = {code: 'REG_NOT_FOUND', telepath: 'NoSuchName'}

async function fresh(options?: Parameters<typeof TestProvision.open>[0]): Promise<TestProvision> {
  const made = await TestProvision.open(options)
  onTestFinished(() => made.book[Symbol.dispose]())
  return made
}

/** Redeems a ticket for a service as the peers do, and gives what it got. */
async function redeem(session: ProvisionSession, keys?: Keys): Promise<{host: string; user: string; keys: Keys}> {
  const [hostKey, userKey] = keys ?? [await newKey(), await newKey()]
  const host = await session.sign('signHostCsr', HOST, hostKey)
  const user = await session.sign('signUserCsr', ROOT, userKey)
  return {host, user, keys: [hostKey, userKey]}
}
type Key = Awaited<ReturnType<typeof newKey>>
type Keys = readonly [host: Key, user: Key]

describe('a service with a one-time URL', () => {
  test('learns what it is to be, and gets the certificates of the network for its own keys', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const session = await aha.session(iden)
    expect(session.opened.share.info.classes).toEqual(['synapse.lib.aha.ProvApi'])
    expect([...session.opened.share.info.methods.keys()]).toEqual([
      'getProvInfo',
      'getCaCert',
      'signHostCsr',
      'signUserCsr',
    ])
    expect(await session.call('getProvInfo')).toMatchObject({iden, conf: {'aha:name': '00.axon'}})
    const ca = new X509Certificate((await session.call('getCaCert')) as Uint8Array)
    expect(ca.fingerprint256).toBe(aha.ca.fingerprint256)
    const {host, user, keys} = await redeem(session)
    const [hostCert, userCert] = [new X509Certificate(host), new X509Certificate(user)]
    expect([hostCert.subject, userCert.subject]).toEqual([`CN=${HOST}`, `CN=${ROOT}`])
    expect(hostCert.subjectAltName).toBe(`DNS:${HOST}`)
    expect(hostCert.verify(ca.publicKey) && userCert.verify(ca.publicKey)).toBe(true)
    expect(hostCert.checkPrivateKey(keys[0]) && userCert.checkPrivateKey(keys[1])).toBe(true)
  })

  test('is told of once, when it has all that it is to have', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const session = await aha.session(iden)
    const key = await newKey()
    await session.sign('signHostCsr', HOST, key)
    expect(aha.letIn).toEqual([])
    await redeem(session, [key, await newKey()])
    expect(aha.letIn).toEqual([HOST])
    session.close()
    await (await aha.session(iden)).sign('signHostCsr', HOST, key) // fetched again
    expect(aha.letIn).toEqual([HOST])
  })

  test('gets certificates for no other name, and for no second key', async () => {
    const aha = await fresh()
    const session = await aha.session(await aha.service())
    const key = await newKey()
    const other = {code: 'REG_BAD_REQUEST', telepath: 'BadArg'}
    for (const [method, name] of [
      ['signHostCsr', `01.axon.${NETWORK}`],
      ['signHostCsr', ROOT],
      ['signUserCsr', HOST],
      ['signUserCsr', `visi@${NETWORK}`],
    ] as const) {
      const kind = method === 'signHostCsr' ? 'host' : 'user'
      const message = `Invalid ${kind} CSR CN=${name}.`
      await expect(session.sign(method, name, key)).rejects.toMatchObject({...other, message})
    }
    const first = await session.sign('signHostCsr', HOST, key)
    await expect(session.sign('signHostCsr', HOST, await newKey())).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(await session.sign('signHostCsr', HOST, key)).toBe(first)
  })

  test('is told what is wrong with a request', async () => {
    const aha = await fresh()
    const session = await aha.session(await aha.service())
    await expect(session.call('signHostCsr', 'text')).rejects.toMatchObject({telepath: 'BadArg'})
    await expect(session.call('signHostCsr', Buffer.alloc(65_537))).rejects.toMatchObject({telepath: 'BadArg'})
    await expect(session.call('signHostCsr', Buffer.from('x'))).rejects.toMatchObject({telepath: 'BadCertBytes'})
    await expect(session.call('signHostCsr')).rejects.toMatchObject({telepath: 'TypeError'})
    await expect(session.call('newp')).rejects.toMatchObject({telepath: 'NoSuchMeth'})
    await redeem(session) // nothing of this has used it
  })
})

describe('a user with a one-time URL', () => {
  test('learns who he is and gets his certificate, with which it is used', async () => {
    const aha = await fresh()
    const iden = await aha.user('visi')
    const session = await aha.session(iden)
    expect(session.opened.share.info.classes).toEqual(['synapse.lib.aha.EnrollApi'])
    expect(await session.call('getUserInfo')).toEqual({
      'aha:urls': [`ssl://aha.${NETWORK}:27492?certname=visi@${NETWORK}`],
      'aha:user': 'visi',
      'aha:network': NETWORK,
    })
    await expect(session.call('signHostCsr', Buffer.from(''))).rejects.toMatchObject({telepath: 'NoSuchMeth'})
    const pem = await session.sign('signUserCsr', `visi@${NETWORK}`, await newKey())
    expect(new X509Certificate(pem).subject).toBe(`CN=visi@${NETWORK}`)
    session.close()
    const late = await aha.session(iden)
    await expect(late.call('getUserInfo')).rejects.toMatchObject(NO_SUCH)
  })
})

describe('a one-time URL for something else', () => {
  test('says what it is for, and stays good for that', async () => {
    const aha = await fresh()
    const [service, user] = [await aha.service(), await aha.user()]
    const enrolling = await aha.session(service)
    await expect(enrolling.call('getUserInfo')).rejects.toMatchObject({
      telepath: 'NoSuchMeth',
      message: 'This one-time URL is for the service 00.axon, not for a user: give it to the service as aha:provision.',
    })
    enrolling.close()
    await redeem(await aha.session(service))
    await expect((await aha.session(user)).call('getProvInfo')).rejects.toMatchObject({
      telepath: 'NoSuchMeth',
      message: 'This one-time URL is for the user visi, not for a service: enroll with it.',
    })
  })
})

describe('a claim', () => {
  test('keeps others out until its session is over', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const first = await aha.session(iden)
    const message = `Invalid provisioning identifier name=${iden}. This could be caused by the re-use of a provisioning URL.`
    await expect(aha.session(iden)).rejects.toMatchObject({...NO_SUCH, message, info: {name: iden}})
    await first.sign('signHostCsr', HOST, await newKey())
    first.close()
    await redeem(await aha.session(iden))
  })

  test('that is over signs nothing any more, not even what was being signed', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const first = await aha.session(iden)
    aha.onSign = () => first.close()
    const under = first.sign('signHostCsr', HOST, await newKey())
    await expect(under).rejects.toMatchObject(NO_SUCH)
    aha.onSign = () => {}
    const second = await aha.session(iden)
    await expect(first.sign('signHostCsr', HOST, await newKey())).rejects.toMatchObject(NO_SUCH)
    await expect(first.call('getProvInfo')).rejects.toMatchObject(NO_SUCH)
    first.close()
    await expect(aha.session(iden)).rejects.toMatchObject(NO_SUCH) // the second one still has it
    await redeem(second)
  })

  test('ends when the ticket is taken back or expires', async () => {
    const aha = await fresh({expiresMs: 1000})
    const [one, two] = [await aha.service(), await aha.service('01.axon')]
    const [first, second] = [await aha.session(one), await aha.session(two)]
    await aha.provisioning.remove('service', one, 'unix/root')
    await expect(first.sign('signHostCsr', HOST, await newKey())).rejects.toMatchObject(NO_SUCH)
    aha.book.clock.nowMs += 1000
    await expect(second.sign('signHostCsr', `01.axon.${NETWORK}`, await newKey())).rejects.toMatchObject(NO_SUCH)
    await expect(aha.session(two)).rejects.toMatchObject(NO_SUCH)
  })

  test('is forgotten at a restart, the ticket is not', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const first = await aha.session(iden)
    await first.sign('signHostCsr', HOST, await newKey())
    await redeem(await (await aha.again()).session(iden))
  })
})

describe('a used ticket', () => {
  test('gives the same certificates for the same keys, for ten minutes, also after a restart', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const got = await redeem(await aha.session(iden))
    const later = await aha.again()
    later.book.clock.nowMs = aha.book.clock.nowMs + FETCH_AGAIN_MS - 1
    const session = await later.session(iden)
    await expect(session.call('getProvInfo')).rejects.toMatchObject(NO_SUCH) // not before a key was shown
    expect(await redeem(session, got.keys)).toEqual(got)
    expect(await session.call('getProvInfo')).toMatchObject({iden})
    later.book.clock.nowMs += 1
    await expect(later.session(iden)).rejects.toMatchObject(NO_SUCH)
    await expect(session.sign('signHostCsr', HOST, got.keys[0])).rejects.toMatchObject(NO_SUCH)
  })

  test('does not tell what it was for to tools that come for something else', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    await redeem(await aha.session(iden))
    await expect((await aha.session(iden)).call('getUserInfo')).rejects.toMatchObject(NO_SUCH)
  })

  test('gives nothing for other keys', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const {keys} = await redeem(await aha.session(iden))
    const session = await aha.session(iden)
    await expect(session.sign('signHostCsr', HOST, await newKey())).rejects.toMatchObject(NO_SUCH)
    await expect(session.sign('signHostCsr', HOST, keys[1])).rejects.toMatchObject(NO_SUCH)
    await expect(session.call('getProvInfo')).rejects.toMatchObject(NO_SUCH)
  })

  test('is used once, however many try at the same time', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const outcomes = await Promise.allSettled(
      Array.from({length: 100}, async () => {
        const session = await aha.session(iden)
        return await redeem(session).finally(() => session.close())
      }),
    )
    expect(outcomes.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    const uses = (await aha.book.store.allEntries()).filter(({change}) => change.includes('"kind":"ticket:use"'))
    expect(uses).toHaveLength(1)
  })
})

describe('what is signed', () => {
  test('is on disk before it leaves, and the use with the last of it', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const session = await aha.session(iden)
    const key = await newKey()
    await session.sign('signHostCsr', HOST, key)
    const release = aha.book.store.hold()
    let hasLeft = false
    const last = session.sign('signUserCsr', ROOT, await newKey()).then(() => {
      hasLeft = true
    })
    // The change is under way when the ticket counts as used.
    while (aha.ledger.pending.get(ticketSecrets.hash(iden))?.used === null) await new Promise(setImmediate)
    const before = decodedTicket(await aha.book.store.allRecords(), iden)
    expect([before.certificates.length, before.used, hasLeft]).toEqual([1, null, false])
    release()
    await last
    const after = decodedTicket(await aha.book.store.allRecords(), iden)
    expect([after.certificates.length, after.used?.from]).toEqual([2, '127.0.0.1'])
  })

  test('does not leave when the disk fails, and the ticket is not used', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const session = await aha.session(iden)
    const key = await newKey()
    await session.sign('signHostCsr', HOST, key)
    aha.book.store.isBroken = true
    await expect(session.sign('signUserCsr', ROOT, key)).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    session.close()
    aha.book.store.isBroken = false
    await redeem(await (await aha.again()).session(iden))
  })

  test('is an entry of the log each: who, what, from where, with its serial', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const idenSha256 = ticketSecrets.hash(iden)
    const {host, user} = await redeem(await aha.session(iden, '192.0.2.7'))
    const entries = (await aha.book.store.allEntries()).slice(-2)
    expect(entries.map(({actor}) => actor)).toEqual(['provision/00.axon', 'provision/00.axon'])
    const changes = entries.map(({change}) => JSON.parse(change) as {certificate: object; use?: object})
    const serials = [host, user].map((pem) => new X509Certificate(pem).serialNumber.toLowerCase())
    expect(changes).toMatchObject([
      {kind: 'ticket:issue', idenSha256, certificate: {name: HOST, from: '192.0.2.7', serial: serials[0]}},
      {kind: 'ticket:use', idenSha256, certificate: {name: ROOT, serial: serials[1]}, use: {from: '192.0.2.7'}},
    ])
    expect(aha.lines.join('\n')).toContain(serials[0])
  })
})

describe('whoever guesses', () => {
  test('is refused after some guesses, even with the right one, and others are not', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    for (let guesses = 0; guesses < 20; guesses += 1) {
      await expect(aha.session(`${guesses}`.padStart(32, '0'), '192.0.2.1')).rejects.toMatchObject(NO_SUCH)
    }
    const busy = {code: 'REG_BUSY', telepath: 'HitLimit'}
    await expect(aha.session('0'.repeat(32), '192.0.2.1')).rejects.toMatchObject(busy)
    await expect(aha.session(iden, '192.0.2.1')).rejects.toMatchObject(busy)
    await aha.session(iden, '192.0.2.2')
  })

  test('does not count who comes with a ticket that is claimed or used', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const session = await aha.session(iden)
    for (let tries = 0; tries < 50; tries += 1) await expect(aha.session(iden)).rejects.toMatchObject(NO_SUCH)
    await redeem(session)
  })

  test('finds nothing behind a path', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const peer = {family: 'tls', address: '127.0.0.1', port: 1} as const
    await expect(async () => aha.greet({name: iden, path: ['x'], auth: undefined, peer}, 's')).rejects.toMatchObject(
      NO_SUCH,
    )
    await aha.session(iden)
  })
})

test('no URL can be found in what is logged', async () => {
  const aha = await fresh()
  const url = await aha.provisioning.addService('00.axon', {conf: {'auth:passwd': 'geheim'}}, 'unix/root')
  const iden = idenIn(url)
  const session = await aha.session(iden)
  await expect(aha.session(iden)).rejects.toMatchObject(NO_SUCH)
  await redeem(session)
  const text = [...aha.lines, ...aha.book.logged].join('\n')
  expect(text).toContain('provision.redeemed')
  expect(text).toContain('claimed')
  expect(text).not.toContain(iden)
  expect(text).not.toContain('geheim')
})

function decodedTicket(records: readonly {table: string; key: string; value: string}[], iden: string) {
  const found = records.find(({table, key}) => table === 'ticket' && key === ticketSecrets.hash(iden))
  return JSON.parse(found?.value ?? 'null') as {certificates: unknown[]; used: {from: string} | null}
}
