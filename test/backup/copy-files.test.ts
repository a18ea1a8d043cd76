import {createHash, randomBytes} from 'node:crypto'
import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {copyFileHashed, copyTree, eachFile, hashFile} from '../../src/backup/copy-files.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {readTree} from '../../src/backup/tree.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal
const WORK = {progress: NO_PROGRESS, signal}
let root: string
let from: string
let to: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-copy-'))
  from = join(root, 'from')
  to = join(root, 'to')
  await mkdir(from)
})
afterEach(async () => {
  await rm(root, {recursive: true})
})

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const fileAt = (path: string) => ({path, size: 0, allocated: 0})

/** Copies a file and lets something happen when its first piece was read. */
async function copyDuring(happen: () => Promise<void>): Promise<unknown> {
  const file = join(from, 'file')
  await writeFile(file, randomBytes(5 * MIB))
  let happened: Promise<void> | undefined
  const progress = {
    phase() {},
    add() {
      happened ??= happen()
    },
  }
  try {
    return await copyFileHashed(file, to, {progress, signal})
  } finally {
    await happened
  }
}

describe('a copied tree', () => {
  test('has the content, the hashes in order, private modes, and empty directories', async () => {
    const contents = new Map([
      ['a', Buffer.from('small')],
      ['b/large', randomBytes(3 * MIB + 17)],
      ['b/none', Buffer.alloc(0)],
      ['c/d/exact', randomBytes(MIB)],
    ])
    for (const folder of ['b', 'c', 'c/d', 'empty']) await mkdir(join(from, folder), {mode: 0o755})
    for (const [path, content] of contents) await writeFile(join(from, path), content, {mode: 0o755})
    const {files, directories} = await readTree(from, {leave: () => undefined, signal})
    let bytes = 0
    const progress = {phase() {}, add: (more: number) => (bytes += more)}
    const copied = await copyTree({from, to, files, directories, progress, signal})
    expect(copied.map(({path, size, sha256}) => [path, size, sha256])).toEqual(
      [...contents].map(([path, content]) => [path, content.length, sha256(content)]),
    )
    for (const [path, content] of contents) {
      expect((await readFile(join(to, path))).equals(content), path).toBe(true)
      expect((await stat(join(to, path))).mode & 0o777).toBe(0o600)
    }
    for (const folder of ['', 'b', 'c/d', 'empty']) expect((await stat(join(to, folder))).mode & 0o777).toBe(0o700)
    expect(bytes).toBe(files.reduce((sum, {size}) => sum + size, 0))
  })

  test('makes directories that only its files name', async () => {
    await mkdir(join(from, 'x/y'), {recursive: true})
    await writeFile(join(from, 'x/y/z'), 'z')
    await copyTree({from, to, files: [fileAt('x/y/z')], directories: [], ...WORK})
    expect(await readFile(join(to, 'x/y/z'), 'utf8')).toBe('z')
  })

  test('names the file that is not there', async () => {
    await writeFile(join(from, 'a'), 'a')
    const copying = copyTree({from, to, files: [fileAt('a'), fileAt('gone')], directories: [], ...WORK})
    await expect(copying).rejects.toMatchObject({code: 'REG_BACKUP_SOURCE', info: {path: join(from, 'gone')}})
  })

  test('ends when nobody waits any more', async () => {
    await writeFile(join(from, 'a'), randomBytes(4 * MIB))
    const stop = new AbortController()
    const progress = {phase() {}, add: () => stop.abort(new Error('enough'))}
    const copying = copyTree({from, to, files: [fileAt('a')], directories: [], progress, signal: stop.signal})
    await expect(copying).rejects.toThrow('enough')
  })
})

