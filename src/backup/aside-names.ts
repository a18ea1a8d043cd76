/** Where a directory is restored within itself. */
export const RESTORE_DIR = '.restore'
/** Where the archive lies meanwhile that is fetched to be restored. */
export const DOWNLOAD_FILE = '.restore.download'
/** Beginning of the name of what was there before. */
export const BEFORE_RESTORE = '.before-restore-'

/** Says of a name at the top of a data directory whether it is there for a restore, from one, or from the file system of the volume: no part of the cell. */
export function isAside(name: string): boolean {
  const isOfRestore = name === RESTORE_DIR || name.startsWith(`${RESTORE_DIR}.`) || name.startsWith(BEFORE_RESTORE)
  return isOfRestore || name === 'lost+found'
}
