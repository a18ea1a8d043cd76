// Services that were provisioned by our command: a user of its own is enough for a real Axon and a real JSONStor, and good for nothing else. The
// same commands at a real AHA.
import {cp, mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {parse} from 'yaml'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {lastingPort} from '../support/lasting-port.ts'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import type {RealProxy} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, type SynapseKind, SynapseService} from './synapse-world.ts'

const UP_WITHIN_MS = 120_000
const DOWN_WITHIN_MS = 120_000
const OWN = [
  ['axon', '00.axon'],
  ['jsonstor', '00.jsonstor'],
] as const

const stack = new AsyncDisposableStack()
const services = new Map<string, SynapseService>()
let aha: OurAha

showLogsWhenFailed()

beforeAll(async () => {
  // Nothing here is root anywhere.
  aha = stack.use(await OurAha.start({'provision:service:root': false}))
  await Promise.all(OWN.map(([kind, name]) => start(kind, name, ['--user', 'own'])))
})
afterAll(() => stack.disposeAsync())

function registry(url: string, args: readonly string[]): Promise<CliResult> {
  return runCli([...args, '--url', url])
}

/** Runs one of the commands at our AHA and gives what it prints. */
async function provision(...args: readonly string[]): Promise<string> {
  const {status, stdout, stderr} = await registry(aha.cellUrl, ['provision', ...args])
  expect({status, stderr}).toEqual({status: 0, stderr: ''})
  return stdout.trim()
}

