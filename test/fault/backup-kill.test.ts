// The command that makes a backup is killed at any point: there is the whole backup or none, and the cell is as it was.
import {spawn} from 'node:child_process'
import {createHash, randomBytes, randomInt} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {gunzipSync} from 'node:zlib'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {verifyArchive} from '../../src/backup/archive-read.ts'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {holdGuid} from '../../src/cell/guid-lock.ts'
import {storeCensus} from '../../src/store/census.ts'
import {keep, put} from '../../src/store/contract-kit.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 30 : 3
const MIB = 2 ** 20
const work = {progress: NO_PROGRESS, signal: new AbortController().signal}

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-backup-kill-'))
})
afterAll(() => rm(home, {recursive: true, force: true}))

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), {recursive: true})
  await writeFile(path, content)
}

async function makeRegistry(dir: string): Promise<void> {
  await (await lockCellDir(dir)).close()
  await using store = new SqliteStore(join(dir, 'registry.db'))
  await store.open()
  await store.append([put(0), ...Array.from({length: 200}, (_, i) => keep(['user', `${i}`, 'x'.repeat(20_000)]))])
  await write(join(dir, 'certs/big.key'), randomBytes(8 * MIB))
}

async function makeSynapse(dir: string): Promise<void> {
  const vectors = await readFile(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8')
  const slab = gunzipSync(Buffer.from(JSON.parse(vectors)[1].gzip, 'base64'))
  await write(join(dir, 'cell.guid'), 'cd'.repeat(16))
  for (const name of ['slabs/cell.lmdb', 'axon.lmdb', 'blob.lmdb']) await write(join(dir, name, 'data.mdb'), slab)
  for (const name of ['one', 'two']) await write(join(dir, name), randomBytes(8 * MIB))
}

/** Hashes of all files but those that say who has the directory, and what a kill left of these: the next one who takes it removes that. */
async function contentOf(dir: string): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = {}
  const names = await readdir(dir, {recursive: true, withFileTypes: true})
  for (const item of names.filter((one) => one.isFile() && !/^(\.?lock\.|registry\.db-shm)/.test(one.name))) {
    const path = join(item.parentPath, item.name)
    if (path.startsWith(join(dir, 'tmp/'))) continue
    const bytes = await readFile(path)
    // SQLite makes an empty one to read a database.
    if (item.name === 'registry.db-wal' && bytes.length === 0) continue
    content[path] = createHash('sha256').update(bytes).digest('hex')
  }
  return content
}

/** Runs the command and kills it after a while, unless it is done before. Gives whether it was done, and how long it took. */
async function killed(args: readonly string[], afterMs: number): Promise<{isDone: boolean; tookMs: number}> {
  const begun = performance.now()
  const child = spawn(LAUNCHER, args, {env: cleanEnv(), stdio: 'ignore', detached: true})
  const exited = once(child, 'exit')
  const stop = new AbortController()
  const timer = delay(afterMs, undefined, {signal: stop.signal})
    .then(() => process.kill(-(child.pid ?? 0), 'SIGKILL'))
    .catch(() => undefined)
  const [status] = await exited
  const tookMs = performance.now() - begun
  stop.abort()
  await timer
  return {isDone: status === 0, tookMs}
}

describe.each([
  {kind: 'registry', make: makeRegistry, more: []},
  {kind: 'synapse', make: makeSynapse, more: []},
  {kind: 'registry as an archive', make: makeRegistry, more: ['--archive']},
])('a backup of a $kind', ({kind, make, more}) => {
  test('that is killed leaves a whole one or none, and the cell as it was', async () => {
    const dir = join(home, kind.replaceAll(' ', '-'))
    const shelf = join(home, `backups-${kind}`)
    await make(dir)
    const before = await contentOf(dir)
    const isArchive = more.length > 0
    const args = (name: string) => ['backup', dir, join(shelf, name), ...more]
    const {isDone, tookMs} = await killed(args('first'), 60_000)
    expect(isDone).toBe(true)
    for (let round = 0; round < ROUNDS; round++) {
      const afterMs = randomInt(Math.ceil(tookMs * 1.1))
      const name = `b${round}`
      const {isDone: isWhole} = await killed(args(name), afterMs)
      const isThere = (await readdir(shelf)).includes(name)
      if (isWhole) expect(isThere).toBe(true)
      if (isThere) expect(await findings(join(shelf, name), isArchive)).toEqual([])
      expect(await contentOf(dir), `killed after ${afterMs} ms`).toEqual(before)
      await opens(dir)
    }
    expect((await killed(args('last'), 60_000)).isDone).toBe(true)
    expect(await findings(join(shelf, 'last'), isArchive)).toEqual([])
    if (!isArchive) expect((await readdir(shelf)).filter((name) => name.includes('.partial-'))).toEqual([])
  })
})

async function findings(path: string, isArchive: boolean): Promise<unknown> {
  return isArchive ? await verifyArchive(path, work) : await verifyBackup(await openBackup(path), work)
}

async function opens(dir: string): Promise<void> {
  if ((await readdir(dir)).includes('registry.db')) {
    await using _cell = await lockCellDir(dir)
    expect((await readdir(dir)).filter((name) => name.startsWith('.'))).toEqual([])
    expect(await storeCensus(join(dir, 'registry.db'))).toMatchObject({services: 1, records: 200})
  } else {
    using hold = holdGuid(join(dir, 'cell.guid'))
    expect(hold).toBeDefined()
  }
}
