import {DatabaseSync} from 'node:sqlite'
import {createPrivateFile} from '../base/files.ts'
import {isBusy} from './sqlite-errors.ts'

/**
 * Takes a file as a lock of this process, making it when it is not there; undefined when another one has it. It is an empty database held in an
 * exclusive transaction: the kernel lets go of it at any death. Nothing else may open the file in this process while it is held. Throws what
 * the system says.
 */
export function tryFileLock(path: string): Disposable | undefined {
  createPrivateFile(path)
  const lock = new DatabaseSync(path)
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE') // nothing is written: no journal beside it
  } catch (error) {
    lock.close()
    if (isBusy(error)) return undefined
    throw error
  }
  return {
    [Symbol.dispose]() {
      if (lock.isOpen) lock.close()
    },
  }
}
