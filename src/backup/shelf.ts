/** A directory of backups: what is in it, and what can be said of each. Names may contain `/`, so directories are looked into. */
import type {Dirent} from 'node:fs'
import {lstat, readdir} from 'node:fs/promises'
import {join, relative, resolve} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {readArchiveHead} from './archive-read.ts'
import {FOLLOW_FILE} from './follow-file.ts'
import {historyOf, keptUntilMs, readFollowed} from './followed.ts'
import {type ForeignBackup, findForeignDir, UNVERIFIED} from './foreign.ts'
import {MANIFEST_FILE, type Manifest, type ManifestCell, totalsOf} from './manifest.ts'
import {readManifest} from './open-backup.ts'
import {newestProof, type Proof, type ProofSubject, readProofs} from './proofs.ts'
import {isArchiveName, kindOfFile} from './shelf-file.ts'
import {isPartialName} from './stage.ts'

/** What is kept of a manifest. That of very many files is long, and of many backups there are many. */
interface ShelfManifest extends Pick<Manifest, 'madeAt' | 'how' | 'cell' | 'log'> {
  readonly files: number
}

/** Something on a shelf. */
export interface ShelfItem {
  readonly path: string
  /** Path below the shelf. */
  readonly name: string
  /**
   * `foreign`: made by Synapse's own tools, without a manifest; `sealed`: encrypted, and no identity that was given opens it; `incomplete`: was not
   * finished, or is being written; `unreadable`: a backup whose manifest cannot be read, see `reason`.
   */
  readonly kind: 'directory' | 'archive' | 'followed' | 'foreign' | 'sealed' | 'incomplete' | 'unreadable'
  /** Of a backup that is one by itself. */
  readonly manifest?: ShelfManifest
  /** What is known of the others: the newest moment that they have. */
  readonly about?: {readonly cell: ManifestCell; readonly madeAt: string | null; readonly index: number | null}
  /** What it takes on the disk. */
  readonly bytes: number
  /** Newest drill of it. */
  readonly proof?: Proof
  /** A drill restored it, and none failed to since. */
  readonly isProven: boolean
  /** What is wrong with it; it is not to be removed by rules then. */
  readonly reason?: string
}

export interface ShelfOptions {
  /** For encrypted archives; without a fitting one they are sealed. */
  readonly identities?: readonly string[]
  readonly signal: AbortSignal
}

/** Names with more parts are not looked for. */
const DEPTH_MAX = 8
/** Files and directories that are looked at; more is no shelf. */
const ITEMS_MAX = 100_000
const BLOCK = 512
/** What the file system has at the top of a volume, for root alone. */
const LOST_AND_FOUND = 'lost+found'

/** The directory that is meant when none is given need not be there: there are no backups then. */
export async function readOwnShelf(dir: string, options: ShelfOptions): Promise<readonly ShelfItem[]> {
  try {
    return await readShelf(dir, options)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_NOT_FOUND') return []
    throw error
  }
}

/**
 * Reads a shelf; the oldest backup first, what has no date last.
 *
 * @throws RegistryError `REG_NOT_FOUND` when there is no such directory; `REG_BACKUP_SOURCE` when it cannot be read, or is too large to be a shelf
 */
export async function readShelf(dir: string, options: ShelfOptions): Promise<readonly ShelfItem[]> {
  const reader = new ShelfReader(resolve(dir), options)
  await reader.look(resolve(dir), 1)
  return reader.items.toSorted((a, b) => timeOf(a) - timeOf(b) || (a.name < b.name ? -1 : 1))
}

function timeOf({manifest, about}: ShelfItem): number {
  const madeAt = manifest?.madeAt ?? about?.madeAt ?? null
  return madeAt === null ? Number.MAX_SAFE_INTEGER : Date.parse(madeAt)
}

class ShelfReader {
  readonly items: ShelfItem[] = []
  readonly #root: string
  readonly #options: ShelfOptions
  #seen = 0

  constructor(root: string, options: ShelfOptions) {
    this.#root = root
    this.#options = options
  }

