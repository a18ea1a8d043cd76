import {lstat, rename, rm} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {removeFile, syncDir} from '../base/files.ts'
import {newGuid} from '../base/ids.ts'
import {writeFault} from './file-faults.ts'
import {proofsPath} from './proofs.ts'

/**
 * Removes a backup. It loses its name first, and all at once: whatever happens then, no half of it is taken for a backup.
 *
 * @throws RegistryError `REG_DIR_UNUSABLE` with what the system says
 */
export async function removeBackup(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isDirectory()) {
      const proofs = await proofsPath(path)
      await removeFile(path)
      await removeFile(proofs)
      return
    }
    const unnamed = join(dirname(path), `.${basename(path)}.partial-${newGuid().slice(0, 8)}`)
    await rename(path, unnamed)
    await syncDir(dirname(path))
    await rm(unnamed, {recursive: true, force: true})
  } catch (error) {
    throw writeFault(error, path)
  }
}
