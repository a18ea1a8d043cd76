// Our registry as the AHA of a network, with a real Axon in it: live backups of both are drilled while both run. What runs must not notice.
import {cp, mkdtemp, open, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {synapsePython} from '../../scripts/peers.ts'
import {hashFile} from '../../src/backup/copy-files.ts'
import {readJsonstor} from '../../src/backup/jsonstor-slab.ts'
import {decodeManifest} from '../../src/backup/manifest-read.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {synapseCensus} from '../../src/backup/synapse-census.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {askJsonstor} from '../../src/server/drill/ask-jsonstor.ts'
import {storeCensus} from '../../src/store/census.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {type CliResult, runCli} from '../support/cli.ts'
import {NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {type SynapseKind, type SynapseOptions, SynapseService} from './synapse-world.ts'

const BLOBS = 40
const BLOB_BYTES = 20_000

let aha: OurAha
let axon: SynapseService
let folder: string
let scratch: string

showLogsWhenFailed()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drill-'))
  scratch = await mkdtemp(join(folder, 's-'))
  aha = await OurAha.start()
  axon = await SynapseService.start('axon', {network: NETWORK, conf: {'aha:provision': await provision('00.axon')}})
  await aha.shown('00.axon', true, 30_000)
  await using session = await openTelepath(axon.cellUrl)
  for (let number = 0; number < BLOBS; number++) {
    await session.call('put', {args: [Buffer.alloc(BLOB_BYTES, `blob ${number} `)]})
  }
})

afterAll(async () => {
  await axon?.[Symbol.asyncDispose]()
  await aha?.[Symbol.asyncDispose]()
  await rm(folder, {recursive: true, force: true})
})

async function provision(name: string): Promise<string> {
  return await aha.ask('addAhaSvcProv', name)
}

/** Fetches a live backup and gives its place. */
async function backUp(url: string, name: string): Promise<string> {
  const result = await runCli(['livebackup', url, '--name', name, '--stream', folder])
  expect(result, result.stderr).toMatchObject({status: 0})
  return join(folder, name)
}

/** As somebody would call it whose environment leads into the middle of production. */
async function drill(backup: string): Promise<CliResult & {readonly report: Report}> {
  const leads = `ssl://root@127.0.0.1:${aha.port}?hostname=aha.${NETWORK}`
  const env = {
    SYN_AXON_AHA_REGISTRY: leads,
    SYN_AXON_MIRROR: leads,
    SYN_REGISTRY_AHA_REGISTRY: leads,
    REGISTRY_DIR: aha.server.dir,
  }
  const args = ['backup', 'drill', backup, '--python', await synapsePython(), '--scratch', scratch, '--json']
  const result = await runCli(args, {env})
  return {...result, report: JSON.parse(result.stdout) as Report}
}

interface Report {
  readonly result: string
  readonly reason: string
  readonly protections: readonly string[]
  readonly checks: readonly {readonly what: string; readonly found: string; readonly isRight: boolean}[]
}

/** Everything of what runs that a drill could alter: entries of AHA, members, both logs, and the files of the registry. */
async function production(): Promise<Readonly<Record<string, unknown>>> {
  await using registry = await openTelepath(aha.cellUrl)
  await using service = await openTelepath(axon.cellUrl)
  const entries: Value[] = []
  for await (const entry of registry.stream('getAhaSvcs')) entries.push(entry)
  return {
    entries,
    servers: await registry.call('getAhaServers'),
    members: ((await registry.call('getMembers')) as readonly object[]).map((member) => ({
      ...member,
      lastSeenMs: null,
    })),
    provisions: await Array.fromAsync(registry.stream('getProvisions')),
    census: await storeCensus(join(aha.server.dir, 'registry.db')),
    axon: await service.call('getNexsIndx'),
    metrics: await service.call('metrics'),
    backups: (await readdir(folder)).sort(),
  }
}

const named = ({checks}: Report, what: string) => checks.find((check) => check.what === what)?.found

