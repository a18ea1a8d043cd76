import {once} from 'node:events'
import {chmod, mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {createServer, type Server} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {serve} from '../../src/server/serve.ts'
import {storeCensus} from '../../src/store/census.ts'
import {copyOf, newLeader, type TestMember} from '../support/mirror-pair.ts'

let stack: AsyncDisposableStack
let leader: TestMember
let mirror: TestMember

/** A leader and a mirror that know of each other, both stopped. */
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  leader = stack.use(await newLeader())
  await leader.start()
  await leader.stop()
  mirror = stack.use(await copyOf(leader, '01.demo.net'))
  await leader.start()
  await mirror.start({mirror: [leader.url]})
  await mirror.event('mirror.caught-up')
  await leader.call('addUser', 'visi')
  await mirror.reach(leader)
  await mirror.stop()
  await leader.stop()
})
afterEach(() => stack.disposeAsync())

/** Counts who connects where a member listened. */
async function listenAt({url}: TestMember): Promise<{readonly server: Server; count: number}> {
  const heard = {server: createServer(), count: 0}
  heard.server.on('connection', (socket) => {
    heard.count += 1
    socket.destroy()
  })
  heard.server.listen(Number(new URL(url).port), '127.0.0.1')
  await once(heard.server, 'listening')
  stack.defer(() => void heard.server.close())
  return heard
}

const census = ({dir}: TestMember) => storeCensus(join(dir, 'registry.db'))

describe('safemode', () => {
  test.each([
    ['a leader', () => [leader, mirror, {}] as const],
    ['a mirror', () => [mirror, leader, {mirror: [leader.url]}] as const],
  ])('%s calls no other member and alters nothing, and otherwise does both', async (_, members) => {
    const [self, other, options] = members()
    const heard = await listenAt(other)
    const before = await census(self)
    await self.start({...options, safemode: true})
    expect(await self.info()).toMatchObject({safemode: true, active: false, nexus: {readonly: true}})
    expect(await self.call('getUserDefByName', 'visi')).toMatchObject({name: 'visi'})
    await expect(self.call('addUser', 'late')).rejects.toMatchObject({code: 'REG_READ_ONLY', message: /safemode/})
    await expect(self.call('promote', true)).rejects.toThrow('non-mirror')
    expect(await self.health('mirroring')).toMatchObject({status: 'degraded', data: {role: 'safe'}})
    expect(await self.call('checkLog')).toMatchObject({damage: null, differing: [], differingRecords: []})
    await self.stop()
    expect(heard.count).toBe(0)
    expect(await census(self)).toEqual(before)

    const called = once(heard.server, 'connection')
    await self.start(options)
    await called
  })

  test('runs no boot hooks', async () => {
    const hooks = stack.adopt(await mkdtemp(join(tmpdir(), 'registry-hooks-')), (dir) => rm(dir, {recursive: true}))
    for (const name of ['preboot.sh', 'concurrent.sh']) {
      await writeFile(join(hooks, name), `#!/bin/sh\ntouch ${hooks}/ran-${name}\n`)
      await chmod(join(hooks, name), 0o700)
    }
    await leader.start({'boothooks:dir': hooks, safemode: true})
    await leader.stop()
    expect((await readdir(hooks)).sort()).toEqual(['concurrent.sh', 'preboot.sh'])
    await leader.start({'boothooks:dir': hooks})
    expect(await readdir(hooks)).toContain('ran-preboot.sh')
    await leader.stop()
  })

  test('makes no data where there is none', async () => {
    const dir = join(leader.dir, 'new')
    await mkdir(dir)
    const refused = {code: 'REG_CONFIG_INVALID', message: /no data to show/}
    await expect(serve({dir, options: {safemode: true}, writeLog: () => undefined})).rejects.toMatchObject(refused)
    expect((await readdir(dir)).filter((name) => name.startsWith('registry.db'))).toEqual([])
  })
})
