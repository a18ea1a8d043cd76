import {describe, expect, onTestFinished, test} from 'vitest'
import {ticketSecrets} from '../../src/server/ticket-secrets.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {NETWORK, TestProvision} from '../support/provision.ts'
import {refusal} from '../support/users.ts'

const BAD = {code: 'REG_BAD_REQUEST', telepath: 'BadArg'}

async function fresh(options?: Parameters<typeof TestProvision.open>[0]): Promise<TestProvision> {
  const made = await TestProvision.open(options)
  onTestFinished(() => made.book[Symbol.dispose]())
  return made
}

/** What a service is told that was provisioned so. */
async function info(aha: TestProvision, name: string, provinfo: Value = null): Promise<Record<string, unknown>> {
  const session = await aha.session(await aha.service(name, provinfo))
  const {iden, ...rest} = (await session.call('getProvInfo')) as Record<string, unknown>
  expect(iden).toMatch(/^[0-9a-f]{32}$/)
  return rest
}

function rulesOf(aha: TestProvision, user: string): readonly string[] {
  return aha.book.book.userByName(user)?.rules.map(([, path]) => path.join(' ')) ?? []
}

describe('a service that is provisioned', () => {
  test('is told what the peer would tell it', async () => {
    expect(await info(await fresh(), '00.axon', {conf: {}, mirror: null})).toEqual({
      conf: {
        'aha:user': 'root',
        'aha:network': NETWORK,
        'aha:name': '00.axon',
        'dmon:listen': `ssl://0.0.0.0:0?hostname=00.axon.${NETWORK}&ca=${NETWORK}`,
        'aha:leader': 'axon',
        'aha:registry': [`ssl://aha.${NETWORK}:27492?certname=root@${NETWORK}`],
      },
      mirror: null,
    })
  })

  test('gets values of its own, ports, and the leader to follow', async () => {
    const given = {
      conf: {'limit:disk:free': 3, 'aha:user': 'axsvc', 'aha:network': 'other.net', mirror: 'aha://x'},
      mirror: 'cortex',
      'dmon:port': 31_250,
      'https:port': 31_251,
    }
    expect(await info(await fresh({admin: 'visi@demo.net'}), '01.cortex', given)).toEqual({
      conf: {
        'limit:disk:free': 3,
        'aha:admin': 'visi@demo.net',
        'aha:user': 'axsvc',
        'aha:network': NETWORK,
        'aha:name': '01.cortex',
        'dmon:listen': `ssl://0.0.0.0:31250?hostname=01.cortex.${NETWORK}&ca=${NETWORK}`,
        'https:port': 31_251,
        'aha:leader': 'cortex',
        'aha:registry': [`ssl://aha.${NETWORK}:27492?certname=axsvc@${NETWORK}`],
        mirror: 'aha://axsvc@cortex...',
      },
      mirror: 'cortex',
      'dmon:port': 31_250,
      'https:port': 31_251,
    })
  })

  test('has no alias when its name has none, nor when it is to have none', async () => {
    const aha = await fresh()
    expect((await info(aha, 'axon'))['conf']).not.toHaveProperty('aha:leader')
    expect((await info(aha, '00.axon', {conf: {'aha:leader': null}}))['conf']).toMatchObject({'aha:leader': null})
    await info(aha, '05.axon', {conf: {'aha:user': 'five', 'aha:leader': null}})
    expect(rulesOf(aha, 'five')).toContain(`aha service add ${NETWORK} 05.axon`)
    expect(rulesOf(aha, 'five')).not.toContain(`aha service add ${NETWORK} axon`)
  })

  test('gets a user who may look up, and register under its name and alias', async () => {
    const aha = await fresh()
    await aha.service('00.axon', {conf: {'aha:user': 'axsvc'}})
    const rules = [`aha service add ${NETWORK} axon`, `aha service add ${NETWORK} 00.axon`]
    expect(rulesOf(aha, 'axsvc')).toEqual([...rules, `aha service get ${NETWORK}`])
    await aha.service('01.axon', {conf: {'aha:user': 'axsvc'}})
    expect(rulesOf(aha, 'axsvc')).toEqual([
      `aha service add ${NETWORK} 01.axon`,
      ...rules,
      `aha service get ${NETWORK}`,
    ])
    await aha.service('02.axon')
    expect(rulesOf(aha, 'root')).toEqual([]) // an admin needs none
  })

  test('gets one user, when two that are to be the same come together', async () => {
    const aha = await fresh()
    const provinfo = {conf: {'aha:user': 'axsvc'}}
    await Promise.all([aha.service('00.axon', provinfo), aha.service('01.axon', provinfo)])
    expect(rulesOf(aha, 'axsvc')).toHaveLength(4)
  })

  test.each<[name: string, provinfo: Value, text: string]>([
    ['', null, 'Empty name values are not allowed for provisioning.'],
    [
      'x'.repeat(72),
      null,
      `Hostname value must not exceed 64 characters in length. hostname='${'x'.repeat(72)}.demo.net', len=81`,
    ],
    ['a/../b', null, 'cannot be the name of a service'],
    ['a b', null, 'cannot be the name of a service'],
    ['a', {conf: {'aha:name': '../x'}}, 'cannot be the name of a service'],
    ['a', {conf: {'aha:name': 'x'.repeat(60)}}, 'Hostname value must not exceed'],
    ['a', {conf: {'aha:user': 'a@b'}}, 'cannot be the name of a user'],
    ['a', {conf: {'aha:user': 7}}, 'aha:user must be a text'],
    ['a', {conf: {'aha:leader': 'x y'}}, 'cannot be the name of a service'],
    ['a', {mirror: 'x?y'}, 'cannot be the name of a service'],
    ['a', {'dmon:port': 70_000}, 'dmon:port must be a port'],
    ['a', {'https:port': 'x'}, 'https:port must be a port'],
    ['a', [], 'provinfo must be an object'],
    ['a', {conf: 'x'}, 'conf must be an object'],
    ['a', {conf: {x: Buffer.from('y')}}, 'must hold what YAML can hold'],
    ['a', {conf: {x: 10n ** 20n}}, 'must hold what YAML can hold'],
    ['a', {conf: {x: 'y'.repeat(70_000)}}, 'must not take more'],
    ['a', {conf: {x: nested(40)}}, 'deeper than'],
  ])('cannot be %o with %o: %s', async (name, provinfo, text) => {
    const aha = await fresh()
    const error = await refusal(aha.provisioning.addService(name, provinfo, 'unix/root'))
    expect(error).toMatchObject(BAD)
    expect(error.message).toContain(text)
    expect(aha.ledger.pending.size).toBe(0)
  })

  test('is not root where that is forbidden', async () => {
    const aha = await fresh({allowsRoot: false})
    await expect(aha.service('00.axon')).rejects.toMatchObject({code: 'REG_DENIED'})
    const {iden} = await aha.book.book.addUser({name: 'boss'}, 'test')
    await aha.book.book.setUserAdmin(iden, true, undefined, 'test')
    await expect(aha.service('00.axon', {conf: {'aha:user': 'boss'}})).rejects.toMatchObject({code: 'REG_DENIED'})
    await aha.service('00.axon', {conf: {'aha:user': 'axsvc'}})
  })
})

