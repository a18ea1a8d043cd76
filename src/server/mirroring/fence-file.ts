import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {PRIVATE_FILE_MODE, removeFile, writeFileAtomic} from '../../base/files.ts'
import {decodeFence, encodeFence, type Fence} from '../../registry/fence.ts'

const NAME = 'fence.json'
/** Far more than a fence takes. */
const MAX_CHARS = 64 * 1024

/** The file that says over restarts that this member must not lead. */
export class FenceFile {
  readonly path: string

  constructor(dir: string) {
    this.path = join(dir, NAME)
  }

  /**
   * Reads it; undefined when there is none.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE` when it cannot be read: a member that may be fenced must not start as a leader
   */
  async read(): Promise<Fence | undefined> {
    try {
      const text = await readFile(this.path, 'utf8')
      if (text.length > MAX_CHARS) throw new TypeError('too long')
      return decodeFence(text)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw unusable(this.path, error)
    }
  }

  /** Durable when the promise resolves. @throws RegistryError `REG_DIR_UNUSABLE` */
  async write(fence: Fence): Promise<void> {
    try {
      await writeFileAtomic(this.path, encodeFence(fence), PRIVATE_FILE_MODE)
    } catch (error) {
      throw unusable(this.path, error)
    }
  }

  /** @throws RegistryError `REG_DIR_UNUSABLE` */
  async remove(): Promise<void> {
    try {
      await removeFile(this.path)
    } catch (error) {
      throw unusable(this.path, error)
    }
  }
}

function unusable(path: string, cause: unknown): RegistryError {
  return new RegistryError('REG_DIR_UNUSABLE', `${path}: ${messageOf(cause)}`, {info: {path}, cause})
}
