import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout} from 'node:timers/promises'
import {RegistryError} from '../base/errors.ts'
import {createPrivateFile, makePrivateDir} from '../base/files.ts'

const TRIES = 200
const PAUSE_MS = 50

/**
 * Does something while no other process does something under the lock of the same folder. An empty database held in an exclusive transaction
 * is the lock: the kernel lets go of it when the process dies.
 *
 * @throws RegistryError `REG_CONFLICT` when another process has it for ten seconds
 */
export async function withLock<T>(folder: string, use: () => Promise<T>): Promise<T> {
  const path = join(folder, '.lock')
  await makePrivateDir(folder)
  createPrivateFile(path)
  for (let tries = 1; tries <= TRIES; tries++) {
    const lock = tryLock(path)
    if (lock === undefined) {
      await setTimeout(PAUSE_MS)
      continue
    }
    try {
      return await use()
    } finally {
      lock.close()
    }
  }
  throw new RegistryError('REG_CONFLICT', `another process changes ${folder} and does not end`, {
    info: {folder},
    hints: ['try again', 'end the process that has the file .lock there open'],
  })
}

function tryLock(path: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(path)
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined
    throw error
  }
}

const SQLITE_BUSY = 5
