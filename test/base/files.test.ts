import assert from 'node:assert/strict'
import {mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {chmod, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {
  createPrivateFile,
  exists,
  fillFileAtomic,
  isTaken,
  makePrivateDir,
  namesIn,
  removeFile,
  writeAll,
  writeFileAtomic,
} from '../../src/base/files.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-files-'))
})
afterEach(() => rm(folder, {recursive: true}))

const modeOf = (path: string) => statSync(path).mode & 0o777

describe('files', () => {
  test('an atomic write makes the file, private unless told otherwise, and leaves nothing else', async () => {
    await writeFileAtomic(join(folder, 'text'), 'é')
    await writeFileAtomic(join(folder, 'bytes'), new Uint8Array([0, 255]), 0o644)
    assert.equal(readFileSync(join(folder, 'text'), 'utf8'), 'é')
    assert.deepEqual([...readFileSync(join(folder, 'bytes'))], [0, 255])
    assert.equal(modeOf(join(folder, 'text')), 0o600)
    assert.equal(modeOf(join(folder, 'bytes')), 0o644)
    assert.deepEqual(readdirSync(folder).sort(), ['bytes', 'text'])
  })

  test('an atomic write replaces the file rather than writing into it, so that a reader keeps the old one', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'a longer old text')
    await chmod(path, 0o644)
    const {ino} = statSync(path)
    await writeFileAtomic(path, 'new')
    assert.equal(readFileSync(path, 'utf8'), 'new')
    assert.notEqual(statSync(path).ino, ino)
    assert.equal(modeOf(path), 0o600)
  })

  test('writes at the same time leave one of the contents, whole', async () => {
    const path = join(folder, 'file')
    const contents = Array.from({length: 20}, (_, index) => String(index).repeat(10_000))
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)))
    assert(contents.includes(readFileSync(path, 'utf8')))
    assert.deepEqual(readdirSync(folder), ['file'])
  })

  test('a failed atomic write leaves the old state and no temporary file', async () => {
    const path = join(folder, 'directory')
    mkdirSync(join(path, 'in-the-way'), {recursive: true})
    await assert.rejects(writeFileAtomic(path, 'new'), {code: 'EISDIR'})
    assert.deepEqual(readdirSync(folder), ['directory'])
    await assert.rejects(writeFileAtomic(join(folder, 'missing', 'file'), 'new'), {code: 'ENOENT'})
  })

  test('a file that is filled piece by piece is there when all of it is, and replaces another only when it may', async () => {
    const path = join(folder, 'file')
    const fill = async (write: (chunk: Uint8Array) => Promise<void>) => {
      await write(Buffer.from('one '))
      assert.equal(readdirSync(folder).includes('file'), false)
      await write(Buffer.from('two'))
    }
    await fillFileAtomic(path, {mode: 0o640, isReplacing: false}, fill)
    assert.equal(readFileSync(path, 'utf8'), 'one two')
    assert.equal(modeOf(path), 0o640)
    const other = (write: (chunk: Uint8Array) => Promise<void>) => write(Buffer.from('other'))
    await assert.rejects(fillFileAtomic(path, {mode: 0o640, isReplacing: false}, other), {code: 'EEXIST'})
    assert.equal(readFileSync(path, 'utf8'), 'one two')
    await fillFileAtomic(path, {mode: 0o600, isReplacing: true}, other)
    assert.equal(readFileSync(path, 'utf8'), 'other')
    assert.deepEqual(readdirSync(folder), ['file'])
  })

  test('a file whose filling fails is not there, and one that was there stays', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'old')
    const fill = async (write: (chunk: Uint8Array) => Promise<void>) => {
      await write(Buffer.from('new'))
      throw new Error('the source is gone')
    }
    await assert.rejects(fillFileAtomic(path, {mode: 0o600, isReplacing: true}, fill), {message: 'the source is gone'})
    assert.equal(readFileSync(path, 'utf8'), 'old')
    assert.deepEqual(readdirSync(folder), ['file'])
  })

  test('a removed file is gone, and one that is not there is fine', async () => {
    writeFileSync(join(folder, 'file'), '')
    await removeFile(join(folder, 'file'))
    await removeFile(join(folder, 'file'))
    assert.deepEqual(readdirSync(folder), [])
  })

  test('private directories are made with those above them, and existing ones stay as they are', async () => {
    await makePrivateDir(join(folder, 'a', 'b'))
    assert.equal(modeOf(join(folder, 'a')), 0o700)
    assert.equal(modeOf(join(folder, 'a', 'b')), 0o700)
    await Promise.all(Array.from({length: 5}, () => makePrivateDir(join(folder, 'c', 'd', 'e'))))
    await chmod(join(folder, 'a'), 0o755)
    await makePrivateDir(join(folder, 'a', 'b'))
    assert.equal(modeOf(join(folder, 'a')), 0o755)
  })

  test('a directory that cannot be made is refused', async () => {
    writeFileSync(join(folder, 'file'), '')
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'))
    await assert.rejects(makePrivateDir(join(folder, 'file')), {code: 'EEXIST'})
    await assert.rejects(makePrivateDir(join(folder, 'file', 'a', 'b')), {code: 'ENOTDIR'})
    await assert.rejects(makePrivateDir(join(folder, 'link', 'a')), {code: 'ENOENT'})
  })

  test('a private file is made empty, and an existing one keeps its content and mode', () => {
    const path = join(folder, 'file')
    createPrivateFile(path)
    assert.equal(modeOf(path), 0o600)
    assert.equal(statSync(path).size, 0)
    writeFileSync(path, 'content')
    createPrivateFile(path)
    assert.equal(readFileSync(path, 'utf8'), 'content')
    assert.throws(() => createPrivateFile(join(folder, 'missing', 'file')), {code: 'ENOENT'})
  })

  test('a link that leads nowhere takes its path, and nothing is there', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'))
    const paths = [
      file,
      join(folder, 'link'),
      join(folder, 'missing'),
      join(file, 'below'),
      join(folder, 'x'.repeat(300)),
    ]
    assert.deepEqual(await Promise.all(paths.map(exists)), [true, false, false, false, false])
    assert.deepEqual(await Promise.all(paths.map(isTaken)), [true, true, false, false, false])
    symlinkSync('loop', join(folder, 'loop'))
    await assert.rejects(exists(join(folder, 'loop')), {code: 'ELOOP'})
  })

  test('a directory that is not there has no names, and what cannot be read is told', async () => {
    writeFileSync(join(folder, 'file'), '')
    assert.deepEqual(await namesIn(folder), ['file'])
    assert.deepEqual(await namesIn(join(folder, 'missing')), [])
    assert.deepEqual(await namesIn(join(folder, 'file')), [])
    await assert.rejects(namesIn(join(folder, 'x'.repeat(300))), {code: 'ENAMETOOLONG'})
  })

  test('bytes are written whole to their place, also when the system takes a few at a time', async () => {
    const content = Buffer.alloc(12, '.')
    const write = (bytes: Uint8Array, from: number, length: number, at: number) => {
      const taken = Math.min(length, 3)
      content.set(bytes.subarray(from, from + taken), at)
      return Promise.resolve({bytesWritten: taken})
    }
    await writeAll({write}, Buffer.from('01234567'), 2)
    assert.equal(content.toString(), '..01234567..')
  })
})
