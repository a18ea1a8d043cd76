// The real client of Synapse on `registry serve`, over the UNIX socket and over TLS: who is let in, who is refused and what our log says of it.
import {readFileSync} from 'node:fs'
import {cp, mkdtemp} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import {runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {type RealProxy, type RealStream, SynapseAgent, type SynapseError} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool} from './synapse-world.ts'
import {eventually} from './world.ts'

showLogsWhenFailed()

const NETWORK = 'loop.test'
const HOST = `registry.${NETWORK}`
const HOUR_MS = 3_600_000
const REVOKED_WITHIN_MS = 120_000

interface World extends AsyncDisposable {
  readonly agent: SynapseAgent
  readonly server: TestServer
  /** URL of the TLS listener, for a client that shows that certificate. */
  url(certname?: string): string
  /** Opens it as root of the network, or with another certificate. */
  open(certname?: string): Promise<RealProxy>
  /** Waits until our log says that. */
  logged(text: string | RegExp): Promise<void>
}

/** A registry with a TLS listener, and a home of a client; the certificates are made by Synapse, the user `visi` exists. */
async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const agent = stack.use(await SynapseAgent.start({network: NETWORK}))
  const dir = await mkdtemp(join(tmpdir(), 'registry-cell-'))
  const certs = join(dir, 'certs')
  const users = ['root', 'visi', 'ghost'].map((name) => ['user', `${name}@${NETWORK}`, NETWORK] as const)
  await agent.makeCerts(certs, [['ca', NETWORK], ['host', HOST, NETWORK], ...users])
  await cp(certs, agent.certs, {recursive: true})
  const conf = {'aha:network': NETWORK, 'dmon:listen': `ssl://127.0.0.1:0?hostname=${HOST}&ca=${NETWORK}`}
  const server = stack.use(await startServer({dir, conf}))
  const local = await agent.open(`cell://${dir}`)
  await local.call('addUser', {args: ['visi']})
  await local.close()
  const url = (certname = `root@${NETWORK}`) => {
    // After a restart it has another port.
    const {telepath} = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8')) as {telepath: {url: string}}
    return `ssl://${HOST}:${new URL(telepath.url).port}/?certname=${certname}`
  }
  const opened = stack.move()
  return {
    agent,
    server,
    url,
    open: (certname) => agent.open(url(certname)),
    logged: async (text) => {
      await eventually(`that the log says ${text}`, async () => (server.output().match(text) ? true : undefined))
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world?.[Symbol.asyncDispose]())

describe('a registry is a cell', () => {
  test('over the UNIX socket everybody is root, or who he says', async () => {
    const {agent, server} = world
    const root = await agent.open(`cell://${server.dir}`)
    expect(await root.call('getCellUser')).toMatchObject({name: 'root', admin: true})
    const visi = await agent.open(`cell://visi@${server.dir}`)
    expect(await visi.call('getCellUser')).toMatchObject({name: 'visi', admin: false})
    await expect(visi.call('addUser', {args: ['eve']})).rejects.toMatchObject({errname: 'AuthDeny'})
    await root.close()
    await visi.close()
  })

  test('over TLS the certificate says who calls, whatever the URL says', async () => {
    const proxy = await world.open(`visi@${NETWORK}`)
    expect(await proxy.call('getCellUser')).toMatchObject({name: 'visi'})
    await proxy.close()
    const claimed = await world.agent.open(world.url(`visi@${NETWORK}`).replace('ssl://', 'ssl://root:secret@'))
    expect(await claimed.call('getCellUser')).toMatchObject({name: 'visi'})
    await claimed.close()
  })

  test('it says what the tools of Synapse look for', async () => {
    const proxy = await world.open()
    const {sharinfo, features, ahaname} = proxy.info
    expect(sharinfo['syn:version']).toEqual([2, 256, 0])
    expect(sharinfo.classes).toContain('synapse.lib.cell.CellApi')
    expect(features).toEqual({tasks: 1, shutdowndrain: 1})
    expect(ahaname).toBeNull()
    expect(await proxy.call('getCellInfo')).toMatchObject({cell: {type: 'cell'}, synapse: {version: [2, 256, 0]}})
    expect(await proxy.call('getHealthCheck')).toMatchObject({status: 'nominal', iden: await proxy.call('getCellIden')})
    expect((await proxy.call('getDmonSessions')) as unknown[]).not.toHaveLength(0)
    await proxy.close()
  })

  test('a change of users that one session makes is seen in all others', async () => {
    const [proxy, other] = [await world.open(), await world.open()]
    const user = (await other.call('addUser', {args: ['bob']})) as {iden: string}
    expect(await proxy.call('getUserDefByName', {args: ['bob']})).toMatchObject({iden: user.iden})
    await other.call('delUser', {args: [user.iden]})
    expect(await proxy.call('getUserDefByName', {args: ['bob']})).toBeNull()
    expect(await proxy.items('getTasks')).toEqual([])
    await proxy.close()
    await other.close()
  })

  test('stock tools reach it over TLS with the certificates of their home', async () => {
    const options = {home: world.agent.home, network: NETWORK}
    const health = await runTool('service.healthcheck', ['-c', world.url()], options)
    expect(health).toMatchObject({status: 0})
    expect(JSON.parse(health.stdout)).toMatchObject({status: 'nominal'})
    const listed = await runTool('service.moduser', ['--svcurl', world.url(), '--list'], options)
    expect(listed).toMatchObject({status: 0})
    expect(listed.stdout).toMatch(/root[\s\S]*visi/)
    const denied = await runTool('service.moduser', ['--svcurl', world.url(`visi@${NETWORK}`), '--add', 'eve'], options)
    expect(denied.status).toBe(1)
  })
})

describe('certificates that are refused, and why, in our log', () => {
  const refused = (certname: string) => expect(world.open(certname)).rejects.toMatchObject({errname: 'LinkShutDown'})

  test('none', async () => {
    await expect(world.agent.open(world.url().replace(/\?.*/, ''))).rejects.toMatchObject({errname: 'LinkShutDown'})
    await world.logged(/telepath\.tls\.refused .*no certificate was given/)
  })

  test('one of another authority, even with the same names', async () => {
    const {agent} = world
    const rogue = join(agent.home, 'rogue')
    await agent.makeCerts(rogue, [
      ['ca', NETWORK],
      ['user', `root@${NETWORK}`, NETWORK],
    ])
    for (const ending of ['crt', 'key']) {
      await cp(join(rogue, 'users', `root@${NETWORK}.${ending}`), join(agent.certs, 'users', `rogue.${ending}`))
    }
    await refused('rogue')
    await world.logged(/telepath\.tls\.refused .*(of an unknown authority|signature of the certificate is wrong)/)
  })

  test('one that has expired', async () => {
    const nowMs = Date.now() - 2 * HOUR_MS
    const order = {
      purpose: 'user',
      name: `late@${NETWORK}`,
      signAs: NETWORK,
      keyType: 'rsa2048',
      replace: false,
    } as const
    await issueInto(new CertDir(world.agent.certs), {...order, nowMs, ttlMs: HOUR_MS})
    await refused(order.name)
    await world.logged(/telepath\.tls\.refused .*has expired/)
  })

  test('one of a host', async () => {
    const {certs} = world.agent
    for (const ending of ['crt', 'key']) {
      await cp(join(certs, 'hosts', `${HOST}.${ending}`), join(certs, 'users', `host.${ending}`))
    }
    await refused('host')
    await world.logged(/telepath\.tls\.refused .*not for this use/)
  })

  test('one of a user that does not exist here', async () => {
    const opened = world.open(`ghost@${NETWORK}`)
    await expect(opened).rejects.toMatchObject({errname: 'NoSuchUser', info: {username: `ghost@${NETWORK}`}})
    await world.logged(/login\.refused .*ghost@loop\.test/)
  })

  test('one of a user that is locked; what he had open is cut', async () => {
    const [root, visi] = [await world.open(), await world.open(`visi@${NETWORK}`)]
    const {iden} = (await root.call('getUserDefByName', {args: ['visi']})) as {iden: string}
    await root.call('setUserLocked', {args: [iden, true]})
    await world.agent.happened('fini', visi)
    await expect(world.open(`visi@${NETWORK}`)).rejects.toMatchObject({errname: 'AuthDeny'})
    await world.logged(/login\.refused .*is locked/)
    await root.call('setUserLocked', {args: [iden, false]})
    await (await world.open(`visi@${NETWORK}`)).close()
    await root.close()
  })

  test('the server whose name is not the expected one, by the client', async () => {
    const opened = world.agent.open(`${world.url()}&hostname=other.${NETWORK}`)
    await expect(opened).rejects.toMatchObject({errname: 'BadCertHost'})
  })

  test('one that is revoked: what is open with it is cut, and it is refused from then on', async () => {
    const [root, visi] = [await world.open(), await world.open(`visi@${NETWORK}`)]
    await visi.callMany(3, 'getCellIden')
    const args = ['cert', 'revoke', `visi@${NETWORK}`, '--kind', 'user', '--yes']
    const revoked = await runCli([...args, '--certdir', join(world.server.dir, 'certs')])
    expect(revoked).toMatchObject({status: 0})
    await world.agent.happened('fini', visi, 1, REVOKED_WITHIN_MS)
    await refused(`visi@${NETWORK}`)
    await world.logged(/certificates\.revoked /)
    await world.logged(/telepath\.tls\.refused .*is revoked/)
    expect(await root.call('getCellIden')).toBe(await root.call('getCellIden'))
    await root.close()
    await world.server.restart()
    await refused(`visi@${NETWORK}`)
  })
})

test('SIGTERM with idle sessions of the real client, and with a stream that runs: it ends in good order', async () => {
  await using other = await openWorld()
  const idle = await Promise.all(Array.from({length: 10}, () => other.open()))
  for (const proxy of idle) await proxy.callMany(3, 'getCellIden')
  const busy = await other.open()
  const log = await busy.iterate('watch', {args: [1]})
  expect(await log.next()).toHaveLength(1)
  const ended = endOf(log)
  expect(await other.server.stop()).toBe(0)
  for (const proxy of [...idle, busy]) await other.agent.happened('fini', proxy)
  // Cut short, which is not the end: the client knows that there was more.
  expect(await ended).toBe('LinkShutDown')
})

/** Reads a stream to its end and gives the error that it ended with. */
async function endOf(stream: RealStream): Promise<string> {
  try {
    for (;;) await stream.next()
  } catch (error) {
    return (error as SynapseError).errname
  }
}
