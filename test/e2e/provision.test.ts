// The commands for one-time URLs, against our own server as AHA.
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {startAhaServer} from '../support/aha-server.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'

const URL_FORM = /^ssl:\/\/aha\.demo\.net:\d+\/[0-9a-f]{32}\?certhash=[0-9a-f]{64}$/

let aha: TestServer
beforeAll(async () => {
  aha = await startAhaServer()
})
afterAll(() => aha[Symbol.asyncDispose]())

const registry = (line: string, dir = aha.dir): Promise<CliResult> =>
  runCli(`provision ${line}`.split(' '), {env: {REGISTRY_DIR: dir}})

async function json<T>(line: string): Promise<T> {
  const {status, stdout} = await registry(`${line} --json`)
  expect(status).toBe(0)
  return JSON.parse(stdout) as T
}

/** Opens the session of whoever has the URL; the name in it leads here. */
async function redeem(url: string) {
  return await openTelepath(url.replace('aha.demo.net', '127.0.0.1'))
}

async function ask(method: string, ...args: readonly Value[]): Promise<Value> {
  await using root = await openTelepath(`cell://${aha.dir}`)
  return await root.call(method, {args})
}

interface Listed {
  readonly provisions: readonly {readonly id: string; readonly name: string; readonly state: string}[]
}

const stateOf = async (name: string) => (await json<Listed>('list')).provisions.findLast((one) => one.name === name)

describe('provision service', () => {
  test('prints the bare URL alone, which tells the service what was asked for', async () => {
    const file = join(aha.dir, 'more.yaml')
    await writeFile(file, 'limit:disk:free: 3\n')
    const ports = '--dmon-port 31250 --https-port 31251'
    const line = `service 01.cortex --mirror cortex --user csvc ${ports} --cellyaml ${file} --only-url`
    const {status, stdout} = await registry(line)
    expect(status).toBe(0)
    expect(stdout.trimEnd()).toMatch(URL_FORM)
    expect(stdout.endsWith('\n')).toBe(true)
    await using session = await redeem(stdout.trimEnd())
    expect(await session.call('getProvInfo')).toMatchObject({
      mirror: 'cortex',
      conf: {
        'aha:name': '01.cortex',
        'aha:user': 'csvc',
        'dmon:listen': 'ssl://0.0.0.0:31250?hostname=01.cortex.demo.net&ca=demo.net',
        'https:port': 31_251,
        'limit:disk:free': 3,
        mirror: 'aha://csvc@cortex...',
      },
    })
  })

  test('says that the service will be root, unless it gets a user of its own', async () => {
    const root = await registry('service 02.axon')
    expect(root.stdout).toContain('root: everything on this AHA')
    const own = await registry('service 03.axon --user own --expires 1h')
    expect(own.stdout).toMatch(/rights +03\.axon: look up services of demo\.net, register as 03\.axon and axon\n/)
    expect(own.stdout).toMatch(/, in (1h|59m 59s)\n/)
    expect(own.stdout).toContain('SYN_AXON_AHA_PROVISION=URL')
    expect(await ask('getUserDefByName', '03.axon')).toMatchObject({admin: false})
  })

  test('does not call it a user of its own that could do everything', async () => {
    const {iden} = (await ask('addUser', '09.axon')) as {readonly iden: string}
    await ask('setUserAdmin', iden, true)
    const refused = await registry('service 09.axon --user own')
    expect(refused).toMatchObject({status: 5, stdout: ''})
    expect(refused.stderr).toContain('registry user set 09.axon --no-admin')
  })

  test.each<[string, number, string]>([
    ['service 00.axon.demo.net', 2, '00.axon.demo.net is to be named without its network: 00.axon'],
    ['service 00.axon...', 2, 'without its network'],
    ['service 00.axon --expires newp', 2, 'is no life of a URL'],
    ['service 00.axon --expires 1ms', 2, 'expires must be from'],
    ['service 00.axon --dmon-port 70000', 2, '--dmon-port'],
    ['service 00.axon --cellyaml /nowhere', 2, '/nowhere is not there'],
    ['service 00.axon --only-url --json', 2, '--only-url'],
    ['service aha', 2, 'aha.demo.net is the name of this AHA itself'],
    ['service a/b', 2, 'cannot be the name of a service'],
    ['user visi@demo.net', 2, 'without its network: visi'],
    ['revoke nobody --yes', 3, 'there is no one-time URL for nobody'],
    [`revoke ${'0'.repeat(8)} --yes`, 3, 'there is no one-time URL for 00000000'],
    ['list --state newp', 2, '--state'],
  ])('%s ends with %i', async (line, status, said) => {
    const {stderr, stdout, ...ended} = await registry(line)
    expect({...ended, text: stderr + stdout}).toMatchObject({status, text: expect.stringContaining(said)})
  })
})

