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

  test('need an AHA', async () => {
    const root = await (await TestCell.open({}, {aha: undefined})).session('root')
    for (const [method, ...args] of [
      ['addAhaSvcProv', 'a'],
      ['addAhaUserEnroll', 'a'],
      ['clearAhaSvcProvs'],
    ] as const) {
      await expect(root.call(method, args)).rejects.toMatchObject({telepath: 'NeedConfValu'})
    }
  })

  test('are logged as calls, without what is secret in them', async () => {
    const cell = await TestCell.open()
    const root = await cell.session('root')
    const url = String(await root.call('addAhaSvcProv', ['00.axon', {conf: {'auth:passwd': 'geheim'}}]))
    await root.call('delAhaSvcProv', [idenIn(url)])
    const text = cell.logged.join('\n')
    expect(text).toContain('CellApi.addAhaSvcProv')
    expect(text).toContain('CellApi.delAhaSvcProv')
    expect(text).not.toContain('geheim')
    expect(text).not.toContain(idenIn(url))
  })
})
