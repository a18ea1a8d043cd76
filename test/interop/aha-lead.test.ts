// The operator's commands on real services: who leads and who mirrors, the lead moved by a hand-over, back, and after the leader was killed; users,
// roles and keys of each kind of service. On our AHA, and the same commands on a real one.
import {cp, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {ReturnReport} from '../../src/cli/allow-return.ts'
import type {ErrorReport} from '../../src/cli/error-report.ts'
import type {LeadReport} from '../../src/cli/lead-command.ts'
import type {RegistryStatus} from '../../src/cli/status-report.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {isDown, isUp, OurDeployment} from './our-deployment.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, SynapseService} from './synapse-world.ts'

const [FIRST, SECOND] = ['00.cortex.loop.test', '01.cortex.loop.test'] as const

let net: OurDeployment

showLogsWhenFailed()

beforeAll(async () => {
  net = await OurDeployment.start({mirror: true})
})
afterAll(() => net?.[Symbol.asyncDispose]())

const registry = (...args: readonly string[]) => net.registry(args)

async function asked<T>(...args: readonly string[]): Promise<T> {
  const {status, stdout, stderr} = await registry(...args, '--json')
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  return JSON.parse(stdout) as T
}

async function refused(
  ...args: readonly string[]
): Promise<{readonly status: number | null; readonly error: ErrorReport}> {
  const {status, stdout} = await registry(...args, '--json')
  return {status, ...(JSON.parse(stdout) as {readonly error: ErrorReport})}
}

const rolesOf = (group: RegistryStatus['group'] | null) =>
  group?.members.map(({name, role, online, ready, behind}) => [name, online ? role : 'offline', ready, behind])

const LED_BY_FIRST = [
  [FIRST, 'leader', true, undefined],
  [SECOND, 'mirror', true, 0],
]
const LED_BY_SECOND = [
  [FIRST, 'mirror', true, 0],
  [SECOND, 'leader', true, undefined],
]

describe('the status of a service', () => {
  test.each(['aha://cortex...', 'aha://01.cortex...', SECOND, 'the UNIX socket'])(
    'tells the leader and its mirrors, asked at %s',
    async (at) => {
      const url = at === SECOND ? `aha://root@${SECOND}` : at === 'the UNIX socket' ? net.of('01.cortex').cellUrl : at
      const {status, group, cell} = await asked<RegistryStatus>('status', url)
      expect(rolesOf(group)).toEqual(LED_BY_FIRST)
      expect(group).toMatchObject({leader: FIRST, leaderAlias: 'cortex', problems: []})
      expect(group?.members[1]).toMatchObject({version: '2.256.0', synapseVersion: '2.256.0', uplink: true})
      expect({status, iden: cell?.iden}).toEqual({status: 'ok', iden: await net.ask('01.cortex', 'getCellIden')})
    },
  )

  test('is told of one without mirrors too, and of our server while it is the only member of its cell', async () => {
    const {group} = await asked<RegistryStatus>('status', 'aha://axon...')
    expect(rolesOf(group)).toEqual([['00.axon.loop.test', 'leader', true, undefined]])
    expect((await asked<RegistryStatus>('status', net.aha.cellUrl)).group).toBeUndefined()
  })

  test('needs no more than a user of the service', async () => {
    const home = await net.enroll('visi')
    const stranger = await net.registry(['status', 'aha://cortex...', '--json'], home)
    expect(stranger).toMatchObject({status: 3, stdout: expect.stringContaining('User not found: visi@loop.test')})
    const {status, error, group: known} = JSON.parse(stranger.stdout) as RegistryStatus
    expect([status, known?.members.map(({name, online}) => [name, online])]).toEqual([
      'refused',
      [
        [FIRST, true],
        [SECOND, true],
      ],
    ])
    expect(error?.hints[0]).toBe('an administrator of it: registry user add visi@loop.test --url aha://cortex...')
    await registry('user', 'add', 'visi@loop.test', '--url', 'aha://cortex...')
    const {stdout} = await net.registry(['status', 'aha://cortex...', '--json'], home)
    expect(rolesOf((JSON.parse(stdout) as RegistryStatus).group)).toEqual(LED_BY_FIRST)
    const mirror = ['promote', 'aha://01.cortex...']
    for (const words of [mirror, [...mirror, '--failure'], ['demote', 'aha://cortex...']]) {
      const denied = await net.registry([...words, '--dry-run', '--json'], home)
      expect(denied).toMatchObject({
        status: 4,
        stdout: expect.stringContaining('User is not an admin [visi@loop.test]'),
      })
    }
    // The service itself says the same.
    const tool = await net.registry(['query', 'aha://01.cortex...', '--call', 'promote', '--json'], home)
    expect(tool).toMatchObject({status: 4, stdout: expect.stringContaining('User is not an admin [visi@loop.test]')})
  })
})

