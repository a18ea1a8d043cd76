/** Opening a database file, and its head. */
import type {DatabaseSync} from 'node:sqlite'
import {RegistryError} from '../base/errors.ts'
import {damagedFile} from './sqlite-errors.ts'
import {migrate, SCHEMA_VERSION, versionOf} from './sqlite-schema.ts'
import {integer, text} from './sqlite-values.ts'
import type {StoreHead} from './store.ts'

/** How long a call waits for the lock of another process (a backup, a curious sqlite3) before it fails. */
export const BUSY_TIMEOUT_MS = 500
/** SQLite's own limit of pages in the WAL, within a commit, should our estimate be too low. */
const AUTO_CHECKPOINT_PAGES = 4000
/** What the WAL is cut back to when a long reader made it grow. */
const WAL_KEEP_BYTES = 16 * 1024 * 1024

/** What the head of a file says. */
export type FileHead = Omit<StoreHead, 'firstOffset'>

/** Checks whose file it is, brings it to this version, and sets how it is to be used. */
export function prepareFile(database: DatabaseSync, path: string): void {
  const version = versionOf(database, path)
  // Counts only before the first table is made, and would later write to the file, be it damaged or not.
  if (version === 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL')
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
  if (mode !== 'wal') {
    throw new RegistryError('REG_STORE_FAILED', `the file system of ${path} does not allow a write-ahead log`, {
      info: {place: path, mode},
    })
  }
  database.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${AUTO_CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${WAL_KEEP_BYTES};
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF`)
  if (version === SCHEMA_VERSION) return
  database.exec('BEGIN IMMEDIATE')
  migrate(database, version)
  database.exec('COMMIT')
}

/** Reads the head. */
export function readHead(database: DatabaseSync, path: string): FileHead {
  const row = database.prepare('SELECT iden, epoch, next_offset, last_hash, next_seq FROM head').get()
  if (row === undefined) throw damagedFile(path, 'it has no head')
  return {
    iden: text(row['iden'], path),
    epoch: integer(row['epoch'], path),
    nextOffset: integer(row['next_offset'], path),
    lastHash: text(row['last_hash'], path),
    nextSeq: integer(row['next_seq'], path),
  }
}
