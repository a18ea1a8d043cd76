/**
 * The lock by which a Synapse service owns its data directory: an advisory POSIX lock of the kernel on all of `cell.guid`, as far as a file can go.
 *
 * Node has no call for such locks. SQLite has: a reader locks a range far behind the end of the file for reading, before it looks what the file is,
 * and in exclusive mode keeps the lock even when it is no database. Nothing is written, and several readers do not shut each other out.
 */
import {DatabaseSync} from 'node:sqlite'
import {asStoreError, isBusy} from '../store/sqlite-errors.ts'

/**
 * Keeps a Synapse service from starting until it is disposed; gives undefined when one has the directory. Until then this process must not open the file:
 * closing it would release the lock.
 *
 * @throws RegistryError `REG_STORE_FAILED` when the file cannot be read
 */
export function holdGuid(path: string): Disposable | undefined {
  const database = openToRead(path)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    database.exec('SELECT count(*) FROM sqlite_schema')
  } catch (error) {
    // That it is no database is what is expected.
    if (isBusy(error)) {
      database.close()
      return undefined
    }
  }
  return {[Symbol.dispose]: () => database.close()}
}

function openToRead(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, {readOnly: true})
  } catch (error) {
    throw asStoreError(error, 'read', path)
  }
}
