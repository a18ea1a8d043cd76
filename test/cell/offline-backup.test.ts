import {randomBytes} from 'node:crypto'
import {lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {gunzipSync} from 'node:zlib'
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {readArchiveFile} from '../../src/backup/archive-file.ts'
import {unpackArchive} from '../../src/backup/archive-read.ts'
import {openLmdb} from '../../src/backup/lmdb.ts'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS, type Progress} from '../../src/backup/progress.ts'
import {isCellDirLocked, lockCellDir} from '../../src/cell/dirs.ts'
import {archiveOffline, backUpOffline} from '../../src/cell/offline-backup.ts'
import {storeCensus} from '../../src/store/census.ts'
import {keep, put} from '../../src/store/contract-kit.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'

const IDEN = 'd5f9b1c0a2e34f6788990a1b2c3d4e5f'
const {signal} = new AbortController()
const WORK = {progress: NO_PROGRESS, signal}
const [, slab] = JSON.parse(readFileSync(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8'))
const SLAB = gunzipSync(Buffer.from(slab.gzip, 'base64'))

let home: string
let from: string
let to: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'registry-offline-'))
  from = join(home, 'cell')
  to = join(home, 'backups', 'b1')
  mkdirSync(from, {mode: 0o700})
})
afterEach(() => rmSync(home, {recursive: true, force: true}))

const wish = (more: {skip?: readonly string[]; progress?: Progress} = {}) => ({
  ...{from, to, skip: []},
  ...{...WORK, ...more, wallMs: () => Date.UTC(2026, 10, 21, 12)},
})

function write(path: string, content: string | Uint8Array = 'x'): void {
  mkdirSync(dirname(join(from, path)), {recursive: true})
  writeFileSync(join(from, path), content)
}

/** A directory as a server of ours leaves it, with a store of two entries. */
async function makeRegistry(): Promise<void> {
  await (await lockCellDir(from, {guid: IDEN})).close()
  await using store = new SqliteStore(join(from, 'registry.db'))
  await store.open()
  await store.append([put(0), keep(['user', 'root', '{}'])])
  write('cell.yaml', 'aha:name: 00.demo\naha:network: example.net\nbackup:dir: shelf\n')
  write('certs/hosts/00.demo.key', 'key')
  for (const momentary of ['tmp/x', 'backups/b0/backup.json', 'shelf/b0/registry.db', 'run.json']) write(momentary)
}

/** A directory as Synapse makes it, as far as a backup looks at it. The slab has room to grow. */
function makeSynapse(): void {
  write('cell.guid', IDEN)
  write('cell.mods.yaml', '"aha:name": 00.axon\n')
  for (const path of ['slabs/cell.lmdb', 'axon.lmdb', 'blob.lmdb'])
    write(`${path}/data.mdb`, Buffer.concat([SLAB, Buffer.alloc(4 << 20)]))
  for (const path of ['slabs/cell.lmdb/lock.mdb', 'tmp/x', 'backups/old/cell.guid', 'axon/tmp/y']) write(path)
  mkdirSync(join(from, 'sockets'))
}

/** Does something when that phase of the work begins. */
function when(name: string, act: () => void): Progress {
  return {...NO_PROGRESS, phase: (phase) => (phase === name ? act() : undefined)}
}

/** The locks that the kernel has on a file, whoever holds them. */
function locksOn(path: string): readonly string[] {
  const lines = readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.filter((line) => line.includes(`:${lstatSync(path).ino} `)).map((line) => line.split(/ +/)[3] ?? '')
}

const backups = () => readdirSync(join(home, 'backups')).sort()