describe('provision user', () => {
  test('makes a user who may look up, and again only when that is said', async () => {
    const {stdout} = await registry('user visi')
    expect(stdout).toMatch(/rights +visi@demo\.net: look up services of demo\.net\n/)
    const refused = await registry('user visi')
    expect(refused).toMatchObject({status: 5, stdout: ''})
    expect(refused.stderr).toContain('registry provision user NAME --again')
    expect((await registry('user visi --again --only-url')).stdout.trim()).toMatch(URL_FORM)
  })
})

describe('a user whom the AHA has already', () => {
  test.each([
    ['root', 'an administrator', 'root: everything on this AHA, and on every service'],
    ['axsvc', 'with rights of its own', 'axsvc: look up services of demo.net, register as 07.axon and axon'],
  ])('%s gets a certificate only when that is said, and it is told what he may', async (name, why, rights) => {
    await registry('service 07.axon --user axsvc')
    const refused = await registry(`user ${name}`)
    expect(refused).toMatchObject({status: 5, stdout: '', stderr: expect.stringContaining(why)})
    expect(refused.stderr).toContain(`registry provision user ${name} --again`)
    const {stdout} = await registry(`user ${name} --again`)
    expect(stdout).toContain(`${name}@demo.net`)
    expect(stdout).toContain(rights)
  })
})

describe('clone', () => {
  const clone = (line: string) => runCli(`clone ${line}`.split(' '), {env: {REGISTRY_DIR: aha.dir}})

  test('prints a URL, what comes with it, and how to use it', async () => {
    const {status, stdout} = await clone('01.aha.demo.net:31201 --expires 1h')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^url +ssl:\/\/aha\.demo\.net:\d+\/[0-9a-f]{32}\?certhash=[0-9a-f]{64}\n/)
    expect(stdout).toMatch(/^clone +01\.aha\.demo\.net, port 31201\n/m)
    expect(stdout).toMatch(/^gets +a copy of everything, and the key of the authority demo\.net\n/m)
    expect(stdout).toMatch(/^use it once +SYN_REGISTRY_CLONE='URL' when/m)
    expect(await stateOf('01.aha.demo.net')).toMatchObject({state: 'pending', kind: 'clone', user: null})
    expect((await registry('list')).stdout).toMatch(/^[0-9a-f]{8} +clone +01\.aha\.demo\.net +pending/m)
    expect(await registry('revoke 01.aha.demo.net --yes')).toMatchObject({status: 0})
    expect((await clone('02.aha.demo.net --only-url')).stdout.trimEnd()).toMatch(URL_FORM)
  })

  test.each<[string, number, string]>([
    ['aha.demo.net', 2, 'is the name of this AHA itself'],
    ['a/b', 2, 'is not a DNS name'],
    ['a.b:70000', 2, 'a port from 0 to 65535'],
    ['a+b', 2, 'cannot be the name of a host'],
  ])('%s ends with %i', async (line, status, said) => {
    const {stderr, ...ended} = await clone(line)
    expect({...ended, stderr}).toMatchObject({status, stdout: '', stderr: expect.stringContaining(said)})
  })
})

describe('provision list', () => {
  test('tells what became of each, and holds no URL', async () => {
    const {url} = await json<{url: string}>('user lister --expires never')
    expect(await stateOf('lister')).toMatchObject({state: 'pending', kind: 'user', user: 'lister@demo.net'})
    {
      await using session = await redeem(url)
      expect(await session.call('getUserInfo')).toMatchObject({'aha:user': 'lister'})
      expect(await stateOf('lister')).toMatchObject({state: 'claimed', claimed: {from: '127.0.0.1'}})
    }
    const {stdout} = await registry('list')
    expect(stdout).toContain('lister@demo.net')
    const iden = new URL(url).pathname.slice(1)
    expect(stdout).toContain(iden.slice(0, 8))
    expect(stdout + JSON.stringify(await json('list'))).not.toContain(iden)
  })
})