  async look(folder: string, depth: number): Promise<void> {
    for (const entry of await this.#entries(folder)) {
      this.#options.signal.throwIfAborted()
      this.#seen += 1
      if (this.#seen > ITEMS_MAX) throw unreadableShelf(this.#root, `it has more than ${ITEMS_MAX} names`)
      const path = join(folder, entry.name)
      const item = await this.#item(path, entry)
      if (item !== undefined) this.items.push({path, name: relative(this.#root, path), ...item})
      else if (entry.isDirectory() && depth < DEPTH_MAX) await this.look(path, depth + 1)
    }
  }

  async #entries(folder: string): Promise<readonly Dirent[]> {
    try {
      const entries = await readdir(folder, {withFileTypes: true})
      return entries.filter(({name}) => name !== LOST_AND_FOUND)
    } catch (error) {
      const isGone = systemCode(error) === 'ENOENT'
      if (folder !== this.#root) {
        if (isGone) return []
        throw error
      }
      throw isGone ? noShelf(folder, error) : unreadableShelf(folder, messageOf(error), error)
    }
  }

  /** What this user may not read, or the disk cannot, hides none of the others; what was removed meanwhile is none. */
  async #item(path: string, entry: Dirent): Promise<Found | undefined> {
    try {
      return entry.isDirectory() ? await this.#directory(path, entry.name) : await this.#file(path, entry)
    } catch (error) {
      const code = systemCode(error)
      if (error instanceof RegistryError || code === undefined) throw error
      if (code === 'ENOENT') return undefined
      const why = code === 'EACCES' ? 'this user may not read it' : `it cannot be read: ${code}`
      return {kind: 'unreadable', bytes: 0, isProven: false, reason: why}
    }
  }

  /** Undefined for a directory that is no backup: backups may be below it. */
  async #directory(path: string, name: string): Promise<Found | undefined> {
    if (isPartialName(name)) return {kind: 'incomplete', bytes: await bytesBelow(path), isProven: false}
    const names = new Set((await this.#entries(path)).map((entry) => entry.name))
    if (names.has(FOLLOW_FILE)) return await this.#backup(path, 'followed', () => followedAt(path))
    if (names.has(MANIFEST_FILE)) {
      return await this.#backup(path, 'directory', async () => {
        const manifest = await readManifest(path)
        return {manifest: keptOf(manifest), bytes: totalsOf(manifest.files).allocated, subject: manifest}
      })
    }
    if (!names.has('cell.guid')) return undefined
    const foreign = await findForeignDir(path)
    if (foreign !== undefined) return await this.#backup(path, 'foreign', () => foreignAt(path, foreign))
    const reason = `it has no ${MANIFEST_FILE}: the directory of a cell, or an unfinished copy of one`
    return {kind: 'unreadable', bytes: await bytesBelow(path), isProven: false, reason}
  }

  async #file(path: string, entry: Dirent): Promise<Found | undefined> {
    if (!entry.isFile()) return undefined
    const {blocks} = await lstat(path)
    const bytes = blocks * BLOCK
    if (isPartialName(entry.name)) return {kind: 'incomplete', bytes, isProven: false}
    const kind = await kindOfFile(path, this.#options.identities ?? [])
    if (kind === undefined && !isArchiveName(entry.name)) return undefined
    return await this.#backup(path, 'archive', async () => {
      const {manifest} = kind === 'service' ? {} : await readArchiveHead(path, this.#options)
      return manifest === undefined
        ? {kind: 'foreign', bytes, subject: undefined, reason: UNVERIFIED}
        : {manifest: keptOf(manifest), bytes, subject: manifest}
    })
  }

  async #backup(
    path: string,
    kind: 'directory' | 'archive' | 'followed' | 'foreign',
    read: () => Promise<Read>,
  ): Promise<Found> {
    try {
      const {subject, ...found} = await read()
      return {kind, ...found, ...(await provenBy(path, subject))}
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const failed = error.code === 'REG_BACKUP_SEALED' ? 'sealed' : 'unreadable'
      return {kind: failed, bytes: await bytesBelow(path), isProven: false, reason: error.message}
    }
  }
}

/** Proofs that cannot be read may say that it is the last one that is proven: it gets a reason, and nobody removes it. */
async function provenBy(
  path: string,
  subject: ProofSubject,
): Promise<Pick<ShelfItem, 'proof' | 'isProven' | 'reason'>> {
  try {
    const proofs = await readProofs(path)
    const proof = newestProof(proofs, subject)
    const failed = newestProof(proofs, subject, 'failed')
    const proven = newestProof(proofs, subject, 'proven')
    const isProven = proven !== undefined && (failed === undefined || proven.at > failed.at)
    return {isProven, ...(proof === undefined ? {} : {proof})}
  } catch (error) {
    return {isProven: false, reason: messageOf(error)}
  }
}

function keptOf({madeAt, how, cell, log, files}: Manifest): ShelfManifest {
  return {madeAt, how, cell, log, files: files.length}
}

type Found = Omit<ShelfItem, 'path' | 'name'>

/** What was read of one, and what its proofs are of. */
interface Read extends Partial<Pick<ShelfItem, 'kind' | 'manifest' | 'about' | 'reason'>> {
  readonly bytes: number
  readonly subject: ProofSubject
}

async function followedAt(path: string): Promise<Read> {
  const followed = await readFollowed(path)
  const {manifest} = followed.bases.at(-1) ?? followed.bases[0]
  const untilMs = keptUntilMs(followed)
  const about = {cell: manifest.cell, madeAt: new Date(untilMs).toISOString(), index: followed.nextOffset}
  const {damage} = followed
  const reason = damage === undefined ? {} : {reason: damage.message}
  return {about, bytes: await bytesBelow(path), subject: {history: historyOf(followed)}, ...reason}
}

async function foreignAt(path: string, {cell}: ForeignBackup): Promise<Read> {
  const {iden, type, version, index} = cell
  const known =
    iden === null
      ? {}
      : {about: {cell: {kind: 'synapse', iden, type, name: null, version}, madeAt: null, index} as const}
  return {...known, bytes: await bytesBelow(path), subject: undefined, reason: UNVERIFIED}
}

/** Gives what a file, or all below a directory, takes on the disk; of very many files some. */
async function bytesBelow(path: string): Promise<number> {
  const entries = await readdir(path, {withFileTypes: true, recursive: true}).catch(() => [])
  let blocks = (await lstat(path)).blocks
  for (const entry of entries.slice(0, ITEMS_MAX)) {
    blocks += (await lstat(join(entry.parentPath, entry.name)).catch(() => ({blocks: 0}))).blocks
  }
  return blocks * BLOCK
}

function noShelf(dir: string, cause: unknown): RegistryError {
  const hints = ['give the directory that the backups are in', 'registry backup SRC DST']
  return new RegistryError('REG_NOT_FOUND', `there is no directory ${dir}`, {hints, info: {path: dir}, cause})
}

function unreadableShelf(dir: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_SOURCE', `cannot read the backups in ${dir}: ${reason}`, {
    info: {path: dir, reason},
    hints: ['give the directory that the backups are in'],
    cause,
  })
}
