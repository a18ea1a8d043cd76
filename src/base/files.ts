import {closeSync, openSync} from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import {basename, dirname, join, relative, resolve} from 'node:path'
import {systemCode} from './errors.ts'
import {newGuid} from './ids.ts'

/** Mode of everything that only the owner may read: keys, databases, the run file. */
export const PRIVATE_FILE_MODE = 0o600
const PRIVATE_DIR_MODE = 0o700

/**
 * Replaces a file, or makes it: readers see the old content or the new one, never a part, and when the promise resolves the new one
 * survives a crash. The file gets `mode`, whatever it had before. Throws what the system says; the old file is then as it was.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode: number = PRIVATE_FILE_MODE,
): Promise<void> {
  await throughTemporary(path, content, mode, (temporary) => rename(temporary, path))
}

/**
 * Makes a file that must not be there yet. Of two that make it at the same time, one gets EEXIST; nobody ever sees a part of it. When the
 * promise resolves it survives a crash. Throws what the system says; there is then no new file. See `giveName` for file systems without hard links.
 */
export async function createFileAtomic(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await throughTemporary(path, content, mode, (temporary) => giveName(temporary, path))
}

/**
 * Gives a file its name, in its directory, when that is free: else it is EEXIST. By a second name for it, which takes no other file's place. Where
 * the file system has none, as exFAT, it is looked first, and then renamed: one that another process makes in this very moment is replaced.
 */
export async function giveName(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (!isWithoutLinks(error)) throw error
    if (await isTaken(path)) throw Object.assign(new Error(`EEXIST: ${path} is there already`), {code: 'EEXIST'})
    return await rename(temporary, path)
  }
  await rm(temporary)
}

/** What is said where there are no links of the wanted kind. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/** Tells whether a file system said that it has no links. */
export function isWithoutLinks(error: unknown): boolean {
  return NO_LINKS.includes(systemCode(error) ?? '')
}

/** How a file that is made piece by piece comes to its place. */
export interface FillOptions {
  readonly mode: number
  /** Whether one that is there is replaced; otherwise that is EEXIST. */
  readonly isReplacing: boolean
}

/**
 * Makes a file of what `fill` writes, in order and no faster than the disk takes it. Until all of it is there nobody sees any of it; when `fill`
 * throws nothing is left, and a file that was there is as it was. When the promise resolves the file survives a crash. Throws what `fill` throws
 * and what the system says.
 */
export async function fillFileAtomic(
  path: string,
  {mode, isReplacing}: FillOptions,
  fill: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const content = (file: FileHandle) => fill((chunk) => file.writeFile(chunk))
  await throughTemporary(path, content, mode, async (temporary) => {
    if (isReplacing) return await rename(temporary, path)
    await giveName(temporary, path)
  })
}

async function throughTemporary(
  path: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
  mode: number,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${newGuid()}.tmp`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      if (typeof content === 'function') await content(file)
      else await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await place(temporary)
  } catch (error) {
    await rm(temporary, {force: true})
    throw error
  }
  await syncDir(folder)
}

/** Gives a file that is on the disk another name in its directory, and replaces what has it: when the promise resolves, also after a crash. */
export async function moveFile(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncDir(dirname(to))
}

/** Removes a file for good: when the promise resolves, it stays away after a crash. A file that is not there is fine. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, {force: true})
  await syncDir(dirname(path))
}

/**
 * Makes a directory, and those above it, for the owner alone: they survive a crash when the promise resolves. One that exists stays as it is.
 *
 * Not by the `recursive` of Node's mkdir: below a link that leads nowhere, or in /proc, that never ends.
 */
export async function makePrivateDir(path: string): Promise<void> {
  try {
    await makeOneDir(path)
  } catch (error) {
    const above = dirname(path)
    if (systemCode(error) !== 'ENOENT' || above === path) throw error
    await makePrivateDir(above)
    await makeOneDir(path)
  }
}

async function makeOneDir(path: string): Promise<void> {
  try {
    await mkdir(path, {mode: PRIVATE_DIR_MODE})
  } catch (error) {
    const isThere = systemCode(error) === 'EEXIST' && (await stat(path)).isDirectory()
    if (!isThere) throw error
    return
  }
  await syncDirAbove(path)
}

/**
 * Makes an empty file for the owner alone, for a database to be opened there. An existing one is not touched, not even opened: closing it
 * would release the locks that another connection of this process holds on it.
 */
export function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE_FILE_MODE))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

/** Tells whether something is at a path, or where the link there leads. Throws what the system says when it cannot be told. */
export async function exists(path: string): Promise<boolean> {
  return await found(stat(path))
}

/** Tells whether a path is taken, also by a link that leads nowhere. Throws what the system says when it cannot be told. */
export async function isTaken(path: string): Promise<boolean> {
  return await found(lstat(path))
}

async function found(look: Promise<unknown>): Promise<boolean> {
  try {
    await look
    return true
  } catch (error) {
    if (isAbsence(error) || systemCode(error) === 'ENAMETOOLONG') return false
    throw error
  }
}

/** The names in a directory; none when it is not there. Throws what the system says. */
export async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (isAbsence(error)) return []
    throw error
  }
}

function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
}

/** What is needed of an open file to write at a place in it. */
export interface WritableFile {
  write(bytes: Uint8Array, from: number, length: number, at: number): Promise<{readonly bytesWritten: number}>
}

/** Writes all bytes to a place in a file: the system may take a part at a time, as a volume does that becomes full. */
export async function writeAll(file: WritableFile, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}

/** Makes the names in a directory survive a crash. */
export async function syncDir(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes the name of a new directory survive a crash. Where the one above it may be written and not read, the system gives no way to do so. */
export async function syncDirAbove(path: string): Promise<void> {
  try {
    await syncDir(dirname(path))
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error
  }
}

/** Follows all links, of a path whose end need not be there, also those of a link that leads to such a place. Throws what the system says. */
export async function realPlace(path: string): Promise<string> {
  const place = resolve(path)
  try {
    return await realpath(place)
  } catch (error) {
    const above = dirname(place)
    if (!isAbsence(error) || above === place) throw error
    const name = join(await realPlace(above), basename(place))
    const target = await readlink(name).catch(() => undefined)
    return target === undefined ? name : await realPlace(resolve(dirname(name), target))
  }
}

/** Gives a path relative to a directory that it is in, by whatever links; empty for the directory itself, undefined when it is elsewhere. */
export async function pathWithin(dir: string, path: string): Promise<string | undefined> {
  const within = relative(await realPlace(dir), await realPlace(path))
  return within === '..' || within.startsWith('../') ? undefined : within
}