describe('provision revoke', () => {
  test('ends a URL, and asks before', async () => {
    const {url} = await json<{url: string}>('service 04.axon --user own')
    expect(await registry('revoke 04.axon')).toMatchObject({status: 2, stdout: ''})
    expect((await registry('revoke 04.axon --dry-run')).stdout).toContain('would revoke')
    expect(await stateOf('04.axon')).toMatchObject({state: 'pending'})
    const {status, stdout} = await registry('revoke 04.axon --yes')
    expect({status, stdout}).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^revoked the one-time URL of service 04\.axon \(/),
    })
    await expect(redeem(url)).rejects.toMatchObject({telepath: 'NoSuchName'})
  })

  test('takes an id or a whole URL where a name would mean several', async () => {
    const [one, two] = [await json<{url: string}>('service 05.axon'), await json<{url: string}>('service 05.axon')]
    const refused = await registry('revoke 05.axon --yes')
    expect(refused).toMatchObject({status: 5, stderr: expect.stringContaining('2 one-time URLs are for 05.axon')})
    expect(await registry(`revoke ${new URL(one.url).pathname.slice(1, 9)} --yes`)).toMatchObject({status: 0})
    expect(await registry(`revoke ${two.url} --yes`)).toMatchObject({status: 0})
    expect(await stateOf('05.axon')).toBeUndefined()
  })
})

describe('what was used', () => {
  test('cannot be revoked: it is said how to lock out who came in', async () => {
    const url = (await registry('service 06.axon --user own --only-url')).stdout.trim()
    {
      await using session = await redeem(url)
      await session.call('signHostCsr', {args: [Buffer.from(await csrOf('06.axon.demo.net'))]})
      await session.call('signUserCsr', {args: [Buffer.from(await csrOf('06.axon@demo.net'))]})
    }
    const refused = await registry('revoke 06.axon --yes')
    expect(refused).toMatchObject({status: 5, stdout: ''})
    expect(refused.stderr).toContain('the one-time URL for 06.axon has been used')
    expect(refused.stderr).toContain('registry user set 06.axon --locked')
    const {stdout} = await registry('list --state used --certs')
    expect(stdout).toMatch(/^[0-9a-f]{8} +host 06\.axon\.demo\.net +[0-9a-f]+ .* 127\.0\.0\.1$/m)
    expect(stdout).toMatch(/^[0-9a-f]{8} +user 06\.axon@demo\.net /m)
  })
})

async function csrOf(name: string): Promise<string> {
  return await makeCsr(name, await newPrivateKey('p256'), {isCa: false, alternativeNames: []})
}

test('an AHA says where its URLs are redeemed, when it starts and when it is asked', async () => {
  const {url} = await json<{url: string}>('service 08.axon')
  const where = `ssl://127.0.0.1:${new URL(url).port}?hostname=aha.demo.net`
  expect(aha.output()).toContain(`One-time URLs: ${where}`)
  expect(aha.output()).toContain(`registry provision service 00.axon --url cell://${aha.dir}`)
  const {stdout} = await runCli(['status'], {env: {REGISTRY_DIR: aha.dir}})
  expect(stdout).toMatch(/^one-time URLs +ssl:/m)
  expect(stdout).toContain(where)
})

test('an AHA that forbids root says how to do without', async () => {
  await using strict = await startAhaServer({'provision:service:root': false})
  const refused = await registry('service 00.axon', strict.dir)
  expect(refused).toMatchObject({status: 4, stdout: ''})
  expect(refused.stderr).toContain('provision:service:root forbids services that are root')
  expect(refused.stderr).toContain('registry provision service NAME --user own')
  expect(await registry('service 00.axon --user own', strict.dir)).toMatchObject({status: 0})
})

test('a service that is no AHA is told to be none', async () => {
  await using plain = await startServer()
  for (const line of ['service 00.axon', 'user visi', 'list', 'revoke x --yes']) {
    expect(await registry(line, plain.dir)).toMatchObject({status: 5, stderr: expect.stringContaining('is no AHA')})
  }
  const clone = await runCli(['clone', 'x'], {env: {REGISTRY_DIR: plain.dir}})
  expect(clone).toMatchObject({status: 5, stderr: expect.stringContaining('is no AHA')})
})
