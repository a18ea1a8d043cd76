// Our registry lives in the network of another AHA, a real one and ours: it provisions itself, registers, is found by real clients, and comes back
// after whatever happens to either side.
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import type {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, runTool} from './synapse-world.ts'

const UP_WITHIN_MS = 120_000
const PAUSE_MS = 50
const NAMES = new URL('synapse-names.ts', import.meta.url).href
const ENV = {PEER_NAMES: NETWORK, NODE_OPTIONS: `--import=${NAMES} --no-warnings`}
const LISTEN = (name: string) => `ssl://127.0.0.1:0?hostname=${name}.${NETWORK}&ca=${NETWORK}`

interface Aha {
  readonly provision: (name: string, conf?: {readonly [key: string]: Value}) => Promise<string>
  readonly cellUrl: () => string
  /** A home of somebody who may look services up. */
  readonly home: () => Promise<string>
  readonly agent: (home: string) => Promise<SynapseAgent>
  readonly kill: () => Promise<void>
  readonly start: () => Promise<void>
}

let real: AhaNetwork
let ours: OurAha

showLogsWhenFailed()

beforeAll(async () => {
  ;[real, ours] = await Promise.all([AhaNetwork.start(NETWORK), OurAha.start()])
})

afterAll(async () => {
  await real?.[Symbol.asyncDispose]()
  await ours?.[Symbol.asyncDispose]()
})

const AHAS: readonly (readonly [name: string, aha: Aha])[] = [
  [
    'a real AHA',
    {
      provision: (name, conf = {}) => real.provisionUrl(name, {conf: {'dmon:listen': LISTEN(name), ...conf}}),
      cellUrl: () => real.aha.cellUrl,
      home: () => real.enroll('visi'),
      agent: (home) => real.agent({home}),
      kill: () => real.aha.kill(),
      start: () => real.aha.start(),
    },
  ],
  [
    'our AHA',
    {
      provision: (name, conf = {}) => ours.ask('addAhaSvcProv', name, {conf: {'dmon:listen': LISTEN(name), ...conf}}),
      cellUrl: () => ours.cellUrl,
      home: async () => {
        const home = await ours.home()
        await ours.tool('aha.enroll', [await ours.ask('addAhaUserEnroll', 'visi')], home)
        return home
      },
      agent: (home) => ours.agent(home),
      kill: () => ours.server.kill(),
      start: () => ours.server.start(),
    },
  ],
]

/** The lines of `aha.list`, their first six columns. */
async function listed(aha: Aha): Promise<string[][]> {
  const {stdout} = await runTool('aha.list', [aha.cellUrl(), NETWORK], {home: await tempDir(), network: NETWORK})
  return stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/).slice(0, 6))
}

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
  onTestFinished(() => rm(dir, {recursive: true, force: true}))
  return dir
}

function cli(args: readonly string[]): Promise<CliResult> {
  return runCli(args, {env: ENV})
}

interface Told {
  readonly cell: {
    readonly iden: string
    readonly run: string
    readonly aha: {readonly name: string; readonly leader: string | null; readonly network: string}
  }
}

