import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {connect} from 'node:net'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type RealObject, type RealProxy, SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import type {ProbeState} from './synapse-probe.ts'
import {againstSynapse, NETWORK, openProbe, type ProbeServer} from './synapse-probe-server.ts'
import {eventually} from './world.ts'

showLogsWhenFailed()

const MANY_BYTES = 8 * 1024 * 1024

let agent: SynapseAgent
let server: ProbeServer

beforeAll(async () => {
  agent = await SynapseAgent.start({network: NETWORK})
  const users = ['root', `root@${NETWORK}`, `nobody@${NETWORK}`].map((name) => ['user', name, NETWORK] as const)
  await agent.makeCerts(agent.certs, [['ca', NETWORK], ['host', `probe.${NETWORK}`, NETWORK], ...users])
  server = await openProbe(agent.certs)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

/** Waits until nothing runs or is open that a client has left. */
async function settled(proxy: RealObject): Promise<void> {
  await eventually('that nothing is left running', async () => {
    const {streams, waiting, shares} = (await proxy.call('state')) as unknown as ProbeState
    return streams + waiting + shares === 0 || undefined
  })
}

/** Connects from another address, says nothing, and waits until the server has had enough. The real one never has. */
async function turnedAway(url: string): Promise<void> {
  if (againstSynapse) return
  const stranger = connect({host: '127.0.0.1', port: Number(new URL(url).port), localAddress: '127.0.0.2'})
  await once(stranger.resume(), 'close')
}

describe.each(['tcp', 'unix', 'tls'] as const)('the real client on %s', (family) => {
  let proxy: RealProxy

  beforeEach(async () => {
    proxy = await agent.open(server.urls[family])
    return () => proxy.close()
  })

  test('learns which methods are streams, the classes and the version', () => {
    const {meths, classes, 'syn:version': version} = proxy.info.sharinfo
    expect(meths['count']).toEqual({genr: true})
    expect(meths['value']).toEqual({})
    expect(classes[0]).toBe('__main__.ProbeApi')
    expect(version).toEqual([2, 256, 0])
    expect(proxy.info.sess).toMatch(/^[0-9a-f]{32}$/)
  })

  test('passes arguments by position and by name', async () => {
    const given = {args: [1, 'two', [3]], kwargs: {four: 4, 'five:six': {seven: null}}}
    expect(await proxy.call('echo', given)).toEqual([given.args, given.kwargs])
    expect(await proxy.call('echo')).toEqual([[], {}])
  })

  test.each<[string, Value]>([
    ['nil, booleans', [null, true, false]],
    ['integers', [0, -1, 127, 128, -33, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1]],
    [
      'integers beyond 2^53',
      [2n ** 53n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n, -(2n ** 63n) - 1n, 2n ** 300n, -(2n ** 300n)],
    ],
    ['floats', [0.5, -1.5e-300, 5e-324]],
    ['texts', ['', 'ä€𝄞', '\u0000', 'x'.repeat(70_000), '\ud800']],
    ['bytes', [Buffer.alloc(0), Buffer.from('00ff80', 'hex'), Buffer.alloc(70_000, 7)]],
    [
      'maps with all kinds of keys',
      new Map<Value, Value>([
        [null, 1],
        [2, 2],
        [true, 3],
        ['a', 4],
        [Buffer.from('b'), 5],
      ]),
    ],
    ['names that an object has by itself', {__proto__x: 1, constructor: 2, toString: 3}],
  ])('passes %s unchanged', async (_, value) => {
    expect(await proxy.call('value', {args: [value]})).toEqual(value)
  })

  test('passes 8 MiB', async () => {
    const bytes = Buffer.alloc(MANY_BYTES, createHash('sha256').update('seed').digest())
    const got = (await proxy.call('value', {args: [bytes]})) as Buffer
    expect(bytes.equals(got)).toBe(true)
  })

  test('reads streams: whole, empty, ended by an error', async () => {
    expect(await proxy.items('count', {args: [1000]})).toEqual(Array.from({length: 1000}, (_, i) => i))
    expect(await proxy.items('count', {args: [0]})).toEqual([])
    const failing = await proxy.iterate('count', {args: [5], kwargs: {fail_at: 2}})
    expect(await failing.next(2)).toEqual([0, 1])
    await expect(failing.next()).rejects.toMatchObject({errname: 'BadArg', info: {mesg: 'no further', valu: 2}})
    const atOnce = proxy.items('count', {args: [5], kwargs: {fail_at: 0}})
    await expect(atOnce).rejects.toMatchObject({errname: 'BadArg'})
    await settled(proxy)
  })

  test('leaves a stream early, and the server ends it', async () => {
    expect(await proxy.items('count', {args: [1_000_000_000], kwargs: {pause: 0.001}}, 3)).toEqual([0, 1, 2])
    await settled(proxy)
    const open = await proxy.iterate('count', {args: [1_000_000_000], kwargs: {pause: 0.001}})
    await open.next(2)
    expect(await proxy.call('state')).toMatchObject({streams: 1})
    await open.leave()
    await settled(proxy)
  })

  test('is sent no more of a stream than it takes', async () => {
    const open = await proxy.iterate('fill', {args: [100_000, 65_536]})
    await open.next(3)
    // The buffers of two sockets hold some megabytes; all of it would be six gigabytes.
    const seen = new Set<number>()
    const sent = await eventually('that the server waits', async () => {
      const {sent} = (await proxy.call('state')) as unknown as ProbeState
      return seen.size === seen.add(sent).size ? sent : undefined
    })
    expect(sent).toBeLessThan(2000)
    await open.leave()
    await settled(proxy)
  })

  test('uses a share, and gives it up', async () => {
    const share = await proxy.share('share', {args: [3]})
    const other = await proxy.share('share', {args: [100]})
    expect(share.sharinfo.meths['upto']).toEqual({genr: true})
    expect(share.sharinfo.classes[0]).toBe('__main__.ProbeShare')
    expect(await share.call('add', {args: [4]})).toBe(7)
    expect(await other.call('add', {args: [1]})).toBe(101)
    expect(await share.items('upto', {args: [9]})).toEqual([7, 8])
    await expect(share.call('value')).rejects.toMatchObject({errname: 'NoSuchMeth'})
    expect(await proxy.call('state')).toMatchObject({shares: 2})
    await share.close()
    await other.close()
    await settled(proxy)
    await expect(share.call('add', {args: [1]})).rejects.toMatchObject({errname: 'KeyError'})
  })

  test('leaves shares open when it closes, and they end with the session', async () => {
    const second = await agent.open(server.urls[family])
    await second.share('share', {args: [1]})
    expect(await proxy.call('state')).toMatchObject({shares: 1})
    await second.close()
    await settled(proxy)
  })

  test('gets the errors that it knows as they are, others as SynErr, and goes on after each', async () => {
    const info = {mesg: 'no such thing', name: 'x', path: ['a', 'b'], number: 2n ** 70n}
    const known = proxy.call('fail', {args: ['NoSuchName', info]})
    await expect(known).rejects.toMatchObject({errname: 'NoSuchName', info})
    const crash = proxy.call('crash', {args: ['secret detail']})
    await expect(crash).rejects.toMatchObject({errname: 'SynErr'})
    const missing = proxy.call('nonesuch')
    await expect(missing).rejects.toMatchObject({errname: 'NoSuchMeth', info: {name: 'nonesuch'}})
    const hidden = proxy.call('_wait')
    await expect(hidden).rejects.toMatchObject({errname: 'NoSuchMeth', info: {name: '_wait'}})
    expect(await proxy.call('value', {args: [1]})).toBe(1)
  })

  test('gives up a call, and the server stops it', async () => {
    await expect(proxy.callWithin(0.2, 'wait', {args: [600]})).rejects.toMatchObject({errname: 'TimeoutError'})
    await settled(proxy)
  })

  test('makes 50 calls at once, slow and fast ones', async () => {
    const slow = proxy.callMany(25, 'wait', {args: [0.2]})
    const fast = proxy.callMany(25, 'value', {args: ['x']})
    expect(await fast).toEqual(Array(25).fill('x'))
    expect(await slow).toEqual(Array(25).fill(null))
  })

  test('ends what runs when its process dies', async () => {
    await using other = await SynapseAgent.start({home: agent.home, network: NETWORK})
    const dying = await other.open(server.urls[family])
    await dying.share('share', {args: [1]})
    const stream = await dying.iterate('count', {args: [1_000_000_000], kwargs: {pause: 0.001}})
    await stream.next()
    expect(await proxy.call('state')).toMatchObject({shares: 1, streams: 1})
    await other.kill()
    await settled(proxy)
  })

  test('connects again, and again, when the server is restarted', async () => {
    const client = await agent.client(server.urls[family], 'Client', {retrysleep: 0.05})
    await agent.happened('link', client)
    expect(await client.call('value', {args: [1]})).toBe(1)
    for (const round of [1, 2]) {
      await server.stop()
      await agent.happened('unlink', client, round)
      await server.start()
      await agent.happened('link', client, round + 1)
      expect(await client.callUntilLinked('value', {args: [round]})).toBe(round)
    }
    await client.close()
    proxy = await agent.open(server.urls[family])
  })

  test('keeps idle links, used and unused ones, for longer than a stranger is given to say hello', async () => {
    await using hasty = await openProbe(agent.certs, {handshakeMs: 2000})
    const idling = await agent.open(hasty.urls[family])
    // With each call the client opens a link ahead, on which it has not sent anything yet.
    const {idle} = await eventually('that the pool has some', async () => {
      await idling.call('value', {args: [1]})
      const now = await idling.look()
      return now.idle > 3 ? now : undefined
    })
    await turnedAway(hasty.urls.tcp)
    // One more may have been on its way.
    expect((await idling.look()).idle).toBeGreaterThanOrEqual(idle)
    expect(await idling.callMany(5, 'value', {args: [1]})).toEqual(Array(5).fill(1))
    await idling.close()
  })
})

describe('who may call', () => {
  test('a wrong password, a missing one and an unknown user are refused', async () => {
    const {port} = new URL(server.urls.tcp)
    const refused = async (user: string) => agent.open(`tcp://${user}127.0.0.1:${port}/`)
    await expect(refused('root:wrong@')).rejects.toMatchObject({errname: 'AuthDeny'})
    await expect(refused('')).rejects.toMatchObject({errname: 'AuthDeny'})
    await expect(refused('nonesuch:secret@')).rejects.toMatchObject({errname: 'NoSuchUser'})
  })

  test('the certificate says who calls, and one of an unknown user is refused', async () => {
    const nobody = server.urls.tls.replace('root@', 'nobody@')
    await expect(agent.open(nobody)).rejects.toMatchObject({errname: 'NoSuchUser'})
  })

  test('without a certificate nobody is greeted', async () => {
    const without = server.urls.tls.replace('root@', '')
    await expect(agent.open(without)).rejects.toMatchObject({errname: 'LinkShutDown'})
  })

  test('a session cannot be used with another certificate, not even one of the same user', async () => {
    const robbed = await agent.open(server.urls.tls)
    const thief = await agent.open(`${server.urls.tls}?certname=root`)
    expect(await thief.call('value', {args: [1]})).toBe(1)
    await thief.takeSessionOf(robbed)
    const stolen = thief.call('value', {args: [1]})
    // To the real server whoever knows it may use it.
    if (againstSynapse) expect(await stolen).toBe(1)
    else await expect(stolen).rejects.toMatchObject({errname: 'NoSuchObj'})
    expect(await robbed.call('value', {args: [2]})).toBe(2)
    await robbed.close()
    await thief.close()
  })

  test('the wrong name of the server is refused by the client', async () => {
    const wrong = `${server.urls.tls}?hostname=other.${NETWORK}&certname=root@${NETWORK}`
    await expect(agent.open(wrong)).rejects.toMatchObject({errname: 'BadCertHost'})
  })
})
