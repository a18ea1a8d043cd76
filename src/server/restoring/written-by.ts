/** Which software wrote what is to be restored, and whether this one reads it. */
import {RegistryError} from '../../base/errors.ts'
import {packageVersion} from '../../base/package-root.ts'
import {isOlder} from '../../base/versions.ts'
import {readStoreFormat, STORE_FORMAT} from '../../store/store-format.ts'
import type {RestoreSource} from './restore-source.ts'

/**
 * Makes sure that this software reads the database of a registry that is restored.
 *
 * @throws RegistryError `REG_STORE_NEWER`
 */
export async function assertKnownFormat(storePath: string, {path, cell}: RestoreSource): Promise<void> {
  const format = await readStoreFormat(storePath)
  if (format === undefined || format <= STORE_FORMAT) return
  const writer = cell.version === null ? 'newer software' : `registry ${cell.version}`
  const known = `registry ${packageVersion()}, reads formats up to ${STORE_FORMAT}`
  const text = `${path} cannot be restored, and nothing was replaced: ${writer} wrote it in format ${format}, and this, ${known}`
  throw new RegistryError('REG_STORE_NEWER', text, {
    info: {path, format, known: STORE_FORMAT, version: cell.version},
    hints: ['install the version that wrote it, then restore'],
  })
}

/** What to know of one that newer software wrote. What is restored in a format that is known may hold changes that are not. */
export function newerWarnings({cell: {kind, version}}: RestoreSource): readonly string[] {
  if (kind !== 'registry' || version === null || !isOlder(packageVersion(), version)) return []
  return [
    `registry ${version} wrote it, and this is ${packageVersion()}: with changes that it does not know it does not start`,
  ]
}
