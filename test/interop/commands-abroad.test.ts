// Our commands against real Synapse services that are more than a bare cell: by password, by certificate and AHA, with bytes and large numbers.
import {createHash} from 'node:crypto'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {runCli} from '../support/cli.ts'
import {AhaNetwork, SynapseService} from './synapse-world.ts'

const NAMES = new URL('synapse-names.ts', import.meta.url).pathname

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-abroad-'))
})
afterAll(() => rm(home, {recursive: true}))

describe('a service with a password', () => {
  const passwd = 'needle-in-a-url'
  let axon: SynapseService
  beforeAll(async () => {
    axon = await SynapseService.start('axon', {conf: {'auth:passwd': passwd}})
  })
  afterAll(() => axon[Symbol.asyncDispose]())

  const run = (args: readonly string[], url = axon.tcpUrl) => runCli(args, {env: {REGISTRY_URL: url, SYN_DIR: home}})

  test('is reached with it, and it is shown nowhere', async () => {
    const status = await run(['status'])
    expect(status).toMatchObject({status: 0, stdout: expect.stringMatching(/^role +leader$/m)})
    expect(status.stdout).toMatch(/^version +\d+\.\d+\.\d+ \(axon, Synapse 2\.256\.0\)$/m)
    const json = await run(['status', '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({software: 'synapse', cell: {type: 'axon'}, users: 1})
    const wrong = await run(['user', 'list'], axon.tcpUrl.replace(passwd, `${passwd}-not`))
    expect(wrong).toMatchObject({status: 4, stderr: expect.stringContaining('REG_DENIED')})
    const typed = await runCli(['user', 'list', '--url', axon.tcpUrl, '--dir', '/nowhere'], {env: {SYN_DIR: home}})
    expect(typed.status).toBe(0)
    const twice = await run(['status', axon.tcpUrl, '--url', `${axon.tcpUrl}x`])
    expect(twice.status).toBe(2)
    for (const {stdout, stderr} of [status, json, wrong, typed, twice]) expect(stdout + stderr).not.toContain(passwd)
  })

  test('takes and gives bytes', async () => {
    const bytes = Buffer.from(Array.from({length: 256}, (_, value) => value))
    const sha = createHash('sha256').update(bytes).digest()
    const argument = (value: Buffer) => JSON.stringify({$bytes: value.toString('base64')})
    const put = await run(['query', '--call', 'put', argument(bytes), '--json'])
    expect(JSON.parse(put.stdout)).toEqual({result: [256, {$bytes: sha.toString('base64')}]})
    const got = await run(['query', '--call', 'get', argument(sha)])
    expect(JSON.parse(got.stdout)).toEqual({$bytes: bytes.toString('base64')})
    const streamed = await run(['query', '--call', 'get', argument(sha), '--json'])
    expect(streamed.stdout.trimEnd().split('\n').at(-1)).toBe('{"end":{"items":1}}')
    const text = Buffer.from('as it stands\n')
    const textSha = createHash('sha256').update(text).digest()
    await run(['query', '--call', 'put', argument(text)])
    const raw = await run(['query', '--call', 'get', argument(textSha), '--raw'])
    expect(raw).toMatchObject({status: 0, stdout: 'as it stands\n'})
    const missing = await run(['query', '--call', 'get', argument(Buffer.alloc(32)), '--json'])
    expect(missing.status).toBe(3)
    expect(JSON.parse(missing.stdout)).toMatchObject({error: {code: 'REG_NOT_FOUND', info: {errname: 'NoSuchFile'}}})
  })
})

describe('a JSONStor', () => {
  let store: SynapseService
  beforeAll(async () => {
    store = await SynapseService.start('jsonstor')
  })
  afterAll(() => store[Symbol.asyncDispose]())

  test('keeps numbers of any size, and what is named', async () => {
    const query = (...args: readonly string[]) =>
      runCli(['query', store.cellUrl, '--call', ...args], {env: {SYN_DIR: home}})
    const item = '{big: 18446744073709551615, negative: -9223372036854775808, half: 0.5, text: "5", list: [yes, null]}'
    expect(await query('setPathObj', '[a, b]', item)).toMatchObject({status: 0, stderr: ''})
    const {stdout} = await query('getPathObj', '--kwarg', 'path=[a, b]')
    expect(stdout).toContain('"big": 18446744073709551615')
    expect(stdout).toContain('"negative": -9223372036854775808')
    expect(JSON.parse(stdout)).toMatchObject({half: 0.5, text: '5', list: [true, null]})
  })
})

test('an enrolled user reaches AHA and what is behind it without naming any address', async () => {
  await using network = await AhaNetwork.start('loop.test')
  const user = await network.enroll('visi')
  const axon = await network.service('axon', '00.axon')
  const run = (...args: readonly string[]) =>
    runCli(args, {
      env: {HOME: user, XDG_DATA_HOME: home, PEER_NAMES: 'loop.test', NODE_OPTIONS: `--import ${NAMES}`},
    })
  const aha = await run('status')
  expect(aha).toMatchObject({status: 0, stderr: expect.stringContaining('(the first AHA server of telepath.yaml)')})
  expect(aha.stdout).toMatch(/\(aha, Synapse 2\.256\.0\)|\(ahacell, Synapse 2\.256\.0\)/)
  // Who is not an administrator is not told how many users there are.
  expect(aha.stdout).not.toMatch(/^users/m)
  // The Axon must know whom the certificate names.
  expect(await run('user', 'add', 'visi@loop.test', '--url', axon.cellUrl)).toMatchObject({status: 0})
  const asked = await run('query', 'aha://00.axon...', '--call', 'getCellUser', '--json')
  expect(asked).toMatchObject({status: 0})
  expect(JSON.parse(asked.stdout)).toMatchObject({result: {name: 'visi@loop.test'}})
  const denied = await run('user', 'list', '--url', 'aha://00.axon...', '--json')
  expect(denied.status).toBe(4)
  expect(JSON.parse(denied.stdout)).toMatchObject({
    error: {code: 'REG_DENIED', hints: ['ask an administrator of that cell']},
  })
})
