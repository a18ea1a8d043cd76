import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {readCompacted} from '../../src/server/compact-record.ts'
import {compactStore} from '../../src/server/compact-store.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {newLeader} from '../support/mirror-pair.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

let home = ''
let made = 0

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-compact-'))
})
afterAll(() => rm(home, {recursive: true}))

const ENTRY = {timeMs: 1, actor: 'test', change: '{"kind":"log:rotate","v":1}', effect: {kind: 'rotate'}} as const

/** A database with so many empty bytes in it, about. */
async function storeWith(emptyBytes: number): Promise<string> {
  const dir = join(home, `${++made}`)
  await mkdir(dir)
  const path = join(dir, 'registry.db')
  {
    await using store = new SqliteStore(path)
    await store.open()
    await store.append([ENTRY])
    await store.append([ENTRY])
  }
  using database = new DatabaseSync(path)
  database.exec('CREATE TABLE ballast (bytes BLOB)')
  if (emptyBytes > 0) database.prepare('INSERT INTO ballast VALUES (zeroblob(?))').run(emptyBytes)
  database.exec('DROP TABLE ballast')
  return path
}

async function compact(path: string, minFreePercent = 0): Promise<string> {
  const lines: string[] = []
  await compactStore(path, {log: silentLog(lines), minFreePercent, clock: {wallMs: () => 1_795_284_222_365}})
  return lines.join('\n')
}

async function headOf(path: string) {
  await using store = new SqliteStore(path, {frees: false})
  return await store.open()
}

test('what is empty goes, and what is in it stays', async () => {
  const path = await storeWith(8_000_000)
  const before = await headOf(path)
  const {size} = await stat(path)
  const lines = await compact(path)
  expect(lines).toMatch(/store\.compacted/)
  expect((await stat(path)).size).toBeLessThan(1_000_000)
  expect(await headOf(path)).toEqual(before)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(join(path, '..', 'tmp'))).toEqual([])
  const moment = {time: 1_795_284_222_365, size: [expect.any(Number), expect.any(Number)]}
  const record = await readCompacted(join(path, '..'))
  expect(record).toEqual({init: moment, fini: moment})
  expect(record?.init.size[1]).toBe(size)
  expect(record?.fini.size[1]).toBe((await stat(path)).size)
})

test.each([
  ['where little would be won', () => storeWith(100_000), 0, /little would be won/],
  ['without room beside it', () => storeWith(8_000_000), 100, /too little room/],
  ['where there is none', () => Promise.resolve(join(home, 'none', 'registry.db')), 0, /there is none yet/],
])('a database %s stays as it is, and the log says why', async (_, make, minFreePercent, reason) => {
  const path = await make()
  const before = await stat(path).catch(() => undefined)
  expect(await compact(path, minFreePercent)).toMatch(reason)
  expect((await stat(path).catch(() => undefined))?.ino).toBe(before?.ino)
})

test('one that is damaged is left to whoever opens it', async () => {
  const path = await storeWith(8_000_000)
  const bytes = await readFile(path)
  await writeFile(path, bytes.fill(7, 100, 8192))
  expect(await compact(path)).toMatch(/store\.not-compacted/)
  expect(await readFile(path)).toEqual(bytes)
})

test('a registry does so at its start when it is told to', async () => {
  await using leader = await newLeader()
  await leader.start({'onboot:optimize': true})
  await leader.event('store.not-compacted')
  await leader.stop()
  using database = new DatabaseSync(join(leader.dir, 'registry.db'))
  database.exec('CREATE TABLE ballast (bytes BLOB); INSERT INTO ballast VALUES (zeroblob(8000000)); DROP TABLE ballast')
  database.close()
  await leader.start({'onboot:optimize': true})
  await leader.event('store.compacted')
  const {optimized} = (await leader.call('getCellInfo')) as {readonly optimized: unknown}
  expect(optimized).toEqual(await readCompacted(leader.dir))
  expect(optimized).toMatchObject({
    init: {time: expect.any(Number)},
    fini: {size: [expect.any(Number), expect.any(Number)]},
  })
  expect((await leader.call('getUserDefs')) as readonly unknown[]).not.toEqual([])
})
