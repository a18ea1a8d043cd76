/**
 * The manifest of a backup: what is in it, to the byte, and of which moment. It is written last, so what has none is no backup.
 *
 *     NAME/                 directory of a backup, or of everything in an archive: the files of the cell as they lie in its data directory, and
 *     NAME/backup.json      the manifest
 *     NAME/backup.proofs.json   when a drill restored it, and with what result (backup/proofs.ts); beside an archive as FILE.proofs.json
 *
 * There may be very many files: it is written and read in pieces (`manifest-write.ts`, `manifest-read.ts`).
 */
/** Name of the manifest inside a backup. */
export const MANIFEST_FILE = 'backup.json'

/** Format 1: the first. A reader refuses higher ones. */
export const MANIFEST_FORMAT = 1

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

/** Tells whether a path names something below the directory that it is relative to, in one way only. */
export function isSafePath(path: string): boolean {
  if (path === '' || path.length > 4096 || path.includes('\0') || path.includes('\\')) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}
