import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {FollowDir} from '../../src/backup/follow-dir.ts'

const CELL = 'c'.repeat(32)
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-follow-dir-'))
})
afterEach(() => rm(dir, {recursive: true, force: true}))

test('a directory in a backup or a data directory is refused, and is not made', async () => {
  await mkdir(join(dir, 'b1'))
  await writeFile(join(dir, 'b1', 'backup.json'), '')
  await writeFile(join(dir, 'cell.guid'), '')
  await expect(FollowDir.open(join(dir, 'b1', 'kept'))).rejects.toMatchObject({code: 'REG_CONFLICT'})
  await expect(FollowDir.open(join(dir, 'kept'))).rejects.toMatchObject({code: 'REG_CONFLICT'})
  expect((await readdir(dir)).sort()).toEqual(['b1', 'cell.guid'])
  expect(await readdir(join(dir, 'b1'))).toEqual(['backup.json'])
})

test('a directory of something else is refused, and nothing is made in it', async () => {
  await writeFile(join(dir, 'notes.txt'), '')
  await expect(FollowDir.open(dir)).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: `${dir} holds something else: notes.txt`,
  })
  expect(await readdir(dir)).toEqual(['notes.txt'])
})

test('a directory that a process was killed in while it claimed it is gone on with', async () => {
  await writeFile(join(dir, 'lock.db'), '')
  await writeFile(join(dir, '.follow.json.0123.tmp'), '{"for')
  await using follow = await FollowDir.open(dir)
  await follow.claim(CELL)
  expect(follow.cell).toBe(CELL)
})

test('what the system refuses to write is told of as such', async () => {
  await using follow = await FollowDir.open(join(dir, 'kept'))
  await rm(join(dir, 'kept'), {recursive: true})
  await expect(follow.claim(CELL)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
  expect(follow.cell).toBeUndefined()
})
