import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {YAML_LIMITS} from './yaml-scalars.ts'

/**
 * Reads a configuration file as text; undefined when it is not there. Opens nothing but plain files, and reads no more than one byte beyond
 * the limit.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`
 */
export async function readConfigFile(file: string): Promise<string | undefined> {
  try {
    // Non-blocking, so that opening a pipe does not wait for its other end.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!(await handle.stat()).isFile()) throw unreadable(file, 'is not a plain file')
    const {buffer, bytesRead} = await handle.read(Buffer.alloc(YAML_LIMITS.fileBytes + 1), 0)
    return new TextDecoder('utf-8', {fatal: true}).decode(buffer.subarray(0, bytesRead))
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    if (error instanceof RegistryError) throw error
    throw unreadable(file, isEncodingError(error) ? 'is not UTF-8 text' : `cannot be read: ${messageOf(error)}`, error)
  }
}

function isEncodingError(error: unknown): boolean {
  return systemCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA'
}

function unreadable(file: string, what: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `${file} ${what}`, {info: {source: file}, cause})
}
