import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {readRunFile} from '../../src/cell/dirs.ts'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import type {RunningRegistry} from '../../src/server/running-registry.ts'
import {serve} from '../../src/server/serve.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'

const NETWORK = 'demo.net'
const HOST = `aha.${NETWORK}`
const TERMS = {ttlMs: 86_400_000, keyType: 'p256', signAs: NETWORK} as const
const OPTIONS = {
  backend: 'memory',
  'zmq:req:port': null,
  'zmq:pub:port': null,
  'zmq:hb:port': null,
  'https:port': null,
  'aha:network': NETWORK,
  'dns:name': HOST,
  'dmon:listen': `ssl://127.0.0.1:0?hostname=${HOST}&ca=${NETWORK}`,
  'provision:listen': `ssl://127.0.0.1:0?hostname=${HOST}`,
}

interface Aha {
  readonly registry: RunningRegistry
  readonly certs: CertDir
  readonly log: readonly string[]
  open(url: string): Promise<TelepathProxy>
  ask(method: string, ...args: readonly Value[]): Promise<Value>
  /** One-time URL for a service, with the address where its name leads. */
  onceUrl(name?: string): Promise<string>
}

/** An AHA with keys that cost no time. */
async function start(options: Readonly<Record<string, unknown>> = {}): Promise<Aha> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-aha-'))
  onTestFinished(() => rm(dir, {recursive: true}))
  const certs = new CertDir(join(dir, 'certs'))
  const terms = {...TERMS, nowMs: Date.now(), replace: false}
  await issueInto(certs, {...terms, purpose: 'ca', name: NETWORK, signAs: undefined})
  await issueInto(certs, {...terms, purpose: 'host', name: HOST})
  await issueInto(certs, {...terms, purpose: 'user', name: `root@${NETWORK}`})
  const log: string[] = []
  const registry = await serve({dir, options: {...OPTIONS, ...options}, writeLog: (line) => log.push(line)})
  onTestFinished(() => registry.stop())
  const env = await withTeleEnv({dir: join(dir, 'none'), certDirs: certs.paths, serviceDir: join(dir, 'none')})
  onTestFinished(() => env[Symbol.asyncDispose]())
  const ask = async (method: string, ...args: readonly Value[]) => {
    await using root = await env.open(`cell://${dir}`)
    return await root.call(method, {args})
  }
  return {
    registry,
    certs,
    log,
    ask,
    open: (url) => env.open(url),
    onceUrl: async (name = '00.axon') => String(await ask('addAhaSvcProv', name)).replace(HOST, '127.0.0.1'),
  }
}

const portOf = (aha: Aha) => new URL(aha.registry.listeners.telepath.url ?? '').port

describe('the URLs of an AHA', () => {
  test('lead to its TLS listener, with the certificate of who asks', async () => {
    const aha = await start()
    expect(await aha.ask('getAhaUrls', 'visi')).toEqual([`ssl://${HOST}:${portOf(aha)}?certname=visi@${NETWORK}`])
    const [url = ''] = (await aha.ask('getAhaUrls')) as string[]
    await using root = await aha.open(`${url.replace(HOST, '127.0.0.1')}&hostname=${HOST}`)
    expect(await root.call('getCellUser')).toMatchObject({name: 'root'})
  })

  test('are those of the configuration when there are any', async () => {
    const aha = await start({'aha:urls': ['ssl://a.net', 'ssl://b.net']})
    expect(await aha.ask('getAhaUrls', 'visi')).toEqual(['ssl://a.net', 'ssl://b.net'])
  })
})

