import {describe, expect, test} from 'vitest'
import {TelepathClient, type TelepathClientOptions} from '../../../src/client/telepath/telepath-client.ts'
import type {TelepathProxy} from '../../../src/wire/telepath/caller.ts'
import {openProxy} from '../../../src/wire/telepath/proxy.ts'
import {TelepathPeer, welcoming} from '../../support/telepath-peer.ts'
import {valueMessage} from './scripted-aha.ts'

/** Opens what a name stands for, and remembers which names were tried. */
function opener(peers: Readonly<Record<string, TelepathPeer>>) {
  const tried: string[] = []
  const open = (url: string, signal: AbortSignal): Promise<TelepathProxy> => {
    tried.push(url)
    const peer = peers[url]
    return peer
      ? openProxy({dial: peer.dial, peer: url, name: '', spareLinks: 0, signal})
      : Promise.reject(new Error(`no ${url}`))
  }
  return {tried, open}
}

const service = (name: string) => TelepathPeer.start(welcoming((_message, link) => link.send(valueMessage(name))))
const start = (urls: string | readonly string[], options: TelepathClientOptions) =>
  new TelepathClient(urls, {retryMs: 10, ...options})

test('connects to the first URL that works, and to the next one when the session is over', async () => {
  await using a = await service('a')
  await using b = await service('b')
  const {tried, open} = opener({a, b})
  await using client = start(['newp', 'a', 'b'], {open})
  const first = await client.proxy()
  expect(await first.call('name')).toBe('a')
  expect(client.current).toBe(first)
  a.cut()
  await first.closed
  expect(client.current).toBeUndefined()
  const second = await client.proxy()
  expect(await second.call('name')).toBe('b')
  b.cut()
  await second.closed
  expect(await (await client.proxy()).call('name')).toBe('a')
  expect(tried).toEqual(['newp', 'a', 'b', 'newp', 'a'])
})

test('hands out a session when the callback is done with it, and not before', async () => {
  await using a = await service('a')
  const {open} = opener({a})
  const held = Promise.withResolvers<void>()
  const errors: unknown[] = []
  let calls = 0
  await using client = start('a', {
    open,
    onError: (error) => errors.push(error),
    onLink: async (proxy) => {
      calls++
      await proxy.call('setup')
      await held.promise
      throw new Error('from the callback')
    },
  })
  await expect(client.proxy({timeoutMs: 50})).rejects.toMatchObject({code: 'REG_TIMED_OUT'})
  held.resolve()
  expect(await (await client.proxy()).call('name')).toBe('a')
  expect(errors).toEqual([new Error('from the callback')])
  expect(calls).toBe(1)
})

test('connects again when its callback closes the session', async () => {
  await using a = await service('a')
  const {tried, open} = opener({a})
  let rounds = 0
  await using client = start('a', {open, onLink: (proxy) => (++rounds < 3 ? proxy.close() : undefined)})
  const proxy = await client.proxy()
  expect(await proxy.call('name')).toBe('a')
  expect(tried).toHaveLength(3)
})

test('says why there is no connection in time', async () => {
  const {open} = opener({})
  const errors: unknown[] = []
  await using client = start('newp', {open, onError: (error) => errors.push(error)})
  await expect(client.proxy({timeoutMs: 30})).rejects.toMatchObject({
    code: 'REG_TIMED_OUT',
    message: 'there was no connection within 0.03 s: no newp',
  })
  expect(errors.length).toBeGreaterThan(0)
})

test('does not try more often than its pause allows, also when sessions are ended at once', async () => {
  await using rude = await TelepathPeer.start(welcoming(() => undefined))
  const {tried, open} = opener({rude})
  await using client = start('rude', {open, retryMs: 100, onLink: () => rude.cut()})
  await client.proxy().catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, 350))
  expect(tried.length).toBeGreaterThanOrEqual(2)
  expect(tried.length).toBeLessThanOrEqual(5)
})

test('goes to new URLs when it connects again', async () => {
  await using a = await service('a')
  await using b = await service('b')
  const {open} = opener({a, b})
  await using client = start('a', {open})
  const first = await client.proxy()
  client.setUrls(['b'])
  expect(client.current).toBe(first)
  a.cut()
  await first.closed
  expect(await (await client.proxy()).call('name')).toBe('b')
  expect(() => client.setUrls([])).toThrow(expect.objectContaining({code: 'REG_USAGE'}))
})

describe('closing', () => {
  test('ends the session and who waits', async () => {
    await using a = await service('a')
    const {open} = opener({a})
    const client = start('a', {open})
    const proxy = await client.proxy()
    await client.close()
    expect(await proxy.closed).toBeUndefined()
    await a.links[0]?.closed
    await expect(client.proxy()).rejects.toMatchObject({code: 'REG_CANCELLED'})
    await client.close()
  })

  test('works while it connects, or pauses', async () => {
    await using silent = await TelepathPeer.start(() => undefined)
    const {open} = opener({silent})
    for (const url of ['silent', 'newp']) {
      const client = start(url, {open, retryMs: 60_000})
      const waiting = expect(client.proxy()).rejects.toMatchObject({code: 'REG_CANCELLED'})
      await new Promise((resolve) => setImmediate(resolve))
      await client.close()
      await waiting
    }
  })

  test('works while its callback runs', async () => {
    await using a = await service('a')
    const {open} = opener({a})
    const linked = Promise.withResolvers<void>()
    const client = start('a', {
      open,
      onLink: () => {
        linked.resolve()
        return new Promise(() => undefined)
      },
    })
    await linked.promise
    await client.close()
  })

  test('a wait ends with its signal', async () => {
    const {open} = opener({})
    await using client = start('newp', {open})
    const aborter = new AbortController()
    const waiting = expect(client.proxy({signal: aborter.signal})).rejects.toThrow('enough')
    aborter.abort(new Error('enough'))
    await waiting
  })
})
