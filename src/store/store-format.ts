import {open} from 'node:fs/promises'
import {SCHEMA_VERSION} from './sqlite-schema.ts'

/** Where SQLite keeps `user_version`, four bytes in its header. */
const VERSION_AT = 60
const HEADER_BYTES = 100
const MAGIC = 'SQLite format 3\0'

/** The format of database files that this software writes. */
export const STORE_FORMAT: number = SCHEMA_VERSION

/**
 * Reads which format a database file has, from its header alone: it is not opened, and has to be in no use. Undefined when it is no database, or is
 * not there. Throws what the system says.
 */
export async function readStoreFormat(path: string): Promise<number | undefined> {
  await using file = await open(path, 'r').catch(() => undefined)
  const {buffer, bytesRead} = (await file?.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)) ?? {bytesRead: 0}
  if (buffer === undefined || bytesRead < HEADER_BYTES || !buffer.toString('latin1').startsWith(MAGIC)) return undefined
  return buffer.readUInt32BE(VERSION_AT)
}