describe('a drill, while what was backed up runs', () => {
  test('of a real Axon reads every blob, and production does not notice', async () => {
    const backup = await backUp(axon.cellUrl, 'axon')
    const before = await production()
    const {status, report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(status).toBe(0)
    expect(named(report, 'files: blobs')).toBe(`${BLOBS}`)
    expect(named(report, 'service: blobs')).toBe(`${BLOBS}`)
    expect(named(report, 'service: content of every blob')).toBe('all right')
    expect(report.protections.join('\n')).toMatch(/without the options .*aha:/)
    expect(await production()).toEqual(before)
    expect(await readdir(scratch)).toEqual([])
  })

  test('of our registry, whose log names the Axon, alters none of its entries', async () => {
    const backup = await backUp(aha.cellUrl, 'registry')
    const before = await production()
    const {status, report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(status).toBe(0)
    expect(await production()).toEqual(before)
    expect(await readdir(scratch)).toEqual([])
  })

  test('of an Axon with a blob that was damaged before the manifest was made fails, and names the blob', async () => {
    const backup = join(folder, 'axon')
    const path = join('blob.lmdb', 'data.mdb')
    const bytes = await readFile(join(backup, path))
    const at = bytes.indexOf(`blob ${BLOBS / 2} blob ${BLOBS / 2} `) + BLOB_BYTES / 2
    await using file = await open(join(backup, path), 'r+')
    await file.write(Buffer.alloc(256, 0x55), 0, 256, at)
    const manifestPath = join(backup, 'backup.json')
    const manifest = decodeManifest(await readFile(manifestPath, 'utf8'), manifestPath)
    const {sha256} = await hashFile(join(backup, path), {progress: NO_PROGRESS, signal: new AbortController().signal})
    const files = manifest.files.map((one) => (one.path === path ? {...one, sha256} : one))
    await writeFile(manifestPath, encodeManifest({...manifest, files}))
    const {status, report} = await drill(backup)
    expect(status).toBe(8)
    expect(report).toMatchObject({result: 'failed'})
    expect(report.checks.filter(({isRight}) => !isRight)).toEqual([
      expect.objectContaining({
        what: 'service: content of every blob',
        found: expect.stringMatching(/^[0-9a-f]{64} has another content$/),
      }),
    ])
  })
})

/** By their paths. The first parts begin with what two orders of characters differ in. */
const OBJECTS: Readonly<Record<string, Value>> = {
  'é/one': {name: 'é'},
  'things/two': {two: [1, 2.5, null, {deep: true}]},
  'things/three/four': {},
  '\uffee': 'before the next in the order of bytes',
  '\u{1d518}/x': 2 ** 40,
  '/from/the/root': ['x'.repeat(9000)],
}

/** Starts a real service, fills it, stops it, and backs its directory up. */
async function stopped(
  kind: SynapseKind,
  fill: (cell: TelepathProxy, service: SynapseService) => Promise<unknown>,
  options: SynapseOptions = {},
): Promise<string> {
  await using service = await SynapseService.start(kind, options)
  {
    await using cell = await openTelepath(service.cellUrl)
    await fill(cell, service)
  }
  await service.stop()
  const backup = join(folder, kind)
  const result = await runCli(['backup', service.dir, backup])
  expect(result, result.stderr).toMatchObject({status: 0})
  return backup
}

describe('a drill of a service that was stopped', () => {
  test('reads every object of a real JSONStor', async () => {
    const backup = await stopped('jsonstor', async (cell) => {
      for (const [name, object] of Object.entries(OBJECTS)) {
        await cell.call('setPathObj', {args: [name, object]})
      }
      await cell.call('setPathLink', {args: ['linked', 'things/two']})
    })
    const {report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(named(report, 'service: paths')).toBe('7')
    expect(named(report, 'files: objects')).toBe('6')
    expect(named(report, 'service: content of every object')).toBe('all right')
  })

  test('hears of each object of a real JSONStor that is another one, or is gone', async () => {
    const backup = join(folder, 'jsonstor')
    const known = {before: synapseCensus(backup, 'jsonstor'), objects: readJsonstor(backup)}
    await using service = await SynapseService.start('jsonstor', {
      prepare: (dir) => cp(backup, dir, {recursive: true, filter: (path) => !path.endsWith('backup.json')}),
    })
    await using cell = await openTelepath(service.cellUrl)
    const {signal} = new AbortController()
    const wrong = async () => (await askJsonstor(cell, known, signal)).filter(({isRight}) => !isRight)
    expect(await wrong()).toEqual([])
    await cell.call('setPathObjProp', {args: ['things/three/four', 'deep/er', 1.5]})
    await cell.call('setPathObj', {args: ['é/one', null]})
    expect(await wrong()).toEqual([
      {
        ...{what: 'service: content of every object', expected: 'all right', isRight: false},
        found: 't…/three/four has another content; é…/one has no object',
      },
    ])
    await cell.call('delPathObj', {args: ['things/two']})
    await cell.call('setPathObj', {args: ['more', 1]})
    expect(await wrong()).toEqual([
      {what: 'service: paths', expected: '7', found: '6', isRight: false},
      expect.anything(),
    ])
  })

  test('reads every item of a real Cryotank', async () => {
    const backup = await stopped('cryotank', async (cell) => {
      for (const name of ['one', 'né', 'empty']) await cell.call('init', {args: [name]})
      await cell.call('puts', {args: ['one', [{a: 1}, [1.5, 'é', null]]]})
      await cell.call('puts', {args: ['né', ['x'.repeat(9000)]]})
    })
    const {report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(named(report, 'service: tanks')).toBe('3')
    expect(named(report, 'service: items')).toBe('3')
    expect(named(report, 'service: items.sha256')).toBe(named(report, 'files: items.sha256'))
  })

  test('counts the services of a real AHA', async () => {
    // Not through the UNIX socket: it asks for the address of who registers.
    const fill = async (_: TelepathProxy, {tcpUrl}: SynapseService) => {
      await using cell = await openTelepath(tcpUrl)
      for (const name of ['00.one', '01.one']) {
        await cell.call('addAhaSvc', {args: [name, {urlinfo: {scheme: 'tcp', host: '127.0.0.1', port: 1}}, NETWORK]})
      }
    }
    const backup = await stopped('aha', fill, {
      ...{conf: {'auth:passwd': 'secret'}, env: {SYN_AHA_AHA_NETWORK: NETWORK}},
    })
    expect(await readFile(join(backup, 'cell.yaml'), 'utf8')).not.toContain(NETWORK)
    const {report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(named(report, 'service: services')).toBe('2')
    expect(named(report, 'files: services')).toBe('2')
  })

  test('counts the nodes of a real Cortex by their form', async () => {
    const query = '[inet:fqdn=one.example.com inet:fqdn=two.example.com inet:ipv4=1.2.3.4]'
    const backup = await stopped('cortex', (cell) => cell.call('count', {args: [query]}))
    const {report, stderr} = await drill(backup)
    expect(report, stderr).toMatchObject({result: 'proven'})
    expect(named(report, 'service: forms.inet:fqdn')).toBe('4')
    expect(named(report, 'service: forms.inet:ipv4')).toBe('1')
  })
})
