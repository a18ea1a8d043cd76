import {execFile} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, readdir, readFile, stat, symlink, writeFile} from 'node:fs/promises'
import {promisify} from 'node:util'
import {describe, expect, test} from 'vitest'
import {readArchiveFile, saveArchive} from '../../src/backup/archive-file.ts'
import {readArchiveManifest, verifyArchive} from '../../src/backup/archive-read.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {archiveOf, chunksOf, gather, manifestOf, Scratch, sha256, WORK} from './archive-kit.ts'

const run = promisify(execFile)
const LONG = `${'d'.repeat(120)}/${'é'.repeat(100)}/${'f'.repeat(200)}`
const FILES = {
  'registry.db': randomBytes(3_000_000),
  'certs/cas/net.key': Buffer.from('key'),
  empty: new Uint8Array(0),
  'one block': Buffer.alloc(512, 1),
  'line\nbreak': Buffer.from('x'),
  [LONG]: Buffer.from('long'),
  [`${'p'.repeat(150)}/${'q'.repeat(90)}`]: Buffer.from('with a prefix'),
}
const DIRECTORIES = ['certs', 'certs/cas', 'no files here']
const open = {recipients: [], signal: WORK.signal}

describe('an archive', () => {
  test.each(['zstd', 'gzip'] as const)('by %s comes out as it went in', async (compression) => {
    await using scratch = await Scratch.make()
    const out = await scratch.unpack(archiveOf(FILES, {directories: DIRECTORIES}, compression))
    const manifest = manifestOf(FILES, {directories: DIRECTORIES})
    expect(out).toMatchObject({manifest, topName: 'b1', directories: DIRECTORIES})
    expect(out.files.map(({path, sha256: hash}) => [path, hash])).toEqual(
      Object.entries(FILES).map(([path, bytes]) => [path, sha256(bytes)]),
    )
    for (const [path, bytes] of Object.entries(FILES)) {
      expect(sha256(await readFile(scratch.path('to', path))), path).toBe(sha256(bytes))
      expect((await stat(scratch.path('to', path))).mode & 0o777).toBe(0o600)
    }
    expect((await stat(scratch.path('to/no files here'))).mode & 0o777).toBe(0o700)
  })

  test.each([1, 511, 513, 4097])('is read in pieces of %i bytes', async (length) => {
    await using scratch = await Scratch.make()
    const bytes = await gather(archiveOf({a: randomBytes(2000), 'b/c': Buffer.alloc(9000, 3)}))
    const {files} = await scratch.unpack(chunksOf(bytes, length))
    expect(files.map(({path}) => path)).toEqual(['a', 'b/c'])
  })

  test('is opened by the tools of the system', async () => {
    await using scratch = await Scratch.make()
    await writeFile(scratch.path('a.tgz'), await gather(archiveOf(FILES, {directories: DIRECTORIES}, 'gzip')))
    await run('tar', ['-xzf', 'a.tgz'], {cwd: scratch.dir})
    for (const [path, bytes] of Object.entries(FILES)) {
      expect(sha256(await readFile(scratch.path('b1', path))), path).toBe(sha256(bytes))
    }
    expect(await readdir(scratch.path('b1/no files here'))).toEqual([])
  })

  test('takes a file that is mostly holes, and gives it back with holes', async () => {
    await using scratch = await Scratch.make()
    const bytes = Buffer.alloc(40_000_000)
    bytes.write('begin', 0)
    bytes.write('middle', 20_000_001)
    const {files} = await scratch.unpack(archiveOf({'data.mdb': bytes}))
    expect(files[0]).toMatchObject({size: bytes.length, sha256: sha256(bytes)})
    expect(files[0]?.allocated).toBeLessThan(200_000)
    expect(sha256(await readFile(scratch.path('to/data.mdb')))).toBe(sha256(bytes))
  })

  test('of a directory takes the files that are there', async () => {
    await using scratch = await Scratch.make()
    await scratch.write(Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [`from/${path}`, bytes])))
    const chunks = writeArchive(directorySource(scratch.path('from'), manifestOf(FILES)), {
      ...WORK,
      compression: 'zstd',
    })
    await saveArchive(chunks, scratch.path('shelf/b1.tar.zst'), open)
    expect((await stat(scratch.path('shelf/b1.tar.zst'))).mode & 0o777).toBe(0o600)
    expect(await verifyArchive(scratch.path('shelf/b1.tar.zst'), WORK)).toEqual([])
    const found = await readArchiveManifest(scratch.path('shelf/b1.tar.zst'), {})
    expect(found).toEqual({manifest: manifestOf(FILES), isEncrypted: false})
  })

  test.each([
    ['is missing', async () => {}, /ENOENT/],
    ['is longer', async (file: string) => await writeFile(file, 'abcd'), /not 3 bytes/],
    ['is shorter', async (file: string) => await writeFile(file, 'ab'), /not 3 bytes/],
    ['is another one', async (file: string) => await writeFile(file, 'abd'), /another one/],
    ['is a link', async (file: string) => await symlink('/etc/hostname', file), /ELOOP/],
    ['is a directory', async (file: string) => void (await mkdir(file)), /no regular file/],
    ['is a pipe', async (file: string) => void (await run('mkfifo', [file])), /no regular file/],
  ])('of a directory whose file %s is not made', async (_, make, reason) => {
    await using scratch = await Scratch.make()
    await make(scratch.path('f'))
    const source = directorySource(scratch.dir, manifestOf({f: Buffer.from('abc')}))
    const saved = saveArchive(writeArchive(source, {...WORK, compression: 'zstd'}), scratch.path('a/b.tar.zst'), open)
    await expect(saved).rejects.toThrow(expect.objectContaining({code: 'REG_BACKUP_DAMAGED'}))
    await expect(saved).rejects.toThrow(reason)
    expect(await readdir(scratch.path('a'))).toEqual([])
  })

  test('does not replace a file', async () => {
    await using scratch = await Scratch.make()
    await writeFile(scratch.path('a'), 'old')
    const saved = saveArchive(archiveOf(FILES), scratch.path('a'), open)
    await expect(saved).rejects.toThrow(expect.objectContaining({code: 'REG_CONFLICT'}))
    expect(await readFile(scratch.path('a'), 'utf8')).toBe('old')
  })

  test('is written only as long as the volume has room', async () => {
    await using scratch = await Scratch.make()
    const saved = saveArchive(archiveOf(FILES), scratch.path('a'), {...open, minFreePercent: 100})
    await expect(saved).rejects.toThrow(expect.objectContaining({code: 'REG_DISK_LOW'}))
    expect(await readdir(scratch.dir)).not.toContain('a')
  })

  test('that is cancelled leaves nothing, neither written nor unpacked', async () => {
    await using scratch = await Scratch.make()
    const whole = await gather(archiveOf(FILES))
    const controller = new AbortController()
    async function* cut() {
      yield whole.subarray(0, 2_000_000)
      controller.abort(new Error('enough'))
      yield whole.subarray(2_000_000)
    }
    const {signal} = controller
    await expect(saveArchive(cut(), scratch.path('a/x'), {recipients: [], signal})).rejects.toThrow('enough')
    await expect(scratch.unpack(cut(), {signal})).rejects.toThrow('enough')
    expect([...(await readdir(scratch.path('a'))), ...(await readdir(scratch.path('to')))]).toEqual([])
  })

  test('is unpacked into an empty directory only', async () => {
    await using scratch = await Scratch.make()
    await scratch.write({'to/mine': Buffer.from('x')})
    await expect(scratch.unpack(archiveOf(FILES))).rejects.toThrow(/is not empty/)
    expect(await readdir(scratch.path('to'))).toEqual(['mine'])
  })

  test('without a manifest is taken where that is asked for, as the system packs it', async () => {
    await using scratch = await Scratch.make()
    await scratch.write({
      'peer/cell.guid': Buffer.from('ab'.repeat(16)),
      'peer/slabs/x.lmdb/data.mdb': randomBytes(9000),
    })
    await run('tar', ['-czf', 'peer.tgz', '--format=pax', 'peer'], {cwd: scratch.dir})
    const file = () => readArchiveFile(scratch.path('peer.tgz'))
    await expect(scratch.unpack(file())).rejects.toThrow(/first member is not backup.json/)
    const out = await scratch.unpack(file(), {isForeign: true})
    expect(out).toMatchObject({manifest: undefined, topName: 'peer'})
    expect(out.files.map(({path}) => path).toSorted()).toEqual(['cell.guid', 'slabs/x.lmdb/data.mdb'])
    expect(out.directories.toSorted()).toEqual(['slabs', 'slabs/x.lmdb'])
    // It is the volume that is too small: nothing is wrong with the archive.
    const limits = {bytes: 5000, files: 10, roomAt: '/small'}
    const full = scratch.unpack(file(), {isForeign: true, limits}, 'small')
    await expect(full).rejects.toMatchObject({code: 'REG_DISK_LOW', message: expect.stringContaining('/small')})
    expect(await readdir(scratch.path('small'))).toEqual([])
  })
})

