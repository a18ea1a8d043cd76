// What the examples of the commands for backups find in the user's home.
import {rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {makeBackup} from '../support/made-backup.ts'

/** Makes a directory of backups anew. */
export async function prepareBackups(home: string): Promise<void> {
  const shelf = join(home, 'backups')
  await rm(shelf, {recursive: true, force: true})
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
