import {readdir, readFile, writeFile} from 'node:fs/promises'
import {gzipSync} from 'node:zlib'
import {expect, test} from 'vitest'
import {layOutForeign, readForeignArchive} from '../../src/backup/foreign-archive.ts'
import {archiveOf, gather, Scratch, WORK} from './archive-kit.ts'
import {member} from './tar-kit.ts'

const GUID = 'cd'.repeat(16)

async function packed(scratch: Scratch, files: Readonly<Record<string, string>>): Promise<string> {
  const members = Object.entries(files).map(([path, text]) => member({path: `b1/${path}`, size: text.length}, text))
  const path = scratch.path('b1.tar.gz')
  await writeFile(path, gzipSync(Buffer.concat([...members, Buffer.alloc(1024)])))
  return path
}

test('an archive without a manifest is unpacked, but for what is no part of a backup', async () => {
  await using scratch = await Scratch.make()
  const files = {'cell.guid': GUID, 'axon.lmdb/data.mdb': 'x', 'axon.lmdb/lock.mdb': 'lock', 'tmp/rest': 'rest'}
  const path = await packed(scratch, files)
  const archive = await readForeignArchive(path, WORK)
  expect(archive).toMatchObject({topName: 'b1', iden: GUID, type: null, members: 4})
  if (archive === undefined) throw new Error('it has a manifest')
  expect(await layOutForeign(path, archive, scratch.path('dir'), WORK)).toBe(2)
  expect((await readdir(scratch.path('dir'), {recursive: true})).toSorted()).toEqual([
    'axon.lmdb',
    'axon.lmdb/data.mdb',
    'cell.guid',
  ])
  expect(await readFile(scratch.path('dir/cell.guid'), 'utf8')).toBe(GUID)
})

test('one with a manifest is not of this kind', async () => {
  await using scratch = await Scratch.make()
  await writeFile(scratch.path('a'), await gather(archiveOf({a: Buffer.from('a')})))
  expect(await readForeignArchive(scratch.path('a'), WORK)).toBeUndefined()
})

test.each([
  ['that is of no service', {'letter.txt': 'dear …'.slice(0, 4)}, /cell\.guid of a service/],
  ['whose cell.guid is none', {'cell.guid': 'x'}, /cell\.guid of a service/],
  ['of ours that another tool packed', {'cell.guid': GUID, 'backup.json': '{}'}, /another tool packed it/],
])('one %s is refused', async (_, files, message) => {
  await using scratch = await Scratch.make()
  const reading = readForeignArchive(await packed(scratch, files), WORK)
  await expect(reading).rejects.toMatchObject({code: 'REG_BACKUP_INVALID', message: expect.stringMatching(message)})
})