describe('the provisioning listener', () => {
  test('is told with the other listeners', async () => {
    const aha = await start()
    const port = new URL(await aha.onceUrl()).port
    const url = `ssl://127.0.0.1:${port}?hostname=${HOST}`
    expect(aha.registry.listeners.provision).toEqual({url})
    expect(await readRunFile(aha.registry.dir)).toMatchObject({provision: {url}})
    expect(await aha.ask('getCellInfo')).toMatchObject({cell: {network: {provision: [url]}}})
  })

  test('makes no URL for who would not find the AHA again', async () => {
    const aha = await start({'dmon:listen': 'tcp://127.0.0.1:0'})
    await expect(aha.onceUrl()).rejects.toMatchObject({telepath: 'NeedConfValu'})
    const told = await start({'dmon:listen': null, 'aha:urls': ['ssl://a.net']})
    expect(await told.onceUrl()).toMatch(/^ssl:/)
  })

  test('serves a one-time URL to who knows it, and pins its certificate', async () => {
    const aha = await start()
    const url = await aha.onceUrl()
    const wrong = url.replace(/certhash=..../, 'certhash=0000')
    await expect(aha.open(wrong)).rejects.toMatchObject({telepath: 'LinkBadCert'})
    await using proxy = await aha.open(url)
    expect(proxy.info.classes).toEqual(['synapse.lib.aha.ProvApi'])
    expect(await proxy.call('getProvInfo')).toMatchObject({conf: {'aha:network': NETWORK}})
    await expect(aha.open(url)).rejects.toMatchObject({telepath: 'NoSuchName'})
  })

  test('gives URLs with its new certificate once that was loaded', async () => {
    const aha = await start()
    const before = await aha.onceUrl()
    const order = {...TERMS, nowMs: Date.now(), replace: true, purpose: 'host', name: HOST} as const
    const {certificate} = await issueInto(aha.certs, order)
    await aha.registry.reload()
    const after = await aha.onceUrl()
    expect(new URL(after).searchParams.get('certhash')).toBe(
      certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    )
    await expect(aha.open(before)).rejects.toMatchObject({telepath: 'LinkBadCert'})
    await using proxy = await aha.open(after)
    expect(await proxy.call('getProvInfo')).toMatchObject({conf: {'aha:name': '00.axon'}})
  })

  test('is not there when it is switched off, and then there are no URLs', async () => {
    const aha = await start({'provision:listen': null})
    await expect(aha.onceUrl()).rejects.toMatchObject({
      telepath: 'NeedConfValu',
      message: expect.stringContaining('The AHA server is not configured for provisioning.'),
    })
  })

  test('may be without TLS on loopback, as old AHA servers had it', async () => {
    const aha = await start({'provision:listen': 'tcp://127.0.0.1:0'})
    const url = await aha.onceUrl()
    expect(url).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}$/)
    await using proxy = await aha.open(url)
    expect(await proxy.call('getProvInfo')).toMatchObject({conf: {'aha:name': '00.axon'}})
  })

  test('that cannot be opened is named by its option, and nothing is left running', async () => {
    const aha = await start()
    const taken = portOf(aha)
    await expect(start({'provision:listen': `ssl://127.0.0.1:${taken}`})).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      info: {option: 'provision:listen'},
    })
  })

  test('leaves no one-time URL in the log', async () => {
    const aha = await start({'log:level': 'debug'})
    const url = await aha.onceUrl()
    await aha.open(url).then((proxy) => proxy.close())
    const iden = new URL(url).pathname.slice(1)
    expect(aha.log.join('\n')).toContain('provision.added')
    expect(aha.log.join('\n')).not.toContain(iden)
  })
})

describe('an AHA', () => {
  test('makes who has the certificate of aha:admin an administrator', async () => {
    const aha = await start({'aha:admin': `boss@${NETWORK}`})
    const url = `ssl://127.0.0.1:${portOf(aha)}/?hostname=${HOST}&certname=boss@${NETWORK}`
    await using boss = await aha.open(url)
    expect(await boss.call('getCellUser')).toMatchObject({name: `boss@${NETWORK}`, admin: true})
  })

  test('tells its name and that it knows mirrors', async () => {
    const aha = await start({'aha:name': '00.aha'})
    await using root = await aha.open(`cell://${aha.registry.dir}`)
    expect(root.ahaName).toBe(`00.aha.${NETWORK}`)
    expect(root.features).toMatchObject({getAhaSvcsByIden: 1})
    expect(await root.call('getCellInfo')).toMatchObject({
      cell: {aha: {name: '00.aha', network: NETWORK}},
      features: root.features,
    })
  })

  test('is off without a public name: it has no methods of one', async () => {
    const aha = await start({'dns:name': null, 'provision:listen': null})
    await expect(aha.ask('getAhaSvc', 'axon...')).rejects.toMatchObject({
      telepath: 'NoSuchMeth',
      message: expect.stringContaining('CellApi has no method: getAhaSvc.'),
    })
    await using root = await aha.open(`cell://${aha.registry.dir}`)
    expect(root.features).not.toHaveProperty('getAhaSvcsByIden')
  })
})

test('tells in figures how it is, to whoever may log in', async () => {
  const {ask} = await start()
  const info = {urlinfo: {scheme: 'ssl', host: '127.0.0.1', port: 4000}}
  await ask('addAhaSvc', '00.axon', info, NETWORK)
  await ask('addAhaUserEnroll', 'visi')
  expect(await ask('getRegistryInfo')).toMatchObject({
    aha: {network: NETWORK, services: {all: 1, online: 0}, pools: 0, provisions: {pending: 1, claimed: 0}, ending: []},
  })
})
