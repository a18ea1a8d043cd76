import {RegistryError} from '../base/errors.ts'

/** For an archive that holds what none of ours does: it is refused whole. */
export function refused(reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `the archive is refused: ${reason}`, {info: {reason}, cause})
}

/** For an archive that is not as it was written; `path` is the file in it, where that is known. */
export function damaged(reason: string, path?: string, cause?: unknown): RegistryError {
  const info = path === undefined ? {reason} : {reason, path}
  return new RegistryError('REG_BACKUP_DAMAGED', `the archive is cut or altered: ${reason}`, {info, cause})
}
