// Pools: our commands at a real AHA and at ours, the same lines and the same results; and clients that are spread over real services by ours.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {startAhaServer} from '../support/aha-server.ts'
import {runCli} from '../support/cli.ts'
import {OurDeployment} from './our-deployment.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {keepOnLoopback} from './synapse-names.ts'
import {SynapseService} from './synapse-world.ts'
import {eventually} from './world.ts'

showLogsWhenFailed()

/** An AHA that the lines go to, and where services register. */
interface Aha extends AsyncDisposable {
  readonly dir: string
  readonly url: string
}

async function realAha(): Promise<Aha> {
  const conf = {'aha:network': 'demo.net', 'auth:passwd': 'secret'}
  const service = await SynapseService.start('aha', {conf})
  return {dir: service.dir, url: service.tcpUrl, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]()}
}

async function ownAha(): Promise<Aha> {
  const server = await startAhaServer()
  const url = `cell://${server.dir}`
  return {dir: server.dir, url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]()}
}

describe.each([
  ['a real AHA', realAha],
  ['our own AHA', ownAha],
] as const)('at %s', (_name, start) => {
  let aha: Aha
  let services: TelepathProxy
  let home: string
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'registry-pools-'))
    aha = await start()
    services = await openTelepath(aha.url)
    for (const name of ['00.axon', '01.axon', '02.axon']) {
      const info = {run: name, iden: name, urlinfo: {scheme: 'ssl', host: '127.0.0.1', port: 4000}}
      await services.call('addAhaSvc', {args: [name, info, 'demo.net']})
    }
  })
  afterAll(async () => {
    await services?.close()
    await aha?.[Symbol.asyncDispose]()
    await rm(home, {recursive: true, force: true})
  })

  const ours = (line: string) => runCli([...line.split(' '), '--url', `cell://${aha.dir}`], {env: {SYN_DIR: home}})
  const jsonOf = async (line: string) => {
    const {status, stdout} = await ours(`${line} --json`)
    return {status, ...JSON.parse(stdout)}
  }

  test('a pool is added, listed, shown, changed and removed', async () => {
    expect(await ours('pool list')).toMatchObject({status: 0, stdout: ''})
    expect(await jsonOf('pool list')).toEqual({status: 0, pools: []})
    const name = 'pool00.axon.demo.net'
    expect(await jsonOf('pool add pool00.axon --service 00.axon --service 01.axon...')).toMatchObject({
      status: 0,
      changed: true,
      before: null,
      after: {name, services: ['00.axon.demo.net', '01.axon.demo.net']},
    })
    expect(await jsonOf('pool list')).toMatchObject({pools: [{name}]})
    const typed = `registry pool show --url cell://${aha.dir} po`
    expect(await runCli(['complete', 'bash', '--', typed], {env: {SYN_DIR: home}})).toMatchObject({stdout: `${name}\n`})
    const change = `pool set ${name} --add 02.axon.demo.net --add 01.axon --remove 00.axon`
    const after = {name, services: ['01.axon.demo.net', '02.axon.demo.net']}
    expect(await jsonOf(`${change} --dry-run`)).toMatchObject({changed: true, dryRun: true, after})
    expect(await jsonOf(change)).toMatchObject({changed: true, dryRun: false, after})
    expect(await jsonOf('pool set pool00.axon... --add 01.axon')).toMatchObject({changed: false, after})
    expect(await jsonOf('pool show pool00.axon')).toMatchObject({
      ...after,
      members: [
        {service: '01.axon.demo.net', registered: true, online: true, ready: true, address: '127.0.0.1:4000'},
        {service: '02.axon.demo.net', registered: true, online: true, ready: true, address: '127.0.0.1:4000'},
      ],
    })
    const shown = await ours('pool show pool00.axon')
    expect(shown.stdout).toMatch(/^SERVICE +ONLINE +READY +ADDRESS$/m)
    expect(shown.stdout).toMatch(/^01\.axon\.demo\.net +yes +yes +127\.0\.0\.1:4000$/m)
    expect(await jsonOf('pool remove pool00.axon')).toMatchObject({status: 2, error: {code: 'REG_USAGE'}})
    expect(await jsonOf('pool remove pool00.axon --dry-run')).toMatchObject({dryRun: true, before: after, after: null})
    expect(await ours('pool remove pool00.axon --yes')).toMatchObject({
      status: 0,
      stdout: `removed the pool ${name}\n`,
    })
    expect(await jsonOf('pool list')).toEqual({status: 0, pools: []})
  })

  test('what cannot be done changes nothing, and says what to do', async () => {
    expect(await jsonOf('pool add pool01.axon --service 00.axon --service 07.axon')).toMatchObject({
      status: 3,
      error: {code: 'REG_NOT_FOUND', message: 'AHA knows no service "07.axon"'},
    })
    expect(await jsonOf('pool add 00.axon')).toMatchObject({status: 5, error: {code: 'REG_CONFLICT'}})
    expect(await jsonOf('pool list')).toEqual({status: 0, pools: []})
    expect(await jsonOf('pool add pool01.axon --service 00.axon')).toMatchObject({status: 0})
    expect(await jsonOf('pool add pool01.axon')).toMatchObject({status: 5, error: {code: 'REG_CONFLICT'}})
    expect(await jsonOf('pool set pool01.axon --remove 01.axon')).toMatchObject({status: 3})
    expect(await jsonOf('pool set pool01.axon')).toMatchObject({status: 2})
    expect(await jsonOf('pool show pool02.axon.demo.net')).toMatchObject({
      status: 3,
      error: {hints: expect.arrayContaining(['registry pool show pool01.axon.demo.net'])},
    })
    expect(await jsonOf('pool list')).toMatchObject({pools: [{services: ['00.axon.demo.net']}]})
    expect(await ours('pool remove pool01.axon --yes')).toMatchObject({status: 0})
  })

  test('a service that is gone can be taken out', async () => {
    await services.call('addAhaSvc', {args: ['03.axon', {urlinfo: {host: '127.0.0.1', port: 1}}, 'demo.net']})
    await ours('pool add pool03.axon --service 03.axon --service 00.axon')
    await services.call('delAhaSvc', {args: ['03.axon', 'demo.net']})
    expect((await ours('pool show pool03.axon')).stdout).toMatch(/^03\.axon\.demo\.net +not registered +no +-$/m)
    expect(await jsonOf('pool set pool03.axon --remove 03.axon')).toMatchObject({
      status: 0,
      after: {services: ['00.axon.demo.net']},
    })
    await ours('pool remove pool03.axon --yes')
  })
})

