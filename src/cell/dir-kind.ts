import {lstat, readdir, readFile, stat} from 'node:fs/promises'
import {join} from 'node:path'
import {isAside} from '../backup/aside-names.ts'
import {MANIFEST_FILE} from '../backup/manifest.ts'
import {CELL_SLAB, readSynapseFacts} from '../backup/synapse-facts.ts'
import {messageOf, systemCode} from '../base/errors.ts'
import {exists} from '../base/files.ts'

/** What a directory is. `strange`: something is in it, and it is no cell. */
export type DirKind =
  | {readonly kind: 'registry'; readonly iden: string}
  /** A real Synapse service. `type` as in the manifest of a backup; null when it is not known, or its slab is damaged. */
  | {readonly kind: 'synapse'; readonly iden: string; readonly type: string | null}
  | {readonly kind: 'empty'}
  /** `reason` follows the path and a colon. */
  | {readonly kind: 'strange'; readonly reason: string}
  | {readonly kind: 'absent'}

/** What is left of a restore into an empty directory that came to nothing. */
const LOCKS = new Set(['lock.db', 'lock.pid'])

/** Tells what lies in a directory, by its files alone. Alters nothing, and takes no lock. What cannot be read is strange. */
export async function readDirKind(dir: string): Promise<DirKind> {
  try {
    if (!(await stat(dir)).isDirectory()) return {kind: 'strange', reason: 'it is no directory'}
    if ((await readdir(dir)).every((name) => isAside(name) || LOCKS.has(name))) return {kind: 'empty'}
    return await kindOfFull(dir)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return {kind: 'absent'}
    return {kind: 'strange', reason: `it cannot be read: ${code ?? messageOf(error)}`}
  }
}

async function kindOfFull(dir: string): Promise<DirKind> {
  const guid = join(dir, 'cell.guid')
  if (!(await isFile(guid))) return {kind: 'strange', reason: 'it has no file cell.guid'}
  const iden = (await readFile(guid, 'utf8')).trim()
  if (!/^[0-9a-f]{32}$/.test(iden)) return {kind: 'strange', reason: 'its cell.guid does not hold 32 hex digits'}
  // Not opened: closing it would release the locks that a server of this process has on it.
  if (await isFile(join(dir, 'registry.db'))) return {kind: 'registry', iden}
  if (await isFile(join(dir, CELL_SLAB))) return {kind: 'synapse', iden, type: typeOf(dir)}
  return {kind: 'strange', reason: `it has a cell.guid, and neither registry.db nor ${CELL_SLAB}`}
}

/** Tells whether what has that kind is a backup: one in which a cell was started has what a cell makes at its start, and no backup holds. */
export async function isBackup(dir: string, {kind}: DirKind): Promise<boolean> {
  if (!(await exists(join(dir, MANIFEST_FILE)))) return false
  return !(await exists(join(dir, kind === 'registry' ? 'lock.db' : 'tmp')))
}

function typeOf(dir: string): string | null {
  try {
    return readSynapseFacts(dir).type
  } catch {
    return null // who needs more of it is told why by readSynapseFacts
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile()
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw error
  }
}