describe('a stopped registry', () => {
  beforeEach(makeRegistry)

  test('is backed up whole, and the backup says what it is of', async () => {
    const {path, manifest, checked, left, notes} = await backUpOffline(wish())
    expect(path).toBe(to)
    const backup = await openBackup(to)
    expect(await verifyBackup(backup, WORK)).toEqual([])
    expect(backup.manifest).toEqual(manifest)
    expect(manifest).toMatchObject({
      name: 'b1',
      madeAt: '2026-11-21T12:00:00.000Z',
      how: 'offline',
      cell: {kind: 'registry', iden: IDEN, type: 'registry', name: '00.demo.example.net'},
      log: {epoch: 1, index: 2, hash: expect.stringMatching(/^[0-9a-f]{64}$/)},
      census: await storeCensus(join(from, 'registry.db')),
    })
    expect(manifest.files.map((file) => file.path)).toEqual([
      'cell.guid',
      'cell.yaml',
      'certs/hosts/00.demo.key',
      'registry.db',
    ])
    expect(checked).toBe('the lock of the directory (lock.db) is free')
    expect([left, notes]).toEqual([[], []])
    expect(lstatSync(to).mode & 0o777).toBe(0o700)
  })

  test('is locked meanwhile, and free again afterwards', async () => {
    const states: unknown[] = []
    const look = () => states.push(isCellDirLocked(from))
    await backUpOffline(wish({progress: when('copying', look)}))
    look()
    expect(states).toEqual([true, false])
    expect(readdirSync(from)).not.toContain('lock.pid')
  })

  test('that runs is refused', async () => {
    await using _cell = await lockCellDir(from)
    await expect(backUpOffline(wish())).rejects.toMatchObject({
      code: 'REG_CELL_RUNS',
      message: `the cell on ${from} runs: the lock of the directory (lock.db) is held`,
    })
    expect(readdirSync(home)).toEqual(['cell'])
  })

  test('goes into an archive, and leaves no scratch behind', async () => {
    const file = join(home, 'b2.tar.zst')
    const {manifest, path} = await archiveOffline({...wish(), to: file, recipients: []})
    expect([path, manifest.name]).toEqual([file, 'b2'])
    const unpacked = join(home, 'unpacked')
    mkdirSync(unpacked)
    const limits = {bytes: 1 << 30, files: 1000}
    const found = await unpackArchive(readArchiveFile(file), unpacked, {...WORK, limits})
    expect(found.manifest).toEqual(manifest)
    expect(await storeCensus(join(unpacked, 'registry.db'))).toEqual(manifest.census)
    expect(readdirSync(join(from, 'tmp'))).toEqual(['x'])
    await expect(archiveOffline({...wish(), to: file, recipients: []})).rejects.toMatchObject({code: 'REG_CONFLICT'})
    // The next one to that place removes what a killed one left.
    const left = join(dirname(file), '.b2.tar.zst.partial-0123abcd')
    writeFileSync(left, 'a half')
    mkdirSync(join(from, 'tmp', 'backup-left'))
    await archiveOffline({...wish(), to: join(home, 'b3.tar.zst'), recipients: []})
    expect(readdirSync(home).filter((name) => name.startsWith('.'))).toEqual([])
    expect(readdirSync(join(from, 'tmp'))).toEqual(['x'])
  })

  test('whose database is damaged leaves no backup', async () => {
    writeFileSync(join(from, 'registry.db'), randomBytes(8192))
    await expect(backUpOffline(wish())).rejects.toMatchObject({code: 'REG_STORE_DAMAGED'})
    expect(backups()).toEqual([])
  })
})

