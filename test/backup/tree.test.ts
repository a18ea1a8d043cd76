import {execFileSync} from 'node:child_process'
import {mkdir, mkdtemp, rm, symlink, truncate, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {foldersOf, isNeverPart, readTree, skipGlobs} from '../../src/backup/tree.ts'

let root: string
const never = new AbortController().signal
const ALL = {leave: () => undefined, signal: never}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-tree-'))
})
afterEach(async () => {
  await rm(root, {recursive: true})
})

async function put(path: string, content = path): Promise<void> {
  await mkdir(dirname(join(root, path)), {recursive: true})
  await writeFile(join(root, path), content)
}

describe('a tree', () => {
  test('is read in the order of the paths, with sizes', async () => {
    await put('b/two', '22')
    await put('b.txt')
    await put('a')
    await mkdir(join(root, 'empty'))
    const tree = await readTree(root, ALL)
    expect(tree.files.map(({path, size}) => [path, size])).toEqual([
      ['a', 1],
      ['b.txt', 5],
      ['b/two', 2],
    ])
    expect(tree.directories).toEqual(['b', 'empty'])
    expect(tree.left).toEqual([])
  })

  test('says what a file takes on the disk, without its holes', async () => {
    await put('sparse', 'x')
    await truncate(join(root, 'sparse'), 10_000_000)
    const {files} = await readTree(root, ALL)
    expect(files).toMatchObject([{size: 10_000_000}])
    expect(files[0]?.allocated).toBeLessThan(100_000)
  })

  test('names links, sockets and devices, and follows none', async () => {
    await put('real/file')
    await symlink(join(root, 'real'), join(root, 'link'))
    await symlink('/nowhere', join(root, 'dangling'))
    execFileSync('mkfifo', [join(root, 'pipe')])
    await using server = createServer().listen(join(root, 'sock'))
    await new Promise((resolve) => server.once('listening', resolve))
    const {files, left} = await readTree(root, ALL)
    expect(files.map(({path}) => path)).toEqual(['real/file'])
    expect(left).toEqual([
      {path: 'dangling', reason: 'link'},
      {path: 'link', reason: 'link'},
      {path: 'pipe', reason: 'device'},
      {path: 'sock', reason: 'socket'},
    ])
  })

  test('leaves what it is told to, a directory with all in it', async () => {
    await put('tmp/deep/x')
    await put('keep/tmp')
    const leave = (path: string, isDirectory: boolean) => (isDirectory && path === 'tmp' ? 'always' : undefined)
    const {files, directories, left} = await readTree(root, {leave, signal: never})
    expect(files.map(({path}) => path)).toEqual(['keep/tmp'])
    expect(directories).toEqual(['keep'])
    expect(left).toEqual([{path: 'tmp', reason: 'always'}])
  })

  test('deeper than any cell is refused', async () => {
    await mkdir(join(root, ...Array.from({length: 65}, () => 'd')), {recursive: true})
    await expect(readTree(root, ALL)).rejects.toThrow(/deeper than 64/)
  })

  test.each(['back\\slash', Buffer.from([0x61, 0xff])])(
    'with the name %j, which no backup can hold, is refused',
    async (name) => {
      await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]), '')
      await expect(readTree(root, ALL)).rejects.toThrow(/cannot hold a file of this name/)
    },
  )

  test('that is not there is an error of ours', async () => {
    await expect(readTree(join(root, 'absent'), ALL)).rejects.toMatchObject({code: 'REG_BACKUP_SOURCE'})
  })

  test('is not read when nobody waits any more', async () => {
    await expect(readTree(root, {...ALL, signal: AbortSignal.abort(new Error('enough'))})).rejects.toThrow('enough')
  })
})

test.each([
  ['axon', 'axon', true],
  ['./axon', 'axon', true],
  ['axon/', 'axon', true],
  ['axon', 'axons', false],
  ['**/nodeedits.lmdb', 'layers/ab/nodeedits.lmdb', true],
  ['**/nodeedits.lmdb', 'nodeedits.lmdb', true],
  ['*.log', 'deep/x.log', false],
  ['cell.yaml', 'cellxyaml', false],
])('--skip %j of %j: %j', (glob, path, isSkipped) => {
  expect(skipGlobs(['never', glob])(path)).toBe(isSkipped)
})

test('directories come after those that they are in', () => {
  expect(foldersOf([{path: 'a/b/c/file'}, {path: 'top'}], ['x/y', 'a'])).toEqual(['x', 'x/y', 'a', 'a/b', 'a/b/c'])
})

describe('never part of a backup', () => {
  test.each([
    'lock.db',
    'lock.db-journal',
    'lock.pid',
    'lock.mdb',
    'run.json',
    'registry.db-wal',
    'registry.db-shm',
    'registry.db.part',
    'registry.db.part.json',
    'registry.db.part-journal',
    '.20261121120000.partial-0123abcd',
    'nightly/.20261121120000.partial-0123abcd.lock',
    'backup.json',
    'backup.proofs.json',
    `certs/hosts/.x.key.${'a'.repeat(32)}.tmp`,
  ])('%s of a registry', (path) => {
    expect(isNeverPart('registry', path, false)).toBe(true)
  })
  test.each([
    ...['registry.db', 'cell.yaml', 'certs/lock.pid', 'tmp', 'certs/backup.json'],
    // Names of certificates are those of hosts, networks and users.
    ...['certs/cas/partners.net.key', 'certs/hosts/00.partner.example.net.key', 'certs/users/visi@x.part.net.crt'],
  ])('but the file %s is', (path) => {
    expect(isNeverPart('registry', path, false)).toBe(false)
  })
  test('are tmp and backups, at the top of a registry and anywhere in a Synapse service', () => {
    for (const name of ['tmp', 'backups']) {
      expect(isNeverPart('registry', name, true)).toBe(true)
      expect(isNeverPart('registry', `certs/${name}`, true)).toBe(false)
      expect(isNeverPart('synapse', `axon/${name}`, true)).toBe(true)
    }
  })
  test('is lock.mdb of a slab, but its data is', () => {
    expect(isNeverPart('synapse', 'slabs/cell.lmdb/lock.mdb', false)).toBe(true)
    expect(isNeverPart('synapse', 'slabs/cell.lmdb/data.mdb', false)).toBe(false)
    expect(isNeverPart('synapse', 'file.part', false)).toBe(false)
  })
})
