// One-time URLs for another member of the cell, at the provisioning listener.
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto'
import {beforeAll, describe, expect, test} from 'vitest'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {openSealed} from '../../src/pki/sealed.ts'
import {FETCH_AGAIN_MS} from '../../src/registry/ticket.ts'
import {CELL_IDEN, NETWORK, type ProvisionSession, TestProvision} from '../support/provision.ts'

const HOST = `01.aha.${NETWORK}`
const NO_SUCH = {telepath: 'NoSuchName'}
let key: KeyObject
beforeAll(async () => {
  key = await newPrivateKey('rsa2048')
})

const MIRROR = `ssl://aha.${NETWORK}:27492?certname=root@${NETWORK}`
const OWN = {mirror: MIRROR, 'dns:name': HOST, 'aha:network': NETWORK}

async function authorityKey(session: ProvisionSession, own = key): Promise<KeyObject> {
  return createPrivateKey(openSealed(own, (await session.call('getCaKey')) as Uint8Array))
}

describe('a new member with a one-time URL', () => {
  test('learns what it is to be, and gets its certificate and the authority with its key', async () => {
    const aha = await TestProvision.open()
    const session = await aha.session(await aha.clone())
    expect(session.opened.share.info.classes).toEqual(['synapse.lib.aha.CloneApi'])
    expect(await session.call('getMemberDef')).toEqual({host: HOST, port: 27_492, cell: CELL_IDEN, conf: OWN})
    await expect(session.call('getCaKey')).rejects.toMatchObject(NO_SUCH)
    const pem = await session.sign('signHostCsr', HOST, key)
    expect(new X509Certificate(pem).checkIssued(aha.ca)).toBe(true)
    expect(aha.ca.checkPrivateKey(await authorityKey(session))).toBe(true)
    const [view] = aha.tickets.list()
    expect(view).toMatchObject({state: 'used', ticket: {kind: 'clone', name: HOST}})
    expect(aha.lines.join()).toContain('clone.authority.given')
  })

  test('listens where it was said', async () => {
    const aha = await TestProvision.open()
    const conf = {'limit:disk:free': 3, 'dns:name': 'else', mirror: null}
    const session = await aha.session(await aha.clone(HOST, {port: 31_201, conf}))
    expect(await session.call('getMemberDef')).toMatchObject({
      port: 31_201,
      conf: {...OWN, 'limit:disk:free': 3, 'dmon:listen': `ssl://0.0.0.0:31201?hostname=${HOST}&ca=${NETWORK}`},
    })
  })

  test('learns where the leader is, by the name that the others know and by that of the network', async () => {
    const aha = await TestProvision.open()
    const direct = 'ssl://192.0.2.10:27492?hostname=aha.loop.test'
    const session = await aha.session(await aha.clone(HOST, {leader: [direct, MIRROR]}))
    expect(await session.call('getMemberDef')).toMatchObject({conf: {mirror: [direct, MIRROR]}})
  })

  test('gets the same again for ten minutes when an answer was lost, and nobody else does', async () => {
    const aha = await TestProvision.open()
    const iden = await aha.clone()
    const first = await aha.session(iden)
    const pem = await first.sign('signHostCsr', HOST, key)
    first.close()
    const again = await aha.session(iden)
    await expect(again.call('getCaKey')).rejects.toMatchObject(NO_SUCH)
    expect(await again.sign('signHostCsr', HOST, key)).toBe(pem)
    expect(aha.ca.checkPrivateKey(await authorityKey(again))).toBe(true)
    const thief = await aha.session(iden)
    await expect(thief.sign('signHostCsr', HOST, await newPrivateKey('rsa2048'))).rejects.toMatchObject(NO_SUCH)
    await expect(thief.call('getCaKey')).rejects.toMatchObject(NO_SUCH)
    await expect(thief.call('getMemberDef')).rejects.toMatchObject(NO_SUCH)
    aha.book.clock.nowMs += FETCH_AGAIN_MS
    await expect(aha.session(iden)).rejects.toMatchObject(NO_SUCH)
  })

  test('must bring a key that the key of the authority can be sealed for; the URL stays good', async () => {
    const aha = await TestProvision.open()
    const session = await aha.session(await aha.clone())
    const weak = session.sign('signHostCsr', HOST, await newPrivateKey('p256'))
    await expect(weak).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    await session.sign('signHostCsr', HOST, key)
  })

  test('is refused without TLS', async () => {
    const aha = await TestProvision.open()
    const iden = await aha.clone()
    await expect(aha.session(iden, '127.0.0.1', 'tcp')).rejects.toMatchObject({code: 'REG_DENIED'})
    await aha.session(iden) // it was not claimed
  })
})

describe('a Synapse AHA with such a URL', () => {
  test('is told why it cannot be a copy, and the URL stays good', async () => {
    const aha = await TestProvision.open()
    const iden = await aha.clone()
    const stock = await aha.session(iden)
    await expect(stock.call('getCloneDef')).rejects.toMatchObject({
      telepath: 'FeatureNotSupported',
      message: expect.stringContaining('not those of a Synapse AHA'),
    })
    stock.close()
    await (await aha.session(iden)).sign('signHostCsr', HOST, key)
  })

  test('that came for something else is told what the URL is for', async () => {
    const aha = await TestProvision.open()
    const session = await aha.session(await aha.clone())
    await expect(session.call('getProvInfo')).rejects.toMatchObject({
      telepath: 'NoSuchMeth',
      message: `This one-time URL is for the clone ${HOST}, not for a service: give it to registry serve as clone.`,
    })
  })
})

describe('the URL for a clone', () => {
  test.each([
    ['', 'Empty name'],
    ['x'.repeat(65), 'must not exceed 64'],
    ['a b', 'cannot be the name of a host'],
  ])('is refused for the host %j', async (host, message) => {
    const aha = await TestProvision.open()
    const refused = {telepath: 'BadArg', message: expect.stringContaining(message)}
    await expect(aha.clone(host)).rejects.toMatchObject(refused)
  })

  test('is refused for this AHA itself, and without a listener for it', async () => {
    const aha = await TestProvision.open({dnsName: HOST})
    await expect(aha.clone()).rejects.toMatchObject({code: 'REG_CONFLICT', telepath: 'BadArg'})
    const deaf = await TestProvision.open({hasListener: false})
    await expect(deaf.clone()).rejects.toMatchObject({telepath: 'NeedConfValu'})
  })

  test('lives as long as was said, and is forgotten when all are', async () => {
    const aha = await TestProvision.open()
    const [brief, lasting] = [await aha.clone(HOST, {expires: 1000}), await aha.clone(HOST, {expires: 'never'})]
    aha.book.clock.nowMs += 1000
    await expect(aha.session(brief)).rejects.toMatchObject(NO_SUCH)
    await expect(aha.clone(HOST, {expires: 'soon'})).rejects.toMatchObject({telepath: 'BadArg'})
    await aha.provisioning.clear('clone', 'unix/root')
    await expect(aha.session(lasting)).rejects.toMatchObject(NO_SUCH)
  })

  test('is there after a restart', async () => {
    const aha = await TestProvision.open()
    const iden = await aha.clone()
    await (await (await aha.again()).session(iden)).sign('signHostCsr', HOST, key)
  })
})
