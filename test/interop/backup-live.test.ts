// Live backups over the wire: of real services by our command while they are written to, and of our registry by the peers' client and tool.
import {execFile} from 'node:child_process'
import {cp, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {promisify} from 'node:util'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {afterAll, beforeAll, describe, expect, test, vi} from 'vitest'
import {layOut} from '../../src/backup/lay-out.ts'
import {openBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {type TeleEnv, withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool, SynapseService} from './synapse-world.ts'

const run = promisify(execFile)
const PYTHON = '/opt/synpeers/venv/bin/python'
/** It leaves the processors to the service and its backup. */
const PAUSE_MS = 10
const never = new AbortController().signal

/** How a service is written to, one thing after the other, and how many of these it has: all from the first one on. */
interface Kind {
  /** Which of the two that were fetched it is started from. */
  readonly from: 'directory' | 'archive'
  readonly write: (cell: TelepathProxy, index: number) => Promise<unknown>
  readonly prefix: (cell: TelepathProxy, most: number) => Promise<number>
}

const KINDS = {
  axon: {
    from: 'archive',
    write: (cell, index) => cell.call('put', {args: [Buffer.from(`blob ${index}`)]}),
    prefix: async (cell) => {
      const sizes = (await Array.fromAsync(cell.stream('hashes', {args: [0]}))) as [number, [Uint8Array, number]][]
      for (const [index, [, [sha256]]] of sizes.entries()) {
        const bytes = Buffer.concat((await Array.fromAsync(cell.stream('get', {args: [sha256]}))) as Buffer[])
        expect(bytes.toString()).toBe(`blob ${index}`)
      }
      return sizes.length
    },
  },
  jsonstor: {
    from: 'directory',
    write: (cell, index) => cell.call('setPathObj', {args: [`n/${index}`, {index}]}),
    prefix: async (cell, most) => {
      const found = []
      for (let index = 0; index < most; index++) found.push(await cell.call('getPathObj', {args: [`n/${index}`]}))
      const count = found.filter((item) => item !== null).length
      expect(found.slice(0, count)).toEqual(Array.from({length: count}, (_, index) => ({index})))
      return count
    },
  },
  cortex: {
    from: 'archive',
    write: (cell, index) => cell.call('callStorm', {args: ['[it:dev:int=$i]', {vars: {i: index}}]}),
    prefix: async (cell) => {
      const storm = '$n = ([]) it:dev:int $n.append($node.value()) | spin | fini { return($n) }'
      const found = (await cell.call('callStorm', {args: [storm]})) as readonly number[]
      const count = found.length
      expect(found.toSorted((a, b) => a - b)).toEqual(Array.from({length: count}, (_, index) => index))
      return count
    },
  },
} as const satisfies Record<string, Kind>

let env: TeleEnv
let home: string
let identity: string
let recipient: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'backup-live-'))
  identity = await generateX25519Identity()
  recipient = await identityToRecipient(identity)
  env = await withTeleEnv({dir: home, certDirs: [], serviceDir: join(home, 'none')})
})
afterAll(async () => {
  await env?.[Symbol.asyncDispose]()
  await rm(home, {recursive: true, force: true})
})
showLogsWhenFailed()

const openCell = (service: {readonly dir: string}) => env.open(`cell://${service.dir}`, {spareLinks: 0})

describe.each(Object.entries(KINDS))('a real %s', (kind, {from, write, prefix}: Kind) => {
  test('that is written to is fetched as of one moment, and starts from that', async () => {
    let written = 0
    const stop = new AbortController()
    await using service = await SynapseService.start(kind as keyof typeof KINDS)
    const writing = (async () => {
      await using cell = await openCell(service)
      for (; !stop.signal.aborted; written += 1) {
        await write(cell, written)
        await delay(PAUSE_MS)
      }
    })()
    await vi.waitFor(() => expect(written).toBeGreaterThan(2), 20_000)
    const fetch = async (...to: readonly string[]) => {
      const before = written
      const result = await runCli(['livebackup', `cell://${service.dir}`, ...to, '--json'])
      expect(result).toMatchObject({status: 0})
      return {before, path: String(JSON.parse(result.stdout).path), index: JSON.parse(result.stdout).index}
    }
    const directory = await fetch('--stream', join(home, kind))
    const archive = await fetch('--archive', join(home, `${kind}.tar.zst.age`), '--encrypt-to', recipient)
    stop.abort()
    await writing
    expect(directory.index).toBeLessThan(archive.index)
    await service.kill()
    for (const {path} of [directory, archive]) await layDown(path, kind)
    // One of them is started: what was laid down of both is as its manifest says.
    const {before} = from === 'directory' ? directory : archive
    const prepare = (dir: string) => cp(join(home, `${kind}-${from}`), dir, {recursive: true})
    await using restored = await SynapseService.start(kind as keyof typeof KINDS, {prepare})
    await using cell = await openCell(restored)
    const count = await prefix(cell, written + 1)
    expect(count).toBeGreaterThanOrEqual(before)
    expect(count).toBeLessThanOrEqual(written)
  })
})

async function layDown(path: string, kind: string): Promise<void> {
  const identities = [identity]
  const backup = await openBackup(path, {identities})
  const to = join(home, `${kind}-${backup.kind}`)
  const {manifest} = await layOut(backup, to, {identities, progress: NO_PROGRESS, signal: never})
  expect(manifest?.cell).toMatchObject({kind: 'synapse', type: kind})
  expect(manifest?.census).not.toEqual({})
}

describe('our registry', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('is backed up by the tool of the peers', async () => {
    const tool = (...args: readonly string[]) =>
      runTool('service.livebackup', ['--url', `cell://${server.dir}`, ...args], {home})
    expect(await tool('--name', 'b1')).toMatchObject({status: 0, stdout: expect.stringContaining('created: b1')})
    expect(await tool('--name', 'b1')).toMatchObject({status: 1, stdout: expect.stringMatching(/already exists/)})
    expect(await tool('--name', '../b')).toMatchObject({status: 1, stdout: expect.stringMatching(/traversal detected/)})
  })

  test('is streamed to the client of the peers, and Python opens what comes', async () => {
    await using agent = await SynapseAgent.start()
    const cell = await agent.open(`cell://${server.dir}`)
    expect(await cell.call('getBackups')).toEqual(['b1'])
    const streams = [
      await cell.items('iterBackupArchive', {args: ['b1']}),
      await cell.items('iterNewBackupArchive', {kwargs: {name: 'b2', remove: true}}),
    ]
    for (const [at, items] of streams.entries()) {
      await writeFile(join(home, 'a.tgz'), Buffer.concat(items as Buffer[]))
      await run(PYTHON, ['-c', UNTAR, join(home, 'a.tgz'), join(home, `untar${at}`)])
      const backup = await openBackup(join(home, `untar${at}`, `b${at + 1}`), {})
      const laid = join(home, `laid${at}`)
      await layOut(backup, laid, {progress: NO_PROGRESS, signal: never})
      expect(await readFile(join(laid, 'cell.guid'), 'utf8')).toBe(
        await readFile(join(server.dir, 'cell.guid'), 'utf8'),
      )
    }
    expect(await cell.call('getBackups')).toEqual(['b1'])
    await cell.call('delBackup', {args: ['b1']})
    expect(await cell.call('getBackups')).toEqual([])
    expect(Object.keys((await cell.call('getBackupInfo')) as object).sort()).toEqual([
      ...['currduration', 'lastduration', 'lastend', 'lastexception', 'lastsize', 'laststart', 'lastupload'],
    ])
  })
})

const UNTAR = 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter="data")'
