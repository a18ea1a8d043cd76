import {execFile} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {type TeleEnv, withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {keepOnLoopback} from './synapse-names.ts'
import type {ProbeState} from './synapse-probe.ts'
import {AhaNetwork, SynapseService} from './synapse-world.ts'
import {eventually} from './world.ts'

showLogsWhenFailed()

const NETWORK = 'loop.test'
/** Lets a process find the names of the network. */
const names = new URL('synapse-names.ts', import.meta.url).pathname
const failing = (code: string, telepath: string) => expect.objectContaining({code, telepath})

async function collect(items: AsyncIterable<Value>): Promise<Value[]> {
  return await Array.fromAsync(items)
}

async function stateOf(proxy: Callable): Promise<ProbeState & {readonly sessions: number; readonly links: number}> {
  return (await proxy.call('state')) as unknown as ProbeState & {sessions: number; links: number}
}

describe('a real cell', () => {
  let cell: SynapseService
  let env: TeleEnv
  beforeAll(async () => {
    cell = await SynapseService.start('probe', {conf: {'auth:passwd': 'secret'}})
    env = await withTeleEnv({dir: cell.dir})
  })
  afterAll(async () => {
    await env?.[Symbol.asyncDispose]()
    await cell?.[Symbol.asyncDispose]()
  })

  describe.each(['tcpUrl', 'cellUrl'] as const)('at its %s', (kind) => {
    let proxy: TelepathProxy
    beforeEach(async () => {
      proxy = await env.open(cell[kind])
      return () => proxy.close()
    })

    test('says who it is', () => {
      expect(proxy.peerVersion).toEqual([2, 256, 0])
      expect(proxy.ahaName).toBeNull()
      expect(proxy.features).toMatchObject({tellready: 1, dynmirror: 1})
      expect(proxy.info.classes[0]).toBe('__main__.ProbeApi')
      expect(proxy.info.methods.get('count')).toEqual({isGenerator: true})
      expect(proxy.info.methods.get('value')).toEqual({isGenerator: false})
    })

    test('gives back every kind of value', async () => {
      const value = [
        null,
        true,
        -1,
        2n ** 64n,
        -(2n ** 90n),
        0.5,
        'ü☃😀',
        '\ud800',
        Buffer.from('00ff', 'hex'),
        new Map<Value, Value>([
          [1, 'a'],
          [null, 'b'],
        ]),
        {a: [{}]},
      ]
      expect(await proxy.call('value', {args: [value]})).toEqual(value)
      expect(await proxy.call('echo', {args: [1], kwargs: {x: 2}})).toEqual([[1], {x: 2}])
      const large = randomBytes(5 * 2 ** 20)
      expect(
        createHash('md5')
          .update((await proxy.call('value', {args: [large]})) as Buffer)
          .digest('hex'),
      ).toBe(createHash('md5').update(large).digest('hex'))
    })

    test('answers many calls at once', async () => {
      const values = Array.from({length: 200}, (_, i) => i)
      expect(await Promise.all(values.map((value) => proxy.call('value', {args: [value]})))).toEqual(values)
    })

    test('streams, also nothing, and fails within a stream', async () => {
      expect(await collect(proxy.stream('count', {args: [2000]}))).toHaveLength(2000)
      expect(await collect(proxy.stream('count', {args: [0]}))).toEqual([])
      const stream = proxy.stream('count', {args: [5], kwargs: {fail_at: 1}})
      expect(await stream.next()).toEqual({done: false, value: 0})
      await expect(stream.next()).rejects.toMatchObject({
        code: 'REG_BAD_REQUEST',
        telepath: 'BadArg',
        message: 'no further',
        info: {name: 'count', valu: 1},
      })
      expect(await proxy.call('value', {args: [1]})).toBe(1)
    })

    test('raises', async () => {
      await expect(proxy.call('fail', {args: ['AuthDeny', {mesg: 'no', user: 'x'}]})).rejects.toMatchObject({
        code: 'REG_DENIED',
        message: 'no',
        info: {user: 'x'},
      })
      await expect(proxy.call('crash', {args: ['boom']})).rejects.toMatchObject({
        code: 'REG_PEER_FAILED',
        telepath: 'ValueError',
        message: 'boom',
      })
      await expect(proxy.call('newp')).rejects.toEqual(failing('REG_NOT_FOUND', 'NoSuchMeth'))
      await expect(proxy.call('count', {args: [1]})).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
    })

    test('gives a share, and takes it back', async () => {
      const share = await proxy.share('share', {args: [3]})
      expect(await share.call('add', {args: [4]})).toBe(7)
      expect(await collect(share.stream('upto', {args: [9]}))).toEqual([7, 8])
      expect((await stateOf(proxy)).shares).toBe(1)
      await share[Symbol.asyncDispose]()
      await eventually('the share is gone', async () => (await stateOf(proxy)).shares === 0 || undefined)
      await expect(share.call('add', {args: [4]})).rejects.toEqual(failing('REG_NOT_FOUND', 'NoSuchObj'))
    })

    test('ends what the caller does not want any more', async () => {
      for await (const item of proxy.stream('count', {args: [1e9], kwargs: {pause: 0.001}})) if (item === 3) break
      await expect(proxy.call('wait', {args: [60], timeoutMs: 50})).rejects.toMatchObject({code: 'REG_TIMED_OUT'})
      const aborter = new AbortController()
      const waiting = expect(proxy.call('wait', {args: [60], signal: aborter.signal})).rejects.toThrow('enough')
      await eventually('it waits', async () => (await stateOf(proxy)).waiting > 0 || undefined)
      aborter.abort(new Error('enough'))
      await waiting
      await eventually('nothing runs', async () => {
        const {streams, waiting} = await stateOf(proxy)
        return streams + waiting === 0 || undefined
      })
    })

    test('sends no faster than is read', async () => {
      const stream = proxy.stream('fill', {args: [2000, 100_000]})
      await stream.next()
      const {sent} = await stateOf(proxy)
      expect(sent).toBeLessThan(1500)
      await stream.return()
    })
  })

  test('keeps no session of a proxy that was closed', async () => {
    await using watcher = await env.open(cell.cellUrl)
    const proxy = await env.open(cell.tcpUrl)
    await Promise.all([1, 2, 3].map((value) => proxy.call('value', {args: [value]})))
    await proxy.close()
    await eventually('one session is left', async () => (await stateOf(watcher)).sessions === 1 || undefined)
  })

  test('refuses who cannot log in', async () => {
    const {telepath} = cell.ports
    await expect(env.open(`tcp://root:bad@127.0.0.1:${telepath}`)).rejects.toMatchObject({
      code: 'REG_DENIED',
      telepath: 'AuthDeny',
    })
    await expect(env.open(`tcp://newp:bad@127.0.0.1:${telepath}`)).rejects.toEqual(
      failing('REG_NOT_FOUND', 'NoSuchUser'),
    )
    await expect(env.open(`tcp://127.0.0.1:${telepath}`)).rejects.toEqual(failing('REG_DENIED', 'AuthDeny'))
    await expect(env.open(`tcp://root:secret@127.0.0.1:${telepath}/newp`)).rejects.toEqual(
      failing('REG_NOT_FOUND', 'NoSuchName'),
    )
    await expect(env.open(`cell://${cell.dir}/newp`)).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      telepath: 'LinkErr',
    })
    await expect(env.open(`ssl://127.0.0.1:${telepath}`, {connectMs: 1000})).rejects.toMatchObject({
      code: expect.stringMatching(/REG_(TIMED_OUT|UNREACHABLE)/),
    })
  })

  test('is reached by the first URL that works', async () => {
    await using proxy = await openTelepath(['tcp://127.0.0.1:1', cell.tcpUrl], {env})
    expect(await proxy.call('value', {args: [1]})).toBe(1)
  })

  test('is found again after it was killed', async () => {
    const links: TelepathProxy[] = []
    await using client = env.client(['tcp://127.0.0.1:1', cell.tcpUrl], {onLink: (proxy) => void links.push(proxy)})
    const first = await client.proxy()
    const waiting = expect(first.call('wait', {args: [60]})).rejects.toMatchObject({code: 'REG_LINK_CLOSED'})
    await cell.kill()
    await waiting
    expect(await first.closed).toMatchObject({code: 'REG_LINK_CLOSED'})
    await expect(client.proxy({timeoutMs: 1000})).rejects.toMatchObject({
      code: 'REG_TIMED_OUT',
      message: expect.stringContaining('nobody listens there'),
    })
    await cell.start()
    const second = await client.proxy()
    expect(await second.call('value', {args: [2]})).toBe(2)
    expect(links).toEqual([first, second])
  })
})