test('users, roles and API keys of an Axon, a JSONStor and a Cortex are added, changed and removed by name', async () => {
  await Promise.all(['axon', 'jsonstor', 'cortex'].map(manageUsers))
})

async function manageUsers(name: string): Promise<void> {
  const on = (...args: readonly string[]) => asked<unknown>(...args, '--url', `aha://${name}...`)
  const bob = () => net.ask(`00.${name}`, 'getUserDefByName', 'bob')
  await on('role', 'add', 'ops', '--rule', 'node.add')
  await on('user', 'add', 'bob', '--email', 'bob@loop.test')
  await on('user', 'grant', 'bob', 'ops')
  await on('user', 'allow', 'bob', 'health')
  await on('user', 'deny', 'bob', 'node.del', '--yes')
  expect(await on('user', 'show', 'bob')).toMatchObject({email: 'bob@loop.test', admin: false, roles: ['all', 'ops']})
  expect(await bob()).toMatchObject({
    rules: [
      [false, ['node', 'del']],
      [true, ['health']],
    ],
  })
  await on('apikey', 'add', 'k1', '--user', 'bob')
  expect((await registry('apikey', 'list', '--user', 'bob', '--url', `aha://${name}...`)).stdout).toMatch(/^k1 /m)
  await on('apikey', 'remove', 'k1', '--user', 'bob', '--yes')
  await on('role', 'remove', 'ops', '--yes')
  expect(await bob()).toMatchObject({roles: [expect.objectContaining({name: 'all'})]})
  await on('user', 'remove', 'bob', '--yes')
  expect(await bob()).toBeNull()
}

describe('the lead', () => {
  test.each<[readonly string[], number, string]>([
    [['promote', 'aha://cortex...'], 5, `${FIRST} is no mirror: it leads`],
    [['promote', 'aha://cortex...', '--failure', '--yes'], 5, `${FIRST} is no mirror: it leads`],
    [['demote', 'aha://01.cortex...'], 5, `${SECOND} does not lead: it mirrors aha://root@cortex...`],
    [['promote', 'aha://axon...'], 5, '00.axon.loop.test is no mirror: it leads and has no mirrors'],
    [['demote', 'aha://axon...'], 5, '00.axon.loop.test has no mirror that could lead'],
    [['promote', 'aha://09.cortex...'], 3, 'aha lookup failed: 09.cortex...'],
    [['promote', 'aha://01.cortex...', '--yes'], 2, '--failure'],
  ])('is not moved by %j', async (args, status, text) => {
    const answer = await refused(...args)
    expect(answer).toMatchObject({status, error: {message: expect.stringContaining(text)}})
  })

  test('is not moved at our own server while it has no mirrors', async () => {
    for (const command of ['promote', 'demote'])
      expect(await refused(command, net.aha.cellUrl)).toMatchObject({status: 5, error: {code: 'REG_CONFLICT'}})
    const [promoted, demoted] = [
      await net.tool('service.promote', ['--svcurl', net.aha.cellUrl]),
      await net.tool('service.demote', ['--url', net.aha.cellUrl]),
    ]
    expect(promoted).toMatchObject({status: 1, stdout: expect.stringContaining('promote() called on non-mirror')})
    expect(demoted).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('AHA is not configured on this service.'),
    })
  })

  test('is shown, and not moved, by a dry run', async () => {
    const report = await asked<LeadReport>('promote', 'aha://01.cortex...', '--dry-run')
    expect(report).toMatchObject({dryRun: true, leader: SECOND, after: null})
    expect(await net.ask('01.cortex', 'isCellActive')).toBe(false)
  })

  test('goes to a mirror by a hand-over, and nothing is lost', async () => {
    await registry('user', 'add', 'before', '--url', 'aha://cortex...')
    const report = await asked<LeadReport>('promote', 'aha://01.cortex...')
    expect(report).toMatchObject({leader: SECOND, dryRun: false, warnings: [], next: []})
    expect([rolesOf(report.before), rolesOf(report.after)]).toEqual([LED_BY_FIRST, LED_BY_SECOND])
    await registry('user', 'add', 'after', '--url', 'aha://cortex...')
    for (const user of ['before', 'after'])
      expect(await net.ask('01.cortex', 'getUserDefByName', user)).toMatchObject({name: user})
    const {group} = await asked<RegistryStatus>('status', 'aha://cortex...')
    expect(group?.leader).toBe(SECOND)
  })

  test('goes back by a demotion', async () => {
    const {stdout, status} = await registry('demote', 'aha://cortex...')
    expect(status).toBe(0)
    expect(stdout).toContain(`${FIRST} leads now\n`)
    expect(stdout).toMatch(new RegExp(`^${FIRST} +mirror +\\d+ +0 +leader +\\d+ +-$`, 'm'))
    expect(rolesOf((await asked<RegistryStatus>('status', 'aha://cortex...')).group)).toEqual(LED_BY_FIRST)
  })

  test('is taken by force when the leader was killed, and the old one is told of', async () => {
    const mirror = 'aha://01.cortex...'
    await net.of('00.cortex').kill()
    await net.until('cortex', isDown)
    expect(await refused('status', 'aha://cortex...')).toMatchObject({
      status: 6,
      error: {hints: [`registry status aha://${SECOND}`]},
    })
    const {group, status} = await asked<RegistryStatus>('status', mirror)
    expect(status).toBe('degraded')
    expect(group?.problems).toContain(`${FIRST} is offline`)
    expect((await registry('status', mirror, '--verify')).status).toBe(8)

    expect(await refused('promote', mirror)).toMatchObject({
      status: 6,
      error: {message: expect.stringContaining(`no service of its cell leads; ${FIRST} is offline`)},
    })
    expect(await refused('promote', mirror, '--failure')).toMatchObject({status: 2, error: {code: 'REG_USAGE'}})
    expect(await net.ask('01.cortex', 'isCellActive')).toBe(false)

    const report = await asked<LeadReport>('promote', mirror, '--failure', '--yes')
    expect(rolesOf(report.after)).toEqual([
      [FIRST, 'offline', undefined, undefined],
      [SECOND, 'leader', true, undefined],
    ])
    const index = report.before.members[1]?.nexusIndex
    expect(report.warnings).toEqual([
      `${SECOND} has the changes below index ${index}: what the leader wrote from there on is lost`,
      `${FIRST} is offline`,
    ])
    expect(report.fenced).toEqual([FIRST])
    expect(report.next).toContain('registry provision service 00.cortex --mirror cortex')
    expect((await registry('user', 'add', 'later', '--url', 'aha://cortex...')).status).toBe(0)
  })
})

