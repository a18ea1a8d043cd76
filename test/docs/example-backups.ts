// What the examples of the commands for backups find in the user's home.
import {cp, mkdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {gunzipSync} from 'node:zlib'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {makeBackup} from '../support/made-backup.ts'

async function cellSlab(): Promise<Buffer> {
  const vectors = await readFile(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8')
  return gunzipSync(Buffer.from(JSON.parse(vectors)[0].gzip, 'base64'))
}

/** Makes what a stopped Synapse service has in its directory, as far as a backup looks at it. */
async function makeStopped(dir: string): Promise<void> {
  await mkdir(join(dir, 'slabs/cell.lmdb'), {recursive: true})
  await writeFile(join(dir, 'slabs/cell.lmdb/data.mdb'), await cellSlab())
  await writeFile(join(dir, 'cell.guid'), 'cd'.repeat(16))
}

/** Makes backups that a drill can restore: of the registry that serves `dir`, and of an Axon, which is not installed here. */
export async function prepareDrill(home: string, dir: string): Promise<void> {
  const shelf = join(home, 'backups')
  await rm(shelf, {recursive: true, force: true})
  await using root = await openTelepath(`cell://${dir}`)
  const name = '20261121120000'
  await root.call('runBackup', {args: [name]})
  await cp(join(dir, 'backups', name), join(shelf, name), {recursive: true})
  await root.call('delBackup', {args: [name]})
  const slab = await cellSlab()
  const cell = {kind: 'synapse', iden: 'cd'.repeat(16), type: 'axon', name: null, version: null} as const
  const more = {cell, log: {epoch: null, index: null, hash: null}, census: {}}
  await makeBackup(join(shelf, 'axon'), {'cell.guid': cell.iden, 'slabs/cell.lmdb/data.mdb': slab}, more)
}

/** Makes what live backups are sealed for, and nothing where they go to. */
export async function prepareLive(home: string): Promise<void> {
  for (const name of ['srv', 'mnt']) await rm(join(home, name), {recursive: true, force: true})
  for (const name of ['srv', 'mnt']) await mkdir(join(home, name))
  const identity = await generateX25519Identity()
  await writeFile(join(home, 'srv', 'backup.pub'), `${await identityToRecipient(identity)}\n`)
}

/** Makes a directory of backups, and stopped services, anew. */
export async function prepareBackups(home: string): Promise<void> {
  const shelf = join(home, 'backups')
  await rm(shelf, {recursive: true, force: true})
  for (const name of ['axon', 'cortex']) await makeStopped(join(home, name))
  for (const file of ['axon.tar.zst', 'axon.tar.zst.age']) await rm(join(home, file), {force: true})
  const made = join(shelf, '20261121120000')
  const manifest = await makeBackup(made)
  const identity = await generateX25519Identity()
  await writeFile(join(home, 'key.txt'), `${identity}\n`)
  const archive = join(home, 'nightly.tar.zst.age')
  await rm(archive, {force: true})
  const {signal} = new AbortController()
  const chunks = writeArchive(directorySource(made, manifest), {progress: NO_PROGRESS, signal, compression: 'zstd'})
  await saveArchive(chunks, archive, {recipients: [await identityToRecipient(identity)], signal})
}
