import {join, relative} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {exists} from '../base/files.ts'
import type {WorkOptions} from './copy-files.ts'
import type {Followed} from './followed.ts'
import {hashInArchive, readArchive} from './log-archive.ts'
import {HEAD_FILE, readLogHead} from './log-head.ts'
import {totalsOf} from './manifest.ts'
import {type Finding, verifyTree} from './verify.ts'

/**
 * Verifies what `backup follow` keeps: its bases file by file, its log entry by entry, and that the log goes on from each base. Of a log that is
 * damaged the first damaged file is named.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when it cannot be read at all
 */
export async function verifyFollowed(
  {dir, path, bases, damage}: Followed,
  work: WorkOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const bytes = bases.reduce((sum, {manifest}) => sum + totalsOf(manifest.files).bytes, 0)
  work.progress.phase('verifying the bases', bytes)
  for (const base of bases) {
    const place = relative(dir, base.path)
    for (const finding of await verifyTree(base.path, base.manifest, work)) {
      findings.push({...finding, path: `${place}/${finding.path}`})
    }
  }
  work.progress.phase('verifying the log', undefined)
  if ((await readLogHead(path)) === 'altered')
    findings.push({path: relative(dir, join(path, HEAD_FILE)), problem: 'altered'})
  const damaged = (await damagedIn({path, bases}, work.signal)) ?? pathIn(damage)
  if (damaged === undefined) return findings
  return [...findings, {path: relative(dir, damaged), problem: (await exists(damaged)) ? 'altered' : 'missing'}]
}

/** Gives the file of the log that is damaged. */
async function damagedIn(
  {path, bases}: Pick<Followed, 'path' | 'bases'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [{index, hash}] = bases
  try {
    for await (const _entries of readArchive(path, {offset: index, hash})) signal.throwIfAborted()
    for (const base of bases) {
      const known = await hashInArchive(path, base.index - 1)
      if (known !== undefined && known !== base.hash) return base.path
    }
    return undefined
  } catch (error) {
    const file = pathIn(error)
    if (file !== undefined) return file
    throw error
  }
}

function pathIn(error: unknown): string | undefined {
  const file = error instanceof RegistryError && error.code === 'REG_BACKUP_DAMAGED' ? error.info['path'] : undefined
  return typeof file === 'string' ? file : undefined
}
