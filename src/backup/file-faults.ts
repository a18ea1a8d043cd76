import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

/** What the system says when a volume, or the share of it that a user may have, is full. */
const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** Makes an error of ours of what the system said while `path` was read. One of ours, and what is no fault of the system, passes unchanged. */
export function readFault(thrown: unknown, path: string): unknown {
  const system = systemCode(thrown)
  if (thrown instanceof RegistryError || system === undefined) return thrown
  if (system === 'ENOENT') return changedSource(path, 'it is not there', thrown)
  return new RegistryError('REG_BACKUP_SOURCE', `cannot read ${path}: ${system}`, {
    info: {path, system},
    hints: ['check that it belongs to the user that runs the command', 'look for errors of the disk: dmesg'],
    cause: thrown,
  })
}

/** Makes an error of ours of what the system said while `path` was written. */
export function writeFault(thrown: unknown, path: string): unknown {
  const system = systemCode(thrown)
  if (thrown instanceof RegistryError || system === undefined) return thrown
  if (FULL.includes(system)) {
    return new RegistryError('REG_DISK_LOW', `no room is left for ${path}: ${system}`, {
      info: {path, system},
      hints: ['free space on that file system', 'give a place on another one'],
      cause: thrown,
    })
  }
  return new RegistryError('REG_DIR_UNUSABLE', `cannot write ${path}: ${messageOf(thrown)}`, {
    info: {path, system},
    cause: thrown,
  })
}

/** Does what reads `path`, and makes errors of ours of what the system says. */
export async function reading<T>(path: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    throw readFault(error, path)
  }
}

/** Does what writes `path`, and makes errors of ours of what the system says. */
export async function writing<T>(path: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    throw writeFault(error, path)
  }
}

/** Makes the error for a file that was not left alone while it was copied. */
export function changedSource(path: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_SOURCE', `cannot read ${path} as it was: ${reason}`, {
    info: {path, reason},
    hints: ['stop what writes there, and run it again', 'registry livebackup URL'],
    cause,
  })
}
