/**
 * Counts and hashes what is in a database file; for the thread of a task only.
 *
 * The hash of a table is SHA-256 over its rows in the order of their keys, each value as `length:text` with the length in UTF-16 units. That of
 * the state is over a line `name=value` for each value of the census before it, in their order, and the number that the next service gets.
 */
import {createHash, type Hash} from 'node:crypto'
import type {DatabaseSync, StatementSync} from 'node:sqlite'
import {SqliteLog} from './sqlite-log.ts'
import {readHead} from './sqlite-open.ts'
import {segmentTable} from './sqlite-schema.ts'
import {integer, text} from './sqlite-values.ts'

/** Text is handed to the hash in pieces of this size: each hand-over has its price. */
const PIECE_CHARS = 64 * 1024
/** Tables for records came with this version of the file. */
const VERSION_WITH_RECORDS = 2

/** Takes the census of one moment. */
export function censusOf(database: DatabaseSync, path: string, version: number): Record<string, number | string> {
  database.exec('BEGIN')
  const head = readHead(database, path)
  const census: Record<string, number | string> = {
    ...servicesOf(database, path),
    ...(version < VERSION_WITH_RECORDS ? {records: 0} : recordsOf(database, path)),
    ...logOf(database, path),
    'log.index': head.nextOffset,
    'log.epoch': head.epoch,
    'log.hash': head.lastHash,
  }
  database.exec('COMMIT')
  const lines = Object.entries({...census, seq: head.nextSeq}).map(([name, value]) => `${name}=${value}\n`)
  return {...census, 'state.sha256': createHash('sha256').update(lines.join('')).digest('hex')}
}

function servicesOf(database: DatabaseSync, path: string): Record<string, number | string> {
  const rows = new RowHash()
  for (const row of iterate(database.prepare('SELECT seq, service FROM instances ORDER BY seq'))) {
    rows.add(`${integer(row['seq'], path)}`, text(row['service'], path))
  }
  return {services: rows.count, 'services.sha256': rows.digest()}
}

function recordsOf(database: DatabaseSync, path: string): Record<string, number | string> {
  const tables = new Map<string, RowHash>()
  let records = 0
  for (const row of iterate(database.prepare('SELECT kind, key, value FROM records ORDER BY kind, key'))) {
    const kind = text(row['kind'], path)
    const rows = tables.get(kind) ?? new RowHash()
    tables.set(kind, rows)
    rows.add(text(row['key'], path), text(row['value'], path))
    records += 1
  }
  const found: Record<string, number | string> = {records}
  for (const [kind, rows] of tables) {
    found[`records.${kind}`] = rows.count
    found[`records.${kind}.sha256`] = rows.digest()
  }
  return found
}

function logOf(database: DatabaseSync, path: string): Record<string, number> {
  const log = new SqliteLog(database, path)
  let entries = 0
  for (const {id, firstOffset} of log.segments) {
    const row = database
      .prepare(`SELECT count(*) AS entries FROM ${segmentTable(id)} WHERE offset >= ?`)
      .get(firstOffset)
    entries += integer(row?.['entries'], path)
  }
  return {'log.first': log.firstOffset, 'log.entries': entries}
}

function iterate(statement: StatementSync): NodeJS.Iterator<Record<string, unknown>> {
  return statement.iterate()
}

/** Hashes rows, and keeps none of them. */
class RowHash {
  readonly #hash: Hash = createHash('sha256')
  #piece = ''
  #count = 0

  get count(): number {
    return this.#count
  }

  add(key: string, value: string): void {
    this.#count += 1
    this.#piece += `${key.length}:${key}${value.length}:${value}`
    if (this.#piece.length < PIECE_CHARS) return
    this.#hash.update(this.#piece)
    this.#piece = ''
  }

  digest(): string {
    return this.#hash.update(this.#piece).digest('hex')
  }
}
