import {describe, expect, test} from 'vitest'
import type {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Peer} from '../../src/wire/telepath/share.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

const TLS: Peer = {family: 'tls', address: '10.0.0.7', port: 1}
const URLINFO = {scheme: 'ssl', port: 34243, path: '', hostname: `00.axon.${AHA_NETWORK}`, ca: AHA_NETWORK}
const INFO = {run: 'r0', iden: 'i0', leader: 'axon', urlinfo: URLINFO, ready: true, promotable: true}

class Aha {
  readonly cell: TestCell
  readonly root: TestSession

  constructor(cell: TestCell, root: TestSession) {
    this.cell = cell
    this.root = root
  }

  static async open(): Promise<Aha> {
    const cell = await TestCell.open({network: AHA_NETWORK})
    return new Aha(cell, await cell.session('root'))
  }

  /** Opens a session on TLS as a user, who may do what the rules say. */
  async as(user: string, ...rules: readonly string[][]): Promise<TestSession> {
    const known = this.cell.users.userByName(user)
    const {iden} = known ?? (await this.cell.users.addUser({name: user}, 'test'))
    for (const path of rules) await this.cell.users.addUserRule(iden, [true, path], undefined, undefined, 'test')
    const certificate = {name: user, issuer: AHA_NETWORK, serial: '1', fingerprint: '00'}
    return this.cell.session(undefined, {peer: {...TLS, certificate}})
  }

  /** Registers an axon as the stock service does: under its name and as its leader. */
  async axon(run = 'r0', number = '00'): Promise<TestSession> {
    const session = await this.as(`root`)
    const info = {...INFO, run, urlinfo: {...URLINFO, hostname: `${number}.axon.${AHA_NETWORK}`}}
    await session.call('addAhaSvc', [`${number}.axon`, info], {network: AHA_NETWORK})
    if (number === '00') await session.call('addAhaSvc', ['axon', info], {network: AHA_NETWORK})
    return session
  }
}

async function refusal(asked: Promise<Value>): Promise<[string, string]> {
  const error = await asked.then(
    () => undefined,
    (thrown: RegistryError) => thrown,
  )
  if (error === undefined) throw new Error('it was allowed')
  return [error.telepath, error.message]
}

