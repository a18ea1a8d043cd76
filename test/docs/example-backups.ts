// What the examples of the commands for backups find in the user's home.
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {makeBackup} from '../support/made-backup.ts'

/** Makes a directory of backups anew. */
export async function prepareBackups(home: string): Promise<void> {
  const shelf = join(home, 'backups')
  await rm(shelf, {recursive: true, force: true})
  await makeBackup(join(shelf, '20261121120000'))
}
