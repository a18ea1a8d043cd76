/** Makes archives: a tar with the manifest as its first member, compressed. Nothing is kept in memory but what is under way. */
import {createHash} from 'node:crypto'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {MANIFEST_MAX} from './archive-plan.ts'
import {type Compression, compressed} from './compression.ts'
import type {WorkOptions} from './copy-files.ts'
import {readPieces} from './file-pieces.ts'
import {MANIFEST_FILE, type Manifest, type ManifestFile, totalsOf} from './manifest.ts'
import {manifestPieces} from './manifest-write.ts'
import type {CollectOptions} from './spent-bytes.ts'
import {tarForm} from './tar-write.ts'
import type {Veil} from './veil.ts'

/** What an archive is made of. */
export interface ArchiveSource {
  readonly manifest: Manifest
  /** Gives the content of a file of the manifest. */
  read(path: string): AsyncIterable<Uint8Array>
}

export interface ArchiveOptions extends WorkOptions, CollectOptions {
  readonly compression: Compression
}

/** Takes the files from a directory that is laid out as the manifest says, and was written behind that veil. */
export function directorySource(dir: string, manifest: Manifest, veil?: Veil | undefined): ArchiveSource {
  const pieces = (path: string) => readPieces(join(dir, path), {isFollowing: false})
  return {manifest, read: (path) => veil?.clear(path, pieces(path)) ?? pieces(path)}
}

/**
 * Makes the archive of a backup. A file that is not as the manifest says ends it.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED` for such a file
 */
export function writeArchive(source: ArchiveSource, options: ArchiveOptions): AsyncIterable<Uint8Array> {
  return compressed(tarOf(source, options), options.compression, options)
}

async function* tarOf(source: ArchiveSource, {progress, signal}: WorkOptions): AsyncGenerator<Uint8Array, void> {
  const form = await tarForm()
  const {manifest} = source
  const mtime = new Date(manifest.madeAt)
  progress.phase('archiving', totalsOf(manifest.files).bytes)
  const size = lengthOf(manifest)
  if (size > MANIFEST_MAX) throw tooMany(manifest)
  yield form.header({path: `${manifest.name}/${MANIFEST_FILE}`, isDirectory: false, size, mtime})
  for (const piece of manifestPieces(manifest)) yield Buffer.from(piece)
  yield form.padding(size)
  for (const path of manifest.directories) {
    yield form.header({path: `${manifest.name}/${path}`, isDirectory: true, size: 0, mtime})
  }
  for (const file of manifest.files) {
    yield form.header({path: `${manifest.name}/${file.path}`, isDirectory: false, size: file.size, mtime})
    for await (const piece of checked(source, file)) {
      signal.throwIfAborted()
      progress.add(piece.length)
      yield piece
    }
    yield form.padding(file.size)
  }
  yield form.end
}

/** The text is made twice: of very many files it is long. */
function lengthOf(manifest: Manifest): number {
  let length = 0
  for (const piece of manifestPieces(manifest)) length += Buffer.byteLength(piece)
  return length
}

/** Gives the content of a file, as long as it is what the manifest says. */
async function* checked(source: ArchiveSource, file: ManifestFile): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const piece of source.read(file.path)) {
      size += piece.length
      if (size > file.size) break
      hash.update(piece)
      yield piece
    }
  } catch (error) {
    throw notAsSaid(file.path, `it cannot be read: ${systemCode(error) ?? messageOf(error)}`, error)
  }
  if (size !== file.size) throw notAsSaid(file.path, `it has not ${file.size} bytes`)
  if (hash.digest('hex') !== file.sha256) throw notAsSaid(file.path, 'its content is another one')
}

function tooMany({files}: Manifest): RegistryError {
  const text = `${files.length} files are too many for one archive: nobody would read its manifest`
  return new RegistryError('REG_BACKUP_SOURCE', text, {hints: ['make a directory: leave --archive out']})
}

function notAsSaid(path: string, reason: string, cause?: unknown): RegistryError {
  const text = `the file ${path} is not as the manifest of the backup says: ${reason}`
  return new RegistryError('REG_BACKUP_DAMAGED', text, {info: {path, reason}, cause})
}
