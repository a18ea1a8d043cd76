// A real Axon, backed up by its own tool, damaged, restored by our command, and started again with its blobs.
import {createHash} from 'node:crypto'
import {cp, mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {mendRestore} from '../../src/cell/restore-swap.ts'
import {WithinWay} from '../../src/cell/restore-within.ts'
import type {RestoreReport} from '../../src/cli/restore-text.ts'
import {runCli} from '../support/cli.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool, SynapseService} from './synapse-world.ts'

const BLOBS = Array.from({length: 3}, (_, i) => Buffer.alloc(300_000 + i, `blob ${i} `))
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

let home: string
let stock: string
let axon: SynapseService
let agent: SynapseAgent

showLogsWhenFailed()

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-backup-restore-'))
  stock = join(home, 'stock')
  agent = await SynapseAgent.start()
  axon = await SynapseService.start('axon', {conf: {'nexslog:en': true}})
  const proxy = await agent.open(axon.cellUrl)
  for (const blob of BLOBS) await proxy.call('put', {args: [blob]})
  await proxy.close()
})
afterAll(async () => {
  await agent?.[Symbol.asyncDispose]()
  await axon?.[Symbol.asyncDispose]()
  await rm(home, {recursive: true, force: true})
})

/** Hashes of what the Axon gives for its blobs. */
async function blobsNow(): Promise<readonly string[]> {
  const proxy = await agent.open(axon.cellUrl)
  try {
    const hashes = []
    for (const blob of BLOBS) {
      const pieces = (await proxy.items('get', {args: [sha256(blob)]})) as readonly Uint8Array[]
      hashes.push(sha256(Buffer.concat(pieces)).toString('hex'))
    }
    return hashes
  } finally {
    await proxy.close()
  }
}

const WHOLE = BLOBS.map((blob) => sha256(blob).toString('hex'))

test('one that runs is not replaced, and the answer says what was looked at', async () => {
  expect(await runTool('service.backup', [axon.dir, stock], {home})).toMatchObject({status: 0})
  const {status, stderr} = await runCli(['restore', stock, axon.dir, '--yes'])
  expect([status, stderr]).toEqual([5, expect.stringMatching(/cell\.guid is locked/)])
  expect(await blobsNow()).toEqual(WHOLE)
})

test('the backup of the stock tool is restored, and the Axon starts from it with its blobs', async () => {
  await axon.stop()
  await rm(stock, {recursive: true})
  expect(await runTool('service.backup', [axon.dir, stock], {home})).toMatchObject({status: 0})
  // Damaged, as by a disk.
  await writeFile(join(axon.dir, 'blob.lmdb', 'data.mdb'), Buffer.alloc(100_000, 'damage'))
  const {status, stdout, stderr} = await runCli(['restore', stock, axon.dir, '--yes', '--json'])
  expect({status, stderr}).toMatchObject({status: 0})
  const report = JSON.parse(stdout) as RestoreReport
  expect(report).toMatchObject({changed: true, history: null, cell: {kind: 'synapse', type: 'axon'}})
  expect(report.warnings.join('\n')).toMatch(/has no manifest[\s\S]*mirrors of this service/)
  expect((await readFile(join(report.kept ?? '', 'blob.lmdb', 'data.mdb'))).subarray(0, 6).toString()).toBe('damage')
  await axon.start()
  expect(await blobsNow()).toEqual(WHOLE)
})

test('the archive that its own API streams is restored too, with the warning that nobody can verify it', async () => {
  const proxy = await agent.open(axon.cellUrl)
  const pieces = (await proxy.items('iterNewBackupArchive', {
    kwargs: {name: 'b1', remove: true},
  })) as readonly Uint8Array[]
  await proxy.close()
  await axon.stop()
  const archive = join(home, 'b1.tar.gz')
  const whole = Buffer.concat(pieces)
  await writeFile(archive, whole.subarray(0, -100))
  const cut = await runCli(['restore', archive, axon.dir, '--yes'])
  expect([cut.status, cut.stderr]).toEqual([8, expect.stringContaining('cut or altered')])
  await writeFile(archive, whole)
  await writeFile(join(axon.dir, 'blob.lmdb', 'data.mdb'), Buffer.alloc(100_000, 'damage'))
  const {status, stdout, stderr} = await runCli(['restore', archive, axon.dir, '--yes', '--json'])
  expect({status, stderr}).toMatchObject({status: 0})
  const report = JSON.parse(stdout) as RestoreReport
  expect(report).toMatchObject({changed: true, cell: {kind: 'synapse', type: 'axon'}, backup: {name: 'b1'}})
  expect(report.warnings.join('\n')).toMatch(/has no manifest/)
  await axon.start()
  expect(await blobsNow()).toEqual(WHOLE)
})

test('on half a directory, after a kill within a volume, the Axon does not start; the next restore brings it to its end', async () => {
  await axon.stop()
  const way = new WithinWay(axon.dir)
  await cp(stock, way.data, {recursive: true})
  const swap = await way.plan('backups', Date.now())
  await writeFile(way.note, JSON.stringify({v: 1, ...swap.note, isBack: false}))
  // Up to the first that moves.
  for (const step of swap.steps.slice(0, 5)) await step()
  await expect(axon.start()).rejects.toThrow(/NotADirectoryError.*cell\.guid/)
  expect(await mendRestore(axon.dir)).toBe(true)
  await axon.start()
  expect(await blobsNow()).toEqual(WHOLE)
})

test('what is no whole backup is refused, and the directory is as it was', async () => {
  await axon.stop()
  await symlink('/etc/hostname', join(stock, 'linked'))
  const before = await readdir(axon.dir)
  const {status, stderr} = await runCli(['restore', stock, axon.dir, '--yes'])
  expect([status, stderr]).toEqual([8, expect.stringContaining('linked')])
  expect(await readdir(axon.dir)).toEqual(before)
  expect((await readdir(dirname(axon.dir))).filter((name) => name.startsWith('.') && name.includes('restore'))).toEqual(
    [],
  )
  await axon.start()
  expect(await blobsNow()).toEqual(WHOLE)
})
