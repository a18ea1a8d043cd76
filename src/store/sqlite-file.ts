/** The database file, with calls that block: for the worker's thread only. */
import {accessSync, constants} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import {RegistryError} from '../base/errors.ts'
import {createPrivateFile} from '../base/files.ts'
import {type ChainPlace, chainHash, verifyChain} from './chain.ts'
import {asStoreError, damagedFile, isIoFault} from './sqlite-errors.ts'
import {
  BODY,
  DONE,
  decodeEntries,
  decodeRecordChanges,
  ENTRY_WIDTH,
  type Flat,
  numberAt,
  PUT,
  PUT_RECORDS,
  RENEWAL_WIDTH,
  textAt,
} from './sqlite-messages.ts'
import {migrate, SCHEMA_VERSION, segmentTable, versionOf} from './sqlite-schema.ts'
import type {StoreHead} from './store.ts'

/** How long a call waits for the lock of another process (a backup, a curious sqlite3) before it fails. */
const BUSY_TIMEOUT_MS = 500
/** Pages in the WAL, estimated, after which they are moved into the file: a move of 4 MB takes some 10 ms. */
const CHECKPOINT_PAGES = 1000
/** SQLite's own limit, within a commit, should the estimate be too low. */
const AUTO_CHECKPOINT_PAGES = 4000
/** What the WAL is cut back to when a long reader made it grow. */
const WAL_KEEP_BYTES = 16 * 1024 * 1024
/** Pages of one commit besides those of its changes. */
const COMMIT_PAGES = 4
/** Estimated renewals that fall on one page of 400, as not all renew at a time. */
const RENEWALS_PER_PAGE = 40
/** Newest entries whose chain is verified at every start; the whole log takes too long. */
const VERIFY_AT_OPEN = 256
/** One answer ends after this much text, so that a chunk of large services does not fill the memory. */
const CHUNK_CHARS = 4 * 1024 * 1024

interface Segment {
  readonly id: number
  readonly firstOffset: number
  readonly previousHash: string
}

/** Where to go on reading records. */
interface RecordPlace {
  readonly table: string
  readonly key: string
  readonly limit: number
  readonly isOneTable: boolean
}

/** An open database file. Every method throws what SQLite throws; `asStoreError` translates it. */
export class SqliteFile {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #segments: readonly Segment[]
  readonly #statements: Statements
  #head: StoreHead
  #walPages = 0

  /** Opens the file, making it when it is not there. */
  constructor(path: string) {
    this.#path = path
    createPrivateFile(path)
    // SQLite would open what it may only read, and refuse every change until the next start, whatever the operator does meanwhile.
    accessSync(path, constants.R_OK | constants.W_OK)
    const database = new DatabaseSync(path, {timeout: BUSY_TIMEOUT_MS})
    try {
      prepareFile(database, path)
      this.#database = database
      this.#head = readHead(database, path)
      this.#segments = readSegments(database, path)
      const newest = this.#segments.at(-1)
      if (newest === undefined) throw damagedFile(path, 'it has no log')
      this.#statements = prepareStatements(database, segmentTable(newest.id))
      this.#verifyEnd()
    } catch (error) {
      database.close()
      throw error
    }
  }

  get head(): StoreHead {
    return this.#head
  }

  /** Takes the entries of an APPEND request, in one transaction, and gives the offset of the first. */
  append(request: Flat): number {
    const {nextOffset} = this.#head
    const head = this.#commit(() => this.#writeEntries(request))
    this.#head = head
    this.#walPages += COMMIT_PAGES + head.nextOffset - nextOffset
    return nextOffset
  }