describe('a service', () => {
  test('is one and the same in lists until something of it changes', async () => {
    const aha = await Aha.open()
    const session = await aha.axon()
    const listed = async () => ((await aha.root.call('getAhaSvcs')) as {svcinfo: {ready: boolean}}[])[0]
    const before = await listed()
    expect(await listed()).toBe(before)
    await session.call('modAhaSvcInfo', ['00.axon...', {ready: false}])
    expect([before?.svcinfo.ready, (await listed())?.svcinfo.ready]).toEqual([true, false])
  })

  test('looks as the recorded one to who asks, with his name as the user', async () => {
    const aha = await Aha.open()
    await aha.axon()
    const visi = await aha.as(`visi@${AHA_NETWORK}`, ['aha', 'service', 'get', AHA_NETWORK])
    const svcinfo = {
      ...INFO,
      urlinfo: {...URLINFO, host: '10.0.0.7', user: 'visi'},
      online: expect.stringMatching(/^[0-9a-f]{32}$/),
    }
    expect(await visi.call('getAhaSvc', ['axon...'], {filters: {mirror: false}})).toStrictEqual({
      name: `axon.${AHA_NETWORK}`,
      svcname: 'axon',
      svcnetw: AHA_NETWORK,
      svcinfo,
    })
    const listed = (await visi.call('getAhaSvcs', [AHA_NETWORK])) as {svcname: string; svcinfo: {urlinfo: object}}[]
    expect(listed.map(({svcname}) => svcname)).toEqual(['00.axon', 'axon'])
    expect(listed[0]?.svcinfo.urlinfo).not.toHaveProperty('user')
  })

  test('goes offline with its session and comes back with the next', async () => {
    const aha = await Aha.open()
    const session = await aha.axon()
    session.close()
    for (const name of ['axon...', '00.axon...']) {
      const gone = (await aha.root.call('getAhaSvc', [name])) as {svcinfo: object}
      expect(gone.svcinfo).not.toHaveProperty('online')
      expect(gone.svcinfo).toMatchObject({ready: false})
    }
    await aha.axon('r1')
    expect(await aha.root.call('getAhaSvc', ['axon...'])).toMatchObject({
      svcinfo: {run: 'r1', ready: true, online: expect.any(String)},
    })
  })

  test('says whether it is ready; its alias does not hear of it', async () => {
    const aha = await Aha.open()
    const full = `00.axon.${AHA_NETWORK}`
    expect(await aha.root.call('modAhaSvcInfo', [full, {ready: false}])).toBe(false)
    await aha.axon()
    expect(await aha.root.call('modAhaSvcInfo', [full, {ready: false}])).toBe(true)
    expect(await aha.root.call('getAhaSvc', [full])).toMatchObject({svcinfo: {ready: false}})
    expect(await aha.root.call('getAhaSvc', ['axon...'])).toMatchObject({svcinfo: {ready: true}})
    expect(await aha.root.call('modAhaSvcInfo', [full, {}])).toBe(true)
  })

  test('can be removed, also when it is not there', async () => {
    const aha = await Aha.open()
    await aha.axon()
    expect(await aha.root.call('delAhaSvc', ['axon', AHA_NETWORK])).toBeNull()
    expect(await aha.root.call('getAhaSvc', ['axon...'])).toBeNull()
    expect(await aha.root.call('delAhaSvc', ['00.axon...'])).toBeNull()
    expect(await aha.root.call('getAhaSvcs')).toEqual([])
    expect(await aha.root.call('delAhaSvc', ['newp.net'])).toBeNull()
  })

  test('has mirrors, and one of them is what a client may ask for', async () => {
    const aha = await Aha.open()
    await aha.axon()
    const asked = {filters: {mirror: true}}
    expect(await aha.root.call('getAhaSvc', ['axon...'], asked)).toMatchObject({svcname: 'axon'})
    await aha.axon('r1', '01')
    expect(await aha.root.call('getAhaSvc', ['axon...'], asked)).toMatchObject({
      svcname: '01.axon',
      svcinfo: {urlinfo: {user: 'root'}},
    })
    expect(await aha.root.call('getAhaSvcMirrors', ['axon...'])).toMatchObject([{svcname: '01.axon'}])
    expect(await aha.root.call('getAhaSvcMirrors', ['newp...'])).toBeNull()
    const named = async (...args: readonly Value[]) =>
      ((await aha.root.call('getAhaSvcsByIden', args)) as {svcname: string}[]).map(({svcname}) => svcname)
    expect(await named('i0')).toEqual(['00.axon', '01.axon'])
    expect(await named('i0', true, 'r0')).toEqual(['01.axon'])
    expect(await named('newp')).toEqual([])
  })
})

