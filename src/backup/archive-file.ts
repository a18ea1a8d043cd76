import {createHash} from 'node:crypto'
import {lstat} from 'node:fs/promises'
import {dirname} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {fillFileAtomic, makePrivateDir, PRIVATE_FILE_MODE} from '../base/files.ts'
import {encryptAge} from './age-stream.ts'
import {readFault, writeFault} from './file-faults.ts'
import {readPieces} from './file-pieces.ts'

export interface SaveOptions {
  /** Who can open the file; without any it is not encrypted. */
  readonly recipients: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Writes an archive to a file, for the owner alone. It has its name only when all of it is on the disk; otherwise nothing is left.
 *
 * @throws RegistryError `REG_CONFLICT` when the file is there already; what `chunks` throws; what the system says
 */
export async function saveArchive(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
  {recipients, signal}: SaveOptions,
): Promise<{bytes: number; sha256: string}> {
  if (await isThere(file)) throw conflict(file)
  await makePrivateDir(dirname(file))
  const hash = createHash('sha256')
  let bytes = 0
  const sealed = recipients.length === 0 ? chunks : encryptAge(chunks, recipients)
  try {
    await fillFileAtomic(file, {mode: PRIVATE_FILE_MODE, isReplacing: false}, async (write) => {
      for await (const chunk of sealed) {
        signal.throwIfAborted()
        hash.update(chunk)
        bytes += chunk.length
        await write(chunk)
      }
    })
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? conflict(file, error) : writeFault(error, file)
  }
  return {bytes, sha256: hash.digest('hex')}
}

/**
 * Gives the content of an archive as it is.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when there is no such file
 */
export async function* readArchiveFile(file: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* readPieces(file, {isFollowing: true})
  } catch (error) {
    throw systemCode(error) === 'ENOENT' ? absent(file, error) : readFault(error, file)
  }
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  )
}

function absent(file: string, cause: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `there is no archive ${file}`, {info: {path: file}, cause})
}

function conflict(file: string, cause?: unknown): RegistryError {
  const hints = ['give another name']
  return new RegistryError('REG_CONFLICT', `${file} is there already: nothing was written`, {hints, cause})
}
