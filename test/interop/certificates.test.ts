// Our certificates in the hands of Synapse and OpenSSL, and theirs in ours.
import {execFile} from 'node:child_process'
import {once} from 'node:events'
import {cp, mkdtemp, rm, writeFile} from 'node:fs/promises'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {createServer} from 'node:tls'
import {promisify} from 'node:util'
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {Secret} from '../../src/base/secret.ts'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {factsOf, type Purpose} from '../../src/pki/certificate-facts.ts'
import {inspectDir} from '../../src/pki/inspect.ts'
import {DEFAULT_TTL_MS, issueInto, type Order} from '../../src/pki/issuer.ts'
import {makeP12} from '../../src/pki/p12.ts'
import {clientCertificate} from '../../src/pki/peer-certificate.ts'
import {renew} from '../../src/pki/renewal.ts'
import {Revocations} from '../../src/pki/revocation.ts'
import {revoke} from '../../src/pki/revoke.ts'
import {hostKeys, ServerTls} from '../../src/pki/server-tls.ts'
import {parseSubjectNames} from '../../src/pki/subject-names.ts'
import {clientRefusal} from '../../src/pki/tls-reasons.ts'
import {authoritiesAbove} from '../../src/pki/trust.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {PythonProcess} from './synapse-process.ts'
import {runTool, SynapseService} from './synapse-world.ts'

showLogsWhenFailed()

const run = promisify(execFile)
const script = new URL('certificates.py', import.meta.url).pathname
const NETWORK = 'demo.net'
const SANS = 'DNS:zz.demo.net,DNS:bb.demo.net,email:ops@demo.net,URI:https://demo.net/'
const DAY_MS = 86_400_000
const NOW_MS = Date.now()

let home: string
let ours: CertDir
let theirs: CertDir
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-certificates-'))
  ours = new CertDir(join(home, 'ours'))
  theirs = new CertDir(join(home, 'theirs'))
  await issue('ca', NETWORK, {signAs: undefined, keyType: 'rsa4096'})
  await issue('ca', 'inter.demo.net')
  await issue('host', 'aha.demo.net', {alternativeNames: parseSubjectNames(SANS)})
  await issue('user', 'visi@demo.net')
  await issue('user', 'inter@demo.net', {signAs: 'inter.demo.net'})
  await issue('user', 'late@demo.net', {nowMs: NOW_MS - 2 * DAY_MS, ttlMs: DAY_MS})
  await issue('user', 'gone@demo.net')
  await issue('code', 'The Signer')
  await issue('ca', 'other.net', {signAs: undefined})
  await issue('user', 'eve@other.net', {signAs: 'other.net'})
  const easy = (...args: readonly string[]) => easycert('--certdir', theirs.paths[0], ...args)
  await easy('--ca', NETWORK)
  await easy('--signas', NETWORK, '--server', '--server-sans', SANS, 'aha.demo.net')
  await easy('--signas', NETWORK, 'visi@demo.net')
  await easy('--signas', NETWORK, '--code', 'The Signer')
  await easy('--csr', '--server', '00.axon.demo.net')
}, 180_000)
afterAll(() => rm(home, {recursive: true}))

async function issue(purpose: Purpose, name: string, more: Partial<Order> = {}): Promise<void> {
  const terms = {nowMs: NOW_MS, ttlMs: DEFAULT_TTL_MS}
  await issueInto(ours, {purpose, name, signAs: NETWORK, keyType: 'rsa2048', replace: false, ...terms, ...more})
}

async function easycert(...args: readonly string[]): Promise<string> {
  const {status, stdout, stderr} = await runTool('utils.easycert', args, {home})
  expect({status, stderr}).toEqual({status: 0, stderr: ''})
  return stdout
}

/** Runs one command of certificates.py. */
async function synapse(...args: readonly string[]) {
  await using python = await PythonProcess.start('certificates', {args: [script, ...args], home})
  const {stdout} = python.child
  if (stdout === null) throw new Error('no output')
  return JSON.parse(await text(stdout))
}

const openssl = (...args: readonly string[]) => run('openssl', [...args])

