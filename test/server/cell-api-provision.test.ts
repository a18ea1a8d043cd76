import {describe, expect, test} from 'vitest'
import {TestCell} from '../support/cell.ts'
import {idenIn} from '../support/provision.ts'

const URL_FORM = /^ssl:\/\/aha\.demo\.net:27272\/[0-9a-f]{32}\?certhash=00$/

describe('one-time URLs over Telepath', () => {
  test('are made and taken back with the arguments that the stock tools give', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const service = String(await root.call('addAhaSvcProv', ['00.axon'], {provinfo: {conf: {}, mirror: null}}))
    const user = String(await root.call('addAhaUserEnroll', ['visi'], {userinfo: {}, again: false}))
    expect(service).toMatch(URL_FORM)
    expect(user).toMatch(URL_FORM)
    expect(await root.call('addAhaSvcProv', ['01.axon'])).toMatch(URL_FORM)
    expect(await root.call('delAhaSvcProv', [idenIn(service)])).toBeNull()
    expect(await root.call('delAhaUserEnroll', [idenIn(user)])).toBeNull()
    expect(await root.call('clearAhaSvcProvs')).toBeNull()
    expect(await root.call('clearAhaUserEnrolls')).toBeNull()
    const kinds = (await cell.store.read(0, 100)).map(({change}) => (JSON.parse(change) as {kind: string}).kind)
    expect(kinds.filter((kind) => kind.startsWith('ticket:'))).toEqual([
      'ticket:add',
      'ticket:add',
      'ticket:add',
      'ticket:del',
      'ticket:del',
      'ticket:del',
    ])
  })

  test('have the errors of the peer', async () => {
    const root = await (await TestCell.open()).session('root')
    const empty = {telepath: 'BadArg', message: 'Empty name values are not allowed for provisioning.'}
    await expect(root.call('addAhaSvcProv', [''])).rejects.toMatchObject(empty)
    await expect(root.call('addAhaSvcProv', [null])).rejects.toMatchObject(empty)
    await expect(root.call('addAhaUserEnroll', [''])).rejects.toMatchObject(empty)
    await root.call('addAhaUserEnroll', ['visi'])
    await expect(root.call('addAhaUserEnroll', ['visi'])).rejects.toMatchObject({telepath: 'DupUserName'})
    expect(await root.call('addAhaUserEnroll', ['visi'], {again: true})).toMatch(URL_FORM)
  })

  test('are listed without what one could use, the oldest first', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const service = idenIn(String(await root.call('addAhaSvcProv', ['00.axon', {expires: 3_600_000}])))
    const createdMs = cell.parts.clock.wallMs()
    const user = idenIn(String(await root.call('addAhaUserEnroll', ['visi'])))
    const common = {
      created: createdMs,
      creator: 'unix/root',
      state: 'pending',
      claimed: null,
      used: null,
      certs: [],
    }
    const listed = await root.call('getProvisions')
    expect(listed).toEqual([
      {
        ...common,
        id: service.slice(0, 8),
        kind: 'service',
        name: '00.axon',
        user: 'root@demo.net',
        expires: createdMs + 3_600_000,
      },
      {...common, id: user.slice(0, 8), kind: 'user', name: 'visi', user: 'visi@demo.net', expires: null},
    ])
    expect(JSON.stringify(listed)).not.toContain(service)
    expect(await root.call('getProvisions', [user.slice(0, 8)])).toMatchObject([{name: 'visi'}])
    expect(await root.call('getProvisions', ['newp'])).toEqual([])
  })

  test('for another member are made as the stock tool asks for them, listed, and forgotten', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const url = String(await root.call('addAhaClone', ['01.aha.demo.net'], {port: 27_492}))
    expect(url).toMatch(URL_FORM)
    const own = await root.call('addAhaClone', ['02.aha.demo.net'], {conf: {'max:users': 3}, expires: 60_000})
    expect(own).toMatch(URL_FORM)
    const createdMs = cell.parts.clock.wallMs()
    expect(await root.call('getProvisions')).toMatchObject([
      {id: idenIn(url).slice(0, 8), kind: 'clone', name: '01.aha.demo.net', user: null, expires: null},
      {kind: 'clone', name: '02.aha.demo.net', expires: createdMs + 60_000},
    ])
    await expect(root.call('addAhaClone', [''])).rejects.toMatchObject({telepath: 'BadArg'})
    await expect(root.call('addAhaClone', ['a.b'], {port: 65_536})).rejects.toMatchObject({telepath: 'BadArg'})
    await expect(root.call('addAhaClone', ['a.b'], {conf: 'x'})).rejects.toMatchObject({telepath: 'BadArg'})
    expect(await root.call('clearAhaClones')).toBeNull()
    expect(await root.call('getProvisions')).toEqual([])
  })

  test('are revoked by the id of the list', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const iden = idenIn(String(await root.call('addAhaSvcProv', ['00.axon'])))
    expect(await root.call('delProvision', [iden.slice(0, 8)])).toMatchObject({name: '00.axon', state: 'pending'})
    expect(await root.call('getProvisions')).toEqual([])
    const gone = {telepath: 'NoSuchName', message: `there is no one-time URL ${iden.slice(0, 8)}`}
    await expect(root.call('delProvision', [iden])).rejects.toMatchObject(gone)
  })

  test('need an AHA', async () => {
    const root = await (await TestCell.open({}, {aha: undefined})).session('root')
    for (const [method, ...args] of [
      ['addAhaSvcProv', 'a'],
      ['addAhaUserEnroll', 'a'],
      ['clearAhaSvcProvs'],
      ['delProvision', '0'.repeat(8)],
    ] as const) {
      await expect(root.call(method, args)).rejects.toMatchObject({telepath: 'NoSuchMeth'})
    }
  })

  test('are logged as calls, without what is secret in them', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const url = String(await root.call('addAhaSvcProv', ['00.axon', {conf: {'auth:passwd': 'geheim'}}]))
    await root.call('delAhaSvcProv', [idenIn(url)])
    await root.call('delProvision', [idenIn(url)]).catch(() => {})
    const text = cell.logged.join('\n')
    expect(text).toContain('CellApi.addAhaSvcProv')
    expect(text).toContain('CellApi.delAhaSvcProv')
    expect(text).not.toContain('geheim')
    expect(text).not.toContain(idenIn(url))
  })
})