describe('a stopped Synapse service', () => {
  beforeEach(makeSynapse)

  test('is backed up, its slabs as far as they are used', async () => {
    const {manifest, checked, notes} = await backUpOffline(wish())
    expect(await verifyBackup(await openBackup(to), WORK)).toEqual([])
    expect(manifest).toMatchObject({
      cell: {kind: 'synapse', iden: IDEN, type: 'axon', name: '00.axon'},
      log: {epoch: null, index: null, hash: null},
      directories: ['axon', 'axon.lmdb', 'blob.lmdb', 'slabs', 'slabs/cell.lmdb', 'sockets'],
    })
    expect(manifest.files.map(({path, size}) => [path, size])).toEqual([
      ['axon.lmdb/data.mdb', SLAB.length],
      ['blob.lmdb/data.mdb', SLAB.length],
      ['cell.guid', 32],
      ['cell.mods.yaml', 20],
      ['slabs/cell.lmdb/data.mdb', SLAB.length],
    ])
    using copy = openLmdb(join(to, 'slabs/cell.lmdb/data.mdb'))
    expect(copy.databases().size).toBe(9)
    expect(checked).toMatch(/^cell\.guid is not locked; no slab is open/)
    expect(notes).toContainEqual(expect.stringContaining('killed rather than stopped'))
  })

  test.each(['slabs', 'slabs/cell.lmdb'])('has its own files in it, even with backup:dir: %s', async (name) => {
    write('cell.mods.yaml', `backup:dir: ${name}\n`)
    const {manifest} = await backUpOffline(wish())
    expect(manifest.files.map(({path}) => path)).toContain('slabs/cell.lmdb/data.mdb')
  })

  test('is for its owner alone, also what another program made', async () => {
    const bin = join(home, 'bin')
    mkdirSync(bin)
    const script =
      '#!/bin/sh\nif [ "$1" = -V ]; then echo LMDB 0.9.31; else cp "$2/data.mdb" "$3/data.mdb"; chmod 644 "$3/data.mdb"; fi\n'
    writeFileSync(join(bin, 'mdb_copy'), script, {mode: 0o700})
    vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
    const {notes} = await backUpOffline(wish())
    vi.unstubAllEnvs()
    expect(notes.join()).not.toContain('mdb_copy')
    for (const item of readdirSync(join(home, 'backups'), {recursive: true, withFileTypes: true})) {
      const {mode} = lstatSync(join(item.parentPath, item.name))
      expect([item.name, mode & 0o777]).toEqual([item.name, item.isDirectory() ? 0o700 : 0o600])
    }
  })

  test('has no backups in it, by whatever way they are named', async () => {
    symlinkSync(from, join(home, 'link'))
    write('cell.mods.yaml', `backup:dir: ${join(home, 'link', 'shelf')}\n`)
    write('shelf/b0/big')
    const {manifest} = await backUpOffline(wish())
    expect(manifest.files.map(({path}) => path)).not.toContain('shelf/b0/big')
  })

  test('is held meanwhile, such that nobody can lock it', async () => {
    const states: unknown[] = []
    const progress = when('copying', () => states.push(locksOn(join(from, 'cell.guid'))))
    await backUpOffline(wish({progress}))
    states.push(locksOn(join(from, 'cell.guid')))
    expect(states).toEqual([['READ'], []])
  })

  test('that is written to all the same is refused, and nothing is left', async () => {
    const progress = when('copying', () => {
      const path = join(from, 'blob.lmdb/data.mdb')
      const bytes = readFileSync(path)
      for (const at of [144, 4096 + 144]) bytes.writeBigUInt64LE(bytes.readBigUInt64LE(at) + 2n, at)
      writeFileSync(path, bytes)
    })
    await expect(backUpOffline(wish({progress}))).rejects.toMatchObject({
      code: 'REG_BACKUP_SOURCE',
      message: expect.stringContaining('blob.lmdb/data.mdb as it was: something wrote to it'),
    })
    expect(backups()).toEqual([])
  })

  test('with a damaged slab is refused, unless that is left out', async () => {
    write('blob.lmdb/data.mdb', 'no slab')
    await expect(backUpOffline(wish())).rejects.toMatchObject({
      code: 'REG_BACKUP_SOURCE',
      message: expect.stringContaining('blob.lmdb/data.mdb is no LMDB file'),
    })
    const {left} = await backUpOffline(wish({skip: ['blob.lmdb']}))
    expect(left).toEqual([{path: 'blob.lmdb', reason: 'asked'}])
  })

  test('that runs is refused', async () => {
    const server = createServer().listen(join(from, 'sock'))
    await expect(backUpOffline(wish())).rejects.toMatchObject({
      code: 'REG_CELL_RUNS',
      message: expect.stringContaining('its socket answers'),
    })
    server.close()
  })

  test('goes into an archive as well, sealed for somebody', async () => {
    const {generateIdentity, identityToRecipient} = await import('age-encryption')
    const identity = await generateIdentity()
    const file = join(home, 'b3.tar.zst.age')
    const recipients = [await identityToRecipient(identity)]
    const {manifest, bytes} = await archiveOffline({...wish(), to: file, recipients})
    expect([manifest.name, bytes]).toEqual(['b3', lstatSync(file).size])
    expect(readFileSync(file, 'latin1')).toMatch(/^age-encryption\.org/)
    const unpacked = join(home, 'unpacked')
    mkdirSync(unpacked)
    const limits = {bytes: 1 << 30, files: 1000}
    await unpackArchive(readArchiveFile(file), unpacked, {...WORK, limits, identities: [identity]})
    expect(readFileSync(join(unpacked, 'axon.lmdb/data.mdb')).equals(SLAB)).toBe(true)
  })
})

