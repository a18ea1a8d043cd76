import {beforeEach, describe, expect, test} from 'vitest'
import {createLog} from '../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {AhaServerList} from '../../src/server/aha-server-list.ts'
import {FakeClock, headAt} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'

const OTHER = {host: 'b.net', port: 1, isOwn: false}

let store: MoodyStore
let changeLog: ChangeLog
let logged: string[]
beforeEach(async () => {
  store = new MoodyStore()
  await store.open()
  logged = []
})

/** Begins with what is in the store. */
async function open(): Promise<AhaServerList> {
  const clock = new FakeClock()
  const log = createLog({level: 'debug', structured: true, clock, write: (line) => logged.push(line)})
  changeLog = new ChangeLog(store, {...COMMIT_LIMITS, clock, head: headAt((await store.read(0, 1000)).length)})
  return AhaServerList.open({store, changeLog, clock, log})
}

const places = (servers: AhaServerList) => servers.list().map(({host, port}) => `${host}:${port}`)

describe('the AHA servers', () => {
  test('are kept, and each has its URL for a user', async () => {
    const servers = await open()
    expect(await servers.add(OTHER, 'test')).toBe(true)
    expect(await servers.add(OTHER, 'test')).toBe(false)
    await servers.announce({host: 'aha.net', port: 27_492})
    const again = await open()
    expect(again.get({host: 'b.net', port: 1})).toEqual(OTHER)
    expect(again.urls('visi', 'net')).toEqual([
      'ssl://b.net:1?certname=visi@net',
      'ssl://aha.net:27492?certname=visi@net',
    ])
    expect(await again.remove(OTHER, 'test')).toEqual(OTHER)
    expect(await again.remove(OTHER, 'test')).toBeUndefined()
    expect(places(await open())).toEqual(['aha.net:27492'])
  })

  test('have this one at its new port, and others of the same host stay', async () => {
    const servers = await open()
    await servers.add({host: 'aha.net', port: 9, isOwn: false}, 'test')
    await servers.announce({host: 'aha.net', port: 1})
    const again = await open()
    await again.announce({host: 'aha.net', port: 2})
    expect(places(again)).toEqual(['aha.net:2', 'aha.net:9'])
    const before = changeLog.nextOffset
    await again.announce({host: 'aha.net', port: 2})
    expect(changeLog.nextOffset).toBe(before)
  })

  test('have this one for who asks even when it cannot be written', async () => {
    store.isBroken = true
    const servers = await open()
    expect(servers.urls('root', 'net')).toEqual([])
    await servers.announce({host: 'aha.net', port: 1})
    expect(servers.urls('root', 'net')).toEqual(['ssl://aha.net:1?certname=root@net'])
    expect(logged.join()).toContain('aha.server.not-saved')
    changeLog.close()
  })

  test('are a hundred at most', async () => {
    const servers = await open()
    const many = Array.from({length: 100}, (_, index) => ({host: 'a', port: index + 1, isOwn: false}))
    await Promise.all(many.map((server) => servers.add(server, 'test')))
    await expect(servers.add(OTHER, 'test')).rejects.toMatchObject({code: 'REG_BUSY'})
  })
})
