// Real Synapse services, backed up by our command when they are stopped, and started again from a plain copy of the backup.
import {createHash} from 'node:crypto'
import {cp, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {delimiter, join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {synapsePython} from '../../scripts/peers.ts'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {readDirKind} from '../../src/cell/dir-kind.ts'
import {checkRunning} from '../../src/cell/running.ts'
import type {OfflineReport} from '../../src/cli/offline-text.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {runCli} from '../support/cli.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool, type SynapseKind, SynapseService} from './synapse-world.ts'

const KINDS = ['axon', 'jsonstor', 'cortex'] as const
const BLOBS = Array.from({length: 3}, (_, i) => Buffer.alloc(300_000 + i, `blob ${i} `))

type Call = (method: string, ...args: readonly Value[]) => Promise<unknown>
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** What is put into a service, and what is read of it again. */
const DATA: Readonly<
  Record<(typeof KINDS)[number], {fill(call: Call): Promise<void>; read(call: Call): Promise<unknown>}>
> = {
  axon: {
    async fill(call) {
      for (const blob of BLOBS) await call('put', blob)
    },
    read: async (call) => [await call('metrics'), await call('size', sha256(BLOBS[2] ?? Buffer.alloc(0)))],
  },
  jsonstor: {
    async fill(call) {
      for (let i = 0; i < 50; i++) await call('setPathObj', `a/${i}`, {n: i})
      await call('rotateNexsLog')
    },
    read: async (call) => [await call('getPathObj', 'a/0'), await call('getPathObj', 'a/49')],
  },
  cortex: {
    async fill(call) {
      await call('callStorm', '[ inet:ipv4=1.2.3.0/27 +#seen ] return($node.repr())')
    },
    read: (call) => call('count', 'inet:ipv4 +#seen'),
  },
}

let home: string
let agent: SynapseAgent
const services = new Map<SynapseKind, SynapseService>()
const indexes = new Map<SynapseKind, unknown>()
const reads = new Map<SynapseKind, unknown>()

showLogsWhenFailed()

const serviceOf = (kind: SynapseKind) => services.get(kind) as SynapseService
const placeOf = (kind: SynapseKind) => join(home, 'backups', kind)

async function calling<T>(kind: SynapseKind, use: (call: Call) => Promise<T>): Promise<T> {
  const proxy = await agent.open(serviceOf(kind).cellUrl)
  try {
    return await use((method, ...args) => proxy.call(method, {args}))
  } finally {
    await proxy.close()
  }
}

async function backUp(
  kind: SynapseKind,
  to: string,
  env: Readonly<Record<string, string>> = {},
): Promise<OfflineReport> {
  const {status, stdout} = await runCli(['backup', serviceOf(kind).dir, to, '--json'], {env})
  expect({status, stdout}).toMatchObject({status: 0})
  return JSON.parse(stdout)
}

/** A program that compacts as `mdb_copy` does: by the same function of LMDB. */
async function mdbCopy(): Promise<string> {
  const bin = await mkdtemp(join(home, 'bin-'))
  const copy = 'import lmdb, sys; lmdb.open(sys.argv[1], readonly=True, lock=False).copy(sys.argv[2], compact=True)'
  const lines = [
    '#!/bin/sh',
    'if [ "$1" = -V ]; then echo "LMDB 0.9.33: (of the test)"; exit; fi',
    `[ "$1" = -c ] && exec ${await synapsePython()} -c '${copy}' "$2" "$3"`,
    '',
  ]
  await writeFile(join(bin, 'mdb_copy'), lines.join('\n'), {mode: 0o700})
  return bin
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-backup-offline-'))
  agent = await SynapseAgent.start()
  const conf = {'nexslog:en': true}
  await Promise.all(KINDS.map(async (kind) => services.set(kind, await SynapseService.start(kind, {conf}))))
  for (const kind of KINDS) {
    await calling(kind, async (call) => {
      await DATA[kind].fill(call)
      reads.set(kind, await DATA[kind].read(call))
      indexes.set(kind, await call('getNexsIndx'))
    })
  }
})

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]()
  for (const service of services.values()) await service[Symbol.asyncDispose]()
  await rm(home, {recursive: true, force: true})
})

test('a service that runs is refused, and the answer says what was looked at', async () => {
  const {dir} = serviceOf('axon')
  const {status, stderr} = await runCli(['backup', dir, placeOf('axon')])
  expect(status).toBe(5)
  expect(stderr).toMatch(
    /runs: cell\.guid is locked; \S+\.lmdb is open by process \d+ .*; its socket answers \(REG_CELL_RUNS\)/,
  )
  expect(await readdir(home)).toEqual([])
})

describe.each(KINDS)('a stopped %s', (kind) => {
  test('is backed up at its index, and starts from the backup with all that it had', async () => {
    const service = serviceOf(kind)
    await service.stop()
    const env = kind === 'jsonstor' ? {PATH: [await mdbCopy(), process.env['PATH']].join(delimiter)} : {}
    const {cell, log, notes} = await backUp(kind, placeOf(kind), env)
    expect(cell).toMatchObject({kind: 'synapse', type: kind, version: '2.256.0'})
    expect(cell.iden).toBe(await readFile(join(service.dir, 'cell.guid'), 'utf8'))
    expect(log.index).toBe(indexes.get(kind))
    expect(notes.some((note) => note.includes('install mdb_copy'))).toBe(kind !== 'jsonstor')
    const backup = await openBackup(placeOf(kind))
    const work = {progress: NO_PROGRESS, signal: new AbortController().signal}
    expect(await verifyBackup(backup, work)).toEqual([])

    await rm(service.dir, {recursive: true})
    await cp(placeOf(kind), service.dir, {recursive: true})
    await service.start()
    expect(await calling(kind, DATA[kind].read)).toEqual(reads.get(kind))
    expect(await calling(kind, (call) => call('getNexsIndx'))).toBe(indexes.get(kind))
  })
})

test('one that was killed is backed up, but not while a worker of it is left', async () => {
  const axon = serviceOf('axon')
  process.kill(axon.pid, 'SIGKILL')
  const isLocked = async () =>
    /cell\.guid is locked/.test((await checkRunning(axon.dir, await readDirKind(axon.dir))).checked)
  await expect.poll(isLocked, {interval: 20}).toBe(false)
  const {status, stderr} = await runCli(['backup', axon.dir, join(home, 'left')])
  expect([status, stderr]).toEqual([
    5,
    expect.stringMatching(/runs: cell\.guid is not locked; slabs\/drive\.lmdb is open by/),
  ])
  await axon.kill()
  const {notes, log} = await backUp('axon', join(home, 'killed'))
  expect(notes).toContainEqual(expect.stringMatching(/killed rather than stopped had up to 0\.2 s/))
  expect(log.index).toBe(indexes.get('axon'))
})

test('a backup of the stock tool is known for what it is', async () => {
  const jsonstor = serviceOf('jsonstor')
  await jsonstor.stop()
  const to = join(home, 'stock')
  expect(await runTool('service.backup', [jsonstor.dir, to], {home})).toMatchObject({status: 0})
  expect(await readDirKind(to)).toEqual({
    kind: 'synapse',
    iden: await readFile(join(jsonstor.dir, 'cell.guid'), 'utf8'),
    type: 'jsonstor',
  })
})
