// Our registry takes the place of a real AHA, in the way of docs/operations/deployment.md: with its certificates and its cell.yaml, and nothing
// else of it. Nobody touches the services and the clients of the network.
import {cp, mkdtemp, readFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {parse} from 'yaml'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {runCli} from '../support/cli.ts'
import {startServer} from '../support/server.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, SynapseService} from './synapse-world.ts'

const NETWORK = 'loop.test'
const NAMES = new URL('synapse-names.ts', import.meta.url).pathname
const ONLINE_WITHIN_MS = 120_000
const PAUSE_MS = 50

showLogsWhenFailed()

/** Copies what the guide says to a directory of its own, for loopback and the ports that the old one had. */
async function copyOf(aha: SynapseService): Promise<{readonly dir: string; readonly conf: Record<string, unknown>}> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-replace-'))
  await cp(join(aha.dir, 'certs'), join(dir, 'certs'), {recursive: true})
  const conf = parse(await readFile(join(aha.dir, 'cell.yaml'), 'utf8')) as Record<string, unknown>
  const {telepath, provision} = aha.ports
  const listen = {'dmon:listen': telepath, 'provision:listen': provision}
  for (const [option, port] of Object.entries(listen)) {
    conf[option] = String(conf[option]).replace('//0.0.0.0:0', `//127.0.0.1:${port}`)
  }
  return {dir, conf}
}

/** Which of those names are online at an AHA. */
async function online(url: string, names: readonly string[]): Promise<readonly string[]> {
  await using root = await openTelepath(url)
  const isOnline = async (name: string) => {
    const entry = (await root.call('getAhaSvc', {args: [`${name}...`]})) as Entry
    return entry?.svcinfo.online !== undefined && entry.svcinfo.ready
  }
  const found = await Promise.all(names.map(async (name) => ((await isOnline(name)) ? [name] : [])))
  return found.flat()
}

type Entry = {readonly svcinfo: {readonly online?: string; readonly ready: boolean}} | null

async function untilOnline(url: string, names: readonly string[]): Promise<void> {
  const giveUpAt = performance.now() + ONLINE_WITHIN_MS
  for (;;) {
    const there = await online(url, names)
    if (there.length === names.length) return
    if (performance.now() > giveUpAt) throw new Error(`only these are online in time: ${there.join(', ')}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

test('in place of a real AHA, the services come by themselves, and the user who was enrolled there finds them', {
  timeout: 600_000,
}, async () => {
  await using net = await AhaNetwork.start(NETWORK, {keyBits: 2048})
  const {aha} = net
  const axon = await net.service('axon', '00.axon')
  await using jsonstor = await SynapseService.start('jsonstor', {
    network: NETWORK,
    conf: {'aha:provision': await net.provisionUrl('00.jsonstor', {conf: {'aha:user': 'js'}})},
  })
  await net.online('00.jsonstor')
  const home = await net.enroll('visi')
  const visi = {HOME: home, SYN_DIR: `${home}/.syn`, PEER_NAMES: NETWORK, NODE_OPTIONS: `--import=${NAMES}`}
  const pending = await net.enrollUrl('fred')
  await call(axon.cellUrl, 'addUser', `visi@${NETWORK}`)
  const before = [axon.pid, jsonstor.pid]
  const listed = await runCli(['user', 'list', '--url', aha.cellUrl, '--json'])
  const users = (JSON.parse(listed.stdout) as Users).users.filter(({name}) => name !== 'root')
  expect(users.map(({name}) => name)).toEqual([`fred@${NETWORK}`, 'js', `visi@${NETWORK}`])
  const known = await servicesOf(aha.cellUrl)
  expect(known).toEqual(['00.axon', '00.jsonstor', 'axon', 'jsonstor'].map((name) => `${name}.${NETWORK} yes yes`))
  await aha.stop()

  const {dir, conf} = await copyOf(aha)
  await using server = await startServer({dir, conf})
  const url = `cell://${server.dir}`
  await untilOnline(url, ['00.axon', 'axon'])
  // A service that is a user of its own waits for that user to be there, and visi too.
  expect(await online(url, ['00.jsonstor', 'jsonstor'])).toEqual([])
  const stranger = await runCli(['query', 'aha://axon...', '--call', 'getCellInfo', '--timeout', '1s'], {env: visi})
  expect(stranger).toMatchObject({stdout: '', stderr: expect.stringContaining(`User not found: visi@${NETWORK}`)})
  // Said once, though it was tried again and again.
  expect(stranger.stderr.match(/^AHA: /gm)).toHaveLength(1)
  expect(stranger.stderr).toContain(
    `try: on the machine of the AHA: registry user add visi@${NETWORK} --url cell://DIR`,
  )
  for (const {name, rules} of users) {
    const allowed = rules.flatMap(({rule}) => ['--allow', rule])
    const added = await runCli(['user', 'add', name, ...allowed, '--url', url])
    expect(added).toMatchObject({status: 0})
  }
  await untilOnline(url, ['00.jsonstor', 'jsonstor'])
  expect(await servicesOf(url)).toEqual(known)

  const found = await runCli(['query', 'aha://axon...', '--call', 'getCellInfo'], {env: visi})
  expect(found).toMatchObject({status: 0, stdout: expect.stringContaining('"type": "axon"')})
  const agent = await net.agent({home})
  expect((await agent.open('aha://axon...')).info.ahaname).toBe(`00.axon.${NETWORK}`)

  // A URL that was made there is not known here; a new one lets a new service in, by the same authority.
  const fred = {...visi, SYN_DIR: join(home, 'fred'), SYN_CERT_DIR: join(home, 'fred', 'certs')}
  const stale = await runCli(['enroll', pending], {env: fred})
  expect(stale).toMatchObject({status: 3, stderr: expect.stringContaining('does not take this one-time URL')})
  const made = await runCli(['provision', 'service', '01.axon', '--only-url', '--url', url])
  const once = {'aha:provision': made.stdout.trim()}
  await using _second = await SynapseService.start('axon', {network: NETWORK, conf: once})
  await untilOnline(url, ['01.axon'])
  expect([axon.pid, jsonstor.pid]).toEqual(before)
})

/** What `registry status` shows of the services of an AHA: who leads, and who is online. */
async function servicesOf(url: string): Promise<readonly string[]> {
  const {stdout} = await runCli(['status', url])
  const rows = stdout.slice(stdout.indexOf('\n\n')).trim().split('\n').slice(1)
  return rows.map((row) => row.split(/\s+/).slice(0, 3).join(' '))
}

interface Users {
  readonly users: readonly {readonly name: string; readonly rules: readonly {readonly rule: string}[]}[]
}

/** Calls a service once as root on its UNIX socket. */
async function call(url: string, method: string, ...args: readonly Value[]): Promise<Value> {
  await using root = await openTelepath(url)
  return await root.call(method, {args})
}
