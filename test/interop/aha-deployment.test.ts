// A whole deployment of real services lives on our registry in place of a real AHA, and is operated with the stock tools. The tests are the
// stations of one deployment: each begins where the one before it ended. What the changes of each flow are was recorded of a real AHA.
import {afterAll, beforeAll, expect, test, vi} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {NETWORK} from './our-aha.ts'
import {changesSince, endOfLog} from './our-changes.ts'
import {isDown, isUp, OurDeployment} from './our-deployment.ts'
import type {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

/** A Cortex takes its time to start, and the machine may be busy. */
const TEST_MS = 600_000
const DOWN_WITHIN_MS = 120_000
const BACK_WITHIN_MS = 120_000
const VERTEX = 'inet:fqdn=vertex.link'

let net: OurDeployment
let visi: string
let agent: SynapseAgent

vi.setConfig({testTimeout: TEST_MS, hookTimeout: TEST_MS})
showLogsWhenFailed()

beforeAll(async () => {
  net = await OurDeployment.start({cortex: true, mirror: true, cryotank: true})
  visi = await net.enroll('visi')
  agent = await net.agent(visi)
})
afterAll(() => net?.[Symbol.asyncDispose]())

/** What `aha.list` says of each service: who leads, and who is online. */
async function listed(): Promise<Readonly<Record<string, string>>> {
  const {status, stdout} = await net.tool('aha.list', [net.aha.cellUrl, NETWORK])
  expect(status).toBe(0)
  const rows = stdout.trimEnd().split('\n').slice(1)
  const cells = rows.map((row) => row.split(/\s+/))
  return Object.fromEntries(cells.map(([name, , leads, online]) => [name, `${leads} ${online}`]))
}

/** What `aha.mirror` says of the Cortexes: role, online and ready of each, whom it follows, and the last two lines. */
async function mirrors(...args: readonly string[]): Promise<readonly string[]> {
  const {status, stdout} = await net.tool('aha.mirror', ['--url', net.aha.cellUrl, ...args])
  expect(status).toBe(0)
  const [title, heads, , group, ...lines] = stdout.trimEnd().split('\n')
  expect([title, group]).toEqual(['Service Mirror Groups:', `cortex.${NETWORK}`])
  expect(heads?.trim().split(/ {2,}/)).toEqual([
    'name',
    'role',
    'online',
    'ready',
    'host',
    'port',
    'version',
    'synapse',
    'nexus idx',
    'follows',
  ])
  return lines.map((line) => {
    const [name, role, online, ready, , , , , , ...follows] = line.trim().split(/ +/)
    return line.startsWith(' ') ? [name, role, online, ready, ...follows].join(' ') : line
  })
}

/** What it says when both are there and in step. */
const inStep = (leader: string) => [
  ...['00.cortex', '01.cortex'].map((name) =>
    name === leader
      ? `${name}.${NETWORK} leader True True <none - write root>`
      : `${name}.${NETWORK} follower True True aha://root@cortex...`,
  ),
  `Group Leader: ${leader}.${NETWORK}`,
  'Group Status: In Sync',
]

/** Who leads the Cortexes, with all services online. */
const allOnline = (leader: '00.cortex' | '01.cortex') => ({
  ...Object.fromEntries(
    ['axon', 'cryotank', 'jsonstor'].flatMap((name) => [
      [name, 'True True'],
      [`00.${name}`, 'True True'],
    ]),
  ),
  cortex: 'True True',
  '00.cortex': leader === '00.cortex' ? 'True True' : 'False True',
  '01.cortex': leader === '01.cortex' ? 'True True' : 'False True',
})

/** Waits until the alias leads to that Cortex and both are online and ready. */
async function ledBy(leader: string): Promise<void> {
  for (const name of ['00.cortex', '01.cortex']) await net.until(name, isUp)
  const {run} = (await net.until(leader, isUp)).svcinfo
  await net.until('cortex', (entry) => isUp(entry) && entry?.svcinfo.run === run)
}

/** Runs a stock tool as visi and gives what it says, without the time that it took. */
async function storm(query: string, url = 'aha://visi@cortex...'): Promise<string> {
  const {stdout} = await net.tool('storm', [url, query], visi)
  return stdout.replace(/ in \d+ ms \(\d+\/sec\)\./, '.')
}

/** Asks a Cortex as visi for what a query returns. */
async function returned(query: string, url = 'aha://visi@cortex...'): Promise<Value> {
  const proxy = await agent.open(url)
  const value = await proxy.call('callStorm', {args: [query]})
  await proxy.close()
  return value
}

/** Makes a name in a Cortex. */
const make = (fqdn: string, url?: string) => returned(`[ inet:fqdn=${fqdn} ] return($node.value())`, url)
/** Looks it up; null when it is not there. */
const find = (fqdn: string, url?: string) => returned(`inet:fqdn=${fqdn} return($node.value())`, url)

async function changesOf(flow: () => Promise<void>): Promise<readonly string[]> {
  const begin = endOfLog(net.aha.server.dir)
  await flow()
  return changesSince(net.aha.server.dir, begin)
}

/** A real AHA also writes that the alias goes down that the old leader had, which alters nothing: the new one has it. */
function expectHandOver(changes: readonly string[], from: string, to: string): void {
  expect(changes.slice(0, 3)).toEqual([`svc:mod ${to} ready`, 'svc:add cortex ready', `svc:down ${from}`])
  // Two of its tasks, each on its own.
  expect(changes.slice(3, 5).toSorted()).toEqual([`svc:add ${from} not ready`, `svc:mod ${from} not ready`])
  expect(changes.slice(5)).toEqual([`svc:mod ${from} ready`])
}

test('services are provisioned and registered with the changes that a real AHA has', async () => {
  const changes = changesSince(net.aha.server.dir, 0)
  const of = (name: string) => changes.filter((change) => change.includes(name))
  expect(of('axon')).toEqual(['svc:add 00.axon ready', 'svc:add axon ready'])
  expect(of('00.cortex')).toEqual(['svc:add 00.cortex ready'])
  expect(of(' cortex')).toEqual(['svc:add cortex ready'])
  expect(of('01.cortex')).toEqual(['svc:add 01.cortex not ready', 'svc:mod 01.cortex ready'])
  expect(await listed()).toEqual(allOnline('00.cortex'))
  expect(await mirrors('--wait')).toEqual(inStep('00.cortex'))
})

test('an enrolled user is a stranger to a Cortex until it knows him, and asks it then', async () => {
  expect(await storm(VERTEX)).toBe(`ERROR: TLS client cert User not found: visi@${NETWORK}\n`)
  const {stdout} = await net.tool('service.moduser', [
    ...['--svcurl', 'aha://cortex...', '--add', '--admin', 'true', `visi@${NETWORK}`],
  ])
  expect(stdout).toBe(`Adding user: visi@${NETWORK}\n...setting admin: true\n`)
  expect(await storm(`[ ${VERTEX} ]`)).toMatch(/^inet:fqdn=vertex\.link$.*^complete\. 1 nodes\.$/ms)
})

test('the health of a Cortex is asked for by its name; that of others not without a certificate for it', async () => {
  const {stdout, status} = await net.tool('service.healthcheck', ['-c', 'aha://visi@cortex...'], visi)
  expect(JSON.parse(stdout)).toMatchObject({status: 'nominal', components: [{name: 'cortex', status: 'nominal'}]})
  expect(status).toBe(0)
  const refused = await net.tool('service.healthcheck', ['-c', 'aha://root@axon...'], visi)
  expect(JSON.parse(refused.stdout)).toMatchObject({
    components: [{data: {errmesg: `NoSuchCert: mesg='User certificate not found: root@00.axon.${NETWORK}'`}}],
  })
})

test('a query that cannot be asked is refused in the words of the tool', async () => {
  expect(await storm(VERTEX, 'aha://visi@nosuch...')).toBe('ERROR: aha lookup failed: nosuch...\n')
  expect(await storm(VERTEX, 'aha://visi@axon...')).toBe(`ERROR: TLS client cert User not found: visi@${NETWORK}\n`)
})

test('the Cortex has found the Axon and the JSONStor', async () => {
  const query = `
    ($size, $sha256) = $lib.axon.put($lib.base64.decode("YXNkZmFzZGY="))
    $lib.jsonstor.set((a, b), ({"found": $size}))
    return(($sha256, $lib.jsonstor.get((a, b))))`
  const sha256 = '2413fb3709b05939f04cf2e92f7d0897fc2596f9ad0b8a9ea855c7bfebaae892'
  expect(await returned(query)).toEqual([sha256, {found: 8}])
  expect(await net.ask('00.axon', 'size', Buffer.from(sha256, 'hex'))).toBe(8)
})

test('a Cryotank is a leaf that is used by its name', async () => {
  const root = await net.agent()
  const tank = await root.open('aha://cryotank...')
  await tank.call('init', {args: ['woot']})
  expect(await tank.call('puts', {args: ['woot', [{seen: 1}, {seen: 2}]]})).toBe(2)
  expect(await tank.items('slice', {args: ['woot', 0, 10]})).toEqual([
    [0, {seen: 1}],
    [1, {seen: 2}],
  ])
})

test('the mirror has what the leader has, and passes on what is written to it', async () => {
  const mirror = 'aha://visi@01.cortex...'
  expect(await find('vertex.link', mirror)).toBe('vertex.link')
  expect(await make('woot.com', mirror)).toBe('woot.com')
  expect(await find('woot.com')).toBe('woot.com')
  const any = await agent.open('aha://visi@cortex...?mirror=true')
  expect(any.info.ahaname).toBe(`01.cortex.${NETWORK}`)
})

test('the mirror is promoted gracefully', async () => {
  const {cellUrl: leader} = net.of('00.cortex')
  const {cellUrl: mirror} = net.of('01.cortex')
  const refused = await net.tool('service.promote', ['--svcurl', leader])
  expect(refused).toMatchObject({status: 1, stdout: expect.stringContaining('promote() called on non-mirror')})

  const changes = await changesOf(async () => {
    const promoted = await net.tool('service.promote', ['--svcurl', mirror])
    expect(promoted).toMatchObject({status: 0, stdout: `Promoting to leader: ${mirror}\n`})
    await ledBy('01.cortex')
  })
  expectHandOver(changes, '00.cortex', '01.cortex')
  expect(await listed()).toEqual(allOnline('01.cortex'))
  expect(await make('after.promotion')).toBe('after.promotion')
  expect(await find('after.promotion', 'aha://visi@00.cortex...')).toBe('after.promotion')
  expect(await mirrors('--wait')).toEqual(inStep('01.cortex'))
})

test('the leader steps down for the only other one; who does not lead or has no mirror cannot', async () => {
  const {cellUrl} = net.of('01.cortex')
  const changes = await changesOf(async () => {
    const demoted = await net.tool('service.demote', ['--url', cellUrl])
    expect(demoted).toMatchObject({status: 0, stdout: `Demoting leader: ${cellUrl}\n`})
    await ledBy('00.cortex')
  })
  expectHandOver(changes, '01.cortex', '00.cortex')
  for (const name of ['01.cortex', '00.axon']) {
    const {cellUrl: url} = net.of(name)
    const refused = await net.tool('service.demote', ['--url', url])
    expect(refused).toMatchObject({
      status: 1,
      stdout: `Demoting leader: ${url}\nFailed to demote service ${url}\n`,
    })
  }
  expect(await listed()).toEqual(allOnline('00.cortex'))
})

test('a service that stops or is killed is offline with its alias, and online when it is back', async () => {
  const names = ['00.cryotank', 'cryotank']
  const tank = net.of('00.cryotank')
  for (const end of [() => tank.kill(), () => tank.stop()]) {
    const changes = await changesOf(async () => {
      await end()
      for (const name of names) await net.until(name, isDown, DOWN_WITHIN_MS)
      await tank.start()
      for (const name of names) await net.until(name, isUp)
    })
    expect(changes).toEqual([
      ...['svc:down 00.cryotank', 'svc:down cryotank'],
      ...['svc:mod 00.cryotank ready', 'svc:add 00.cryotank ready', 'svc:add cryotank ready'],
    ])
  }
})

test('all are back by themselves when our server was killed or restarted, but for the one that is gone', async () => {
  const tank = net.of('00.cryotank')
  const {server} = net.aha
  await Promise.all([server.kill(), tank.kill()])
  await server.start()
  const others = Object.keys(allOnline('00.cortex')).filter((name) => !name.endsWith('cryotank'))
  await Promise.all(others.map((name) => net.until(name, isUp, BACK_WITHIN_MS)))
  expect(await listed()).toEqual({...allOnline('00.cortex'), '00.cryotank': 'True False', cryotank: 'True False'})
  await server.restart()
  await Promise.all(others.map((name) => net.until(name, isUp, BACK_WITHIN_MS)))
  await tank.start()
  await net.until('cryotank', isUp)
  expect(await listed()).toEqual(allOnline('00.cortex'))
  expect(await find('after.promotion')).toBe('after.promotion')
})

test('a mirror whose leader is dead is promoted by force only', async () => {
  const {cellUrl} = net.of('01.cortex')
  await net.of('00.cortex').kill()
  for (const name of ['00.cortex', 'cortex']) await net.until(name, isDown, DOWN_WITHIN_MS)
  const gracefully = await net.tool('service.promote', ['--svcurl', cellUrl])
  expect(gracefully).toMatchObject({status: 1, stdout: expect.stringContaining('aha lookup failed: cortex...')})
  const changes = await changesOf(async () => {
    const {status, stdout} = await net.tool('service.promote', ['--svcurl', cellUrl, '--failure'])
    expect({status, stdout}).toEqual({status: 0, stdout: `Promoting to leader: ${cellUrl}\n`})
    await net.until('cortex', isUp)
  })
  expect(changes).toEqual(['svc:mod 01.cortex ready', 'svc:add cortex ready'])
  expect(await listed()).toEqual({...allOnline('01.cortex'), '00.cortex': 'False False'})
  expect(await mirrors()).toEqual([
    `00.cortex.${NETWORK} <unknown> False False <unknown>`,
    `01.cortex.${NETWORK} leader True True <none - write root>`,
    `Group Leader: 01.cortex.${NETWORK}`,
    'Group Status: Out of Sync',
  ])
  expect(await make('after.disaster')).toBe('after.disaster')
})

test('the old leader is wiped and provisioned again, as a mirror of the new one', async () => {
  const changes = await changesOf(async () => {
    await net.cortex('00.cortex', ['--mirror', 'cortex'])
    await ledBy('01.cortex')
  })
  expect(changes).toEqual(['svc:mod 00.cortex not ready', 'svc:add 00.cortex not ready', 'svc:mod 00.cortex ready'])
  expect(await listed()).toEqual(allOnline('01.cortex'))
  expect(await find('after.disaster', 'aha://visi@00.cortex...')).toBe('after.disaster')
})

test('a service is shut down by the stock tool, and a second time it is not there', async () => {
  const {cellUrl, dir} = net.of('00.axon')
  const changes = await changesOf(async () => {
    const ended = await net.tool('service.shutdown', ['--url', cellUrl])
    expect(ended).toMatchObject({status: 0, stdout: ''})
    for (const name of ['00.axon', 'axon']) await net.until(name, isDown, DOWN_WITHIN_MS)
  })
  expect(changes).toEqual(['svc:down 00.axon', 'svc:down axon'])
  const again = await net.tool('service.shutdown', ['--url', cellUrl])
  const reason = `Cell path is not listening: ${dir}/sock`
  expect(again).toMatchObject({status: 2, stdout: `Error while attempting graceful shutdown: ${reason}\n`})
  expect(await storm('', 'aha://visi@axon...')).toBe('ERROR: aha lookup failed: axon...\n')
})

test('our server had nothing to warn of', () => {
  const warnings = net.aha.server.output().match(/^.*\[(WARNING|ERROR|CRITICAL)\].*$/gm) ?? []
  // A tool that has its answer leaves links in the middle of their handshake, which it was opening ahead.
  expect(warnings.filter((line) => !line.includes('telepath.tls.refused'))).toEqual([])
})
