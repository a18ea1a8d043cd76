import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {readDirKind} from '../../src/cell/dir-kind.ts'

const IDEN = 'd5f9b1c0a2e34f6788990a1b2c3d4e5f'
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'registry-kind-'))
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

function put(path: string, content = ''): void {
  mkdirSync(dirname(join(dir, path)), {recursive: true})
  writeFileSync(join(dir, path), content)
}

test('a directory that is not there is absent, one with nothing in it empty', async () => {
  expect(await readDirKind(join(dir, 'none'))).toEqual({kind: 'absent'})
  expect(await readDirKind(dir)).toEqual({kind: 'empty'})
})

test('a cell.guid and a registry.db make a registry', async () => {
  put('cell.guid', IDEN)
  put('registry.db')
  expect(await readDirKind(dir)).toEqual({kind: 'registry', iden: IDEN})
})

test('a cell.guid and a cell slab make a Synapse service, damaged or not', async () => {
  put('cell.guid', IDEN)
  put('slabs/cell.lmdb/data.mdb', 'no slab')
  expect(await readDirKind(dir)).toEqual({kind: 'synapse', iden: IDEN, type: null})
})

test('everything else is strange, and it is said why', async () => {
  put('notes.txt')
  expect(await readDirKind(dir)).toEqual({kind: 'strange', reason: 'it has no file cell.guid'})
  put('cell.guid', 'hello')
  expect(await readDirKind(dir)).toEqual({kind: 'strange', reason: 'its cell.guid does not hold 32 hex digits'})
  put('cell.guid', IDEN)
  expect(await readDirKind(dir)).toMatchObject({
    kind: 'strange',
    reason: expect.stringContaining('neither registry.db'),
  })
  expect(await readDirKind(join(dir, 'notes.txt'))).toEqual({kind: 'strange', reason: 'it is no directory'})
  rmSync(join(dir, 'cell.guid'))
  symlinkSync(join(dir, 'notes.txt'), join(dir, 'cell.guid'))
  expect(await readDirKind(dir)).toEqual({kind: 'strange', reason: 'it has no file cell.guid'})
})
