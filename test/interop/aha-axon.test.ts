// A real Axon lives on our registry in place of a real AHA: it provisions itself, registers, is found, goes and comes back. Real tools and
// clients all along.
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'

const UP_WITHIN_MS = 120_000
const DOWN_WITHIN_MS = 120_000
const REUSED = 'This could be caused by the re-use of a provisioning URL.'
const NAMES = ['00.axon', 'axon'] as const

let aha: OurAha
let axon: SynapseService
let onceUrl: string

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start()
  const {stdout} = await aha.tool('aha.provision.service', ['--url', aha.cellUrl, '--only-url', '00.axon'])
  onceUrl = stdout.trim()
  const conf = {'aha:provision': onceUrl}
  axon = await SynapseService.start('axon', {network: NETWORK, conf})
})

afterAll(async () => {
  await axon?.[Symbol.asyncDispose]()
  await aha?.[Symbol.asyncDispose]()
})

async function allShown(isOnline: boolean, withinMs: number): Promise<void> {
  await Promise.all(NAMES.map((name) => aha.shown(name, isOnline, withinMs)))
}

describe('an Axon', () => {
  test('provisions itself with a one-time URL, and registers under its name and its alias', async () => {
    expect(onceUrl).toMatch(new RegExp(`^ssl://${AHA_NAME}:\\d+/[0-9a-f]{32}\\?certhash=[0-9a-f]{64}$`))
    await allShown(true, UP_WITHIN_MS)
    const entry = await aha.entry('axon...')
    expect(entry).toMatchObject({
      name: `axon.${NETWORK}`,
      svcinfo: {
        leader: 'axon',
        ready: true,
        urlinfo: {scheme: 'ssl', host: '127.0.0.1', hostname: `00.axon.${NETWORK}`, ca: NETWORK, user: 'root'},
      },
    })
  })

  test('is called by the real client through its alias, and keeps what it is given', async () => {
    const agent = await aha.agent(await aha.homeOfRoot())
    const proxy = await agent.open('aha://axon...')
    expect(proxy.info.ahaname).toBe(`00.axon.${NETWORK}`)
    const [size, sha256] = (await proxy.call('put', {args: [Buffer.from('asdfasdf')]})) as [number, Uint8Array]
    expect(size).toBe(8)
    expect(await proxy.call('size', {args: [sha256]})).toBe(8)
  })

  test('is listed by the stock tool', async () => {
    const {status, stdout} = await aha.tool('aha.list', [aha.cellUrl, NETWORK])
    expect(status).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map((line) => line.split(/\s+/).slice(0, 6))).toEqual([
      ['Service', 'network', 'leader', 'online', 'scheme', 'host'],
      ['00.axon', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
      ['axon', NETWORK, 'True', 'True', 'ssl', '127.0.0.1'],
    ])
  })

  test('its one-time URL tells nobody anything any more', async () => {
    const agent = await aha.agent(await aha.home())
    const proxy = await agent.open(onceUrl)
    const error = await proxy.call('getProvInfo').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({errname: 'NoSuchName', message: expect.stringContaining(REUSED)})
  })

  test('is offline soon after it was killed, and online when it is back', async () => {
    await axon.kill()
    await allShown(false, DOWN_WITHIN_MS)
    expect((await aha.entry('00.axon...'))?.svcinfo.ready).toBe(false)
    await axon.start()
    await allShown(true, UP_WITHIN_MS)
  })

  test('comes back by itself when our server was killed, and nobody is shown online before that', async () => {
    await aha.server.kill()
    await axon.kill()
    await aha.server.start()
    expect((await aha.entry('axon...'))?.svcinfo.online).toBeUndefined()
    await axon.start()
    await allShown(true, UP_WITHIN_MS)
    await aha.server.kill()
    await aha.server.start()
    await allShown(true, UP_WITHIN_MS)
    await aha.server.restart()
    await allShown(true, UP_WITHIN_MS)
  })
})

describe('a user', () => {
  test('is enrolled by the stock tools, finds the Axon and lists the services of the network', async () => {
    const {stdout: said} = await aha.tool('aha.provision.user', ['--url', aha.cellUrl, 'visi'])
    expect(said).toMatch(/^one-time use URL: ssl:\/\//)
    const url = said.trim().split(' ').at(-1) ?? ''
    const home = await aha.home()
    const certs = `${home}/.syn/certs`
    const wrongHash = url.replace(/certhash=..../, 'certhash=0000')
    const refused = await aha.tool('aha.enroll', [wrongHash], home)
    expect(refused).toMatchObject({status: 1, stdout: expect.stringContaining('does not match pinned certhash=0000')})

    expect(await aha.tool('aha.enroll', [url], home)).toMatchObject({
      status: 0,
      stdout: [
        `Saved CA certificate: ${certs}/cas/${NETWORK}.crt`,
        `Saved user certificate: ${certs}/users/visi@${NETWORK}.crt`,
        'Updating known AHA servers',
        '',
      ].join('\n'),
    })
    const reused = `ERROR: Invalid provisioning identifier name=${new URL(url).pathname.slice(1)}. ${REUSED}\n`
    expect(await aha.tool('aha.enroll', [url], home)).toMatchObject({status: 1, stdout: reused})

    const listed = await aha.tool('aha.list', [`ssl://visi@${AHA_NAME}:${aha.port}`, NETWORK], home)
    expect(listed).toMatchObject({status: 0, stdout: expect.stringContaining('00.axon')})
    const all = await aha.tool('aha.list', [`ssl://visi@${AHA_NAME}:${aha.port}`], home)
    expect(all).toMatchObject({status: 1, stdout: expect.stringContaining('must have permission aha.service.get')})

    // The Axon has users of its own.
    await aha.tool('service.moduser', ['--svcurl', axon.cellUrl, '--add', `visi@${NETWORK}`])
    const agent = await aha.agent(home)
    const proxy = await agent.open('aha://axon...')
    expect(await proxy.call('getCellUser')).toMatchObject({name: `visi@${NETWORK}`})
    expect(await agent.open('aha://cortex...').catch((error: Error) => error.message)).toContain('aha lookup failed')
    const mint = await agent.open(`ssl://visi@${AHA_NAME}:${aha.port}`)
    expect(await mint.call('addAhaSvcProv', {args: ['evil']}).catch((error: Error) => error.message)).toContain(
      `User is not an admin [visi@${NETWORK}]`,
    )
  })

  test('that is there already is enrolled only again', async () => {
    const args = ['--url', aha.cellUrl, 'visi']
    expect(await aha.tool('aha.provision.user', args)).toMatchObject({
      status: 1,
      stdout: 'ERROR: User name (visi) already exists.  Need --again?\n',
    })
    const again = await aha.tool('aha.provision.user', [...args, '--again', '--only-url'])
    expect(again).toMatchObject({status: 0, stdout: expect.stringMatching(/^ssl:\/\//)})
  })
})

describe('the stock tool for services', () => {
  test.each([
    [[''], 'ERROR: Empty name values are not allowed for provisioning.\n'],
    [
      ['a'.repeat(64)],
      /^ERROR: Hostname value must not exceed 64 characters in length. hostname='a+\.loop\.test', len=74\n$/,
    ],
    [['--dmon-port', '70000', '01.axon'], 'ERROR: Invalid dmon port: 70000\n'],
  ])('%j is refused in its words', async (args, said) => {
    const {status, stdout} = await aha.tool('aha.provision.service', ['--url', aha.cellUrl, ...args])
    expect(status).toBe(1)
    if (typeof said === 'string') expect(stdout).toBe(said)
    else expect(stdout).toMatch(said)
  })
})
