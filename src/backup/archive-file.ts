import {createHash} from 'node:crypto'
import {RegistryError, systemCode} from '../base/errors.ts'
import {encryptAge} from './age-stream.ts'
import {readFault} from './file-faults.ts'
import {readPieces} from './file-pieces.ts'
import {roomAt, tooLittleRoom} from './free-space.ts'
import {stageFile} from './stage.ts'

export interface SaveOptions {
  /** Who can open the file; without any it is not encrypted. */
  readonly recipients: readonly string[]
  /** Percent of the volume that have to stay free; none when absent. */
  readonly minFreePercent?: number
  readonly signal: AbortSignal
}

/**
 * Writes an archive to a file, for the owner alone. It has its name only when all of it is on the disk; otherwise nothing is left.
 * How long it becomes shows on the way: it is written as long as there is room.
 *
 * @throws RegistryError `REG_CONFLICT` when the file is there already; `REG_DISK_LOW`; what `chunks` throws; what the system says
 */
export async function saveArchive(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
  {recipients, minFreePercent = 0, signal}: SaveOptions,
): Promise<{bytes: number; sha256: string}> {
  const hash = createHash('sha256')
  let bytes = 0
  const sealed = recipients.length === 0 ? chunks : encryptAge(chunks, recipients)
  const room = await roomAt(file, minFreePercent)
  await stageFile(file, async (target) => {
    for await (const chunk of sealed) {
      signal.throwIfAborted()
      hash.update(chunk)
      bytes += chunk.length
      if (bytes > room) throw tooLittleRoom(file, room, minFreePercent)
      await target.writeFile(chunk)
    }
  })
  return {bytes, sha256: hash.digest('hex')}
}

/**
 * Makes sure that the name of an archive does not say what it will not be: encrypted, or packed by gzip.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function assertArchiveName(file: string, isEncrypted: boolean): void {
  if (!isEncrypted && file.endsWith('.age')) {
    throw new RegistryError(
      'REG_USAGE',
      `${file} would not be encrypted, and its name says so: nobody is given who can open it`,
      {
        info: {path: file},
        hints: ['give --encrypt-to age1…, or --encrypt-to @FILE', 'give a name that ends with .tar.zst'],
      },
    )
  }
  if (!/\.t?gz(\.age)?$/.test(file)) return
  throw new RegistryError('REG_USAGE', `${file} would be packed by zstd, and its name says gzip`, {
    info: {path: file},
    hints: [`give a name that ends with ${isEncrypted ? '.tar.zst.age' : '.tar.zst'}`],
  })
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

function absent(file: string, cause: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `there is no archive ${file}`, {info: {path: file}, cause})
}
