import {appendFile, mkdir, mkdtemp, open, rename, rm, symlink, truncate, unlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {Manifest} from '../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {assertWhole, verifyTree} from '../../src/backup/verify.ts'
import {CONTENTS, makeBackup} from '../support/made-backup.ts'

const WORK = {progress: NO_PROGRESS, signal: new AbortController().signal}
let root: string
let dir: string
let manifest: Manifest

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-verify-'))
  dir = join(root, 'made')
  manifest = await makeBackup(dir)
})
afterEach(async () => {
  await rm(root, {recursive: true})
})

const at = (path: string) => join(dir, path)
const findings = () => verifyTree(dir, manifest, WORK)

async function flip(path: string, offset: number): Promise<void> {
  await using file = await open(at(path), 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, offset)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, offset)
}

describe('a backup that is whole', () => {
  test('has no findings, and every byte of it was read', async () => {
    let bytes = 0
    const progress = {phase() {}, add: (more: number) => (bytes += more)}
    expect(await verifyTree(dir, manifest, {...WORK, progress})).toEqual([])
    expect(bytes).toBe(manifest.files.reduce((sum, {size}) => sum + size, 0))
  })

  test('is one with proofs beside its manifest, also when writing them was interrupted', async () => {
    await writeFile(at('backup.proofs.json'), '[]')
    await writeFile(at(`.backup.proofs.json.${'0'.repeat(32)}.tmp`), '[')
    expect(await findings()).toEqual([])
  })
})

describe('a finding is', () => {
  test.each(Object.keys(CONTENTS))('a flipped byte in %s', async (path) => {
    await flip(path, 3)
    expect(await findings()).toEqual([{path, problem: 'altered'}])
  })

  test('a flipped byte anywhere in a large file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({min: 0, max: 39_999}), async (offset) => {
        await flip('registry.db', offset)
        expect(await findings()).toEqual([{path: 'registry.db', problem: 'altered'}])
        await flip('registry.db', offset)
      }),
      {numRuns: 15},
    )
    expect(await findings()).toEqual([])
  })

  test('a missing file', async () => {
    await unlink(at('cell.yaml'))
    expect(await findings()).toEqual([{path: 'cell.yaml', problem: 'missing'}])
  })

  test('a missing directory, with all that was in it', async () => {
    await rm(at('certs/cas'), {recursive: true})
    await rm(at('empty'), {recursive: true})
    expect(await findings()).toEqual([
      {path: 'certs/cas', problem: 'missing'},
      {path: 'certs/cas/demo.net.crt', problem: 'missing'},
      {path: 'empty', problem: 'missing'},
    ])
  })

  test('a file that is too much, also an empty one, and one whose name no manifest can hold', async () => {
    await writeFile(at('certs/cas/evil.crt'), '')
    await writeFile(at('back\\slash'), '')
    expect(await findings()).toEqual([
      {path: 'back\\slash', problem: 'unexpected'},
      {path: 'certs/cas/evil.crt', problem: 'unexpected'},
    ])
  })

  test('a directory that is too much, named once', async () => {
    await mkdir(at('tmp/deep'), {recursive: true})
    await writeFile(at('tmp/deep/file'), '')
    expect(await findings()).toEqual([{path: 'tmp', problem: 'unexpected'}])
  })

  test('the locks of a slab that somebody looked into, of a registry: those of a Synapse service are nobody’s', async () => {
    await writeFile(at('certs/lock.mdb'), 'locks')
    expect(await findings()).toEqual([{path: 'certs/lock.mdb', problem: 'unexpected'}])
    const theirs = {...manifest, cell: {...manifest.cell, kind: 'synapse'} as const}
    expect(await verifyTree(dir, theirs, WORK)).toEqual([])
  })

  test('a manifest deeper in the tree, which is no note of this backup', async () => {
    await writeFile(at('certs/backup.json'), '{}')
    expect(await findings()).toEqual([{path: 'certs/backup.json', problem: 'unexpected'}])
  })

  test.each([0, 1, 39_999])('a file cut to %i bytes', async (size) => {
    await truncate(at('registry.db'), size)
    expect(await findings()).toEqual([{path: 'registry.db', problem: 'altered'}])
  })

  test('a file with one byte more', async () => {
    await appendFile(at('registry.db'), '\0')
    expect(await findings()).toEqual([{path: 'registry.db', problem: 'altered'}])
  })

  test('a link in place of a file, though it leads to the same content', async () => {
    await rename(at('registry.db'), join(root, 'elsewhere'))
    await symlink(join(root, 'elsewhere'), at('registry.db'))
    expect(await findings()).toEqual([{path: 'registry.db', problem: 'altered'}])
  })

  test('a link in place of a directory', async () => {
    await rename(at('certs'), join(root, 'elsewhere'))
    await symlink(join(root, 'elsewhere'), at('certs'))
    expect(await findings()).toContainEqual({path: 'certs', problem: 'altered'})
  })

  test('a directory in place of a file', async () => {
    await unlink(at('cell.yaml'))
    await mkdir(at('cell.yaml'))
    expect(await findings()).toEqual([{path: 'cell.yaml', problem: 'altered'}])
  })

  test('the content of one file in another of the same size', async () => {
    const [a, b] = ['b'.repeat(10), 'c'.repeat(10)]
    const other = join(root, 'other')
    manifest = await makeBackup(other, {one: a, two: b})
    await writeFile(join(other, 'one'), b)
    expect(await verifyTree(other, manifest, WORK)).toEqual([{path: 'one', problem: 'altered'}])
  })
})

test('a damaged backup is refused by the name of its first damaged file', () => {
  const found = [
    {path: 'a', problem: 'missing'},
    {path: 'b', problem: 'altered'},
  ] as const
  expect(() => assertWhole('/b', found)).toThrow('/b is damaged: a is missing, and 1 more')
  expect(() => assertWhole('/b', [])).not.toThrow()
})
