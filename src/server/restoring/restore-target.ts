/** What has to be so before a directory is replaced by a restored one. */
import {constants, existsSync} from 'node:fs'
import {access, readFile, stat} from 'node:fs/promises'
import {dirname, join, relative, sep} from 'node:path'
import {assertOutsideOthers} from '../../backup/backup-place.ts'
import {RegistryError, systemCode} from '../../base/errors.ts'
import {realPlace} from '../../base/files.ts'
import {type DirKind, isBackup, readDirKind} from '../../cell/dir-kind.ts'
import {checkRunning} from '../../cell/running.ts'

const MOUNTS = '/proc/self/mountinfo'

/** What the backup is of. */
export interface RestoredCell {
  readonly kind: 'registry' | 'synapse'
  readonly iden: string
  /** Null when it is not known. */
  readonly type: string | null
  /** Of the software that wrote it: ours, or Synapse; null when it is not known. */
  readonly version: string | null
}

/** A directory that may be replaced. */
export interface RestoreTarget {
  /** Absolute, without links. */
  readonly dir: string
  readonly was: 'absent' | 'empty' | 'cell'
  /** Iden of the cell that is there; null where there is none, or it is not known. */
  readonly iden: string | null
  /** What was looked at to tell that nothing runs there; null where there is no cell. */
  readonly checked: string | null
}

/**
 * Makes sure that a directory may be replaced by what a backup holds. `backupPath` is where that lies.
 *
 * @throws RegistryError `REG_CONFLICT` for what is no cell, another kind of cell, or one within the other; `REG_CELL_RUNS` when its cell
 * runs, or may; `REG_DIR_UNUSABLE`
 */
export async function checkTarget(wanted: string, backupPath: string, cell: RestoredCell): Promise<RestoreTarget> {
  const dir = await realDir(wanted)
  const backup = await realDir(backupPath)
  if (isWithin(dir, backup)) throw refused(dir, `it is ${dir === backup ? '' : 'in '}the backup itself`)
  const kind = await readDirKind(dir)
  const same = await sameKind(dir, kind, cell)
  if (same.kind === 'absent' || same.kind === 'empty') {
    await assertOutsideOthers(dir)
    return {dir, was: same.kind, iden: null, checked: null}
  }
  if (await isBackup(dir, same)) throw refused(dir, 'it is another backup, and no cell ever ran on it')
  return {dir, was: 'cell', iden: 'iden' in same ? same.iden : null, checked: await assertStopped(dir, same)}
}

/** Throws when the cell of a directory runs, or may run; gives what was looked at. */
async function assertStopped(dir: string, kind: DirKind): Promise<string> {
  const {state, checked} = await checkRunning(dir, kind)
  if (state === 'stopped') return checked
  const text = `the cell of ${dir} ${state === 'running' ? 'runs' : 'may run'}: ${checked}`
  throw new RegistryError('REG_CELL_RUNS', text, {info: {dir, state, checked}, hints: ['stop it first, then restore']})
}

/** A damaged directory of the same cell counts as one of its kind. */
async function sameKind(dir: string, found: DirKind, cell: RestoredCell): Promise<DirKind> {
  if (found.kind === 'strange') {
    const guid = await readFile(join(dir, 'cell.guid'), 'utf8').catch(() => '')
    if (guid.trim() === cell.iden) return {...cell}
    throw refused(dir, found.reason, ['give another directory, or move this one away'])
  }
  if (found.kind === 'absent' || found.kind === 'empty') return found
  const isOther = found.kind !== cell.kind || (found.kind === 'synapse' && !isSameType(found.type, cell.type))
  if (isOther) throw refused(dir, `it is that of ${nameOf(found)}, and the backup is of ${nameOf(cell)}`)
  return found
}

function isSameType(one: string | null, other: string | null): boolean {
  return one === null || other === null || one === other
}

function nameOf({kind, type}: {readonly kind: string; readonly type?: string | null}): string {
  return kind === 'registry' ? 'a registry' : `a Synapse service${type == null ? '' : ` (${type})`}`
}

async function realDir(path: string): Promise<string> {
  try {
    return await realPlace(path)
  } catch (error) {
    throw unusable(path, error)
  }
}

/** Tells whether a path is another one or below it. */
export function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(above.endsWith(sep) ? above : above + sep)
}

/**
 * Tells whether a directory has to stay where it is, and only what is in it can be replaced: it, or its backups in `shelf`, are the mount point of a
 * volume, or nothing can be made beside it.
 *
 * @throws RegistryError `REG_CONFLICT` when something else in it is a mount point, which cannot be moved
 */
export async function hasToStay(dir: string, shelf: string): Promise<boolean> {
  if (!existsSync(dir)) return false
  const mounts = await mountPoints()
  const isMount = async (path: string) => mounts.has(path) || (await isOtherDevice(path))
  if (!((await isMount(dir)) || (await isMount(join(dir, shelf))) || !(await isWritable(dirname(dir))))) return false
  const stuck = [...mounts].find((path) => dirname(path) === dir && relative(dir, path) !== shelf)
  if (stuck !== undefined)
    throw refused(dir, `${stuck} is mounted in it, and cannot be moved`, [
      `unmount it for the restore: umount ${stuck}`,
    ])
  return true
}

async function mountPoints(): Promise<ReadonlySet<string>> {
  const mounts = await readFile(MOUNTS, 'utf8').catch(() => '') // another system: the devices have to do
  return new Set(mounts.split('\n').map((line) => unescaped(line.split(' ')[4] ?? '')))
}

async function isOtherDevice(path: string): Promise<boolean> {
  try {
    const [own, above] = await Promise.all([stat(path), stat(dirname(path))])
    return own.dev !== above.dev || own.ino === above.ino
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw unusable(path, error)
  }
}

async function isWritable(dir: string): Promise<boolean> {
  try {
    await access(dir, constants.W_OK)
    return true
  } catch (error) {
    return systemCode(error) === 'ENOENT' // it is made
  }
}

/** Blanks and the like stand there as octal numbers. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

function refused(dir: string, reason: string, hints: readonly string[] = ['give another directory']): RegistryError {
  return new RegistryError('REG_CONFLICT', `${dir} is not replaced: ${reason}`, {info: {dir, reason}, hints})
}

function unusable(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? String(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot use ${path}: ${reason}`, {info: {path, reason}, cause})
}
