/** The directory of live backups: names that can be given there, and those that are taken. Texts and their order are the peers'. */
import type {Dirent} from 'node:fs'
import {lstat, readdir, realpath, stat} from 'node:fs/promises'
import {dirname, isAbsolute, join} from 'node:path'
import {FOLLOW_FILE} from '../backup/follow-file.ts'
import {isSafePath, MANIFEST_FILE} from '../backup/manifest.ts'
import {isPartialName} from '../backup/stage.ts'
import {PROOFS_FILE} from '../backup/tree.ts'
import {RegistryError} from '../base/errors.ts'
import {isTaken, pathWithin} from '../base/files.ts'

/** Deeper names are not looked for. */
const DEPTH_MAX = 8
/** Directories that are looked at; with more, some backups are not listed. */
const DIRECTORIES_MAX = 10_000
/** Room is left in the length of a file's name for that of the unfinished backup. */
const PART_MAX = 200

/** What says of a directory what it is. */
const RESERVED = [MANIFEST_FILE, PROOFS_FILE, FOLLOW_FILE, 'history.json', 'cell.guid']

/** A backup on the shelf. */
export interface NamedBackup {
  readonly name: string
  readonly path: string
  /** When it was finished. */
  readonly doneMs: number
}

/** What a cell has in its data directory, and what is emptied when it starts. */
const TAKEN = ['certs', 'slabs', 'tmp']

/**
 * Makes sure that a directory is one of its own for backups: else each would have those before it in it, or lack what belongs to the cell, or be gone
 * after the next start.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`
 */
export async function assertOwnShelf(cellDir: string, dir: string): Promise<void> {
  const within = await pathWithin(cellDir, dir)
  const [top = ''] = within?.split('/') ?? []
  if (within !== '' && !TAKEN.includes(top)) return
  const what = within === '' ? 'the data directory itself' : `${top} of the data directory, which is not for them`
  throw new RegistryError('REG_CONFIG_INVALID', `backup:dir is ${what}: no backup is made`, {
    info: {option: 'backup:dir', path: dir},
    hints: ['give backup:dir a directory of its own', 'best on another disk'],
  })
}

/**
 * Gives the place of a new backup.
 *
 * @throws RegistryError `REG_BAD_REQUEST` for a name that leads out of the directory, is taken, or cannot be one
 */
export async function newPlace(dir: string, name: string): Promise<string> {
  const path = await placeOf(dir, name)
  if (await isTaken(path)) throw refused('Backup with name already exists', name)
  const parts = name.split('/')
  if (parts.some((part) => RESERVED.includes(part))) throw refused('it has a meaning of its own in backups', name)
  if (parts.length > DEPTH_MAX || parts.some((part) => Buffer.byteLength(part) > PART_MAX || isPartialName(part))) {
    throw refused(`it may have at most ${DEPTH_MAX} parts of ${PART_MAX} bytes`, name)
  }
  for (let above = dirname(path); above.length > dir.length; above = dirname(above)) {
    if (await isTaken(join(above, MANIFEST_FILE))) throw refused('it would lie in another backup', name)
  }
  return path
}

/**
 * Gives the place of a backup that is whole.
 *
 * @throws RegistryError `REG_BAD_REQUEST` for a name that leads out of the directory, or that no backup has
 */
export async function knownPlace(dir: string, name: string): Promise<string> {
  const path = await placeOf(dir, name)
  const isPartial = name.split('/').some((part) => isPartialName(part))
  if (!isPartial && (await isFile(join(path, MANIFEST_FILE)))) return path
  // The words are the peer's.
  throw refused('Specified backup path has no cell.guid file.', name)
}

/** Gives the backups below a directory that are whole, the newest first. */
export async function namedBackups(dir: string): Promise<readonly NamedBackup[]> {
  const found: NamedBackup[] = []
  const waiting = [{name: '', depth: 0}]
  for (let looked = 0; looked < DIRECTORIES_MAX; looked++) {
    const next = waiting.shift()
    if (next === undefined) break
    const {name, depth} = next
    const path = join(dir, name)
    const items = await itemsOf(path)
    const manifest = name === '' ? undefined : items.find((item) => item.name === MANIFEST_FILE && item.isFile())
    if (manifest !== undefined) {
      const doneMs = await timeOf(join(path, MANIFEST_FILE))
      if (doneMs !== undefined) found.push({name, path, doneMs})
    } else if (depth < DEPTH_MAX) waiting.push(...inside(name, depth, items))
  }
  return found.sort((a, b) => b.doneMs - a.doneMs)
}

/** Gives the directory and those below it that can hold unfinished backups. */
export async function foldersOf(dir: string): Promise<readonly string[]> {
  const folders: string[] = []
  const waiting = [{name: '', depth: 0}]
  for (let next = waiting.shift(); next !== undefined && folders.length < DIRECTORIES_MAX; next = waiting.shift()) {
    const items = await itemsOf(join(dir, next.name))
    if (next.name !== '' && items.some(({name}) => name === MANIFEST_FILE)) continue
    folders.push(join(dir, next.name))
    if (next.depth < DEPTH_MAX) waiting.push(...inside(next.name, next.depth, items))
  }
  return folders
}

function inside(name: string, depth: number, items: readonly Dirent[]): {name: string; depth: number}[] {
  return items
    .filter((item) => item.isDirectory() && !isPartialName(item.name))
    .map((item) => ({name: name === '' ? item.name : `${name}/${item.name}`, depth: depth + 1}))
}

async function placeOf(dir: string, name: string): Promise<string> {
  if (name === '') throw refused('Backup with name already exists', name)
  if (isAbsolute(name) || !isSafePath(name) || (await leadsOut(dir, name))) {
    throw refused('Directory traversal detected', name)
  }
  return join(dir, name)
}

/** A link in the directory of backups leads out of it too. */
async function leadsOut(dir: string, name: string): Promise<boolean> {
  if (!(await isTaken(dir))) return false
  const root = await realpath(dir)
  for (let above = name; above !== '.'; above = dirname(above)) {
    if (!(await isTaken(join(dir, above)))) continue
    return (await realpath(join(dir, above)).catch(() => '')) !== join(root, above)
  }
  return false
}

function refused(text: string, name: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {
    info: {name},
    hints: ['registry backup list', 'give another name'],
  })
}

async function isFile(path: string): Promise<boolean> {
  return (await isTaken(path)) && (await lstat(path)).isFile()
}

async function itemsOf(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, {withFileTypes: true})
  } catch {
    return [] // what vanished, or is not for us, is no backup of ours
  }
}

async function timeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs
}