describe('what we made', () => {
  test('is loaded by Synapse, keys included', async () => {
    expect(await synapse('load', ours.paths[0])).toEqual({
      cas: {
        'demo.net': ['demo.net', true],
        'inter.demo.net': ['inter.demo.net', true],
        'other.net': ['other.net', true],
      },
      hosts: {'aha.demo.net': ['aha.demo.net', true]},
      users: Object.fromEntries(
        ['eve@other.net', 'gone@demo.net', 'inter@demo.net', 'late@demo.net', 'visi@demo.net'].map((name) => [
          name,
          [name, true],
        ]),
      ),
      code: {'The Signer': ['The Signer', true]},
      crls: [],
    })
  })

  test('is verified by OpenSSL for its purpose, and not for another', async () => {
    const trusted = ['-CAfile', ours.pathOf('ca', NETWORK, 'crt')]
    const inter = ['-untrusted', ours.pathOf('ca', 'inter.demo.net', 'crt')]
    const verify = (purpose: string, kind: Purpose, name: string) =>
      openssl('verify', '-purpose', purpose, ...trusted, ...inter, ours.pathOf(kind, name, 'crt')).then(
        ({stdout}) => stdout.trim().endsWith('OK'),
        () => false,
      )
    expect(await verify('sslserver', 'host', 'aha.demo.net')).toBe(true)
    expect(await verify('sslclient', 'user', 'visi@demo.net')).toBe(true)
    expect(await verify('sslclient', 'user', 'inter@demo.net')).toBe(true)
    expect(await verify('sslserver', 'user', 'visi@demo.net')).toBe(false)
    expect(await verify('sslclient', 'host', 'aha.demo.net')).toBe(false)
    expect(await verify('sslclient', 'user', 'late@demo.net')).toBe(false)
    expect(await verify('sslclient', 'user', 'eve@other.net')).toBe(false)
  })

  test.each([
    ['ca', NETWORK],
    ['host', 'aha.demo.net'],
    ['user', 'visi@demo.net'],
    ['code', 'The Signer'],
  ] as const)('reads in OpenSSL as what Synapse made: %s', async (kind, name) => {
    const [one, other] = await Promise.all(
      [ours, theirs].map((dir) => openssl('x509', '-noout', '-text', '-in', dir.pathOf(kind, name, 'crt'))),
    )
    expect(formOf(one?.stdout ?? '')).toBe(formOf(other?.stdout ?? ''))
    expect(formOf(one?.stdout ?? '')).toContain('Basic Constraints')
  })

  test('packed as PKCS#12 opens with its passphrase', async () => {
    const certificate = await ours.certificate('user', 'inter@demo.net')
    const file = join(home, 'inter.p12')
    const passphrase = join(home, 'passphrase')
    await writeFile(passphrase, 'pässwörd€\n')
    const content = {
      name: 'inter@demo.net',
      key: await ours.key('user', 'inter@demo.net'),
      certificate,
      cas: await authoritiesAbove(ours, certificate),
      passphrase: new Secret('pässwörd€'),
    }
    await writeFile(file, await makeP12(content))
    expect(await synapse('open-p12', file, passphrase)).toEqual({
      ...{name: 'inter@demo.net', friendly: 'inter@demo.net', fits: true, above: ['inter.demo.net', NETWORK]},
    })
    const {stdout} = await openssl('pkcs12', '-in', file, '-passin', `file:${passphrase}`, '-nokeys')
    expect(stdout.match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
  })

  test('is refused by Synapse when we revoked it', async () => {
    const own = new CertDir(join(home, 'revoked'))
    await cp(ours.paths[0], own.paths[0], {recursive: true})
    expect(await synapse('check-code', own.paths[0], 'The Signer')).toEqual({errname: null})
    const {serial} = factsOf(await own.certificate('code', 'The Signer'))
    await revoke(own, {ca: NETWORK, serials: [serial], reason: 'keyCompromise', nowMs: NOW_MS, dryRun: false})
    expect(await synapse('check-code', own.paths[0], 'The Signer')).toMatchObject({errname: 'BadCertVerify'})
    const crl = ['-CAfile', own.pathOf('ca', NETWORK, 'crt'), '-in', own.pathOf('crl', NETWORK, 'crl')]
    expect((await openssl('crl', '-noout', ...crl)).stderr).toContain('verify OK')
  })
})

describe('what Synapse made', () => {
  test('is valid for us', async () => {
    const {certificates, unreadable} = await inspectDir(theirs, {}, Date.now())
    expect(unreadable).toEqual([])
    expect(certificates.map(({kind, name, verdict}) => [kind, name, verdict.ok])).toEqual([
      ['ca', NETWORK, true],
      ['host', 'aha.demo.net', true],
      ['user', 'visi@demo.net', true],
      ['code', 'The Signer', true],
    ])
  })

  test('is renewed by us with its own authority, and Synapse loads it', async () => {
    const own = new CertDir(join(home, 'renewed'))
    await cp(theirs.paths[0], own.paths[0], {recursive: true})
    const order = {purpose: 'host', name: 'aha.demo.net', nowMs: Date.now(), ifDue: false, keepKey: false} as const
    const {before, after} = (await renew(own, order)) ?? {}
    expect(after?.alternativeNames).toEqual(before?.alternativeNames)
    expect((await synapse('load', own.paths[0])).hosts).toEqual({'aha.demo.net': ['aha.demo.net', true]})
  })

  test('a list that Synapse began is gone on with', async () => {
    const own = new CertDir(join(home, 'list'))
    await cp(theirs.paths[0], own.paths[0], {recursive: true})
    await easycert('--certdir', own.paths[0], '--revokeas', NETWORK, 'visi@demo.net')
    const {entries} = await revoke(own, {
      ca: NETWORK,
      serials: ['ab'],
      reason: 'superseded',
      nowMs: NOW_MS,
      dryRun: false,
    })
    const {serial} = factsOf(await own.certificate('user', 'visi@demo.net'))
    expect(entries.map((entry) => entry.serial)).toEqual([serial, 'ab'])
    expect((await synapse('load', own.paths[0])).crls).toEqual([2])
    const {certificates} = await inspectDir(own, {kind: 'user'}, Date.now())
    expect(certificates[0]?.verdict).toMatchObject({ok: false, reason: 'revoked'})
  })
})

describe('a real cell that listens with our certificates', () => {
  let cell: SynapseService
  beforeAll(async () => {
    cell = await SynapseService.start('cell', {
      conf: {
        'dmon:listen': `ssl://127.0.0.1:0?hostname=aha.demo.net&ca=${NETWORK}`,
        inaugural: {users: [{name: 'visi@demo.net'}]},
      },
      prepare: (dir) => cp(ours.paths[0], join(dir, 'certs'), {recursive: true}),
    })
  })
  afterAll(() => cell[Symbol.asyncDispose]())

  const urlOf = (query: string) => `ssl://127.0.0.1:${cell.ports.telepath}?${query}`

  test('knows the real client by ours', async () => {
    await using agent = await SynapseAgent.start()
    await cp(ours.paths[0], agent.certs, {recursive: true})
    const proxy = await agent.open(urlOf('hostname=aha.demo.net&certname=visi@demo.net'))
    expect(await proxy.call('getCellUser')).toMatchObject({name: 'visi@demo.net'})
  })

  test('knows our client by ours, and refuses the others as our client does it', async () => {
    await using env = await withTeleEnv({dir: join(home, 'none'), certDirs: [ours.paths[0]]})
    const open = async (query: string) => {
      await using proxy = await env.open(urlOf(query))
      return await proxy.call('getCellUser')
    }
    expect(await open('hostname=aha.demo.net&certname=visi@demo.net')).toMatchObject({name: 'visi@demo.net'})
    const refusals = [
      ['hostname=aha.demo.net&certname=eve@other.net', 'REG_LINK_CLOSED'],
      ['hostname=aha.demo.net&certname=late@demo.net', 'REG_LINK_CLOSED'],
      ['hostname=aha.demo.net', 'REG_'],
      ['hostname=other.demo.net&certname=visi@demo.net', 'REG_CERT_INVALID'],
      ['hostname=aha.demo.net&certname=nobody@demo.net', 'REG_CERT_MISSING'],
    ]
    for (const [query = '', code] of refusals) {
      await expect(open(query), query).rejects.toMatchObject({code: expect.stringContaining(code ?? '')})
    }
  })
})

describe('a listener of ours', () => {
  test('knows the real client, and says why it refuses one', async () => {
    await using revocations = await Revocations.open(ours, {onProblem: (error) => expect.fail(error.message)})
    const {serial} = factsOf(await ours.certificate('user', 'gone@demo.net'))
    await revoke(ours, {ca: NETWORK, serials: [serial], reason: 'keyCompromise', nowMs: NOW_MS, dryRun: false})
    await revocations.reload()
    const tls = await ServerTls.open(() => hostKeys(ours, 'aha.demo.net', NETWORK), 'required')
    const reasons: string[] = []
    const server = createServer(tls.options, (socket) => {
      socket.on('error', () => undefined)
      try {
        socket.end(`hello ${clientCertificate(socket, Date.now(), revocations)?.name}`)
      } catch (error) {
        reasons.push((error as Error).message)
        socket.destroy()
      }
    })
    server.on('tlsClientError', (error, socket) => reasons.push(clientRefusal(error, socket)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const {port} = server.address() as AddressInfo
    const connect = (...user: readonly string[]) =>
      synapse('connect', ours.paths[0], String(port), 'aha.demo.net', ...user)
    expect(await connect('visi@00.axon.demo.net')).toEqual({peer: 'aha.demo.net', got: 'hello visi@demo.net'})
    for (const name of ['eve@other.net', 'late@demo.net', 'gone@demo.net'])
      expect((await connect(name)).got ?? '').toBe('')
    await connect()
    expect(reasons).toEqual([
      'the certificate is of an unknown authority',
      'the certificate has expired',
      expect.stringMatching(/^the certificate of gone@demo.net .* is revoked$/),
      'no certificate was given',
    ])
  })
})

/** What OpenSSL prints of a certificate, but for what differs in each: numbers, times, keys and signatures. */
function formOf(printed: string): string {
  return printed
    .replaceAll(/^\s+([0-9a-f]{2}:)*[0-9a-f]{2}:?$/gm, '')
    .replaceAll(/(Not Before|Not After ?):.*/g, '$1')
    .replaceAll(/Public-Key: \(\d+ bit\)/g, 'Public-Key')
    .replaceAll(/\n\s*\n/g, '\n')
    .replaceAll(/\n+/g, '\n')
}