describe('an old leader that comes back after it was replaced', () => {
  const runOf = async (name: string) => (await net.aha.entry(`${name}...`))?.svcinfo.run
  const fenceOf = async () =>
    (await asked<RegistryStatus>('status', 'aha://cortex...')).group?.members.find(({name}) => name === FIRST)?.fenced

  test('does not get the name of the leader, however often it asks, and leaves it alone when it stops', async () => {
    const old = net.of('00.cortex')
    await old.start()
    const {run} = (await net.until('01.cortex', isUp)).svcinfo
    const back = (await net.until('00.cortex', isUp)).svcinfo.run
    await expect.poll(async () => (await fenceOf())?.refused, {timeout: 120_000}).toBeGreaterThan(2)
    expect(await runOf('cortex')).toBe(run)
    expect(await net.ask('00.cortex', 'isCellActive')).toBe(true)
    const {status, group} = await asked<RegistryStatus>('status', 'aha://cortex...')
    expect([status, group?.problems]).toEqual([
      'degraded',
      [`${FIRST} and ${SECOND} lead at the same time: each has changes that the other lacks`],
    ])
    expect((await registry('status', 'aha://cortex...')).stdout).toMatch(
      new RegExp(
        `^${FIRST} may not lead since .*: ${SECOND} was promoted in its place; it was refused \\d+ times`,
        'm',
      ),
    )
    expect((await asked<RegistryStatus>('status', net.aha.cellUrl)).aha?.fences).toMatchObject([
      {name: FIRST, leader: SECOND},
    ])
    const [refusals, again] = [
      net.aha.server.output().match(/aha\.fence\.refused/g),
      await refused('promote', `aha://${FIRST}`),
    ]
    expect(refusals).toHaveLength(1)
    expect(again).toMatchObject({
      status: 5,
      error: {message: `${FIRST} is no mirror: it leads and none of its mirrors can be asked`},
    })
    await old.stop()
    await net.until('00.cortex', isDown)
    expect(await net.aha.entry('cortex...')).toMatchObject({svcinfo: {run, online: expect.any(String)}})
    const {stdout} = await registry('service', 'history', '00.cortex', '--url', net.aha.cellUrl)
    expect(stdout).toContain('fenced')
    expect(stdout.match(/refused to lead/g)).toHaveLength(1)
    expect(stdout).toContain(back)
    // It says its own name again each second as well.
    expect(stdout.split('refused to lead')[1]?.match(/aha: up/g) ?? []).toEqual([])
  })

  test('may be let again, and is kept from it again by another promotion only', async () => {
    const report = await asked<ReturnReport>('promote', 'aha://00.cortex...', '--allow-return')
    expect(report).toEqual({changed: true, dryRun: false, allowed: [FIRST]})
    expect(await refused('promote', 'aha://cortex...', '--allow-return')).toMatchObject({status: 5})
    expect(await fenceOf()).toBeUndefined()
  })

  test('takes the name of the leader from who was promoted by the stock tool, and gives it back when it stops', async () => {
    const {run} = (await net.until('cortex', isUp)).svcinfo
    const old = net.of('00.cortex')
    await old.start()
    await net.until('cortex', (entry) => isUp(entry) && entry?.svcinfo.run !== run)
    const seen = new Set<boolean>()
    const watching = net.until('cortex', (entry) => {
      seen.add(isUp(entry))
      return entry?.svcinfo.run === run
    })
    await old.stop()
    await watching
    expect([...seen]).toEqual([true])
    expect(await net.aha.entry('cortex...')).toMatchObject({svcinfo: {run, online: expect.any(String), ready: true}})
  })

  test('follows, and may lead, when it was provisioned anew', async () => {
    await net.aha.ask('fenceAhaSvc', '00.cortex...', '01.cortex...')
    expect(await fenceOf()).toMatchObject({leader: SECOND, refused: 0})
    await net.cortex('00.cortex', ['--mirror', 'cortex'])
    expect(await fenceOf()).toBeUndefined()
    await asked<LeadReport>('promote', 'aha://00.cortex...')
    const {status, group} = await asked<RegistryStatus>('status', 'aha://cortex...')
    expect([status, rolesOf(group)]).toEqual(['ok', LED_BY_FIRST])
  })
})

