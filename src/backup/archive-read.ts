/**
 * Reads archives, which may come from anywhere: regular files and directories only, nothing beyond the manifest, all of it there and right. What
 * the manifest says is checked against the limits before anything is written.
 */
import {createHash} from 'node:crypto'
import {readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {readArchiveFile} from './archive-file.ts'
import {type ArchiveLimits, ForeignPlan, ManifestPlan} from './archive-plan.ts'
import {damaged, refused} from './archive-refusal.ts'
import {OpenArchive} from './archive-source.ts'
import type {WorkOptions} from './copy-files.ts'
import {type Manifest, type ManifestFile, totalsOf} from './manifest.ts'
import {UnpackTarget} from './unpack-target.ts'
import type {Veil} from './veil.ts'
import type {Finding} from './verify.ts'

/** With what an archive is opened. */
export interface OpenOptions {
  /** For an encrypted one: `AGE-SECRET-KEY-…`. */
  readonly identities?: readonly string[] | undefined
  /** Its manifest, when it was read before: of very many files it need not be there twice. */
  readonly known?: Manifest | undefined
}

export interface UnpackOptions extends WorkOptions, OpenOptions {
  readonly limits: ArchiveLimits
  /** Whether one without a manifest is taken too, as the backups of Synapse services are. */
  readonly isForeign?: boolean | undefined
  /** Behind which the files are written; without, they are in clear. */
  readonly veil?: Veil | undefined
  /** Bytes that it is expected to have where it does not say so itself, for the progress. */
  readonly expectedBytes?: (() => number | undefined) | undefined
}

/** What came out of an archive. */
export interface Unpacked {
  /** Undefined for one that has none. */
  readonly manifest: Manifest | undefined
  readonly files: readonly ManifestFile[]
  readonly directories: readonly string[]
  readonly topName: string
}

/**
 * Unpacks an archive into the directory `to`, which has to be empty, and is empty again when this fails. When the promise resolves, all of it
 * survives a crash.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` for an archive that holds what it should not, `REG_BACKUP_DAMAGED` for one that is not as it was
 * written, `REG_BACKUP_SEALED` for one that the identities do not open, `REG_DISK_LOW` and `REG_DIR_UNUSABLE` when `to` cannot be written
 */
export async function unpackArchive(
  chunks: AsyncIterable<Uint8Array>,
  to: string,
  options: UnpackOptions,
): Promise<Unpacked> {
  if ((await readdir(to)).length > 0) throw new RegistryError('REG_CONFLICT', `${to} is not empty`)
  const target = new UnpackTarget(to, options.veil)
  try {
    return await unpack(chunks, target, options)
  } catch (error) {
    await target.close()
    for (const name of await readdir(to)) await rm(join(to, name), {recursive: true, force: true})
    throw error
  }
}

async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  target: UnpackTarget,
  {identities = [], known, limits, isForeign = false, expectedBytes, progress, signal}: UnpackOptions,
): Promise<Unpacked> {
  await using archive = await OpenArchive.open(chunks, {identities, isForeign, known})
  const {manifest, topName} = archive
  const plan = manifest === undefined ? new ForeignPlan(limits) : new ManifestPlan(manifest, limits)
  progress.phase('unpacking', manifest ? totalsOf(manifest.files).bytes : expectedBytes?.())
  const files: ManifestFile[] = []
  const directories: string[] = []
  for await (const {path, isDirectory, content} of archive.members(plan)) {
    signal.throwIfAborted()
    if (isDirectory) {
      await target.directory(path)
      directories.push(path)
      continue
    }
    const file = {path, ...(await target.file(path, watched(content, {progress, signal})))}
    // They come in the order of the manifest. Its texts are there already, and need not be there twice.
    files.push(manifest === undefined ? file : sameAs(manifest.files[files.length], file))
  }
  await target.commit()
  return {manifest, files, directories, topName}
}

/**
 * Reads no more of an archive than its manifest.
 *
 * @throws RegistryError as `unpackArchive`
 */
export async function readArchiveManifest(
  file: string,
  {identities = []}: OpenOptions,
): Promise<{manifest: Manifest; isEncrypted: boolean}> {
  await using archive = await OpenArchive.open(readArchiveFile(file), {identities, isForeign: false})
  return {manifest: manifestOf(archive), isEncrypted: archive.isEncrypted}
}

/** As `readArchiveManifest`, and gives undefined for an archive without a manifest, as Synapse services send them. */
export async function readArchiveHead(
  file: string,
  {identities = []}: OpenOptions,
): Promise<{manifest: Manifest | undefined; isEncrypted: boolean}> {
  await using archive = await OpenArchive.open(readArchiveFile(file), {identities, isForeign: true})
  return {manifest: archive.manifest, isEncrypted: archive.isEncrypted}
}

/**
 * Compares an archive with its manifest, without writing anything. Where it cannot be read any further, the file that this happens in is an altered
 * one, and those behind it are missing.
 *
 * @throws RegistryError as `unpackArchive` when it cannot be read up to the end of its manifest, or its files are right and what is around them is not
 */
export async function verifyArchive(
  file: string,
  {identities = [], known, progress, signal}: WorkOptions & OpenOptions,
): Promise<readonly Finding[]> {
  await using archive = await OpenArchive.open(readArchiveFile(file), {identities, isForeign: false, known})
  const manifest = manifestOf(archive)
  const {files} = manifest
  let count = 0
  const findings: Finding[] = []
  progress.phase('verifying', totalsOf(files).bytes)
  let under: string | undefined
  try {
    for await (const {path, isDirectory, content} of archive.members(new ManifestPlan(manifest, NO_LIMITS))) {
      if (isDirectory) continue
      under = path
      const facts = await hashed(watched(content, {progress, signal}))
      if (!isSame(facts, files[count])) findings.push({path, problem: 'altered'})
      count += 1
      under = undefined
    }
    return findings
  } catch (error) {
    if (!(error instanceof RegistryError) || !error.code.startsWith('REG_BACKUP_')) throw error
    const rest = files.slice(count).map(({path}) => ({path, problem: path === under ? 'altered' : 'missing'}) as const)
    if (findings.length + rest.length === 0) throw error
    return [...findings, ...rest]
  }
}

/** Nothing is written: how much it holds does not matter. */
const NO_LIMITS = {bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY}

function manifestOf({manifest}: OpenArchive): Manifest {
  if (manifest === undefined) throw refused('it has no manifest')
  return manifest
}

async function hashed(content: AsyncIterable<Uint8Array>): Promise<{size: number; sha256: string}> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of content) {
    hash.update(piece)
    size += piece.length
  }
  return {size, sha256: hash.digest('hex')}
}

type Facts = Pick<ManifestFile, 'size' | 'sha256'>

function isSame(file: Facts, said: Facts | undefined): boolean {
  return file.size === said?.size && file.sha256 === said.sha256
}

function sameAs(said: ManifestFile | undefined, file: ManifestFile): ManifestFile {
  if (said !== undefined && isSame(file, said)) return {...said, allocated: file.allocated}
  throw damaged(`the content of ${file.path} is not what the manifest says`, file.path)
}

async function* watched(
  content: AsyncIterable<Uint8Array>,
  {progress, signal}: WorkOptions,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of content) {
    signal.throwIfAborted()
    progress.add(piece.length)
    yield piece
  }
}
