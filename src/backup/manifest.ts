/**
 * The manifest of a backup: what is in it, to the byte, and of which moment. It is written last, so what has none is no backup.
 *
 *     NAME/                 directory of a backup, or of everything in an archive: the files of the cell as they lie in its data directory, and
 *     NAME/backup.json      the manifest
 *     NAME/backup.proofs.json   when a drill restored it, and with what result (backup/proofs.ts); beside an archive as FILE.proofs.json
 */
import {createHash} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'

/** Name of the manifest inside a backup. */
export const MANIFEST_FILE = 'backup.json'

/** Format 1: the first. A reader refuses higher ones. */
const FORMAT = 1
/** A manifest has at most this many files; more are refused before anything is read. */
const FILES_MAX = 1_000_000

/** A file of a backup. Its path is relative, with `/`, and leaves the directory nowhere. */
export interface ManifestFile {
  readonly path: string
  /** Length, bytes. */
  readonly size: number
  /** Bytes that it takes on the disk where it was written: holes take none. */
  readonly allocated: number
  /** 64 hex digits. */
  readonly sha256: string
}

/** Whose backup it is. */
export interface ManifestCell {
  /** `registry`: a server of ours; `synapse`: a real Synapse service. */
  readonly kind: 'registry' | 'synapse'
  /** 32 hex digits. */
  readonly iden: string
  /** `registry`, `axon`, `cortex`, …; null when it is not known. */
  readonly type: string | null
  /** Name of the service; null when it has none, or it is not known. */
  readonly name: string | null
  /** Version of the software that wrote the data; null when it is not known. */
  readonly version: string | null
}

/** Where the change log of the cell stood. */
export interface ManifestLog {
  /** Null for services without epochs. */
  readonly epoch: number | null
  /** Offset that the next entry gets: every entry below it is applied, and none above. Null when it is not known. */
  readonly index: number | null
  /** Hash of the newest entry, 64 hex digits; null for services without. */
  readonly hash: string | null
}

/** What a manifest says, without its format and digest. */
export interface Manifest {
  readonly name: string
  /** When the moment was that the backup is of; ISO 8601, UTC. */
  readonly madeAt: string
  /** Version of this software. */
  readonly madeBy: string
  /** `offline`: of a stopped cell; `live`: by the running service; `base`: live, as the beginning of an archived log. */
  readonly how: 'offline' | 'live' | 'base'
  readonly cell: ManifestCell
  readonly log: ManifestLog
  /** What was left out because somebody asked for that: patterns. */
  readonly skipped: readonly string[]
  /** Directories that have to be there even when they are empty. */
  readonly directories: readonly string[]
  readonly files: readonly ManifestFile[]
  /** Counts and content hashes by name, which a drill compares with what the restored service has. */
  readonly census: Readonly<Record<string, number | string>>
}

/** Sums over the files of a manifest. */
export interface ManifestTotals {
  readonly files: number
  readonly bytes: number
  readonly allocated: number
}

export function totalsOf(files: readonly ManifestFile[]): ManifestTotals {
  let bytes = 0
  let allocated = 0
  for (const file of files) {
    bytes += file.size
    allocated += file.allocated
  }
  return {files: files.length, bytes, allocated}
}

/** Gives the text of the file, which ends with the SHA-256 of what it says. */
export function encodeManifest(manifest: Manifest): string {
  const body = {format: FORMAT, ...ordered(manifest), totals: totalsOf(manifest.files)}
  return `${JSON.stringify({...body, digest: digestOf(body)}, undefined, 1)}\n`
}

/**
 * Reads a manifest. `place` is what the error names.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when it is none, of a newer format, or altered
 */
export function decodeManifest(text: string, place: string): Manifest {
  const invalid = (reason: string, cause?: unknown) =>
    new RegistryError('REG_BACKUP_INVALID', `${place} is not the manifest of a backup: ${reason}`, {
      info: {place, reason},
      cause,
    })
  const body = parsed(text, invalid)
  if (body['format'] !== FORMAT) throw invalid(`its format is ${String(body['format'])}, known is ${FORMAT}`)
  const {digest, ...rest} = body
  if (digest !== digestOf(rest)) throw invalid('it was altered, or is not complete')
  try {
    return fieldsOf(rest)
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error), error)
  }
}

function parsed(text: string, invalid: (reason: string, cause?: unknown) => RegistryError): Record<string, unknown> {
  try {
    return objectAt(JSON.parse(text), 'it')
  } catch (error) {
    throw invalid('it is not complete JSON', error)
  }
}