describe('what an archive is verified for', () => {
  test('is each file, by its name', async () => {
    await using scratch = await Scratch.make()
    const contents = {a: Buffer.from('aaa'), b: Buffer.from('bbb'), c: Buffer.from('ccc')}
    const plain = async () => {
      const {zstdDecompressSync} = await import('node:zlib')
      return zstdDecompressSync(await gather(archiveOf(contents)))
    }
    const altered = await plain()
    altered.write('x', altered.indexOf('bbb'))
    await writeFile(scratch.path('altered'), altered)
    expect(await verifyArchive(scratch.path('altered'), WORK)).toEqual([{path: 'b', problem: 'altered'}])
    const cut = (await plain()).subarray(0, altered.indexOf('xbb') + 2)
    await writeFile(scratch.path('cut'), cut)
    expect(await verifyArchive(scratch.path('cut'), WORK)).toEqual([
      {path: 'b', problem: 'altered'},
      {path: 'c', problem: 'missing'},
    ])
  })

  test('is its end, too', async () => {
    await using scratch = await Scratch.make()
    const whole = await gather(archiveOf({a: Buffer.from('aaa')}))
    await writeFile(scratch.path('more'), Buffer.concat([whole, Buffer.from('more')]))
    await expect(verifyArchive(scratch.path('more'), WORK)).rejects.toThrow(/something follows/)
    await expect(verifyArchive(scratch.path('none'), WORK)).rejects.toThrow(/there is no archive/)
  })
})
