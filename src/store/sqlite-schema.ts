/**
 * The tables of the database file, and how a file of an older version becomes one of this version.
 *
 * What is written often and what is written seldom stand in different tables: a renewal writes 10 bytes, not the service again. The log
 * is kept in segments, one table each, named `log_<id>`: to rotate is to make a table, to cull is to drop one.
 */
import assert from 'node:assert/strict'
import type {DatabaseSync} from 'node:sqlite'
import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'
import {FIRST_PREVIOUS_HASH} from './chain.ts'

/** `regy` in ASCII, in the header of every file of ours. */
const APPLICATION_ID = 0x72656779

/** Gives the name of the table of a log segment. */
export function segmentTable(id: number): string {
  return `log_${id}`
}

/** Gives the statement that makes the table of a log segment. */
export function createSegment(id: number): string {
  return `
    CREATE TABLE ${segmentTable(id)} (
      offset INTEGER PRIMARY KEY, -- place in the log, from 0, without gaps
      epoch INTEGER NOT NULL,     -- epoch of the store when it was written
      time_ms INTEGER NOT NULL,   -- when it was decided, epoch milliseconds
      actor TEXT NOT NULL,        -- who asked
      change TEXT NOT NULL,       -- the change, JSON
      hash TEXT NOT NULL          -- SHA-256 over the hash before and this entry (chain.ts), 64 hex digits
    ) STRICT;`
}

/**
 * Step N makes a file of version N + 1 from one of version N; version 0 is an empty file. Steps are never edited once released: add one.
 *
 * 1: the first version.
 * 2: records, for users, roles and all that is neither a service nor a log entry.
 */
const MIGRATIONS: readonly ((database: DatabaseSync) => void)[] = [
  (database) => {
    database.exec(`
    PRAGMA application_id = ${APPLICATION_ID};
    CREATE TABLE head (
      id INTEGER PRIMARY KEY CHECK (id = 1), -- one row
      iden TEXT NOT NULL,           -- name of this store, 32 hex digits, given once
      epoch INTEGER NOT NULL,       -- rises with every promotion and restore
      next_offset INTEGER NOT NULL, -- offset of the next entry
      last_hash TEXT NOT NULL,      -- hash of the newest entry; shows when entries are missing at the end
      next_seq INTEGER NOT NULL     -- larger than every seq ever stored
    ) STRICT;
    CREATE TABLE instances (
      seq INTEGER PRIMARY KEY,      -- order of first registration, never reused
      service TEXT NOT NULL         -- the service object without last_heartbeat and health, JSON
    ) STRICT;
    CREATE TABLE heartbeats (
      seq INTEGER PRIMARY KEY,      -- the instance; each has a row here and one in instances
      last_s INTEGER NOT NULL       -- when it was last renewed, epoch seconds; saved now and then
    ) STRICT;
    CREATE TABLE segments (
      id INTEGER PRIMARY KEY,       -- the segment's entries stand in table log_<id>
      first_offset INTEGER NOT NULL UNIQUE, -- offset of its first entry, there or yet to come
      previous_hash TEXT NOT NULL   -- hash of the entry before its first one
    ) STRICT;
    CREATE TABLE probe (
      id INTEGER PRIMARY KEY CHECK (id = 1), -- one row
      filler BLOB NOT NULL          -- noise, written to find out whether the disk takes a write
    ) STRICT;
    INSERT INTO segments (id, first_offset, previous_hash) VALUES (1, 0, '${FIRST_PREVIOUS_HASH}');
    INSERT INTO probe (id, filler) VALUES (1, randomblob(16384));
    ${createSegment(1)}`)
    database
      .prepare('INSERT INTO head (id, iden, epoch, next_offset, last_hash, next_seq) VALUES (1, ?, 1, 0, ?, 0)')
      .run(newGuid(), FIRST_PREVIOUS_HASH)
  },
  (database) => {
    database.exec(`
    CREATE TABLE records (
      kind TEXT NOT NULL,           -- which part of the server it belongs to: user, role, …
      key TEXT NOT NULL,            -- its name there
      value TEXT NOT NULL,          -- the object, JSON
      PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;`)
  },
]

/** The version this software writes, kept in `user_version`. */
export const SCHEMA_VERSION = MIGRATIONS.length

/** Brings a file from version `from` to `to`, within the transaction of the caller. */
export function migrate(database: DatabaseSync, from: number, to: number = SCHEMA_VERSION): void {
  assert(from <= to && to <= SCHEMA_VERSION, `no way from version ${from} to ${to}`)
  for (const step of MIGRATIONS.slice(from, to)) step(database)
  database.exec(`PRAGMA user_version = ${to}`)
}

/**
 * Finds out whose file it is and which version it has; 0 for an empty one. Changes nothing.
 *
 * @throws RegistryError `REG_STORE_NEWER` when it is a file of something else, or of a version that this software does not know.
 */
export function versionOf(database: DatabaseSync, path: string): number {
  const applicationId = pragma(database, 'application_id')
  const version = pragma(database, 'user_version')
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (isEmpty && applicationId === 0 && version === 0) return 0
  if (applicationId !== APPLICATION_ID) {
    throw new RegistryError('REG_STORE_NEWER', `${path} is a database, but not one of a registry`, {
      info: {place: path, applicationId},
    })
  }
  if (typeof version !== 'number' || version > SCHEMA_VERSION) {
    throw new RegistryError(
      'REG_STORE_NEWER',
      `${path} has format ${version}, this version of the software knows formats up to ${SCHEMA_VERSION}`,
      {info: {place: path, version, known: SCHEMA_VERSION}},
    )
  }
  return version
}

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name]
}
