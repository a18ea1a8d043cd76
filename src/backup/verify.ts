import {join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {eachFile, hashWith, type WorkOptions} from './copy-files.ts'
import {MANIFEST_FILE, type Manifest, type ManifestFile} from './manifest.ts'
import {foldersOf, isSlabLock, isUnfinished, PROOFS_FILE, readTree} from './tree.ts'

/** How many damaged files an error names; `registry backup verify` shows all. */
const NAMED_MAX = 20

/** Something that is not as the manifest says. */
export interface Finding {
  readonly path: string
  /** `altered`: another content, or no regular file; `unexpected`: the manifest does not know it. */
  readonly problem: 'missing' | 'altered' | 'unexpected'
}

/**
 * Compares a directory with its manifest, to the byte: every file is read. Gives what differs, in the order of the paths; nothing when it is whole.
 * The manifest itself and the proofs beside it are no part of it, nor are the locks of slabs.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when it cannot be read at all
 */
export async function verifyTree(dir: string, manifest: Manifest, work: WorkOptions): Promise<readonly Finding[]> {
  const directories = new Set(foldersOf(manifest.files, manifest.directories))
  const files = new Map(manifest.files.map((file) => [file.path, file]))
  // What nobody knows is named without looking into it.
  const leave = (path: string, isDirectory: boolean) => {
    if (isNote(path)) return 'always'
    if ((isDirectory ? directories : files).has(path)) return undefined
    return !isDirectory && isSlabLock(path, manifest.cell) ? 'always' : 'asked'
  }
  const tree = await readTree(dir, {leave, signal: work.signal})
  const findings = new Map<string, Finding>()
  const find = (path: string, problem: Finding['problem']) => findings.set(path, {path, problem})
  for (const {path, reason} of tree.left) {
    if (reason !== 'always') find(path, files.has(path) || directories.has(path) ? 'altered' : 'unexpected')
  }
  const there = new Set([...tree.directories, ...tree.files.map(({path}) => path), ...findings.keys()])
  for (const path of [...directories, ...files.keys()]) if (!there.has(path)) find(path, 'missing')
  const whole = await eachFile(tree.files, work.signal, async ({path, size}, buffers) => {
    const expected = files.get(path)
    return expected !== undefined && (await isAsExpected(dir, expected, size, buffers, work))
  })
  for (const [at, {path}] of tree.files.entries()) if (whole[at] !== true) find(path, 'altered')
  return [...findings.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/**
 * Makes sure that nothing was found. `place` is what the error names.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED`
 */
export function assertWhole(place: string, findings: readonly Finding[]): void {
  const [first] = findings
  if (first === undefined) return
  const more = findings.length === 1 ? '' : `, and ${findings.length - 1} more`
  throw new RegistryError('REG_BACKUP_DAMAGED', `${place} is damaged: ${first.path} is ${first.problem}${more}`, {
    info: {place, findings: findings.slice(0, NAMED_MAX)},
  })
}

/** The manifest and the proofs, also what a killed process left of writing them. */
function isNote(path: string): boolean {
  if (path === MANIFEST_FILE || path === PROOFS_FILE) return true
  return isUnfinished(path) && (path.startsWith(`.${MANIFEST_FILE}.`) || path.startsWith(`.${PROOFS_FILE}.`))
}

async function isAsExpected(
  dir: string,
  {path, size, sha256}: ManifestFile,
  sizeNow: number,
  buffers: Parameters<typeof hashWith>[0],
  work: WorkOptions,
): Promise<boolean> {
  if (sizeNow !== size) {
    work.progress.add(size)
    return false
  }
  try {
    return (await hashWith(buffers, join(dir, path), work)).sha256 === sha256
  } catch (error) {
    // A sector that the disk cannot read is damage, and not the end of the search for it.
    if (error instanceof RegistryError && error.info['system'] === 'EIO') return false
    throw error
  }
}
