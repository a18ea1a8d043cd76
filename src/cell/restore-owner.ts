/**
 * Whose a restored directory is. What root restores would be root's, and a service that runs as its own user could not open it: it gets the owner of the
 * directory that it replaces, or of the one that it is made in.
 */
import {constants, existsSync} from 'node:fs'
import {lchown, lstat, mkdir, open, readdir, rmdir, stat} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {systemCode} from '../base/errors.ts'
import {isTaken, syncDirAbove} from '../base/files.ts'
import type {Way} from './restore-way.ts'

/** Numbers of the system. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** A directory itself, and no link to one. */
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
/** Where what is open has a path that nobody can lead elsewhere. */
const OPEN_FILES = '/proc/self/fd'
const LOCK = 'lock.db'
/** What the system says when owners cannot be changed: a right is missing, it does not know the user, or the file system has no owners. */
const NOT_GIVEN = ['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EROFS']

/** Gives the owner that what is restored to `dir` should have; undefined when it has that anyway, or only root could give it. Throws what the system says. */
export async function ownerFor(dir: string): Promise<Owner | undefined> {
  if (!isRoot()) return undefined
  const {uid, gid} = await lstat((await isTaken(dir)) ? dir : dirname(dir))
  return uid === 0 && gid === 0 ? undefined : {uid, gid}
}

/**
 * Gives what was restored to its owner, before it has its name; false where that is not possible. No file is opened, for locks are held on some, and no
 * link is followed: what lies in the container can be changed by nobody else before it is given.
 */
export async function giveTo(
  {container, data, dir}: Pick<Way, 'container' | 'data' | 'dir'>,
  owner: Owner,
): Promise<boolean> {
  try {
    await using held = await open(container, DIRECTORY)
    const {uid, mode} = await held.stat()
    if (uid !== 0 || (mode & 0o077) !== 0) return false // somebody put another one there
    const place = existsSync(OPEN_FILES) ? `${OPEN_FILES}/${held.fd}` : container
    await giveAll(join(place, basename(data)), owner)
    await giveLock(join(dir, LOCK), owner)
    return true
  } catch (error) {
    if (NOT_GIVEN.includes(systemCode(error) ?? '')) return false
    throw error
  }
}

/** Makes a directory for its owner alone, and those above it: each is of the owner of the one that it is in, and survives a crash. Gives those that it made, the innermost first. Throws what the system says. */
export async function makeOwnedDir(path: string): Promise<readonly string[]> {
  const above = dirname(path)
  if (await isDirectory(path)) return []
  const made = above === path ? [] : await makeOwnedDir(above)
  try {
    await mkdir(path, {mode: 0o700})
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && (await isDirectory(path))) return made
    throw error
  }
  if (isRoot()) await giveAsAbove(path)
  await syncDirAbove(path)
  return [path, ...made]
}

/** Removes directories, in their order, as long as nothing is in them: those that were made for something that did not come. */
export async function removeEmptyDirs(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const isGone = await rmdir(path).then(
      () => true,
      () => false,
    )
    if (!isGone) return
  }
}

async function giveAsAbove(path: string): Promise<void> {
  const {uid, gid} = await lstat(dirname(path))
  await using dir = await open(path, DIRECTORY)
  await dir.chown(uid, gid).catch((error: unknown) => {
    if (!NOT_GIVEN.includes(systemCode(error) ?? '')) throw error
  })
}

/** A directory goes after what is in it. */
async function giveAll(path: string, owner: Owner): Promise<void> {
  if ((await lstat(path)).isDirectory()) for (const name of await readdir(path)) await giveAll(join(path, name), owner)
  await lchown(path, owner.uid, owner.gid)
}

/** The lock of a directory that stays was made by who restores when it was not there. */
async function giveLock(path: string, {uid, gid}: Owner): Promise<void> {
  if (!(await isTaken(path))) return
  const facts = await lstat(path)
  if (facts.isFile() && facts.uid === 0 && facts.nlink === 1) await lchown(path, uid, gid)
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0
}
