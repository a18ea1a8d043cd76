import {once} from 'node:events'
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {DirKind} from '../../src/cell/dir-kind.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {holdGuid} from '../../src/cell/guid-lock.ts'
import {checkRunning} from '../../src/cell/running.ts'

const IDEN = 'd5f9b1c0a2e34f6788990a1b2c3d4e5f'
const SYNAPSE: DirKind = {kind: 'synapse', iden: IDEN, type: null}
const REGISTRY: DirKind = {kind: 'registry', iden: IDEN}
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'registry-running-'))
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

describe('a directory of ours', () => {
  test('runs while its lock is held', async () => {
    const cell = await lockCellDir(dir)
    expect(await checkRunning(dir, REGISTRY)).toEqual({
      state: 'running',
      checked: 'the lock of the directory (lock.db) is held',
    })
    await cell.close()
    expect(await checkRunning(dir, REGISTRY)).toEqual({
      state: 'stopped',
      checked: 'the lock of the directory (lock.db) is free',
    })
  })

  test('without a lock file does not run, and gets none by being looked at', async () => {
    expect((await checkRunning(dir, REGISTRY)).state).toBe('stopped')
    expect(readdirSync(dir)).toEqual([])
  })
})

describe('a directory of Synapse', () => {
  /** Locks as LMDB and Synapse do: the lock of the kernel, on a file. */
  const lockOf = (path: string) => {
    const database = new DatabaseSync(path)
    database.exec('BEGIN EXCLUSIVE')
    return database
  }

  beforeEach(() => {
    writeFileSync(join(dir, 'cell.guid'), IDEN)
    for (const slab of ['slabs/cell.lmdb', 'backups/b1/slabs/cell.lmdb']) {
      mkdirSync(join(dir, slab), {recursive: true})
      writeFileSync(join(dir, slab, 'lock.mdb'), '')
    }
  })

  test('is stopped when nobody locks anything and nobody answers; nothing in it is altered', async () => {
    const before = readdirSync(dir, {recursive: true})
    expect(await checkRunning(dir, SYNAPSE)).toEqual({
      state: 'stopped',
      checked: 'cell.guid is not locked; no slab is open (/proc/locks); there is no socket',
    })
    expect(readdirSync(dir, {recursive: true})).toEqual(before)
    expect(readFileSync(join(dir, 'cell.guid'), 'utf8')).toBe(IDEN)
  })

  test('runs while a worker has a slab open; one in an earlier backup does not count', async () => {
    using _backup = lockOf(join(dir, 'backups/b1/slabs/cell.lmdb/lock.mdb'))
    expect((await checkRunning(dir, SYNAPSE)).state).toBe('stopped')
    using _slab = lockOf(join(dir, 'slabs/cell.lmdb/lock.mdb'))
    expect(await checkRunning(dir, SYNAPSE)).toMatchObject({
      state: 'running',
      checked: expect.stringContaining(`slabs/cell.lmdb is open by process ${process.pid} (/proc/locks)`),
    })
  })

  test('runs while its cell.guid is locked', async () => {
    writeFileSync(join(dir, 'cell.guid'), '')
    using _lock = lockOf(join(dir, 'cell.guid'))
    expect(await checkRunning(dir, SYNAPSE)).toMatchObject({
      state: 'running',
      checked: expect.stringMatching(/^cell\.guid is locked; /),
    })
    expect(holdGuid(join(dir, 'cell.guid'))).toBeUndefined()
  })

  test('runs while its socket answers', async () => {
    const server = createServer().listen(join(dir, 'sock'))
    await once(server, 'listening')
    expect(await checkRunning(dir, SYNAPSE)).toMatchObject({
      state: 'running',
      checked: expect.stringMatching(/its socket answers$/),
    })
    server.close()
    await once(server, 'close')
    writeFileSync(join(dir, 'sock'), '')
    expect(await checkRunning(dir, SYNAPSE)).toMatchObject({
      state: 'stopped',
      checked: expect.stringMatching(/its socket does not answer \(ECONNREFUSED\)$/),
    })
  })

  test('can be held by several who read it', () => {
    using first = holdGuid(join(dir, 'cell.guid'))
    using second = holdGuid(join(dir, 'cell.guid'))
    expect([first, second]).not.toContain(undefined)
  })
})

test('what is no cell does not run', async () => {
  expect((await checkRunning(dir, {kind: 'empty'})).state).toBe('stopped')
})