test.each([
  ['aha', null],
  ['AHA', null],
  ['x', {conf: {'aha:name': 'aha'}}],
])('no service gets the certificate of the AHA itself: %s, %j', async (name, provinfo) => {
  const aha = await fresh({dnsName: `aha.${NETWORK}`})
  await expect(aha.service(name, provinfo)).rejects.toMatchObject({
    ...{code: 'REG_CONFLICT', telepath: 'BadArg', message: expect.stringContaining('is the name of this AHA itself')},
  })
  expect(aha.ledger.pending.size).toBe(0)
  await aha.service('00.aha')
})

describe('a user who is enrolled', () => {
  test('may look up services, and is no admin', async () => {
    const aha = await fresh()
    await aha.user('visi')
    expect(aha.book.book.userByName(`visi@${NETWORK}`)).toMatchObject({isAdmin: false})
    expect(rulesOf(aha, `visi@${NETWORK}`)).toEqual([`aha service get ${NETWORK}`])
  })

  test('is enrolled again only when that is wanted', async () => {
    const aha = await fresh()
    await aha.user('visi')
    const message = 'User name (visi) already exists.  Need --again?'
    await expect(aha.user('visi')).rejects.toMatchObject({telepath: 'DupUserName', message})
    await aha.user('visi', true)
    expect(rulesOf(aha, `visi@${NETWORK}`)).toHaveLength(1)
  })

  // The certificate of visi@demo.net is that of the user visi where there is one.
  test.each(['root', 'axsvc'])('is %s, who is there already, only when that is wanted', async (name) => {
    const aha = await fresh()
    await aha.service('00.axon', {conf: {'aha:user': 'axsvc'}})
    await expect(aha.user(name)).rejects.toMatchObject({telepath: 'DupUserName'})
    await aha.user(name, true)
    expect(aha.book.book.userByName(`${name}@${NETWORK}`)).toBeUndefined()
  })

  test.each([
    ['', 'Empty name values are not allowed for provisioning.'],
    [
      'x'.repeat(60),
      `Username value must not exceed 64 characters in length. username=${'x'.repeat(60)}@demo.net, len=69`,
    ],
    ['a@b', 'cannot be the name of a user'],
  ])('cannot be %j', async (name, text) => {
    const error = await refusal((await fresh()).provisioning.addUser(name, null, false, 'unix/root'))
    expect(error).toMatchObject(BAD)
    expect(error.message).toContain(text)
  })
})

