import {constants} from 'node:fs'
import {lstat, open, stat} from 'node:fs/promises'
import {basename, join, resolve} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {shellWord} from '../base/shell-word.ts'
import {type OpenOptions, readArchiveHead, verifyArchive} from './archive-read.ts'
import type {WorkOptions} from './copy-files.ts'
import {type Followed, isFollowed, readFollowed} from './followed.ts'
import {type ForeignBackup, findForeignDir, foreignArchive, UNVERIFIED} from './foreign.ts'
import {MANIFEST_FILE, type Manifest, totalsOf} from './manifest.ts'
import {readManifestFile} from './manifest-read.ts'
import {isPartialName} from './stage.ts'
import {type Finding, verifyTree} from './verify.ts'
import {verifyFollowed} from './verify-followed.ts'

/** The manifest of a million files has some 200 MB. */
const MANIFEST_BYTES_MAX = 256 * 1024 * 1024

/** A backup that was found to be one: it has a manifest that is complete. Whether its files are is for `verifyBackup` to say. */
export type Backup = DirectoryBackup | ArchiveBackup | FollowedBackup

/** A backup that is a directory. */
interface DirectoryBackup {
  readonly kind: 'directory'
  /** Absolute. */
  readonly path: string
  readonly manifest: Manifest
}

/** A backup that is one file. */
interface ArchiveBackup {
  readonly kind: 'archive'
  /** Absolute. */
  readonly path: string
  readonly manifest: Manifest
  readonly isEncrypted: boolean
}

/** What `backup follow` keeps: bases, and the change log from the oldest of them on. */
export interface FollowedBackup {
  readonly kind: 'followed'
  /** Absolute: its directory, or that of one of its histories. */
  readonly path: string
  /** Of its newest base. */
  readonly manifest: Manifest
  readonly followed: Followed
}

/**
 * Looks what is at a path.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` with the reason when it is no backup; `REG_BACKUP_DAMAGED` and `REG_BACKUP_SEALED` for an archive
 * that cannot be read up to its manifest
 */
export async function openBackup(path: string, options: OpenOptions = {}): Promise<Backup> {
  const backup = await openAnyBackup(path, options)
  if (backup.kind !== 'foreign') return backup
  throw new RegistryError('REG_BACKUP_INVALID', `${backup.path} cannot be verified: ${UNVERIFIED}`, {
    info: {place: backup.path, reason: UNVERIFIED},
    hints: [
      `prove it all the same: registry backup drill ${shellWord(backup.path)}`,
      `restore it all the same: registry restore ${shellWord(backup.path)} DIR`,
      'make one that has a manifest: registry livebackup URL --stream DIR',
    ],
  })
}

/** As `openBackup`, and takes what Synapse's own tools made as well. */
export async function openAnyBackup(path: string, options: OpenOptions = {}): Promise<Backup | ForeignBackup> {
  const place = resolve(path)
  if (isPartialName(basename(place))) throw noBackup(place, 'it was not finished')
  const kind = await kindAt(place)
  if (kind === 'directory') return await openDirectory(place)
  if (kind === 'file') return await openArchive(place, options)
  throw noBackup(place, 'it is neither a directory nor a file')
}

async function openDirectory(path: string): Promise<Backup | ForeignBackup> {
  if (await isFollowed(path)) return await openFollowed(path)
  return (await findForeignDir(path)) ?? {kind: 'directory', path, manifest: await readManifest(path)}
}

async function openArchive(path: string, options: OpenOptions): Promise<ArchiveBackup | ForeignBackup> {
  const {manifest, isEncrypted} = await readArchiveHead(path, options)
  return manifest === undefined ? foreignArchive(path) : {kind: 'archive', path, manifest, isEncrypted}
}

/**
 * Compares a backup with its manifest, to the byte; gives what differs.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when it cannot be read at all; for an archive also as `verifyArchive`
 */
export async function verifyBackup(backup: Backup, work: WorkOptions & OpenOptions): Promise<readonly Finding[]> {
  if (backup.kind === 'archive') return await verifyArchive(backup.path, {...work, known: backup.manifest})
  if (backup.kind === 'followed') return await verifyFollowed(backup.followed, work)
  work.progress.phase('verifying', totalsOf(backup.manifest.files).bytes)
  return await verifyTree(backup.path, backup.manifest, work)
}

async function openFollowed(path: string): Promise<FollowedBackup> {
  const followed = await readFollowed(path)
  const {manifest} = followed.bases.at(-1) ?? followed.bases[0]
  return {kind: 'followed', path, manifest, followed}
}

/** Reads the manifest of a backup that is a directory. Throws as `openBackup`. */
export async function readManifest(dir: string): Promise<Manifest> {
  try {
    await using file = await open(
      join(dir, MANIFEST_FILE),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    const facts = await file.stat()
    if (!facts.isFile()) throw noBackup(dir, `${MANIFEST_FILE} is no regular file`)
    if (facts.size > MANIFEST_BYTES_MAX) throw noBackup(dir, `${MANIFEST_FILE} is larger than any manifest`)
    return await readManifestFile(file, join(dir, MANIFEST_FILE))
  } catch (error) {
    const isMissing = systemCode(error) === 'ENOENT'
    if (isMissing) throw noBackup(dir, await withoutManifest(dir), error)
    throw error instanceof RegistryError ? error : noBackup(dir, messageOf(error), error)
  }
}

/** Says what a directory without a manifest may be. */
async function withoutManifest(dir: string): Promise<string> {
  const isCell = await stat(join(dir, 'cell.guid')).catch(() => undefined)
  if (isCell === undefined) return `it has no ${MANIFEST_FILE}`
  return `it is the directory of a cell, or an unfinished copy of one: it has no ${MANIFEST_FILE}`
}

async function kindAt(place: string): Promise<'directory' | 'file' | 'other'> {
  try {
    const facts = await stat(place)
    return facts.isDirectory() ? 'directory' : facts.isFile() ? 'file' : 'other'
  } catch (error) {
    const isDangling = await lstat(place).catch(() => undefined)
    const isAbsent = systemCode(error) === 'ENOENT' && isDangling === undefined
    throw noBackup(place, isAbsent ? 'it is not there' : messageOf(error), error)
  }
}

/** Makes the error for something that is no backup. */
function noBackup(place: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `${place} is no backup: ${reason}`, {info: {place, reason}, cause})
}
