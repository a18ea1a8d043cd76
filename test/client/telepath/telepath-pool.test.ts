import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {type TeleEnv, withTeleEnv} from '../../../src/client/telepath/tele-env.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {type PeerLink, TelepathPeer, welcoming} from '../../support/telepath-peer.ts'
import {entryOf, type ScriptedAha, startAha, valueMessage} from './scripted-aha.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-pool-'))
})
afterEach(() => rm(dir, {recursive: true}))

const service = (name: string) => TelepathPeer.start(welcoming((_message, link) => link.send(valueMessage(name))))
const added = (name: string) => ['t2:yield', {retn: [true, ['svc:add', {name}]]}]
const removed = (name: string) => ['t2:yield', {retn: [true, ['svc:del', {name}]]}]
const load = (aha: ScriptedAha): Promise<TeleEnv> => withTeleEnv({dir, serviceDir: dir, ahaServers: [aha.url]})

/** Names of those who answer, one after the other. */
async function turns(pool: ReturnType<TeleEnv['pool']>, count: number): Promise<unknown[]> {
  const names: unknown[] = []
  for (let i = 0; i < count; i++) names.push(await (await pool.proxy()).call('name'))
  return names
}

test('members take turns, come and go', async () => {
  await using a = await service('a')
  await using b = await service('b')
  const topo = Promise.withResolvers<PeerLink>()
  await using aha = await startAha({
    services: {
      'both...': entryOf('both.demo.net', a.port, {services: {}}),
      'a.demo.net': entryOf('a.demo.net', a.port),
      'b.demo.net': entryOf('b.demo.net', b.port),
    },
    onTopo: (link) => {
      link.send(['t2:genr', {}], added('a.demo.net'))
      topo.resolve(link)
    },
  })
  await using env = await load(aha)
  const linked: string[] = []
  const second = Promise.withResolvers<void>()
  await using pool = env.pool('aha://both...', {
    onLink: () => {
      if (linked.push('link') === 2) second.resolve()
    },
  })
  expect(await turns(pool, 2)).toEqual(['a', 'a'])
  const link = await topo.promise
  expect(aha.calls).toContainEqual(['iterPoolTopo', ['both.demo.net'], {}])
  link.send(['t2:yield', {retn: [true, 'odd']}], ['t2:yield', {retn: [true, ['svc:add', null]]}], added('b.demo.net'))
  await second.promise
  while (pool.size < 2) await new Promise((resolve) => setImmediate(resolve))
  expect((await turns(pool, 4)).toSorted()).toEqual(['a', 'a', 'b', 'b'])
  expect(pool.size).toBe(2)
})

test('a member that AHA takes out gets no calls any more', async () => {
  await using a = await service('a')
  await using b = await service('b')
  const topo = Promise.withResolvers<PeerLink>()
  await using aha = await startAha({
    services: {
      'both...': entryOf('both.demo.net', a.port, {services: {}}),
      'a.demo.net': entryOf('a.demo.net', a.port),
      'b.demo.net': entryOf('b.demo.net', b.port),
    },
    onTopo: (link) => {
      link.send(['t2:genr', {}], added('a.demo.net'), added('b.demo.net'))
      topo.resolve(link)
    },
  })
  await using env = await load(aha)
  let count = 0
  const both = Promise.withResolvers<void>()
  await using pool = env.pool('aha://both...', {onLink: () => (++count === 2 ? both.resolve() : undefined)})
  await both.promise
  ;(await topo.promise).send(removed('a.demo.net'))
  await a.links[0]?.closed
  expect(await turns(pool, 3)).toEqual(['b', 'b', 'b'])
})

test('without AHA there are no members; it is asked again when it is back', async () => {
  await using a = await service('a')
  const links: PeerLink[] = []
  const again = Promise.withResolvers<void>()
  await using aha = await startAha({
    services: {
      'pool...': entryOf('pool.demo.net', a.port, {services: {}}),
      'a.demo.net': entryOf('a.demo.net', a.port),
    },
    onTopo: (link) => {
      link.send(['t2:genr', {}], added('a.demo.net'))
      if (links.push(link) === 2) again.resolve()
    },
  })
  await using env = await load(aha)
  await using pool = env.pool('aha://pool...', {onError: () => undefined})
  const first = await pool.proxy()
  aha.peer.cut()
  await first.closed
  expect(pool.size).toBe(0)
  await again.promise
  expect(await turns(pool, 1)).toEqual(['a'])
})

test('what is no pool has one member: itself', async () => {
  await using a = await service('a')
  await using aha = await startAha({services: {'a...': entryOf('a.demo.net', a.port)}})
  await using env = await load(aha)
  for (const url of ['aha://a...', a.url]) {
    await using pool = env.pool(url)
    expect(await turns(pool, 2)).toEqual(['a', 'a'])
    expect(pool.size).toBe(1)
  }
})

test('the pause between attempts may stand in the URL', async () => {
  await using a = await service('a')
  const services: Record<string, Value> = {}
  const asked = Promise.withResolvers<void>()
  await using aha = await startAha({services, onLookup: () => asked.resolve()})
  await using env = await load(aha)
  await using slow = env.pool('aha://a...?retrysleep=3600')
  await asked.promise
  // Found by whoever asks again; the pause that is used otherwise is a fifth of a second.
  services['a...'] = entryOf('a.demo.net', a.port)
  await using quick = env.pool('aha://a...')
  expect(await turns(quick, 1)).toEqual(['a'])
  await expect(slow.proxy({timeoutMs: 500})).rejects.toMatchObject({code: 'REG_TIMED_OUT'})
  expect(() => env.pool('nonsense')).toThrow(expect.objectContaining({code: 'REG_USAGE'}))
})

test('a wait ends in time, with its signal, and when the pool is closed', async () => {
  await using aha = await startAha({})
  await using env = await load(aha)
  const first = Promise.withResolvers<unknown>()
  const pool = env.pool('aha://newp...', {onError: first.resolve, retryMs: 10})
  await expect(pool.proxy({timeoutMs: 30})).rejects.toMatchObject({code: 'REG_TIMED_OUT'})
  await expect(pool.proxy({signal: AbortSignal.abort(new Error('enough'))})).rejects.toThrow('enough')
  const waiting = expect(pool.proxy({timeoutMs: 0})).rejects.toMatchObject({code: 'REG_CANCELLED'})
  expect(await first.promise).toMatchObject({code: 'REG_NOT_FOUND'})
  await pool.close()
  await waiting
})
