/** Where no backup may be made: in what others count the files of. */
import {lstat} from 'node:fs/promises'
import {dirname, join, relative} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {realPlace} from '../base/files.ts'
import {readCellConf} from './cell-conf.ts'
import {writing} from './file-faults.ts'
import {FOLLOW_FILE} from './follow-file.ts'
import {MANIFEST_FILE} from './manifest.ts'

/** What a cell makes at its start, and no backup holds. */
const OF_RUN_CELLS = ['lock.db', 'tmp']
/** Where a data directory keeps its backups. */
const OWN_SHELF = 'backups'

/**
 * Makes sure that a new backup, or what is restored, lies in no other backup, which would not be whole any more, in no directory that is followed into,
 * where nobody would find it, and in no data directory but in its place for backups: else each backup of that cell would have those before it in it.
 * `shown` is what the error calls it.
 *
 * @throws RegistryError `REG_CONFLICT`
 */
export async function assertOutsideOthers(path: string, shown = path): Promise<void> {
  const place = await writing(path, () => realPlace(path))
  for (let above = dirname(place), below = place; above !== below; below = above, above = dirname(above)) {
    const reason = await reasonAgainst(above, place)
    if (reason === undefined) continue
    throw new RegistryError('REG_CONFLICT', `${shown} would lie in ${reason}`, {
      info: {path: place, in: above},
      hints: ['give a place outside of it, best on another disk'],
    })
  }
}

async function reasonAgainst(above: string, place: string): Promise<string | undefined> {
  if (await isFile(join(above, FOLLOW_FILE))) return `${above}, which is what registry backup follow keeps`
  const hasRun = (await Promise.all(OF_RUN_CELLS.map((name) => kindAt(join(above, name))))).some(Boolean)
  if (!hasRun && (await isFile(join(above, MANIFEST_FILE))))
    return `the backup ${above}, which would not be whole any more`
  if (!(await isFile(join(above, 'cell.guid'))) || (await isOnShelf(above, relative(above, place)))) return undefined
  return `the data directory ${above}, and in each backup of it`
}

async function isOnShelf(dir: string, within: string): Promise<boolean> {
  const isBelow = (shelf: string) => within === shelf || within.startsWith(`${shelf}/`)
  if (isBelow(OWN_SHELF)) return true
  const {backupDir} = await readCellConf(dir)
  return backupDir !== undefined && isBelow(backupDir)
}

async function isFile(path: string): Promise<boolean> {
  return (await kindAt(path)) === 'file'
}

/** What is not there, or not for us to see, is none. */
async function kindAt(path: string): Promise<'file' | 'other' | undefined> {
  const found = await lstat(path).catch(() => undefined)
  return found && (found.isFile() ? 'file' : 'other')
}
