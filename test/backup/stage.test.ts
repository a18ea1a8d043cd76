import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {decodeManifest} from '../../src/backup/manifest-read.ts'
import {isPartialName, removeLeftStagings, stageBackup, stageFile} from '../../src/backup/stage.ts'
import {Child} from '../support/child.ts'
import {stagedManifest} from '../support/staged-backup.ts'
import {withoutLinks} from '../support/without-links.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-stage-'))
})
afterEach(async () => {
  await rm(root, {recursive: true})
})

const child = (steps: number) => new Child(new URL('./stage-child.ts', import.meta.url), [root, String(steps)])

describe('a staged backup', () => {
  test('has no name until it is committed, and then a manifest', async () => {
    const place = join(root, 'shelf/deep/b')
    await using staging = await stageBackup(place)
    await writeFile(join(staging.dir, 'file'), 'x')
    expect((await stat(staging.dir)).mode & 0o777).toBe(0o700)
    expect(await readdir(join(root, 'shelf/deep'))).not.toContain('b')
    expect(await staging.commit(stagedManifest('b', 'x'))).toBe(place)
    expect(await readdir(join(root, 'shelf/deep'))).toEqual(['b'])
    expect(decodeManifest(await readFile(join(place, 'backup.json'), 'utf8'), 'it')).toEqual(stagedManifest('b', 'x'))
    expect((await stat(join(place, 'backup.json'))).mode & 0o777).toBe(0o600)
  })

  test('leaves nothing when it is not committed', async () => {
    {
      await using staging = await stageBackup(join(root, 'b'))
      await mkdir(join(staging.dir, 'deep'))
      await writeFile(join(staging.dir, 'deep/file'), 'x')
    }
    expect(await readdir(root)).toEqual([])
  })

  test.each(['EPERM', 'ENOTSUP', 'ENOSYS'])(
    'is made where there are no hard links (%s), and so is a file',
    async (code) => {
      using _ = withoutLinks(code)
      const place = join(root, 'b')
      {
        await using staging = await stageBackup(place)
        await writeFile(join(staging.dir, 'file'), 'x')
        await staging.commit(stagedManifest('b', 'x'))
      }
      const file = join(root, 'b.tar.zst')
      await stageFile(file, (target) => target.writeFile('whole'))
      const taken = stageFile(file, (target) => target.writeFile('another'))
      await expect(taken).rejects.toMatchObject({code: 'REG_CONFLICT'})
      const late = stageFile(join(root, 'late'), () => writeFile(join(root, 'late'), 'first'))
      await expect(late).rejects.toMatchObject({code: 'REG_CONFLICT'})
      expect(await readFile(join(root, 'late'), 'utf8')).toBe('first')
      expect(await readFile(file, 'utf8')).toBe('whole')
      expect((await readdir(root)).toSorted()).toEqual(['b', 'b.tar.zst', 'late'])
      expect((await readdir(place)).toSorted()).toEqual(['backup.json', 'file'])
    },
  )

  test('gets no name when a file of its manifest is not there', async () => {
    {
      await using staging = await stageBackup(join(root, 'b'))
      await expect(staging.commit(stagedManifest('b', 'x'))).rejects.toThrow(/ENOENT/)
    }
    expect(await readdir(root)).toEqual([])
  })

  test('gets no name before its manifest is written', async () => {
    {
      await using staging = await stageBackup(join(root, 'b'))
      await writeFile(join(staging.dir, 'file'), 'x')
      const manifest = {...stagedManifest('b', 'x'), census: {unwritable: 1n as never}}
      await expect(staging.commit(manifest)).rejects.toThrow(/BigInt/)
      expect(await readdir(root)).not.toContain('b')
    }
    expect(await readdir(root)).toEqual([])
  })

  test.each(['file', 'directory'])('is refused where a %s is', async (kind) => {
    const place = join(root, 'b')
    await (kind === 'file' ? writeFile(place, '') : mkdir(place))
    await expect(stageBackup(place)).rejects.toMatchObject({code: 'REG_CONFLICT', info: {path: place}})
  })

  test.each(['empty', 'full'])('does not replace an %s directory that came meanwhile', async (kind) => {
    const place = join(root, 'b')
    await using staging = await stageBackup(place)
    await writeFile(join(staging.dir, 'file'), 'x')
    await mkdir(place)
    if (kind === 'full') await writeFile(join(place, 'precious'), '')
    await expect(staging.commit(stagedManifest('b', 'x'))).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(await readdir(place)).toEqual(kind === 'full' ? ['precious'] : [])
  })
})

describe('what is left over', () => {
  test('of a process that is gone is removed; what is being written stays', async () => {
    await using here = await stageBackup(join(root, 'mine'))
    const other = child(0)
    expect(await other.line()).toBe('waiting')
    expect(await removeLeftStagings(root)).toEqual([])
    await other.kill()
    expect(await removeLeftStagings(root)).toEqual([expect.stringMatching(/^\.last\.partial-[0-9a-f]{8}$/)])
    expect((await readdir(root)).filter((name) => !name.startsWith('.mine.'))).toEqual([])
    expect((await stat(here.dir)).isDirectory()).toBe(true)
  })

  test('at whatever moment it was killed is never under the final name without a manifest', async () => {
    for (let round = 0; round < 4; round++) {
      const writer = child(1000)
      for (let lines = 0; lines <= round * 3; lines++) await writer.line()
      await writer.kill()
      for (const name of await readdir(root)) {
        if (name.startsWith('.')) continue
        const text = await readFile(join(root, name, 'backup.json'), 'utf8')
        expect(decodeManifest(text, name).files).toHaveLength(1)
        expect(await readFile(join(root, name, 'file'), 'utf8')).toBe(`content ${name.slice(1)}`)
      }
      await removeLeftStagings(root)
      expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([])
      await rm(root, {recursive: true})
      await mkdir(root)
    }
  })

  test('is known by its name', () => {
    expect(isPartialName('.b.partial-0123abcd')).toBe(true)
    expect(isPartialName('b.partial-0123abcd')).toBe(false)
    expect(isPartialName('.b.partial-0123abcd.lock')).toBe(false)
  })

  test('in a directory that is not there is nothing', async () => {
    expect(await removeLeftStagings(join(root, 'absent'))).toEqual([])
  })
})