  /**
   * Takes the times of a RENEW request, in one transaction. It needs no fsync of its own (synchronous NORMAL): a crash may lose it, the
   * next append syncs it along with its own pages, and a WAL is read only as far as it is whole.
   */
  renew(request: Flat): void {
    this.#database.exec('PRAGMA synchronous = NORMAL')
    try {
      this.#commit(() => {
        for (let at = BODY; at < request.length; at += RENEWAL_WIDTH) {
          this.#statements.renew.run(numberAt(request, at + 1), numberAt(request, at))
        }
      })
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL')
    }
    this.#walPages += COMMIT_PAGES + request.length / RENEWALS_PER_PAGE
  }

  /** Adds to `answer` the instances after `seq`, in order, at most `limit` and about 4 MB of them; none when there are no more. */
  instances(answer: Flat, seq: number, limit: number): void {
    let chars = 0
    for (const row of this.#statements.instances.iterate(seq, limit)) {
      const service = text(row['service'], this.#path)
      answer.push(integer(row['seq'], this.#path), service, integer(row['last_s'], this.#path))
      chars += service.length
      if (chars > CHUNK_CHARS) return
    }
  }

  /** Adds to `answer` the records after that one, in order, at most `limit` and about 4 MB of them; none when there are no more. */
  records(answer: Flat, after: RecordPlace): void {
    const {table, key, limit, isOneTable} = after
    const {recordsOfOne, records} = this.#statements
    let chars = 0
    for (const row of (isOneTable ? recordsOfOne : records).iterate(table, key, limit)) {
      const value = text(row['value'], this.#path)
      answer.push(text(row['kind'], this.#path), text(row['key'], this.#path), value)
      chars += value.length
      if (chars > CHUNK_CHARS) return
    }
  }

  /** Adds to `answer` entries from `offset` on, at most `limit` and about 4 MB of them; none when there are no more. */
  read(answer: Flat, offset: number, limit: number): void {
    const oldest = this.#segments[0]?.firstOffset ?? 0
    if (offset < oldest) {
      throw new RegistryError('REG_OFFSET_CULLED', `entry ${offset} was trimmed, the oldest kept is ${oldest}`, {
        info: {offset, first: oldest},
      })
    }
    const end = Math.min(offset + limit, this.#head.nextOffset)
    let room = CHUNK_CHARS
    for (const [index, {id, firstOffset}] of this.#segments.entries()) {
      const segmentEnd = this.#segments[index + 1]?.firstOffset ?? end
      const from = Math.max(offset, firstOffset)
      room = this.#readSegment(answer, id, from, Math.min(end, segmentEnd), room)
      if (room <= 0) return
    }
  }

  /** Proves that the disk takes a write as large as that of a usual commit. */
  probe(): void {
    this.#commit(() => this.#statements.probe.run())
    this.#walPages += 2 * COMMIT_PAGES
  }

  /** Moves the pages of the WAL into the file when there are many. To be called after the answer, so that nobody waits for it. */
  tidy(): void {
    if (this.#walPages < CHECKPOINT_PAGES) return
    this.#walPages = 0
    this.#checkpoint('PASSIVE')
  }

  close(): void {
    this.#database.close()
  }

  #commit<T>(write: () => T): T {
    const {begin, commit} = this.#statements
    begin.run()
    try {
      const result = write()
      commit.run()
      return result
    } catch (error) {
      // After some errors (disk full) SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      // When the fsync failed, the WAL may hold the whole transaction all the same, and a start after a crash would find it there.
      if (isIoFault(error)) this.#checkpoint('TRUNCATE')
      throw error
    }
  }

  #writeEntries(request: Flat): StoreHead {
    let {nextOffset, lastHash, nextSeq} = this.#head
    const {epoch} = this.#head
    const {insertEntry, updateHead} = this.#statements
    for (let at = BODY; at < request.length; at += ENTRY_WIDTH) {
      const timeMs = numberAt(request, at)
      const actor = textAt(request, at + 1)
      const change = textAt(request, at + 2)
      lastHash = chainHash(lastHash, nextOffset, epoch, timeMs, actor, change)
      insertEntry.run(nextOffset, epoch, timeMs, actor, change, lastHash)
      nextOffset += 1
      nextSeq = this.#writeEffect(request, at + 3, nextSeq)
    }
    // Nobody else writes to the file; should somebody, then rather fail than fork the chain.
    if (updateHead.run(nextOffset, lastHash, nextSeq, this.#head.nextOffset, this.#head.lastHash).changes !== 1) {
      throw damagedFile(this.#path, 'another process changed it')
    }
    return {nextOffset, epoch, lastHash, nextSeq}
  }

  /** Writes the effect that begins at `at` and gives the next seq after it. */
  #writeEffect(request: Flat, at: number, nextSeq: number): number {
    const seq = numberAt(request, at + 1)
    const statements = this.#statements
    const kind = numberAt(request, at)
    if (kind === PUT_RECORDS) {
      this.#writeRecords(textAt(request, at + 2))
      return nextSeq
    }
    if (kind !== PUT) {
      statements.deleteInstance.run(seq)
      statements.deleteHeartbeat.run(seq)
      return nextSeq
    }
    const service = textAt(request, at + 2)
    const lastHeartbeatS = numberAt(request, at + 3)
    if (seq < nextSeq) {
      statements.replaceInstance.run(seq, service)
      statements.replaceHeartbeat.run(seq, lastHeartbeatS)
      return nextSeq
    }
    // A plain insert takes half the time of one that may replace.
    statements.insertInstance.run(seq, service)
    statements.insertHeartbeat.run(seq, lastHeartbeatS)
    return seq + 1
  }

  #writeRecords(changes: string): void {
    const {putRecord, deleteRecord} = this.#statements
    for (const {table, key, value} of decodeRecordChanges(changes)) {
      if (value === null) deleteRecord.run(table, key)
      else putRecord.run(table, key, value)
    }
  }

  /** Adds the entries of one segment until `room` characters are used up, and gives the room left. */
  #readSegment(answer: Flat, id: number, from: number, end: number, room: number): number {
    if (from >= end) return room
    const path = this.#path
    const select = this.#database.prepare(
      `SELECT offset, epoch, hash, time_ms, actor, change FROM ${segmentTable(id)} WHERE offset >= ? AND offset < ? ORDER BY offset`,
    )
    let left = room
    for (const row of select.iterate(from, end)) {
      const change = text(row['change'], path)
      answer.push(integer(row['offset'], path), integer(row['epoch'], path), text(row['hash'], path))
      answer.push(integer(row['time_ms'], path), text(row['actor'], path), change)
      left -= change.length
      if (left <= 0) break
    }
    return left
  }

  /** A WAL that cannot be moved now stays and is whole: what goes wrong here will show in the next commit, where it is answered. */
  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    try {
      this.#database.exec(`PRAGMA wal_checkpoint(${mode})`)
    } catch (error) {
      asStoreError(error, 'checkpoint', this.#path)
    }
  }

  /** Verifies that the log ends as the head says and that its newest entries are whole. */
  #verifyEnd(): void {
    const {nextOffset, lastHash} = this.#head
    const oldest = this.#segments[0]?.firstOffset ?? 0
    let place = this.#placeBefore(Math.max(oldest, nextOffset - VERIFY_AT_OPEN))
    while (place.nextOffset < nextOffset) {
      const answer: Flat = [0, DONE]
      this.read(answer, place.nextOffset, VERIFY_AT_OPEN)
      const verdict = verifyChain(decodeEntries(answer), place)
      if (verdict.kind === 'damaged') throw damagedFile(this.#path, verdict.reason, verdict.offset)
      if (verdict.end.nextOffset === place.nextOffset) break
      place = verdict.end
    }
    if (place.nextOffset !== nextOffset || place.lastHash !== lastHash) {
      throw damagedFile(this.#path, `the log ends before entry ${place.nextOffset}`, place.nextOffset)
    }
  }

  /** Gives the place before an entry, by the hash of the one before it. */
  #placeBefore(offset: number): ChainPlace {
    const segment = this.#segments.find(({firstOffset}) => firstOffset === offset)
    if (segment !== undefined) return {nextOffset: offset, lastHash: segment.previousHash}
    const answer: Flat = [0, DONE]
    this.read(answer, offset - 1, 1)
    const [before] = decodeEntries(answer)
    if (before === undefined) throw damagedFile(this.#path, `entry ${offset - 1} is missing`, offset - 1)
    return {nextOffset: offset, lastHash: before.hash}
  }
}

/** Checks whose file it is and brings it to this version. */
function prepareFile(database: DatabaseSync, path: string): void {
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

function readHead(database: DatabaseSync, path: string): StoreHead {
  const row = database.prepare('SELECT epoch, next_offset, last_hash, next_seq FROM head').get()
  if (row === undefined) throw damagedFile(path, 'it has no head')
  return {
    epoch: integer(row['epoch'], path),
    nextOffset: integer(row['next_offset'], path),
    lastHash: text(row['last_hash'], path),
    nextSeq: integer(row['next_seq'], path),
  }
}

function readSegments(database: DatabaseSync, path: string): readonly Segment[] {
  const rows = database.prepare('SELECT id, first_offset, previous_hash FROM segments ORDER BY first_offset').all()
  return rows.map((row) => ({
    id: integer(row['id'], path),
    firstOffset: integer(row['first_offset'], path),
    previousHash: text(row['previous_hash'], path),
  }))
}

type Statements = ReturnType<typeof prepareStatements>

function prepareStatements(database: DatabaseSync, logTable: string) {
  return {
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    insertEntry: database.prepare(
      `INSERT INTO ${logTable} (offset, epoch, time_ms, actor, change, hash) VALUES (?, ?, ?, ?, ?, ?)`,
    ),
    updateHead: database.prepare(
      'UPDATE head SET next_offset = ?, last_hash = ?, next_seq = ? WHERE next_offset = ? AND last_hash = ?',
    ),
    insertInstance: database.prepare('INSERT INTO instances (seq, service) VALUES (?, ?)'),
    insertHeartbeat: database.prepare('INSERT INTO heartbeats (seq, last_s) VALUES (?, ?)'),
    replaceInstance: database.prepare('REPLACE INTO instances (seq, service) VALUES (?, ?)'),
    replaceHeartbeat: database.prepare('REPLACE INTO heartbeats (seq, last_s) VALUES (?, ?)'),
    deleteInstance: database.prepare('DELETE FROM instances WHERE seq = ?'),
    deleteHeartbeat: database.prepare('DELETE FROM heartbeats WHERE seq = ?'),
    renew: database.prepare('UPDATE heartbeats SET last_s = ? WHERE seq = ?'),
    instances: database.prepare(
      `SELECT seq, service, last_s FROM instances LEFT JOIN heartbeats USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?`,
    ),
    putRecord: database.prepare('REPLACE INTO records (kind, key, value) VALUES (?, ?, ?)'),
    deleteRecord: database.prepare('DELETE FROM records WHERE kind = ? AND key = ?'),
    recordsOfOne: database.prepare(
      'SELECT kind, key, value FROM records WHERE kind = ? AND key > ? ORDER BY key LIMIT ?',
    ),
    records: database.prepare(
      'SELECT kind, key, value FROM records WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?',
    ),
    probe: database.prepare('UPDATE probe SET filler = randomblob(16384)'),
  }
}

function integer(value: unknown, path: string): number {
  if (typeof value !== 'number') throw damagedFile(path, `${value} stands where a number should`)
  return value
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw damagedFile(path, `${value} stands where a text should`)
  return value
}