/** Waits until a real client finds our registry under that name, and its run is not that of before. */
async function found(agent: SynapseAgent, url: string, notRun = ''): Promise<Told> {
  const giveUpAt = performance.now() + UP_WITHIN_MS
  for (;;) {
    const told = await ask(agent, url).catch((error: Error) => error)
    if (!(told instanceof Error) && told.cell.run !== notRun) return told
    if (performance.now() > giveUpAt) throw new Error(`${url} is not found in time`, {cause: told})
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

async function ask(agent: SynapseAgent, url: string): Promise<Told> {
  const proxy = await agent.open(url)
  try {
    return (await proxy.call('getCellInfo')) as unknown as Told
  } finally {
    await proxy.close()
  }
}

describe.each(AHAS)('under %s', (_, aha) => {
  let registry: TestServer
  let agent: SynapseAgent
  let told: Told

  beforeAll(async () => {
    const url = await aha.provision('00.registry', {'aha:user': 'reg'})
    registry = await startServer({conf: {'lease:grace': '5s', 'aha:provision': url}, env: ENV})
    agent = await aha.agent(await aha.home())
    // Whom the AHA has enrolled is nobody at a service, until he is added there.
    const added = await cli(['user', 'add', `visi@${NETWORK}`, '--url', `cell://${registry.dir}`])
    expect(added).toMatchObject({status: 0})
    told = await found(agent, 'aha://registry...')
  })

  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]()
  })

  test('it is listed under its name and its alias, and says so of itself', async () => {
    expect(await listed(aha)).toEqual([
      ['00.registry', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
      ['registry', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
    ])
    expect(told.cell.aha).toEqual({name: '00.registry', leader: 'registry', network: NETWORK})
    const status = await cli(['status', `cell://${registry.dir}`])
    expect(status.stdout).toMatch(new RegExp(`AHA +00\\.registry\\.${NETWORK}, leader registry`))
  })

  test('its files are as the peer leaves them, and its configuration keeps what it said before', async () => {
    const yaml = await readFile(join(registry.dir, 'cell.yaml'), 'utf8')
    const [first, second, ...others] = yaml.trimEnd().split('\n')
    expect([first, second]).toEqual(['"lease:grace": "5s"', expect.stringMatching(/^"aha:provision": /)])
    expect(others.toSorted()).toEqual([
      'aha:leader: registry',
      'aha:name: 00.registry',
      `aha:network: ${NETWORK}`,
      expect.stringMatching(`^aha:registry: \\["ssl://${AHA_NAME}:\\d+\\?certname=reg@${NETWORK}"\\]$`),
      'aha:user: reg',
      `dmon:listen: ${LISTEN('00.registry')}`,
    ])
    const iden = /\/([0-9a-f]{32})\?/.exec(yaml)?.[1]
    expect(await readFile(join(registry.dir, 'prov.done'), 'utf8')).toBe(iden)
    const names = await readdir(join(registry.dir, 'certs'), {recursive: true})
    expect(names.filter((name) => name.includes('.')).toSorted()).toEqual([
      `cas/${NETWORK}.crt`,
      `hosts/00.registry.${NETWORK}.crt`,
      `hosts/00.registry.${NETWORK}.key`,
      `users/reg@${NETWORK}.crt`,
      `users/reg@${NETWORK}.key`,
    ])
    expect((await readdir(registry.dir)).filter((name) => name.startsWith('prov.'))).toEqual(['prov.done'])
    // Its user at other services is an administrator here.
    const {stdout} = await cli(['user', 'show', 'reg', '--url', `cell://${registry.dir}`, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({name: 'reg', admin: true})
  })

  test('it comes back with its identity when it was restarted or killed, though the URL is used', async () => {
    await registry.restart()
    const again = await found(agent, 'aha://registry...', told.cell.run)
    expect(again.cell.iden).toBe(told.cell.iden)
    await registry.kill()
    await registry.start()
    const third = await found(agent, 'aha://00.registry...', again.cell.run)
    expect(third.cell.iden).toBe(told.cell.iden)
  })

  test('it registers again when the AHA was killed', async () => {
    await aha.kill()
    await aha.start()
    await found(agent, 'aha://registry...')
    expect(await listed(aha)).toEqual([
      ['00.registry', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
      ['registry', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
    ])
  })

  test('it is offline when it was stopped', async () => {
    await registry.stop()
    expect((await listed(aha)).map(([name, , , online]) => [name, online])).toEqual([
      ['00.registry', 'False'],
      ['registry', 'False'],
    ])
    await registry.start()
  })

  test('a URL that is used ends the first start with words and a status, and leaves a directory that can start afresh', async () => {
    const used = /aha:provision": "([^"]+)"/.exec(await readFile(join(registry.dir, 'cell.yaml'), 'utf8'))?.[1] ?? ''
    const dir = await tempDir()
    const yaml = `# Mine.\naha:provision: ${used}\n`
    await writeFile(join(dir, 'cell.yaml'), yaml)
    const {status, stderr} = await cli(['serve', dir])
    expect(status).toBe(3)
    expect(stderr).toContain(`aha:provision: ssl://${AHA_NAME}:`)
    expect(stderr).toContain('does not take this one-time URL: it was used, has expired')
    expect(stderr).toContain('registry provision service NAME')
    expect(stderr).not.toContain(new URL(used).pathname)
    expect(await readFile(join(dir, 'cell.yaml'), 'utf8')).toBe(yaml)
    expect((await readdir(dir)).toSorted()).toEqual(['cell.yaml', 'lock.db'])
  })

  test('of several URLs the first that works counts', async () => {
    const used = /aha:provision": "([^"]+)"/.exec(await readFile(join(registry.dir, 'cell.yaml'), 'utf8'))?.[1] ?? ''
    const nobody = 'ssl://127.0.0.1:1/00112233445566778899aabbccddeeff?certhash=00'
    const urls = [nobody, used, await aha.provision('01.registry')]
    await using second = await startServer({conf: {'aha:provision': urls}, env: ENV})
    await cli(['user', 'add', `visi@${NETWORK}`, '--url', `cell://${second.dir}`])
    expect((await found(agent, 'aha://01.registry...')).cell.aha.name).toBe('01.registry')
  })

  test('options that it cannot have are refused, and nothing is written', async () => {
    const url = await aha.provision('02.registry', {'storm:log': true, 'https:port': 'many'})
    const dir = await tempDir()
    await writeFile(join(dir, 'cell.yaml'), `aha:provision: ${url}\n`)
    const {status, stderr} = await cli(['serve', dir])
    expect(status).toBe(2)
    expect(stderr).toContain('gives this service a configuration that it cannot have: storm:log is not an option')
    expect(stderr).toContain('https:port must be a port from 0 to 65535')
    expect(await readFile(join(dir, 'cell.yaml'), 'utf8')).toBe(`aha:provision: ${url}\n`)
    expect(await readdir(dir)).not.toContain('certs')
  })
})