describe('on a real AHA', () => {
  test('the same commands show and move the lead of a pair', async () => {
    await using real = await AhaNetwork.start()
    await real.service('axon', '00.axon')
    const url = await real.provisionUrl('01.axon', {mirror: 'axon'})
    await using mirror = await SynapseService.start('axon', {network: real.network, conf: {'aha:provision': url}})
    await real.online('01.axon')
    await using home = await homeOfRoot(real)
    const at = async (...args: readonly string[]) => JSON.parse((await home.registry(...args, '--json')).stdout)
    const led = (leader: string) => ({leader: `${leader}.axon.loop.test`, problems: []})

    expect(await at('status', 'aha://axon...')).toMatchObject({status: 'ok', group: led('00')})
    expect(await at('promote', mirror.cellUrl)).toMatchObject({before: led('00'), after: led('01')})
    expect(await at('demote', 'aha://axon...')).toMatchObject({before: led('01'), after: led('00')})
    expect(await at('status', 'aha://01.axon...')).toMatchObject({status: 'ok', group: led('00')})

    // Somebody does not look: the leader is there, and is left there.
    const both = '00.axon.loop.test and 01.axon.loop.test lead at the same time: each has changes that the other lacks'
    expect(await at('promote', 'aha://01.axon...', '--failure', '--yes')).toMatchObject({
      fenced: [],
      warnings: [
        expect.stringMatching(/^00\.axon\.loop\.test leads and answers, at index \d+: /),
        expect.anything(),
        both,
      ],
    })
    expect(await at('status', 'aha://01.axon...')).toMatchObject({
      status: 'degraded',
      group: {leader: null, problems: [both]},
    })
    const {error} = await at('demote', 'aha://01.axon...')
    expect(error).toMatchObject({code: 'REG_CONFLICT', message: expect.stringContaining('00.axon.loop.test leads too')})
  })
})

/** A home with the certificate of root of a real network, for our command line. */
async function homeOfRoot({aha, network}: AhaNetwork) {
  const home = await mkdtemp(join(tmpdir(), 'registry-lead-'))
  await mkdir(join(home, '.syn'))
  await cp(join(aha.dir, 'certs'), join(home, '.syn', 'certs'), {recursive: true})
  const server = `ssl://root@aha.${network}:${aha.ports.telepath}`
  await writeFile(join(home, '.syn', 'telepath.yaml'), `version: 1\naha:servers:\n- ${server}\n`)
  const names = new URL('synapse-names.ts', import.meta.url).pathname
  const env = {HOME: home, SYN_DIR: join(home, '.syn'), PEER_NAMES: network, NODE_OPTIONS: `--import=${names}`}
  return {
    registry: (...args: readonly string[]): Promise<CliResult> => runCli(args, {env}),
    [Symbol.asyncDispose]: () => rm(home, {recursive: true, force: true}),
  }
}