/** In one order, whatever the order of the caller. */
function ordered({name, madeAt, madeBy, how, cell, log, ...rest}: Manifest): Manifest {
  const {kind, iden, type, version} = cell
  const {epoch, index, hash} = log
  const {skipped, directories, census} = rest
  return {
    ...{name, madeAt, madeBy, how},
    cell: {kind, iden, type, name: cell.name, version},
    log: {epoch, index, hash},
    ...{skipped, directories, census},
    files: rest.files.map(({path, size, allocated, sha256}) => ({path, size, allocated, sha256})),
  }
}

function digestOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex')
}

function fieldsOf(body: Record<string, unknown>): Manifest {
  const cell = objectAt(body['cell'], 'cell')
  const log = objectAt(body['log'], 'log')
  const paths = new Set<string>()
  const files = listAt(body['files'], 'files').map((file, at) => fileOf(file, `files[${at}]`, paths))
  const directories = listAt(body['directories'], 'directories').map((path, at) => safePath(path, `directories[${at}]`))
  return {
    name: textAt(body['name'], 'name', /^[^/\0]{1,255}$/),
    madeAt: textAt(body['madeAt'], 'madeAt', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    madeBy: textAt(body['madeBy'], 'madeBy'),
    how: oneOf(body['how'], 'how', ['offline', 'live', 'base'] as const),
    cell: {
      kind: oneOf(cell['kind'], 'cell.kind', ['registry', 'synapse'] as const),
      iden: textAt(cell['iden'], 'cell.iden', /^[0-9a-f]{32}$/),
      type: textOrNull(cell['type'], 'cell.type'),
      name: textOrNull(cell['name'], 'cell.name'),
      version: textOrNull(cell['version'], 'cell.version'),
    },
    log: {
      epoch: log['epoch'] === null ? null : countAt(log['epoch'], 'log.epoch'),
      index: log['index'] === null ? null : countAt(log['index'], 'log.index'),
      hash: log['hash'] === null ? null : textAt(log['hash'], 'log.hash', /^[0-9a-f]{64}$/),
    },
    skipped: listAt(body['skipped'], 'skipped').map((pattern, at) => textAt(pattern, `skipped[${at}]`)),
    directories,
    files,
    census: censusOf(body['census']),
  }
}

function fileOf(value: unknown, where: string, seen: Set<string>): ManifestFile {
  const file = objectAt(value, where)
  const path = safePath(file['path'], `${where}.path`)
  if (seen.has(path)) throw new TypeError(`${path} is there twice`)
  seen.add(path)
  return {
    path,
    size: countAt(file['size'], `${where}.size`),
    allocated: countAt(file['allocated'], `${where}.allocated`),
    sha256: textAt(file['sha256'], `${where}.sha256`, /^[0-9a-f]{64}$/),
  }
}

/** Tells whether a path names something below the directory that it is relative to, in one way only. */
export function isSafePath(path: string): boolean {
  if (path === '' || path.length > 4096 || path.includes('\0') || path.includes('\\')) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

function safePath(value: unknown, where: string): string {
  const path = textAt(value, where)
  if (!isSafePath(path)) throw new TypeError(`${where} is not a path below the backup`)
  if (path === MANIFEST_FILE) throw new TypeError(`${where} is the manifest itself`)
  return path
}

function censusOf(value: unknown): Record<string, number | string> {
  const census: Record<string, number | string> = {}
  for (const [key, item] of Object.entries(objectAt(value, 'census'))) {
    if (typeof item !== 'number' && typeof item !== 'string') throw new TypeError(`census.${key} is not a value`)
    census[key] = item
  }
  return census
}

function objectAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${where} is no object`)
  return {...value}
}

function listAt(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${where} is no list`)
  if (value.length > FILES_MAX) throw new TypeError(`${where} has more than ${FILES_MAX} items`)
  return value
}

function textAt(value: unknown, where: string, form = /^[^\0]{0,4096}$/): string {
  if (typeof value !== 'string' || !form.test(value)) throw new TypeError(`${where} is not what it should be`)
  return value
}

function textOrNull(value: unknown, where: string): string | null {
  return value === null ? null : textAt(value, where)
}

function countAt(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`${where} is no whole number`)
  return value
}

function oneOf<T extends string>(value: unknown, where: string, known: readonly T[]): T {
  const found = known.find((one) => one === value)
  if (found === undefined) throw new TypeError(`${where} is none of ${known.join(', ')}`)
  return found
}
