/** Reads manifests piece by piece: of very many files they are long, and only what they say is kept. */
import {createHash} from 'node:crypto'
import type {FileHandle} from 'node:fs/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import {isSafePath, MANIFEST_FILE, MANIFEST_FORMAT, type Manifest, type ManifestFile} from './manifest.ts'
import {FilesCutter} from './manifest-cut.ts'
import {countAt, ITEMS_MAX, listAt, objectAt, oneOf, textAt, textOrNull} from './manifest-fields.ts'

const PIECE = 64 * 1024

/**
 * Reads a manifest. `place` is what the error names.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when it is none, of a newer format, or altered
 */
export function decodeManifest(text: string, place: string): Manifest {
  const reader = new ManifestReader(place)
  reader.push(Buffer.from(text))
  return reader.end()
}

/**
 * Reads a manifest that comes in pieces. `known` is one that was read before, and may be the same: what it says need not be there twice. Throws as
 * `decodeManifest`, and what the pieces throw.
 */
export async function readManifestFrom(
  pieces: AsyncIterable<Uint8Array>,
  place: string,
  known?: Manifest,
): Promise<Manifest> {
  const reader = new ManifestReader(place, known?.files)
  for await (const piece of pieces) reader.push(piece)
  return reader.end()
}

/** Reads a manifest from a file that is open. Throws as `decodeManifest`, and what the system says. */
export async function readManifestFile(file: FileHandle, place: string): Promise<Manifest> {
  const reader = new ManifestReader(place)
  const buffer = Buffer.allocUnsafeSlow(PIECE)
  for (let at = 0; ; ) {
    const {bytesRead} = await file.read(buffer, 0, PIECE, at)
    if (bytesRead === 0) return reader.end()
    // It keeps none of the buffer.
    reader.push(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
}

class ManifestReader {
  readonly #place: string
  readonly #known: readonly ManifestFile[]
  readonly #cutter = new FilesCutter({onList: (text) => this.#begin(text), onFile: (text) => this.#file(text)})
  readonly #hash = createHash('sha256')
  readonly #files: ManifestFile[] = []
  readonly #paths = new Set<string>()
  #count = 0
  /** What was hashed of what stands before the files; undefined until they come. */
  #head: string | undefined
  /** The first thing that is wrong with a file: whether the manifest is one at all is said before that. */
  #fault: unknown

  constructor(place: string, known: readonly ManifestFile[] = []) {
    this.#place = place
    this.#known = known
  }

  push(bytes: Uint8Array): void {
    this.#cutter.push(bytes)
  }

  end(): Manifest {
    const {digest, ...body} = this.#parsed(this.#cutter.end())
    if (body['format'] !== MANIFEST_FORMAT) {
      throw this.#invalid(`its format is ${String(body['format'])}, known is ${MANIFEST_FORMAT}`)
    }
    const text = JSON.stringify(this.#head === undefined ? body : {...body, files: []})
    const isSame = text.startsWith(this.#head ?? '')
    this.#hash.update(text.slice(this.#head?.length))
    if (!isSame || digest !== this.#hash.digest('hex')) throw this.#invalid('it was altered, or is not complete')
    try {
      if (this.#fault !== undefined) throw this.#fault
      const cut = listAt(body['files'], 'files')
      if (cut.length !== this.#count || cut.some((item) => item !== 0)) throw new TypeError('a file is no object')
      return fieldsOf(body, this.#files)
    } catch (error) {
      throw this.#invalid(messageOf(error), error)
    }
  }

  /** What stands before the files is hashed as it is when they follow. */
  #begin(text: string): void {
    if (this.#head !== undefined) throw this.#invalid('it has two lists of files')
    const {digest, ...body} = this.#parsed(`${text}]}`)
    this.#head = JSON.stringify(body).slice(0, -']}'.length)
    this.#hash.update(this.#head)
  }

  #file(text: string): void {
    const at = this.#count
    this.#count += 1
    if (at === ITEMS_MAX) throw this.#invalid(`it has more than ${ITEMS_MAX} files`)
    const file = this.#parsed(text)
    this.#hash.update(`${at === 0 ? '' : ','}${JSON.stringify(file)}`)
    try {
      const found = fileOf(file, `files[${at}]`, this.#paths)
      const known = this.#known[at]
      this.#files.push(known !== undefined && isSame(known, found) ? known : found)
    } catch (error) {
      this.#fault ??= error
    }
  }

  #parsed(text: string): Record<string, unknown> {
    try {
      return objectAt(JSON.parse(text), 'it')
    } catch (error) {
      throw this.#invalid('it is not complete JSON', error)
    }
  }

  #invalid(reason: string, cause?: unknown): RegistryError {
    return new RegistryError('REG_BACKUP_INVALID', `${this.#place} is not the manifest of a backup: ${reason}`, {
      info: {place: this.#place, reason},
      cause,
    })
  }
}

function isSame(one: ManifestFile, other: ManifestFile): boolean {
  const isSameContent = one.size === other.size && one.sha256 === other.sha256
  return one.path === other.path && one.allocated === other.allocated && isSameContent
}

function fieldsOf(body: Record<string, unknown>, files: readonly ManifestFile[]): Manifest {
  const cell = objectAt(body['cell'], 'cell')
  const log = objectAt(body['log'], 'log')
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

function fileOf(file: Record<string, unknown>, where: string, seen: Set<string>): ManifestFile {
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