describe('two real services in a pool of our AHA', () => {
  const NETWORK = 'loop.test'
  const TYPES = ['axon', 'jsonstorcell']
  let net: OurDeployment
  beforeAll(async () => {
    keepOnLoopback(NETWORK)
    net = await OurDeployment.start()
    const {status, stderr} = await pool('add both --service 00.axon --service 00.jsonstor')
    expect(status, stderr).toBe(0)
  })
  afterAll(() => net?.[Symbol.asyncDispose]())

  const pool = (line: string) => net.registry(['pool', ...line.split(' '), '--url', net.aha.cellUrl])

  test('are called in turn by the stock client, which hears of who comes and goes', async () => {
    const agent = await net.agent()
    const client = await agent.client('aha://both...', 'open')
    const types = async () => {
      const turns = await Promise.all([1, 2, 3, 4].map(() => client.call('getCellType')))
      return [...new Set(turns)].sort()
    }
    await agent.happened('link', client, 2)
    expect(await types()).toEqual(TYPES)
    expect(await pool('set both --remove 00.jsonstor')).toMatchObject({status: 0})
    await agent.happened('unlink', client, 1)
    expect(await types()).toEqual(['axon'])
    expect(await pool('set both --add 00.jsonstor')).toMatchObject({status: 0})
    await agent.happened('link', client, 3)
    expect(await types()).toEqual(TYPES)
    await client.close()
  })

  test('are called in turn by our client', async () => {
    const nowhere = join(net.home, 'none')
    await using env = await withTeleEnv({dir: join(net.home, '.syn'), serviceDir: nowhere})
    await using both = env.pool('aha://both...')
    await eventually('both are there', async () => both.size === 2 || undefined)
    const turns = [await both.proxy(), await both.proxy()]
    expect((await Promise.all(turns.map((proxy) => proxy.call('getCellType')))).sort()).toEqual(TYPES)
    expect(await pool('set both --remove 00.axon')).toMatchObject({status: 0})
    await eventually('one is left', async () => both.size === 1 || undefined)
    expect(await (await both.proxy()).call('getCellType')).toBe('jsonstorcell')
    expect(await pool('set both --add 00.axon')).toMatchObject({status: 0})
    await eventually('both are there again', async () => both.size === 2 || undefined)
  })

  test('are one service for who knows no pools, and the other one when one of them is down', async () => {
    const agent = await net.agent()
    const proxy = await agent.open('aha://both...')
    expect(TYPES).toContain(await proxy.call('getCellType'))
    await net.of('00.axon').stop()
    await net.until('00.axon', (entry) => entry?.svcinfo.online === undefined)
    const left = await agent.open('aha://both...')
    expect(await left.call('getCellType')).toBe('jsonstorcell')
    expect((await pool('show both')).stdout).toMatch(/^00\.axon\.loop\.test +no +no /m)
    await net.of('00.axon').start()
    await net.until('00.axon', (entry) => entry?.svcinfo.ready === true)
  })

  test('are still there after our server was killed, and the client finds them again', async () => {
    const agent = await net.agent()
    const client = await agent.client('aha://both...', 'open')
    await agent.happened('link', client, 2)
    await net.aha.server.kill()
    await net.aha.server.start()
    for (const name of ['00.axon', '00.jsonstor']) await net.until(name, (entry) => entry?.svcinfo.online !== undefined)
    expect(JSON.parse((await pool('show both --json')).stdout)).toMatchObject({
      members: [{online: true}, {online: true}],
    })
    await agent.happened('link', client, 4)
    await client.close()
  })
})