describe('a backup is refused', () => {
  const refusal = async (more: {from?: string; to?: string; skip?: readonly string[]}) =>
    await backUpOffline({...wish(), ...more}).catch((error: unknown) => error)

  test('of what is no cell', async () => {
    expect(await refusal({from: join(home, 'none')})).toMatchObject({
      code: 'REG_BACKUP_SOURCE',
      message: expect.stringContaining('there is no such directory'),
    })
    expect(await refusal({})).toMatchObject({message: expect.stringContaining('it is empty')})
    write('notes.txt')
    expect(await refusal({})).toMatchObject({message: expect.stringContaining('it has no file cell.guid')})
  })

  test('to where something is', async () => {
    await makeRegistry()
    mkdirSync(to, {recursive: true})
    expect(await refusal({})).toMatchObject({code: 'REG_CONFLICT', message: `${to} is there already`})
  })

  test('to within the cell, to around it, and to either through a link', async () => {
    await makeRegistry()
    symlinkSync(from, join(home, 'link'))
    const within = {code: 'REG_CONFLICT', message: expect.stringContaining('lies in the directory')}
    expect(await refusal({to: join(from, 'b')})).toMatchObject(within)
    expect(await refusal({to: join(home, 'link/deep/b')})).toMatchObject(within)
    expect(await refusal({to: from})).toMatchObject(within)
    expect(await refusal({from: join(home, 'link'), to: join(from, 'b')})).toMatchObject(within)
    expect(await refusal({to: home})).toMatchObject({message: `${from} lies in ${home}`})
    expect(readdirSync(from)).not.toContain('b')
  })

  test('to within another backup, which stays whole', async () => {
    await makeRegistry()
    await backUpOffline(wish())
    const within = {code: 'REG_CONFLICT', message: expect.stringContaining('would lie in the backup')}
    expect(await refusal({to: join(to, 'b2')})).toMatchObject(within)
    await expect(archiveOffline({...wish(), to: join(to, 'b2.tar.zst'), recipients: []})).rejects.toMatchObject(within)
    expect(await verifyBackup(await openBackup(to), WORK)).toEqual([])
  })

  test('of a backup, as long as no cell ran on it', async () => {
    await makeRegistry()
    await backUpOffline(wish())
    const again = {from: to, to: join(home, 'b2')}
    expect(await refusal(again)).toMatchObject({
      code: 'REG_BACKUP_SOURCE',
      message: `${to} is a backup itself, and no cell ever ran on it`,
    })
    await (await lockCellDir(to)).close()
    expect(await refusal(again)).toMatchObject({path: join(home, 'b2')})
    expect((await openBackup(join(home, 'b2'))).manifest.files.map(({path}) => path)).not.toContain('backup.json')
  })

  test('when it would be of no use', async () => {
    await makeRegistry()
    expect(await refusal({skip: ['*.db']})).toMatchObject({
      message: expect.stringContaining('registry.db cannot be left out'),
    })
  })
})

test('what cannot be part of a backup is named', async () => {
  await makeRegistry()
  symlinkSync('/etc/hostname', join(from, 'link'))
  const {left} = await backUpOffline(wish({skip: ['./certs']}))
  expect(left).toEqual([
    {path: 'certs', reason: 'asked'},
    {path: 'link', reason: 'link'},
  ])
})