async function start(
  kind: SynapseKind,
  name: string,
  asked: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<SynapseService> {
  const url = await provision('service', name, ...asked, '--only-url')
  const service = stack.use(await SynapseService.start(kind, {network: NETWORK, conf: {'aha:provision': url, ...more}}))
  services.set(name, service)
  return service
}

async function shown(name: string, isOnline: boolean): Promise<void> {
  const alias = name.slice(name.indexOf('.') + 1)
  const withinMs = isOnline ? UP_WITHIN_MS : DOWN_WITHIN_MS
  await Promise.all([name, alias].map((one) => aha.shown(one, isOnline, withinMs)))
}

describe.each(OWN)('a %s that is a user of its own', (kind, name) => {
  test('provisions itself and registers under its name and its alias', async () => {
    await shown(name, true)
    const entry = await aha.entry(`${kind}...`)
    expect(entry?.svcinfo).toMatchObject({leader: kind, ready: true})
    const listed = JSON.parse(await provision('list', '--json')) as {provisions: {name: string}[]}
    expect(listed.provisions.find((one) => one.name === name)).toMatchObject({
      state: 'used',
      user: `${name}@${NETWORK}`,
      used: {from: '127.0.0.1'},
      certificates: [
        {purpose: 'host', name: `${name}.${NETWORK}`, serial: expect.stringMatching(/^[0-9a-f]{16,}$/)},
        {purpose: 'user', name: `${name}@${NETWORK}`},
      ],
    })
  })

  test('is offline when it was killed, and online when it is back', async () => {
    const service = services.get(name)
    await service?.kill()
    await shown(name, false)
    await service?.start()
    await shown(name, true)
  })

  test('is found by those whom it knows', async () => {
    const {cellUrl = ''} = services.get(name) ?? {}
    const url = await provision('user', `of.${kind}`, '--only-url')
    const home = await aha.home()
    expect(await aha.tool('aha.enroll', [url], home)).toMatchObject({status: 0})
    const agent = await aha.agent(home)
    const stranger = await agent.open(`aha://of.${kind}@${kind}...`).catch((error: Error) => error.message)
    expect(stranger).toContain('NoSuchUser')
    expect(await registry(cellUrl, ['user', 'add', `of.${kind}@${NETWORK}`])).toMatchObject({status: 0})
    const proxy = await agent.open(`aha://of.${kind}@${kind}...`)
    expect(await proxy.call('getCellUser')).toMatchObject({name: `of.${kind}@${NETWORK}`, admin: false})
  })
})

describe('the certificate of such a service', () => {
  let proxy: RealProxy
  const ask = (method: string, ...args: readonly Value[]): Promise<unknown> =>
    proxy.call(method, {args}).catch((error: {errname: string}) => error.errname)

  beforeAll(async () => {
    const home = await aha.home()
    await mkdir(join(home, '.syn'))
    await cp(join(services.get('00.axon')?.dir ?? '', 'certs'), join(home, '.syn', 'certs'), {recursive: true})
    const agent = await aha.agent(home)
    proxy = await agent.open(`ssl://00.axon@${AHA_NAME}:${aha.port}`)
  })

  test('lets it look up, and register under its own names', async () => {
    expect(await ask('getCellUser')).toMatchObject({name: '00.axon', admin: false})
    expect(await ask('getAhaSvc', 'jsonstor...')).toMatchObject({name: `jsonstor.${NETWORK}`})
    expect(await ask('modAhaSvcInfo', `00.axon.${NETWORK}`, {ready: true})).toBe(true)
  })

  const info = {urlinfo: {scheme: 'ssl', port: 1, host: '127.0.0.1'}}
  test.each<[method: string, ...args: Value[]]>([
    ['addAhaSvcProv', 'evil'],
    ['addAhaUserEnroll', 'evil'],
    ['clearAhaSvcProvs'],
    ['delProvision', '0'.repeat(8)],
    ['addAhaSvc', '01.axon', info, NETWORK],
    ['addAhaSvc', 'jsonstor', info, NETWORK],
    ['addAhaSvc', '00.axon', info, 'other.test'],
    ['modAhaSvcInfo', `00.jsonstor.${NETWORK}`, {ready: false}],
    ['delAhaSvc', '00.axon', NETWORK],
    ['delAhaSvc', '00.jsonstor', NETWORK],
    ['addUser', 'evil'],
    ['getUserDefs'],
    ['setUserAdmin', '0'.repeat(32), true],
    ['shutdown'],
    ['signHostCsr', 'x'],
    ['signUserCsr', 'x'],
  ])('does not let it call %s', async (method, ...args) => {
    expect(await ask(method, ...args)).toBe('AuthDeny')
  })

  test('does not let it list one-time URLs', async () => {
    await expect(proxy.items('getProvisions')).rejects.toMatchObject({errname: 'AuthDeny'})
  })
})

test('a Cortex that is a user of its own works with an Axon and a JSONStor that know it', async () => {
  const [axon = '', jsonstor = ''] = OWN.map(([, name]) => services.get(name)?.cellUrl)
  // Calls for the notes of its users are for administrators there.
  expect(await registry(axon, 'user add 00.cortex --allow axon'.split(' '))).toMatchObject({status: 0})
  expect(await registry(jsonstor, 'user add 00.cortex --admin'.split(' '))).toMatchObject({status: 0})
  const more = {axon: 'aha://axon...', jsonstor: 'aha://jsonstor...'}
  const cortex = await start('cortex', '00.cortex', ['--user', 'own'], more)
  await shown('00.cortex', true)
  const query = `
    ($size, $sha256) = $lib.axon.put($lib.base64.decode("YXNkZmFzZGY="))
    $lib.jsonstor.set((a, b), ({"found": $size}))
    return(($size, $lib.jsonstor.get((a, b))))`
  expect(await aha.askAt(cortex.cellUrl, 'callStorm', [query])).toEqual([8, {found: 8}])
})

test('a mirror that is a user of its own follows a leader that knows it as an administrator', async () => {
  const {cellUrl = ''} = services.get('00.axon') ?? {}
  const {status, stderr} = await registry(aha.cellUrl, [
    ...'provision service 01.axon --user own --mirror axon'.split(' '),
  ])
  const [, told = ''] = /has to be admin there: registry (.*) --url aha:\/\/axon\.\.\.\n$/.exec(stderr) ?? []
  expect({status, told}).toEqual({status: 0, told: 'user add 01.axon --admin'})
  expect(await registry(cellUrl, told.split(' '))).toMatchObject({status: 0})
  await provision('revoke', '01.axon', '--yes')
  await start('axon', '01.axon', ['--user', 'own', '--mirror', 'axon'])
  await aha.shown('01.axon', true, UP_WITHIN_MS)
  const [leader, mirror] = [await aha.entry('axon...'), await aha.entry('01.axon...')]
  expect(mirror?.svcinfo.iden).toBe(leader?.svcinfo.iden)
  expect(mirror?.svcinfo.run).not.toBe(leader?.svcinfo.run)
})

test('ports and values from a file arrive in the real service', async () => {
  const [dmonPort, httpsPort] = [await lastingPort(), await lastingPort()]
  const file = join(await aha.home(), 'more.yaml')
  await writeFile(file, 'limit:disk:free: 3\nmax:users: 7\n')
  const ports = ['--dmon-port', `${dmonPort}`, '--https-port', `${httpsPort}`]
  const service = await start('axon', '05.axon', ['--user', 'own', ...ports, '--cellyaml', file])
  await aha.shown('05.axon', true, UP_WITHIN_MS)
  expect(service.ports).toMatchObject({telepath: dmonPort, https: httpsPort})
  expect((await aha.entry('05.axon...'))?.svcinfo.urlinfo.port).toBe(dmonPort)
  expect(parse(await readFile(join(service.dir, 'cell.yaml'), 'utf8'))).toMatchObject({
    'limit:disk:free': 3,
    'max:users': 7,
    'aha:user': '05.axon',
    'https:port': httpsPort,
  })
})

describe('at a real AHA', () => {
  let real: AhaNetwork
  let url: string
  beforeAll(async () => {
    real = stack.use(await AhaNetwork.start(NETWORK))
    url = real.aha.cellUrl
  })

  test('an Axon is provisioned as a user of its own', async () => {
    const {status, stdout} = await registry(url, ['provision', 'service', '00.axon', '--user', 'own', '--json'])
    expect(status).toBe(0)
    const report = JSON.parse(stdout) as {readonly url: string}
    expect(report).toMatchObject({
      network: NETWORK,
      expires: null,
      user: {name: '00.axon', admin: false, rules: expect.arrayContaining([`aha.service.get."${NETWORK}"`])},
    })
    const conf = {'aha:provision': report.url}
    stack.use(await SynapseService.start('axon', {network: NETWORK, conf}))
    await real.online('00.axon')
    const text = await registry(url, ['provision', 'service', '01.axon', '--user', 'own', '--expires', 'never'])
    expect(text.stdout).toMatch(
      new RegExp(`rights +01\\.axon: look up services of ${NETWORK}, register as 01\\.axon and axon\nexpires +never`),
    )
  })

  test('a user is let in, and again', async () => {
    const {stdout} = await registry(url, ['provision', 'user', 'visi', '--only-url'])
    const home = await aha.home()
    expect(await aha.tool('aha.enroll', [stdout.trim()], home)).toMatchObject({status: 0})
    const refused = await registry(url, ['provision', 'user', 'visi'])
    expect(refused).toMatchObject({status: 5, stderr: expect.stringContaining('provision user NAME --again')})
    expect(await registry(url, ['provision', 'user', 'visi', '--again'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(new RegExp(`rights +visi@${NETWORK}: look up services of ${NETWORK}\n`)),
    })
  })

  test('a whole URL is taken back', async () => {
    const {stdout} = await registry(url, ['provision', 'service', '02.axon', '--only-url'])
    const revoked = await registry(url, ['provision', 'revoke', stdout.trim(), '--yes'])
    expect(revoked).toMatchObject({status: 0, stdout: expect.stringContaining('this AHA does not say')})
    const agent = await real.agent()
    const error = await agent.open(stdout.trim()).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({errname: 'NoSuchName'})
  })

  test.each([
    [['list'], 'cannot list its one-time URLs: only one of this software can'],
    [['revoke', '00.axon', '--yes'], 'cannot list its one-time URLs'],
    [['service', '03.axon', '--expires', '1h'], 'cannot let one-time URLs expire'],
    [['user', 'bob', '--expires', '1h'], 'cannot let one-time URLs expire'],
  ])('what it cannot do is said: %j', async (args, said) => {
    expect(await registry(url, ['provision', ...args])).toMatchObject({
      status: 3,
      stdout: '',
      stderr: expect.stringContaining(said),
    })
  })

  test('an Axon is said to be no AHA', async () => {
    const {cellUrl = ''} = services.get('00.axon') ?? {}
    const refused = await registry(cellUrl, ['provision', 'service', '03.axon'])
    expect(refused).toMatchObject({status: 5, stderr: expect.stringContaining('is no AHA')})
  })
})
