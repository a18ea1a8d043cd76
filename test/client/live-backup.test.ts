import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {readArchiveFile} from '../../src/backup/archive-file.ts'
import {unpackArchive} from '../../src/backup/archive-read.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {copyTree} from '../../src/backup/copy-files.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {fetchArchive, fetchBackup, makeBackup} from '../../src/client/live-backup.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable} from '../../src/wire/telepath/caller.ts'

const WORK = {progress: NO_PROGRESS, signal: new AbortController().signal}
const OPTIONS = {...WORK, timeoutMs: 1000, clock: {wallMs: () => new Date(2026, 3, 22, 9, 46, 22).getTime()}}
const failing = (code: string, message = /./) =>
  expect.objectContaining({code, message: expect.stringMatching(message)})

let dir: string
let manifest: Manifest
/** What a service of ours sends. */
let items: Value[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'live-backup-'))
  await mkdir(join(dir, 'cell'))
  await writeFile(join(dir, 'cell', 'cell.guid'), 'x'.repeat(32))
  const file = {path: 'cell.guid', size: 32, allocated: 4096}
  const files = await copyTree({from: join(dir, 'cell'), to: join(dir, 'b1'), files: [file], directories: [], ...WORK})
  manifest = {
    ...{name: 'b1', madeAt: '2026-04-22T09:46:22.000Z', madeBy: '1.0.0', how: 'live', skipped: [], census: {}},
    cell: {kind: 'registry', iden: 'ce11'.repeat(8), type: 'registry', name: null, version: '1.0.0'},
    log: {epoch: 1, index: 7, hash: 'ab'.repeat(32)},
    ...{directories: [], files},
  }
  const source = directorySource(join(dir, 'b1'), manifest)
  const bytes = Buffer.concat(await Array.fromAsync(writeArchive(source, {...WORK, compression: 'zstd'})))
  const {createHash} = await import('node:crypto')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const half = bytes.length >> 1
  items = [
    {manifest: encodeManifest(manifest)},
    ...[bytes.subarray(0, half), bytes.subarray(half), {bytes: bytes.length, sha256}],
  ]
})
afterEach(() => rm(dir, {recursive: true}))

/** A service that sends those items, and says how many were taken to their end. */
function sender() {
  const state = {taken: 0}
  const methods = new Map([['streamBackup', {}]])
  const stream = async function* () {
    yield* items
    state.taken += 1
  }
  return {cell: {info: {methods}, stream} as unknown as Callable, state}
}

describe('a backup that is fetched', () => {
  test('is ended when more comes than its manifest can be an archive of: nothing fills the disk, and nothing is left', async () => {
    const begin = items[0]
    let sent = 0
    const endless = async function* () {
      yield begin
      for (; sent < 64; sent++) yield new Uint8Array(256 * 1024)
    }
    const cell = {info: {methods: new Map([['streamBackup', {}]])}, stream: endless} as unknown as Callable
    const fetching = fetchArchive(cell, join(dir, 'out', 'a.tar.zst'), {...OPTIONS, recipients: []})
    await expect(fetching).rejects.toEqual(failing('REG_BAD_ANSWER', /more than \d+ bytes/))
    expect(sent).toBeLessThan(10)
    expect(await readdir(join(dir, 'out'))).toEqual([])
  })

  test('comes into no other backup, and the service is not asked for one', async () => {
    const {cell} = sender()
    const nobody = {info: cell.info} as Callable
    const within = failing('REG_CONFLICT', /would lie in the backup/)
    await writeFile(join(dir, 'b1', 'backup.json'), '{}')
    await expect(fetchBackup(nobody, join(dir, 'b1'), OPTIONS)).rejects.toEqual(within)
    const archive = join(dir, 'b1', 'a.tar.zst')
    await expect(fetchArchive(nobody, archive, {...OPTIONS, recipients: []})).rejects.toEqual(within)
    expect((await readdir(join(dir, 'b1'))).sort()).toEqual(['backup.json', 'cell.guid'])
  })

  test('lies unpacked in its directory, and was taken to its end', async () => {
    const {cell, state} = sender()
    const {path} = await fetchBackup(cell, join(dir, 'out'), {...OPTIONS, how: 'base'})
    expect(path).toBe(join(dir, 'out', '20260422094622'))
    expect(JSON.parse(await readFile(join(path, 'backup.json'), 'utf8'))).toMatchObject({
      ...{name: '20260422094622', how: 'base', log: {index: 7}},
    })
    expect(await readFile(join(path, 'cell.guid'), 'utf8')).toBe('x'.repeat(32))
    expect(state.taken).toBe(1)
    const other = await fetchBackup(cell, join(dir, 'out'), OPTIONS)
    expect(other.path).toBe(`${path}-2`)
  })

  test('is one file, and was taken to its end', async () => {
    const {cell, state} = sender()
    const file = join(dir, 'out', 'a.tar.zst')
    expect(await fetchArchive(cell, file, {...OPTIONS, recipients: []})).toMatchObject({path: file, manifest})
    await mkdir(join(dir, 'to'))
    const limits = {bytes: 1e6, files: 10}
    const unpacked = await unpackArchive(readArchiveFile(file), join(dir, 'to'), {...WORK, limits})
    expect(unpacked.manifest).toEqual(manifest)
    expect(state.taken).toBe(1)
  })

  test.each([
    ['ends before', () => void items.pop(), 'REG_LINK_CLOSED', /before all of it was sent/],
    ['has another hash', () => void items.splice(3, 1, {bytes: 1, sha256: ''}), 'REG_BAD_ANSWER', /not what was sent/],
    ['goes on', () => void items.push({bytes: 1}), 'REG_BAD_ANSWER', /after its end/],
    ['begins with no manifest', () => void items.shift(), 'REG_BAD_ANSWER', /./],
  ])('leaves nothing when it %s', async (_, spoil, code, message) => {
    spoil()
    const {cell} = sender()
    const out = join(dir, 'out')
    await expect(fetchBackup(cell, out, {...OPTIONS, name: 'b1'})).rejects.toEqual(failing(code, message))
    const archive = fetchArchive(cell, join(out, 'a'), {...OPTIONS, recipients: []})
    await expect(archive).rejects.toEqual(failing(code, message))
    expect(await readdir(out).catch(() => [])).toEqual([])
  })

  test('is another one than announced', async () => {
    items[0] = {manifest: encodeManifest({...manifest, madeBy: '2.0.0'})}
    const fetched = fetchBackup(sender().cell, join(dir, 'out'), OPTIONS)
    await expect(fetched).rejects.toEqual(failing('REG_BAD_ANSWER', /another backup/))
  })
})

test('a backup that stays at the service is told of as the service does', async () => {
  const answers: Readonly<Record<string, Value>> = {runBackup: 'b1', getBackupInfo: {lastsize: 5, lastduration: null}}
  const cell = {info: {methods: new Map()}, call: async (method: string) => answers[method]} as unknown as Callable
  expect(await makeBackup(cell, OPTIONS)).toEqual({name: 'b1', bytes: 5, durationMs: null})
})