describe('one-time URLs', () => {
  test('need a listener', async () => {
    const aha = await fresh({hasListener: false})
    const none = {telepath: 'NeedConfValu', message: 'The AHA server is not configured for provisioning.'}
    await expect(aha.service()).rejects.toMatchObject(none)
    await expect(aha.user()).rejects.toMatchObject(none)
    expect(aha.book.book.userByName(`visi@${NETWORK}`)).toBeUndefined()
  })

  test('need an address where the AHA is: nobody is provisioned who would not find it again', async () => {
    const aha = await fresh({hasUrls: false})
    const none = {telepath: 'NeedConfValu', message: expect.stringContaining('dmon:listen is no ssl:// URL')}
    await expect(aha.service()).rejects.toMatchObject(none)
    await expect(aha.user()).rejects.toMatchObject(none)
    expect(aha.ledger.pending.size).toBe(0)
  })

  test('live as long as they are to, or for ever', async () => {
    const aha = await fresh({expiresMs: 60_000})
    const iden = await aha.service()
    aha.book.clock.nowMs += 59_999
    ;(await aha.session(iden)).close()
    aha.book.clock.nowMs += 1
    await expect(aha.session(iden)).rejects.toMatchObject({telepath: 'NoSuchName'})
    const eternal = await fresh({expiresMs: undefined})
    const other = await eternal.service()
    eternal.book.clock.nowMs *= 2
    await eternal.session(other)
  })

  test('live as long as the call says, which is told to nobody', async () => {
    const aha = await fresh({expiresMs: 60_000})
    const short = await aha.service('00.axon', {expires: 1000})
    const eternal = await aha.service('01.axon', {conf: {}, expires: 'never'})
    const user = await aha.user('visi', false, {expires: 2000, other: 1})
    const plain = await aha.user('bob', false, {})
    const start = aha.book.clock.nowMs
    const livesMs = [short, eternal, user, plain].map(
      (iden) => (aha.ledger.pending.get(ticketSecrets.hash(iden))?.expiresMs ?? 0) - start,
    )
    expect(livesMs).toEqual([1000, -start, 2000, 60_000])
    expect(await (await aha.session(eternal)).call('getProvInfo')).not.toHaveProperty('expires')
  })

  test.each<Value>([999, 3650 * 86_400_000 + 1, '1h', [], {}])('cannot live for %j', async (expires) => {
    const aha = await fresh()
    const bad = {...BAD, message: expect.stringContaining('expires must be from 1000 to')}
    await expect(aha.service('00.axon', {expires})).rejects.toMatchObject(bad)
    await expect(aha.user('visi', false, {expires})).rejects.toMatchObject(bad)
    expect(aha.book.book.userByName(`visi@${NETWORK}`)).toBeUndefined()
  })

  test('are gone when they are taken back, of their own kind only', async () => {
    const aha = await fresh()
    const [one, two, user] = [await aha.service('00.axon'), await aha.service('01.axon'), await aha.user()]
    await aha.provisioning.remove('user', one, 'unix/root')
    await aha.provisioning.remove('service', 'newp', 'unix/root')
    expect(aha.ledger.pending.size).toBe(3)
    await aha.provisioning.remove('service', one, 'unix/root')
    await expect(aha.session(one)).rejects.toMatchObject({telepath: 'NoSuchName'})
    await aha.provisioning.clear('service', 'unix/root')
    await expect(aha.session(two)).rejects.toMatchObject({telepath: 'NoSuchName'})
    await aha.session(user)
    const later = await aha.again()
    expect([...later.ledger.pending.keys()]).toEqual([ticketSecrets.hash(user)])
    await later.provisioning.clear('user', 'unix/root')
    expect((await later.again()).ledger.pending.size).toBe(0)
  })

  test('are on disk before they are given out, and not given out when the disk fails', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    expect((await aha.book.store.allRecords()).map(({key}) => key)).toContain(ticketSecrets.hash(iden))
    aha.book.store.isBroken = true
    await expect(aha.service('01.axon')).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    expect([...aha.ledger.pending.keys()]).toEqual([ticketSecrets.hash(iden)])
  })
})

function nested(levels: number): Value {
  return levels === 0 ? 1 : [nested(levels - 1)]
}
