import {beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

let cell: TestCell
let root: TestSession
beforeEach(async () => {
  cell = await TestCell.open()
  root = await cell.session(undefined)
})

type Event = Readonly<Record<string, Value>>

async function history(kwargs: Record<string, Value> = {}): Promise<readonly Event[]> {
  return (await root.call('getHistory', [], kwargs)) as readonly Event[]
}

function append(change: string, timeMs = 1000): Promise<void> {
  const effect = {kind: 'records', records: []} as const
  const entry = {timeMs, actor: 'zmq:anon/6b', change, effect}
  return new Promise((resolve, failed) => {
    cell.changeLog.propose({entry, committed: () => resolve(), failed})
  })
}

async function register(seq: number): Promise<number> {
  await append(
    `{"v":1,"kind":"register","seq":${seq},"ttl":30,"info":{"name":"cam${seq}","host":"h","port":1,"id":"id${seq}"}}`,
    1000 + seq,
  )
  return cell.changeLog.nextOffset - 1
}

describe('getHistory', () => {
  test('gives what happened to services, and nothing of users', async () => {
    expect(await history()).toEqual([])
    const offset = await register(1)
    const by = {via: 'zeromq', who: null, from: '6b'}
    expect(await history()).toEqual([
      {
        ...{offset, time: 1001, world: 'zeromq', event: 'registered', name: 'cam1', id: 'id1', by},
        facts: {type: null, host: 'h', port: 1},
      },
    ])
  })

  test('gives the last ones, those of one service, those since an offset or a time', async () => {
    const offsets: number[] = []
    for (let seq = 0; seq < 600; seq += 1) offsets.push(await register(seq))
    const names = async (kwargs: Record<string, Value>) => (await history(kwargs)).map(({name}) => name)
    expect(await history()).toHaveLength(600)
    expect(await names({last: 2})).toEqual(['cam598', 'cam599'])
    expect(await names({last: 1})).toEqual(['cam599'])
    expect(await names({offset: offsets[598] ?? 0})).toEqual(['cam598', 'cam599'])
    expect(await names({time: 1599})).toEqual(['cam599'])
    expect(await names({last: 1, offset: 0, service: 'id7'})).toEqual(['cam7'])
  })

  test('knows the name of a service that was registered before the answer begins', async () => {
    await register(1)
    await append('{"v":1,"kind":"deregister","seq":1,"id":"id1"}')
    expect(await history({last: 1})).toMatchObject([{event: 'deregistered', name: 'cam1'}])
    expect(await history({offset: cell.changeLog.nextOffset - 1})).toMatchObject([{name: 'cam1'}])
  })

  test('says where a user came from, which who asks about the service is not told', async () => {
    await cell.users.addUser({name: 'team/visi', passwd: 'secret'}, 'test')
    await cell.users.setUserAdmin(cell.users.userByName('team/visi')?.iden ?? '', true, undefined, 'test')
    const visi = await cell.login('team/visi', 'secret')
    await visi.call('addAhaSvcProv', ['00.axon'])
    expect(await history()).toMatchObject([
      {event: 'URL minted', by: {via: 'telepath', who: 'team/visi', from: '127.0.0.1'}},
    ])
    expect(await root.call('getProvisions')).toMatchObject([{creator: 'telepath/team/visi'}])
  })

  test('names the entry that it cannot read', async () => {
    await append('{"v":7,"kind":"expire"}')
    const offset = cell.changeLog.nextOffset - 1
    await expect(history()).rejects.toMatchObject({code: 'REG_STORE_DAMAGED', info: {offset}})
  })

  test('is for administrators', async () => {
    await cell.users.addUser({name: 'visi'}, 'test')
    const visi = await cell.session('visi')
    await expect(visi.call('getHistory')).rejects.toMatchObject({code: 'REG_DENIED'})
  })
})
