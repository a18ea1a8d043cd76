import {open, stat} from 'node:fs/promises'
import {join} from 'node:path'
import {MANIFEST_FILE, type Manifest} from '../backup/manifest.ts'
import {readManifestFile} from '../backup/manifest-read.ts'
import {newestProof, type Proof, readProofs} from '../backup/proofs.ts'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {type NamedBackup, namedBackups} from './backup-names.ts'

/** Backups that are looked at, the newest ones: their manifests have to be read. */
const LOOKED_AT = 32
/** A longer manifest would hold up the server when it is read. */
const MANIFEST_BYTES_MAX = 64 * 1024 * 1024

type Known = Map<string, {readonly doneMs: number; readonly manifest: Manifest}>

/** What is known of the backups of one cell in a directory, which others may use too, as of the last look. */
export class BackupShelf {
  readonly #dir: string
  readonly #iden: () => string
  #known: Known = new Map()
  #last: {readonly name: string; readonly atMs: number} | undefined
  #proof: ShelfProof | undefined
  #looking: Promise<void> | undefined
  #lookingNext: Promise<void> | undefined

  constructor(dir: string, iden: () => string) {
    this.#dir = dir
    this.#iden = iden
  }

  /** The newest. */
  get last(): {readonly name: string; readonly atMs: number} | undefined {
    return this.#last
  }

  /** The newest proof of any of them. */
  get proof(): ShelfProof | undefined {
    return this.#proof
  }

  /** Looks again, one look at a time: on a volume that hangs each of them holds a thread, and there are few for all files of the process. */
  refresh(): Promise<void> {
    if (this.#looking === undefined) return this.#begin()
    // What the look under way has passed by already is seen by the next one.
    this.#lookingNext ??= this.#looking
      .catch(() => undefined)
      .then(() => {
        this.#lookingNext = undefined
        return this.#begin()
      })
    return this.#lookingNext
  }

  #begin(): Promise<void> {
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const found = (await namedBackups(this.#dir)).slice(0, LOOKED_AT)
    const known: Known = new Map()
    const proofs: ShelfProof[] = []
    for (const backup of found) {
      const manifest = await this.#manifestOf(backup)
      if (manifest === undefined) continue
      known.set(backup.path, {doneMs: backup.doneMs, manifest})
      if (manifest.cell.iden === this.#iden()) proofs.push(...(await proofOf(backup, manifest)))
    }
    const own = [...known].filter(([, {manifest}]) => manifest.cell.iden === this.#iden())
    const times = own.map(([path, {manifest}]) => ({
      name: path.slice(this.#dir.length + 1),
      atMs: Date.parse(manifest.madeAt),
    }))
    this.#known = known
    this.#last = times.sort((a, b) => b.atMs - a.atMs)[0]
    this.#proof = proofs.sort((a, b) => b.atMs - a.atMs)[0]
  }

  /** What was read once is not read again. */
  async #manifestOf({path, doneMs}: NamedBackup): Promise<Manifest | undefined> {
    const known = this.#known.get(path)
    if (known?.doneMs === doneMs) return known.manifest
    return await readManifest(path).catch(() => undefined) // it is said of it by `backup list`
  }
}

/** What a drill found out about a backup of the shelf. */
export interface ShelfProof {
  readonly name: string
  readonly result: Proof['result']
  readonly atMs: number
}

/**
 * Reads the manifest of a backup.
 *
 * @throws RegistryError `REG_BACKUP_INVALID`
 */
export async function readManifest(path: string): Promise<Manifest> {
  const file = join(path, MANIFEST_FILE)
  try {
    if ((await stat(file)).size > MANIFEST_BYTES_MAX) throw new TypeError('it is too long')
    await using handle = await open(file)
    return await readManifestFile(handle, path)
  } catch (error) {
    if (error instanceof RegistryError) throw error
    throw unreadable(path, error)
  }
}

async function proofOf({name, path}: NamedBackup, manifest: Manifest): Promise<readonly ShelfProof[]> {
  const proofs = await readProofs(path).catch(() => [])
  const proof = newestProof(proofs, manifest)
  return proof === undefined ? [] : [{name, result: proof.result, atMs: Date.parse(proof.at)}]
}

function unreadable(path: string, cause: unknown): RegistryError {
  const text = `${path} has no manifest that can be read: ${systemCode(cause) ?? messageOf(cause)}`
  return new RegistryError('REG_BACKUP_INVALID', text, {info: {place: path}, cause})
}
