import {readFileSync} from 'node:fs'
import {readdir, stat, symlink, truncate} from 'node:fs/promises'
import {gunzipSync, gzipSync} from 'node:zlib'
import {expect, test} from 'vitest'
import {UNVERIFIED} from '../../src/backup/foreign.ts'
import {layOut} from '../../src/backup/lay-out.ts'
import {openAnyBackup, openBackup} from '../../src/backup/open-backup.ts'
import {type Contents, Scratch, WORK} from './archive-kit.ts'
import {member, rawHeader, tar} from './tar-kit.ts'

const IDEN = 'ab'.repeat(16)
const [vector] = JSON.parse(readFileSync(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8'))
const SLAB = gunzipSync(Buffer.from(vector.gzip, 'base64'))
const FILES: Contents = {
  'cell.guid': Buffer.from(IDEN),
  'slabs/cell.lmdb/data.mdb': SLAB,
  'slabs/cell.lmdb/lock.mdb': Buffer.from('locks'),
  'tmp/x': Buffer.from('of the moment'),
}

async function directoryHere(scratch: Scratch): Promise<string> {
  await scratch.write(Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [`theirs/${path}`, bytes])))
  return scratch.path('theirs')
}

const refusal = {
  code: 'REG_BACKUP_INVALID',
  message: expect.stringContaining(UNVERIFIED),
  hints: expect.arrayContaining([expect.stringMatching(/registry restore .* DIR$/)]),
}

test('a directory of a Synapse service without a manifest cannot be verified, and is laid out all the same', async () => {
  await using scratch = await Scratch.make()
  const path = await directoryHere(scratch)
  await expect(openBackup(path)).rejects.toMatchObject(refusal)
  const backup = await openAnyBackup(path)
  expect(backup).toMatchObject({kind: 'foreign', form: 'directory', cell: {iden: IDEN}})
  const {files, manifest} = await layOut(backup, scratch.path('to'), {...WORK, room: {minFreePercent: 0}})
  expect(manifest).toBeUndefined()
  expect(files.map(({path: name}) => name)).toEqual(['cell.guid', 'slabs/cell.lmdb/data.mdb'])
  expect(await readdir(scratch.path('to'))).toEqual(['cell.guid', 'slabs'])
})

test('of a slab that is mostly room to grow only the used part is read', async () => {
  await using scratch = await Scratch.make()
  const path = await directoryHere(scratch)
  await truncate(`${path}/slabs/cell.lmdb/data.mdb`, 2 ** 42)
  let bytes = 0
  const add = (count: number) => {
    bytes += count
  }
  const progress = {phase: () => undefined, add}
  await layOut(await openAnyBackup(path), scratch.path('to'), {...WORK, progress})
  const {size} = await stat(scratch.path('to/slabs/cell.lmdb/data.mdb'))
  expect(size).toBeLessThan(2 * SLAB.length)
  expect(bytes).toBe(size + IDEN.length)
})

test('a directory with a link in it is not laid out', async () => {
  await using scratch = await Scratch.make()
  const path = await directoryHere(scratch)
  await symlink('/etc/passwd', `${path}/slabs/passwd`)
  await expect(layOut(await openAnyBackup(path), scratch.path('to'), WORK)).rejects.toMatchObject({
    code: 'REG_BACKUP_INVALID',
    message: expect.stringContaining('slabs/passwd in it is a link'),
  })
  expect(await readdir(scratch.dir)).toEqual(['theirs'])
})

test('an archive without a manifest cannot be verified either, and is laid out', async () => {
  await using scratch = await Scratch.make()
  const members = Object.entries(FILES).map(([path, bytes]) => member({path: `b1/${path}`}, bytes))
  const top = rawHeader({path: 'b1/', type: '5'})
  await scratch.write({'theirs.tar.gz': gzipSync(tar(top, ...members))})
  const path = scratch.path('theirs.tar.gz')
  await expect(openBackup(path)).rejects.toMatchObject(refusal)
  const backup = await openAnyBackup(path)
  expect(backup).toMatchObject({kind: 'foreign', form: 'archive', cell: {iden: null}})
  const {files} = await layOut(backup, scratch.path('to'), {...WORK, room: {minFreePercent: 0}})
  expect(files).toHaveLength(Object.keys(FILES).length)
})
