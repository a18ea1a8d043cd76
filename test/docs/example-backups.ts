// What the examples of the commands for backups find in the user's home.
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {gunzipSync} from 'node:zlib'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {makeBackup} from '../support/made-backup.ts'

/** Makes what a stopped Synapse service has in its directory, as far as a backup looks at it. */
async function makeStopped(dir: string): Promise<void> {
  const vectors = await readFile(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8')
  const slab = gunzipSync(Buffer.from(JSON.parse(vectors)[0].gzip, 'base64'))
  await mkdir(join(dir, 'slabs/cell.lmdb'), {recursive: true})
  await writeFile(join(dir, 'slabs/cell.lmdb/data.mdb'), slab)
  await writeFile(join(dir, 'cell.guid'), 'cd'.repeat(16))
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