describe('a copied file', () => {
  test('is the source, wherever zeros lie in it', async () => {
    const block = 16 * 1024
    const part = fc.record({length: fc.integer({min: 1, max: 3 * block}), isZero: fc.boolean()})
    await fc.assert(
      fc.asyncProperty(fc.array(part, {maxLength: 8}), async (parts) => {
        const content = Buffer.concat(
          parts.map(({length, isZero}) => (isZero ? Buffer.alloc(length) : Buffer.alloc(length, 7))),
        )
        const source = join(from, 'file')
        await writeFile(source, content)
        await rm(to, {force: true})
        const {size, sha256: hash} = await copyFileHashed(source, to, WORK)
        expect((await readFile(to)).equals(content)).toBe(true)
        expect([size, hash]).toEqual([content.length, sha256(content)])
      }),
      {numRuns: 25},
    )
  })

  test('has holes where the source has zeros', async () => {
    const source = join(from, 'file')
    await writeFile(source, Buffer.concat([randomBytes(MIB), Buffer.alloc(20 * MIB), randomBytes(MIB)]))
    const {size, allocated} = await copyFileHashed(source, to, WORK)
    expect(size).toBe(22 * MIB)
    expect(allocated).toBeLessThan(3 * MIB)
    expect((await stat(to)).blocks * 512).toBe(allocated)
  })

  test('is read up to what is used, and ends there', async () => {
    const source = join(from, 'file')
    const used = randomBytes(MIB + 4096)
    await writeFile(source, Buffer.concat([used, Buffer.alloc(2 * MIB, 1)]))
    const {size, sha256: hash} = await copyFileHashed(source, to, {...WORK, usedBytes: used.length})
    expect((await readFile(to)).equals(used)).toBe(true)
    expect([size, hash]).toEqual([used.length, sha256(used)])
    expect(await hashFile(source, {...WORK, usedBytes: used.length})).toEqual({size, sha256: hash})
  })

  test('that grew meanwhile is refused', async () => {
    await expect(copyDuring(() => appendFile(join(from, 'file'), 'more'))).rejects.toThrow(/something wrote to it/)
  })

  test('that became shorter meanwhile is refused', async () => {
    await expect(copyDuring(() => truncate(join(from, 'file'), MIB))).rejects.toThrow(/something wrote to it/)
  })

  test('that was written to in place is refused', async () => {
    const write = () => writeFile(join(from, 'file'), 'x', {flag: 'r+'})
    await expect(copyDuring(write)).rejects.toMatchObject({code: 'REG_BACKUP_SOURCE'})
  })

  test('that was replaced by rename, or removed, is the old one', async () => {
    await writeFile(join(from, 'new'), 'new')
    await expect(copyDuring(() => rename(join(from, 'new'), join(from, 'file')))).resolves.toMatchObject({
      size: 5 * MIB,
    })
    await rm(to)
    await expect(copyDuring(() => unlink(join(from, 'file')))).resolves.toMatchObject({size: 5 * MIB})
  })

  test('that became a link is refused', async () => {
    await writeFile(join(from, 'real'), 'real')
    await symlink('real', join(from, 'file'))
    await expect(copyFileHashed(join(from, 'file'), to, WORK)).rejects.toMatchObject({code: 'REG_BACKUP_SOURCE'})
  })

  test('replaces nothing', async () => {
    await writeFile(join(from, 'file'), 'x')
    await writeFile(to, 'there')
    await expect(copyFileHashed(join(from, 'file'), to, WORK)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
    expect(await readFile(to, 'utf8')).toBe('there')
  })
})

describe('files two at a time', () => {
  test('give their results in their order', async () => {
    const after = [30, 1, 10, 2]
    const results = await eachFile(after, signal, async (file) => {
      for (let turn = 0; turn < file; turn++) await Promise.resolve()
      return file * 2
    })
    expect(results).toEqual([60, 2, 20, 4])
  })

  test('have all stopped when one failed', async () => {
    const begun: number[] = []
    const use = async (file: number) => {
      begun.push(file)
      if (file === 1) throw new Error('one')
      await Promise.resolve()
    }
    await expect(eachFile([0, 1, 2, 3, 4, 5, 6, 7], signal, use)).rejects.toThrow('one')
    expect(begun).toEqual([0, 1])
  })
})