describe('who may', () => {
  const refused = (perm: string) => ['AuthDeny', `User must have permission ${perm}`]

  test('register is who is allowed the name', async () => {
    const aha = await Aha.open()
    const axsvc = await aha.as('axsvc', ['aha', 'service', 'add', AHA_NETWORK, '00.axon'])
    const add = (name: string, network: string | null = AHA_NETWORK) => axsvc.call('addAhaSvc', [name, INFO, network])
    expect(await add('00.axon')).toBeNull()
    expect(await refusal(add('axon'))).toEqual(refused(`aha.service.add.${AHA_NETWORK}.axon`))
    expect(await refusal(add('01.axon'))).toEqual(refused(`aha.service.add.${AHA_NETWORK}.01.axon`))
    const mod = (name: string) => axsvc.call('modAhaSvcInfo', [`${name}...`, {ready: true}])
    expect(await mod('00.axon')).toBe(true)
    await aha.axon()
    expect(await refusal(mod('axon'))).toEqual(refused(`aha.service.add.${AHA_NETWORK}.axon`))
    expect(await mod('newp')).toBe(false)
  })

  test('take a name of this network by cutting it in another place is nobody', async () => {
    const aha = await Aha.open()
    const foreign = await aha.as('foreign', ['aha', 'service', 'add', `axon.${AHA_NETWORK}`])
    const asked = foreign.call('addAhaSvc', ['00', INFO, `axon.${AHA_NETWORK}`])
    expect(await refusal(asked)).toEqual(refused(`aha.service.add.${AHA_NETWORK}.00.axon`))
  })

  test('look up is who is allowed the network; what is not there is told to all', async () => {
    const aha = await Aha.open()
    await aha.axon()
    const visi = await aha.as('visi')
    const perm = `aha.service.get.${AHA_NETWORK}`
    expect(await refusal(visi.call('getAhaSvc', ['axon...']))).toEqual(refused(perm))
    expect(await refusal(visi.call('getAhaSvcMirrors', ['axon...']))).toEqual(refused(perm))
    expect(await refusal(visi.call('getAhaSvcs', [AHA_NETWORK]))).toEqual(refused(perm))
    expect(await visi.call('getAhaSvc', ['newp...'])).toBeNull()
    expect(await visi.call('getAhaSvcsByIden', ['i0'])).toHaveLength(1)
    await aha.as('visi', ['aha', 'service', 'get', AHA_NETWORK])
    expect(await visi.call('getAhaSvc', ['axon...'])).toMatchObject({svcname: 'axon'})
    expect(await refusal(visi.call('getAhaSvcs'))).toEqual(refused('aha.service.get'))
  })

  test('remove is who is allowed that', async () => {
    const aha = await Aha.open()
    await aha.axon()
    const visi = await aha.as('visi', ['aha', 'service', 'get'], ['aha', 'service', 'add'])
    const wanted = refused(`aha.service.del.${AHA_NETWORK}.axon`)
    expect(await refusal(visi.call('delAhaSvc', ['axon...']))).toEqual(wanted)
    expect(await refusal(visi.call('delAhaSvc', ['axon', AHA_NETWORK]))).toEqual(wanted)
  })

  test('ask where AHA is, is anybody with a login', async () => {
    const aha = await Aha.open()
    const visi = await aha.as('visi')
    expect(await visi.call('getAhaUrls', ['bob'])).toEqual([
      `ssl://aha.${AHA_NETWORK}:27492?certname=bob@${AHA_NETWORK}`,
    ])
    expect(await visi.call('getAhaUrls')).toEqual([`ssl://aha.${AHA_NETWORK}:27492?certname=root@${AHA_NETWORK}`])
  })
})

describe('what is not understood', () => {
  test.each([
    ['addAhaSvc', ['axon', INFO], 'Name must contain at least one "."'],
    ['addAhaSvc', ['a\u0000b', INFO, AHA_NETWORK], 'control characters'],
    ['addAhaPool', ['a\u0000b...', {}], 'control characters'],
    ['addAhaServer', [{host: 'a\u0000', port: 1}], 'must be the name of a host'],
    ['addAhaSvc', ['axon', {}, AHA_NETWORK], 'info.urlinfo must be a map'],
    ['addAhaSvc', ['axon', INFO, AHA_NETWORK], 'info.urlinfo needs a host'],
    ['modAhaSvcInfo', ['newp', {foo: 1}], 'Editing AHA service info property (foo) is not supported!'],
    ['modAhaSvcInfo', ['newp', {ready: 1}], 'svcinfo.ready must be true or false'],
    ['modAhaSvcInfo', ['newp', null], 'svcinfo must be a map'],
    ['delAhaSvc', ['axon'], 'Name must contain at least one "."'],
    ['getAhaSvc', [7], 'name must be a text'],
    ['getAhaSvcsByIden', ['i0', 'yes'], 'online must be true or false'],
  ] as const)('is refused: %s %j', async (method, args, text) => {
    const {root} = await Aha.open()
    const [name, said] = await refusal(root.call(method, args as readonly Value[]))
    expect(name).toBe('BadArg')
    expect(said).toContain(text)
  })
})

test('a cell that is no AHA has no methods of one, and shows none', async () => {
  const cell = await TestCell.open({}, {aha: undefined})
  const root = await cell.session('root')
  for (const [method, args] of [
    ['addAhaSvc', ['axon', INFO, AHA_NETWORK]],
    ['getAhaSvc', ['axon...']],
    ['getAhaSvcs', []],
    ['getAhaUrls', []],
  ] as const) {
    await expect(root.call(method, args as readonly Value[])).rejects.toMatchObject({
      telepath: 'NoSuchMeth',
      message: `CellApi has no method: ${method}.`,
      hints: ['registry config explain dns:name'],
    })
  }
  const {classes, methods} = root.opened.share.info
  expect(classes).toEqual(['synapse.lib.cell.CellApi', 'synapse.lib.base.Base'])
  expect([...methods.keys()].filter((name) => /Aha|Ca[A-Z]|Csr/.test(name))).toEqual([])
  expect(await root.call('getCellType')).toBe('cell')
  root.close()
})