describe('a real network', () => {
  let network: AhaNetwork
  let axon: SynapseService
  let js: SynapseService
  let home: string
  let env: TeleEnv

  beforeAll(async () => {
    keepOnLoopback(NETWORK)
    network = await AhaNetwork.start(NETWORK)
    home = await network.enroll('visi')
    ;[axon, js] = await Promise.all([network.service('axon', '00.axon'), network.service('jsonstor', '00.js')])
    env = await withTeleEnv({dir: join(home, '.syn'), serviceDir: join(home, 'none')})
    for (const {cellUrl} of [axon, js]) {
      await using root = await env.open(cellUrl)
      const {iden} = (await root.call('addUser', {args: ['visi']})) as unknown as {iden: string}
      await root.call('setUserAdmin', {args: [iden, true]})
    }
  })
  afterAll(async () => {
    await env?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

  test('takes an upload to its Axon, and gives it back in pieces', async () => {
    await using proxy = await env.open('aha://00.axon...')
    expect(proxy.ahaName).toBe(`00.axon.${NETWORK}`)
    const bytes = randomBytes(3 * 2 ** 20)
    const sha256 = createHash('sha256').update(bytes).digest()
    {
      await using upload = await proxy.share('upload')
      for (let at = 0; at < bytes.length; at += 2 ** 20)
        await upload.call('write', {args: [bytes.subarray(at, at + 2 ** 20)]})
      expect(await upload.call('save')).toEqual([bytes.length, sha256])
    }
    expect(await proxy.call('has', {args: [sha256]})).toBe(true)
    const pieces = (await collect(proxy.stream('get', {args: [sha256]}))) as Buffer[]
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    await expect(collect(proxy.stream('get', {args: [randomBytes(32)]}))).rejects.toEqual(
      failing('REG_NOT_FOUND', 'NoSuchFile'),
    )
  })

  test('stores and lists objects in its JSONStor', async () => {
    await using proxy = await env.open('aha://visi@00.js...')
    await proxy.call('setPathObj', {args: ['a/b', {x: 1, y: ['ü', null]}]})
    await proxy.call('setPathObj', {args: ['a/c', {x: 2}]})
    expect(await proxy.call('getPathObj', {args: ['a/b']})).toEqual({x: 1, y: ['ü', null]})
    expect((await collect(proxy.stream('getPathList', {args: ['a']}))).toSorted()).toEqual(['b', 'c'])
  })

  test('tells its AHA who is there', async () => {
    await using root = await env.open(network.aha.cellUrl)
    const names = (await collect(root.stream('getAhaSvcs'))).map((entry) => (entry as {name: string}).name)
    expect(names).toEqual(expect.arrayContaining([`00.axon.${NETWORK}`, `00.js.${NETWORK}`, `axon.${NETWORK}`]))
    await using visi = await env.open(`ssl://aha.${NETWORK}:${network.aha.ports.telepath}?certname=visi@${NETWORK}`)
    await expect(collect(visi.stream('getAhaSvcs'))).rejects.toEqual(failing('REG_DENIED', 'AuthDeny'))
  })

  test('is asked for names in every form', async () => {
    for (const url of [
      `aha://00.axon.${NETWORK}`,
      'aha://axon...',
      'aha://axon.../axon',
      `aha://axon...?mirror=true&certname=visi@${NETWORK}`,
    ]) {
      await using proxy = await env.open(url)
      expect(await proxy.call('getCellUser')).toMatchObject({name: 'visi'})
    }
  })

  test('does not know every name', async () => {
    await expect(env.open('aha://newp...')).rejects.toMatchObject({
      code: 'REG_NOT_FOUND',
      telepath: 'NoSuchName',
      message: 'aha lookup failed: newp...',
    })
    await expect(env.open('aha://root@axon...')).rejects.toEqual(failing('REG_CERT_MISSING', 'NoSuchCert'))
    await using bare = await withTeleEnv({dir: join(home, 'none'), serviceDir: join(home, 'none')})
    await expect(bare.open('aha://axon...')).rejects.toEqual(failing('REG_UNREACHABLE', 'NotReady'))
  })

  describe('with TLS', () => {
    const url = (query: string, user = 'visi@') => `ssl://${user}127.0.0.1:${axon.ports.telepath}?${query}`
    const host = `hostname=00.axon.${NETWORK}`

    test('takes the certificate of the user, found upwards', async () => {
      for (const one of [
        url(host),
        url(`${host}&certname=visi@${NETWORK}`, ''),
        url(`${host}&certname=visi@a.b.${NETWORK}`, ''),
      ]) {
        await using proxy = await env.open(one)
        const values = await Promise.all([1, 2, 3, 4].map(() => proxy.call('getCellUser')))
        expect(values[3]).toMatchObject({name: 'visi'})
      }
    })

    test('closes on who comes without one, and we say what may be missing', async () => {
      const refusal = {code: 'REG_LINK_CLOSED', hints: [expect.stringContaining('certificate'), expect.any(String)]}
      await expect(env.open(url(host, ''))).rejects.toMatchObject(refusal)
      await expect(env.open(url(host, 'visi:secret@'))).rejects.toMatchObject(refusal)
    })

    test('is refused when it is not who it should be', async () => {
      await expect(env.open(url('hostname=newp.loop.test'))).rejects.toEqual(failing('REG_CERT_INVALID', 'BadCertHost'))
      await expect(env.open(url(`certname=visi@${NETWORK}`, ''))).rejects.toEqual(
        failing('REG_CERT_INVALID', 'BadCertHost'),
      )
      await expect(env.open(url('certhash=00', ''))).rejects.toEqual(failing('REG_CERT_INVALID', 'LinkBadCert'))
      await using stranger = await withTeleEnv({dir: join(home, 'none'), serviceDir: join(home, 'none')})
      await expect(stranger.open(url(host, ''))).rejects.toMatchObject({
        code: 'REG_CERT_INVALID',
        message: expect.stringContaining('authority'),
      })
    })
  })

  test('is found again after a restart, by name', async () => {
    await using client = env.client('aha://js...')
    const first = await client.proxy()
    await js.stop()
    await first.closed
    await expect(env.open('aha://00.js...')).rejects.toEqual(failing('REG_UNREACHABLE', 'NoSuchName'))
    await js.start()
    const second = await client.proxy({timeoutMs: 30_000})
    expect(await second.call('getCellUser')).toMatchObject({name: 'visi'})
  })

  test('is called by the example, in a process of its own', async () => {
    const example = new URL('../../examples/telepath.ts', import.meta.url).pathname
    const {stdout} = await promisify(execFile)(process.execPath, ['--import', names, example, 'aha://00.axon...'], {
      env: {...process.env, HOME: home, PEER_NAMES: NETWORK},
    })
    expect(stdout).toMatch(
      /^Synapse 2\.256\.0, \d+ methods\nthere is a user root\n\d+ tasks run\nREG_NOT_FOUND \(NoSuchMeth\): AxonApi/,
    )
  })

  test('spreads callers over a pool, whose members come and go', async () => {
    await using root = await env.open(network.aha.cellUrl)
    await root.call('addAhaPool', {args: ['both...', {}]})
    await root.call('addAhaPoolSvc', {args: ['both...', '00.axon...', {}]})
    await using pool = env.pool('aha://both...')
    const only = await pool.proxy()
    expect([only.ahaName, await pool.proxy()]).toEqual([`00.axon.${NETWORK}`, only])
    await root.call('addAhaPoolSvc', {args: ['both...', '00.js...', {}]})
    await eventually('both are there', async () => pool.size === 2 || undefined)
    const turns = [await pool.proxy(), await pool.proxy(), await pool.proxy(), await pool.proxy()].map(
      ({ahaName}) => ahaName,
    )
    expect(turns.slice(0, 2).toSorted()).toEqual([`00.axon.${NETWORK}`, `00.js.${NETWORK}`])
    expect(turns.slice(2)).toEqual(turns.slice(0, 2))
    await root.call('delAhaPoolSvc', {args: ['both...', '00.js...']})
    await eventually('one is left', async () => pool.size === 1 || undefined)
    await using single = env.pool('aha://js...')
    expect((await single.proxy()).ahaName).toBe(`00.js.${NETWORK}`)
  })
})
